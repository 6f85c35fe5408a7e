// One native function for a graph of r1 primitives. Chains of elementwise operations, casts and movements become one
// loop (their tensors never exist); what is read often, or made by more than a formula for each element, is held in
// memory until its last use.
#include "codegen/Cpu/Graph/EmitGraph.h"
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "codegen/Cpu/Link.h"

using namespace mlir;

namespace elah {
namespace {

/// Formulas for each element, which cost more than looking it up.
bool isElementwise(Operation *op) {
  return isa<r1::CompareOp, r1::SelectOp, r1::AddOp, r1::AndOp, r1::DivOp, r1::MaxOp, r1::MinOp, r1::MulOp, r1::OrOp,
             r1::PowOp, r1::SubOp, r1::CastOp, r1::ModOp, r1::RemOp, r1::ShiftLeftOp, r1::ShiftRightOp>(op) ||
         op->hasTrait<OpTrait::Elementwise>();
}

/// Elements are found elsewhere, or by counting: cheap to do again.
bool isMovement(Operation *op) {
  return isa<r1::BroadcastToOp, r1::DimOp, r1::RangeOp, r1::ShapeOp, r1::SliceOp, r1::TransposeOp>(op);
}

/// Whether the user reads each element of the operand once.
bool readsOnce(OpOperand &use) {
  Operation *user = use.getOwner();
  if (isa<r1::ReduceOp, r1::ConcatOp>(user)) {
    return true;
  }
  // Of a smaller operand, elements are read again and again.
  return isElementwise(user) && cast<RankedTensorType>(use.get().getType()).hasStaticShape() &&
         cast<RankedTensorType>(use.get().getType()).getShape() ==
             cast<RankedTensorType>(user->getResult(0).getType()).getShape();
}

constexpr unsigned maxDepth = 16;

} // namespace

GraphEmitter::Keep GraphEmitter::keepOf(Operation *op) const { return kept.lookup(op); }

void GraphEmitter::plan(Block &block) {
  llvm::DenseMap<Operation *, unsigned> depths;
  unsigned order = 0;
  for (Operation &op : block) {
    orders[&op] = ++order;
    Keep keep = Keep::Held;
    if (isMovement(&op)) {
      keep = Keep::Lazy;
    } else if (auto constant = dyn_cast<r1::ConstantOp>(op)) {
      keep = cast<ElementsAttr>(constant.getValue()).isSplat() ? Keep::Lazy : Keep::Held;
    } else if (isa<r1::ReshapeOp>(op)) {
      keep = Keep::View;
    } else if (isElementwise(&op) && op.getResult(0).hasOneUse() && readsOnce(*op.getResult(0).use_begin()) &&
               op.getResult(0).use_begin()->getOwner()->getBlock() == &block) {
      unsigned depth = 1;
      for (Value operand : op.getOperands()) {
        if (Operation *producer = operand.getDefiningOp()) {
          depth = std::max(depth, depths.lookup(producer) + 1);
        }
      }
      keep = depth < maxDepth ? Keep::Lazy : Keep::Held;
      depths[&op] = keep == Keep::Lazy ? depth : 0;
    }
    kept[&op] = keep;
  }
  // Scalars and shapes are read by loops' bounds: a chain of them is computed where it is needed, whoever else reads
  // it. Users stand behind what they use, so a pass from the end knows each user's own last use.
  for (Operation &op : llvm::reverse(block)) {
    for (Value result : op.getResults()) {
      unsigned last = orders[&op];
      for (Operation *user : result.getUsers()) {
        Operation *inBlock = block.findAncestorOpInBlock(*user);
        last = std::max(last, orders[inBlock]);
        if (inBlock == user && kept[user] != Keep::Held) {
          last = std::max(last, lastUses[user->getResult(0)]);
        }
      }
      lastUses[result] = last;
    }
  }
}

void GraphEmitter::releaseAfter(unsigned order) {
  llvm::erase_if(owned, [&](const Owned &memory) {
    if (memory.lastUse != order) {
      return false;
    }
    memory.isSequence ? b.releaseSequence(memory.memory) : b.release(memory.memory);
    return true;
  });
}

void GraphEmitter::own(Value value, Value memory) {
  held[value] = memory;
  owned.push_back({lastUses.lookup(value), memory, isSequence(value)});
}

std::string GraphEmitter::describe(Operation *op) const {
  std::string name;
  if (auto named = op->getLoc()->findInstanceOf<NameLoc>()) {
    name = named.getName().str() + ": ";
  }
  return name + op->getName().getStringRef().str() + ": ";
}

LogicalResult GraphEmitter::emit(Operation *op) {
  b.location = op->getLoc();
  if (auto weight = dyn_cast<r1::WeightOp>(op)) {
    setDims(weight, {});
    held[weight] = b.weight(weights->at(op));
    return success();
  }
  if (auto constant = dyn_cast<r1::ConstantOp>(op)) {
    setDims(constant, {});
    if (keepOf(op) == Keep::Held) {
      auto value = cast<DenseElementsAttr>(constant.getValue());
      std::string bytes;
      if (value.getElementType().isInteger(1)) {
        for (bool element : value.getValues<bool>()) {
          bytes.push_back(static_cast<char>(element));
        }
      } else {
        ArrayRef<char> raw = value.getRawData();
        bytes.assign(raw.begin(), raw.end());
      }
      held[constant] = b.bytes(bytes);
    }
    return success();
  }
  if (auto branch = dyn_cast<r1::IfOp>(op)) {
    return emitIf(branch);
  }
  if (auto loop = dyn_cast<r1::LoopOp>(op)) {
    return emitLoop(loop);
  }
  if (llvm::any_of(op->getOperandTypes(), llvm::IsaPred<r1::SequenceType>) ||
      llvm::any_of(op->getResultTypes(), llvm::IsaPred<r1::SequenceType>)) {
    return emitSequence(op);
  }
  if (failed(inferDims(op))) {
    return failure();
  }
  switch (keepOf(op)) {
  case Keep::Lazy:
    return success();
  case Keep::View:
    held[op->getResult(0)] = held.lookup(op->getOperand(0));
    if (!held[op->getResult(0)]) {
      // A view of what is computed where it is read: it is computed here, in the order that both share.
      Value input = op->getOperand(0), result = op->getResult(0);
      Type type = elementTypeOf(input);
      Values sizes = dimsOf(input);
      Value memory = b.allocate(b.bytesOf(countOf(input), type));
      b.loops(sizes,
              [&](ArrayRef<Value> indices) { b.store(element(input, indices), memory, linear(sizes, indices), type); });
      own(result, memory);
    }
    return success();
  case Keep::Held:
    return emitHeld(op);
  }
  llvm_unreachable("unknown way to keep a tensor");
}

LogicalResult GraphEmitter::emitBlock(Block &block) {
  plan(block);
  for (Operation &op : block.without_terminator()) {
    if (failed(emit(&op))) {
      return failure();
    }
    b.location = op.getLoc();
    releaseAfter(orders[&op]);
  }
  b.location = block.getTerminator()->getLoc();
  return success();
}

LogicalResult GraphEmitter::emit(func::FuncOp function, const llvm::DenseMap<Operation *, int64_t> &numbers) {
  weights = &numbers;
  Block &body = function.front();
  for (BlockArgument argument : body.getArguments()) {
    held[argument] = b.inputData(argument.getArgNumber());
    auto type = cast<RankedTensorType>(argument.getType());
    dims[argument].clear();
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      dims[argument].push_back(type.isDynamicDim(axis) ? b.inputDim(argument.getArgNumber(), axis)
                                                       : b.integer(type.getDimSize(axis)));
    }
  }
  if (failed(emitBlock(body))) {
    return failure();
  }
  unsigned last = orders[body.getTerminator()];
  for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    // The caller owns outputs, each of its own.
    Values parts = leave(value, last);
    b.setOutput(index, parts.front(), ArrayRef<Value>(parts).drop_front());
  }
  releaseAfter(last);
  return success();
}

llvm::Expected<std::optional<std::string>> emitGraph(func::FuncOp function, StringRef symbol,
                                                     const llvm::DenseMap<Operation *, int64_t> &weights,
                                                     const CpuTarget &target, const NativeOptions &options) {
  loadNativeDialects(function.getContext());
  OwningOpRef<ModuleOp> module = ModuleOp::create(function.getLoc());
  OpBuilder builder(function.getContext());
  GraphBuilder graph(builder, *module, function.getLoc(), symbol);
  if (failed(GraphEmitter(graph).emit(function, weights))) {
    return std::nullopt;
  }
  graph.finish();
  NativeOptions native = options;
  native.vectorizesLoops = true;
  llvm::LLVMContext context;
  auto lowered = lowerToLlvm(*module, symbol, context, native);
  if (!lowered) {
    return lowered.takeError();
  }
  auto object = compileToObject(**lowered, symbol, target, native);
  if (!object) {
    return object.takeError();
  }
  auto image = linkSharedObject({*object}, target);
  if (!image) {
    return image.takeError();
  }
  return std::move(*image);
}

} // namespace elah
