#ifndef FRONTENDS_HUGGINGFACE_MODELBUILDER_H
#define FRONTENDS_HUGGINGFACE_MODELBUILDER_H

#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/Checkpoint.h"
#include "frontends/HuggingFace/Config.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace elah {

/// What the importers of all architectures share: r1 operations named after the module they come from, on weights that
/// are checked against the checkpoint. The first error is emitted and remembered; after it, operations are still built
/// (on made-up weights), so that an importer reads as a straight list and `failed()` is asked once.
class ModelBuilder {
public:
  ModelBuilder(mlir::OpBuilder &builder, const ModelConfig &config, const Checkpoint &checkpoint,
               llvm::StringRef folder);

  const ModelConfig &config;

  bool failed() const { return hasFailed; }
  void fail(const llvm::Twine &message);

  /// The tensor `name` of `shape`, as an r1.weight.
  mlir::Value weight(const llvm::Twine &name, llvm::ArrayRef<int64_t> shape);
  /// `count` tensors, all of `shape`, stacked.
  mlir::Value stackedWeight(int64_t count, llvm::function_ref<std::string(int64_t)> nameOf,
                            llvm::ArrayRef<int64_t> shape, const llvm::Twine &module);
  bool hasTensor(const llvm::Twine &name) const { return checkpoint.find(name.str()) != nullptr; }
  /// The bytes of one tensor.
  r1::WeightAttr source(const llvm::Twine &name, llvm::ArrayRef<int64_t> shape);
  mlir::Value weightOf(llvm::ArrayRef<mlir::Attribute> parts, const llvm::Twine &module);
  /// Part `index` of a tensor [count, rows, columns] that holds `rows` from `firstRow` on.
  r1::WeightAttr slice(r1::WeightAttr whole, int64_t index, int64_t firstRow, int64_t rows);

  mlir::Value embedding(mlir::Value tokens, const llvm::Twine &module);
  mlir::Value linear(mlir::Value input, int64_t outputs, const llvm::Twine &module, bool bias = false);
  mlir::Value norm(mlir::Value input, int64_t width, const llvm::Twine &module, double epsilon);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs, const llvm::Twine &module);
  mlir::Value swigluMlp(mlir::Value input, int64_t intermediate, const llvm::Twine &module, bool bias = false);

  /// A [?, width] f32 tensor.
  mlir::RankedTensorType rows(int64_t width) const;
  mlir::Location locationOf(const llvm::Twine &module) const;
  r1::RopeAttr rope(int64_t dim) const;

  /// Tensors of the checkpoint that nothing has asked for.
  std::vector<std::string> unusedTensors() const;
  /// Elements of all tensors that were asked for.
  uint64_t parameters() const { return parameterCount; }

  mlir::OpBuilder &builder;

private:
  const Checkpoint &checkpoint;
  std::string folder;
  bool hasFailed = false;
  uint64_t parameterCount = 0;
  llvm::StringSet<> used;
};

} // namespace elah

#endif
