// A plain graph stays one function: what is left to say of it for the host is which bytes its weights are.
#include "compiler/Conversion/Passes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {
#define GEN_PASS_DEF_CONVERTGRAPHTOEXEC
#include "compiler/Conversion/Passes.h.inc"
} // namespace elah

using namespace mlir;

namespace elah {
namespace {

struct ConvertGraphToExec : impl::ConvertGraphToExecBase<ConvertGraphToExec> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto function = module.lookupSymbol<func::FuncOp>("main");
    if (!function) {
      module.emitError() << "expected a plain graph's function @main";
      return signalPassFailure();
    }
    for (TypeRange types : {TypeRange(function.getArgumentTypes()), TypeRange(function.getResultTypes())}) {
      for (Type type : types) {
        if (!isa<RankedTensorType>(type)) {
          function.emitError() << "a compiled graph takes and gives tensors alone, found " << type;
          return signalPassFailure();
        }
      }
    }
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    SymbolTable symbols(module);
    llvm::DenseMap<exec::RecipeAttr, Attribute> known;
    SmallVector<Attribute> weights;
    auto walked = function.walk([&](r1::WeightOp op) {
      auto part = cast<r1::WeightAttr>(op.getParts()[0]);
      if (op.getParts().size() != 1 || part.getScales()) {
        op.emitOpError() << "of several parts or with block scales is none that a plain graph has";
        return WalkResult::interrupt();
      }
      auto recipe = exec::RecipeAttr::get(&getContext(), exec::RecipeKind::Table, builder.getArrayAttr({part}), nullptr,
                                          0, 0, false);
      Attribute &symbol = known[recipe];
      if (!symbol) {
        auto weight = exec::WeightOp::create(builder, op.getLoc(), part.getName(), recipe,
                                             builder.getI64IntegerAttr(recipe.getBytes()));
        symbol = FlatSymbolRefAttr::get(symbols.insert(weight));
      }
      weights.push_back(symbol);
      return WalkResult::advance();
    });
    if (walked.wasInterrupted()) {
      return signalPassFailure();
    }
    auto graph = exec::GraphOp::create(builder, function.getLoc(), "graph", "main", builder.getArrayAttr(weights));
    symbols.insert(graph);
  }
};

} // namespace
} // namespace elah
