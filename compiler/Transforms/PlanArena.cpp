// Which buffers may lie in the same memory. Interval packing with sizes that are known only at run
// time: all sizes are linear in a step's dimensions with coefficients >= 0, so the order of sizes
// at the limits is a good order everywhere, and whatever the order, a plan is right. Largest first,
// first slot that fits: Pisarchyk and Lee, "Efficient memory management for deep neural net
// inference" (2020), section 5.2, found within a few per cent of the bound.
#include "compiler/Transforms/Passes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_PLANARENAPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// Positions in the program, both included.
struct Life {
  unsigned begin, end;
  bool meets(const Life &other) const { return begin <= other.end && other.begin <= end; }
};

struct Buffer {
  exec::AllocOp alloc;
  Life life;
  double bytes; ///< At the limits; only compared.
};

struct Slot {
  SmallVector<Life> lives;
  llvm::SetVector<Attribute> sizes;
};

/// The largest a step's dimensions can be, in the order of enum Dim. A cache belongs to the session
/// and not to a step: the arena has nothing of its size, and its rows count as one.
SmallVector<double> largestStep(DenseI64ArrayAttr limits, DenseI64ArrayAttr cache) {
  double context = static_cast<double>(limits[0]), sequences = static_cast<double>(limits[1]),
         tokens = static_cast<double>(limits[2]);
  double pageTokens = cache && cache.size() > 1 && cache[1] > 0 ? static_cast<double>(cache[1]) : 1;
  return {tokens, sequences, tokens, 1, std::ceil(context / pageTokens)};
}

double evaluate(exec::ExtentAttr extent, ArrayRef<double> dims) {
  double value = static_cast<double>(extent.getConstant());
  for (auto [coefficient, dim] : llvm::zip(extent.getCoefficients().asArrayRef(), dims)) {
    value += static_cast<double>(coefficient) * dim;
  }
  return value;
}

/// From the first operation that touches the buffer to the last; views are other names of it and no
/// use themselves. A buffer that nothing touches lives where it stands.
Life lifeOf(exec::AllocOp alloc, const llvm::DenseMap<Operation *, unsigned> &position) {
  Life life = {position.lookup(alloc), position.lookup(alloc)};
  bool isUsed = false;
  SmallVector<Value> names = {alloc.getResult()};
  while (!names.empty()) {
    for (Operation *user : names.pop_back_val().getUsers()) {
      if (auto view = dyn_cast<exec::ViewOp>(user)) {
        names.push_back(view.getResult());
        continue;
      }
      unsigned at = position.lookup(user);
      life = isUsed ? Life{std::min(life.begin, at), std::max(life.end, at)} : Life{at, at};
      isUsed = true;
    }
  }
  return life;
}

class PlanArena : public impl::PlanArenaPassBase<PlanArena> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto limits = module->getAttrOfType<DenseI64ArrayAttr>("exec.limits");
    for (exec::ProgramOp program : module.getOps<exec::ProgramOp>()) {
      if (!limits || limits.size() != 3) {
        program.emitError() << "needs the module's attribute exec.limits (max context, sequences "
                               "and tokens of a step) "
                               "to plan an arena, found "
                            << (limits ? Attribute(limits) : UnitAttr::get(&getContext()));
        return signalPassFailure();
      }
      plan(program, largestStep(limits, module->getAttrOfType<DenseI64ArrayAttr>("exec.cache")));
    }
  }

  void plan(exec::ProgramOp program, ArrayRef<double> dims) {
    llvm::DenseMap<Operation *, unsigned> position;
    for (Operation &op : program.getBody().front()) {
      position.try_emplace(&op, position.size());
    }
    SmallVector<Buffer> order;
    for (exec::AllocOp alloc : program.getBody().getOps<exec::AllocOp>()) {
      order.push_back({alloc, lifeOf(alloc, position), evaluate(alloc.getByteSize(), dims)});
    }
    // Equal sizes keep the program's order, and the plan depends on nothing else.
    llvm::sort(order, [](const Buffer &a, const Buffer &b) {
      return a.bytes != b.bytes ? a.bytes > b.bytes : a.alloc->isBeforeInBlock(b.alloc);
    });

    SmallVector<Slot> arena;
    for (Buffer &buffer : order) {
      auto fits = [&](const Slot &slot) {
        return llvm::none_of(slot.lives, [&](const Life &life) { return life.meets(buffer.life); });
      };
      auto slot = llvm::find_if(arena, fits);
      if (slot == arena.end()) {
        slot = &arena.emplace_back();
      }
      slot->lives.push_back(buffer.life);
      slot->sizes.insert(buffer.alloc.getByteSize());
      buffer.alloc.setSlot(slot - arena.begin());
    }
    Builder builder(&getContext());
    program.setArenaAttr(builder.getArrayAttr(llvm::map_to_vector(
        arena, [&](const Slot &slot) -> Attribute { return builder.getArrayAttr(slot.sizes.getArrayRef()); })));
    buffers += order.size();
    slots += arena.size();
  }
};

} // namespace
} // namespace elah
