// The oracle runs primitives alone, and fusion is held against what it undoes: both need composites written out.
#include "compiler/Transforms/Decompose.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace elah {

int64_t decomposeComposites(Operation *root, llvm::function_ref<bool(Operation *)> chosen) {
  // A decomposition may hold composites again: they are found in the next round.
  SmallVector<r1::DecomposableOpInterface> composites;
  int64_t count = 0;
  do {
    composites.clear();
    root->walk([&](r1::DecomposableOpInterface op) {
      if (chosen(op)) {
        composites.push_back(op);
      }
    });
    for (r1::DecomposableOpInterface op : composites) {
      OpBuilder builder(op);
      op->replaceAllUsesWith(op.decompose(builder));
      op->erase();
    }
    count += static_cast<int64_t>(composites.size());
  } while (!composites.empty());
  return count;
}

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
    decomposed += decomposeComposites(
        getOperation(), [&](Operation *op) { return chosen.empty() || chosen.contains(op->getName().getStringRef()); });
  }

private:
  llvm::StringSet<> chosen;
};

} // namespace
} // namespace elah
