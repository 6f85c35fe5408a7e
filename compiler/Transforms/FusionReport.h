// What `elah compile --explain-fusion` says: for each layer of the model, what became what, and what nearly did.
#ifndef COMPILER_TRANSFORMS_FUSIONREPORT_H
#define COMPILER_TRANSFORMS_FUSIONREPORT_H

#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>
#include <vector>

namespace elah {

/// Collects the remarks of the fusion passes. It has to outlive the context's passes, and takes the context's remarks.
class FusionReport {
public:
  struct Fused {
    std::string composite, node;
    int64_t operations; ///< How many the composite stands for.
  };
  struct Missed {
    std::string composite, node, rule, fix;
  };
  struct Layer {
    std::map<std::string, int64_t> composites, primitives; ///< What the layer is in the end, by operation.
    std::vector<Fused> fused;
    std::vector<Missed> missed;
  };

  /// Listens to the fusions that run in the context from now on.
  void attach(mlir::MLIRContext &context);
  /// Counts what the module is made of, after the fusions.
  void take(mlir::ModuleOp module);

  std::string text() const;
  std::string json() const;

  /// By number; what belongs to no layer is -1.
  std::map<int64_t, Layer> layers;
};

/// The layer that a node's name says it is of: model.layers.3.mlp, /model/layers.3/mlp/MatMul; -1 if it names none.
int64_t layerOf(llvm::StringRef node);

} // namespace elah

#endif
