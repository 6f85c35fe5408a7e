// The oracle runs primitives alone, and fusion is held against what it undoes: both need composites written out.
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_DECOMPOSECOMPOSITESPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

struct DecomposeCompositesPass : impl::DecomposeCompositesPassBase<DecomposeCompositesPass> {
  using DecomposeCompositesPassBase::DecomposeCompositesPassBase;

  LogicalResult initialize(MLIRContext *context) override {
    for (const std::string &name : ops) {
      std::optional<RegisteredOperationName> op = RegisteredOperationName::lookup(name, context);
      if (!op || !op->hasInterface<r1::DecomposableOpInterface>()) {
        return emitError(UnknownLoc::get(context)) << "expected the name of a composite of r1, found '" << name << "'";
      }
      chosen.insert(name);
    }
    return success();
  }

  void runOnOperation() override {
    // A decomposition may hold composites again: they are found in the next round.
    SmallVector<r1::DecomposableOpInterface> composites;
    do {
      composites.clear();
      getOperation().walk([&](r1::DecomposableOpInterface op) {
        if (chosen.empty() || chosen.contains(op->getName().getStringRef())) {
          composites.push_back(op);
        }
      });
      for (r1::DecomposableOpInterface op : composites) {
        OpBuilder builder(op);
        op->replaceAllUsesWith(op.decompose(builder));
        op->erase();
      }
      decomposed += composites.size();
    } while (!composites.empty());
  }

private:
  llvm::StringSet<> chosen;
};

} // namespace
} // namespace elah
