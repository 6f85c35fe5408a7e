#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/Decompose.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace elah {
namespace {

bool isDynamic(int64_t size) { return ShapedType::isDynamic(size); }

/// Rows that a cache has for a part of a layer, in the state that `cache` is.
bool wasAppendedTo(Value cache, int64_t layer, r1::CachePart part) {
  while (auto append = cache.getDefiningOp<r1::CacheAppendOp>()) {
    if (static_cast<int64_t>(append.getLayer()) == layer && append.getPart() == part) {
      return true;
    }
    cache = append.getCache();
  }
  return false;
}

} // namespace

bool holdsPositions(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return isa<BlockArgument>(value) && type && type.getRank() == 1 && type.getElementType().isInteger(32);
}

std::optional<RankedTensorType> Probe::typeOf(Value value) {
  if (auto found = bound.find(value); found != bound.end()) {
    return cast<RankedTensorType>(value.getType()).clone(tensorOf(found->second).shape);
  }
  if (auto found = types.find(value); found != types.end()) {
    return found->second;
  }
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type) {
    return {};
  }
  auto remember = [&](ArrayRef<int64_t> shape) { return types[value] = type.clone(shape); };
  if (type.hasStaticShape()) {
    return remember(type.getShape());
  }
  SmallVector<int64_t> shape(type.getShape());
  Operation *op = value.getDefiningOp();
  if (!op) {
    llvm::replace(shape, ShapedType::kDynamic, tokens);
    return remember(shape);
  }
  if (auto read = dyn_cast<r1::CacheReadOp>(op)) {
    shape[0] = past + (wasAppendedTo(read.getCache(), read.getLayer(), read.getPart()) ? tokens : 0);
    return remember(shape);
  }
  auto takeSizes = [&](Value computed) {
    std::optional<SmallVector<HostTensor>> sizes = evaluate(computed);
    if (sizes) {
      shape.assign(sizes->front().integers().begin(), sizes->front().integers().end());
    }
    return sizes.has_value();
  };
  if (auto range = dyn_cast<r1::RangeOp>(op)) {
    std::optional<SmallVector<HostTensor>> range_ = evaluate(range.getResult());
    if (!range_) {
      return {};
    }
    return remember(range_->front().shape);
  }
  if (auto reshape = dyn_cast<r1::ReshapeOp>(op); reshape && reshape.getShape()) {
    std::optional<RankedTensorType> input = typeOf(reshape.getInput());
    if (!input || !takeSizes(reshape.getShape())) {
      return {};
    }
    int64_t known = 1;
    for (int64_t size : shape) {
      known *= size == -1 ? 1 : size;
    }
    llvm::replace(shape, int64_t(-1), known == 0 ? 0 : input->getNumElements() / known);
    return remember(shape);
  }
  if (auto broadcast = dyn_cast<r1::BroadcastToOp>(op); broadcast && broadcast.getShape()) {
    std::optional<RankedTensorType> input = typeOf(broadcast.getInput());
    if (!input || !takeSizes(broadcast.getShape())) {
      return {};
    }
    for (int64_t back = 1; back <= input->getRank(); ++back) {
      int64_t &size = shape[shape.size() - back], own = input->getDimSize(input->getRank() - back);
      size = size == 1 || size == -1 ? own : size;
    }
    return remember(shape);
  }
  // The operation infers its result from operands of known types. Models are not deeper.
  constexpr int maxDepth = 8192;
  llvm::SaveAndRestore deeper(depth, depth + 1);
  if (depth > maxDepth) {
    return {};
  }
  Block scratch;
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    Type known = operand.getType();
    if (isa<RankedTensorType>(known)) {
      std::optional<RankedTensorType> concrete = typeOf(operand);
      if (!concrete) {
        return {};
      }
      known = *concrete;
    }
    operands.push_back(scratch.addArgument(known, op->getLoc()));
  }
  auto inferring = dyn_cast<InferTypeOpInterface>(op);
  if (!inferring) {
    // Elementwise operations and norms have the shape of what they read.
    bool isSame = !operands.empty() && op->getOperand(0).getType() == value.getType();
    return isSame ? std::optional(remember(cast<RankedTensorType>(operands[0].getType()).getShape())) : std::nullopt;
  }
  SmallVector<Type> inferred;
  if (failed(inferring.inferReturnTypes(op->getContext(), std::nullopt, operands, op->getAttrDictionary(),
                                        op->getPropertiesStorage(), op->getRegions(), inferred))) {
    return {};
  }
  auto result = cast<RankedTensorType>(inferred[cast<OpResult>(value).getResultNumber()]);
  if (result.hasStaticShape()) {
    return remember(result.getShape());
  }
  // Where the result's size is a matter of numbers, these are few: shapes and positions.
  std::optional<SmallVector<HostTensor>> computed;
  if (result.getElementType().isInteger()) {
    computed = evaluate(value);
  }
  return computed ? std::optional(remember(computed->front().shape)) : std::nullopt;
}

/// What an r1.dim or r1.shape comes to, if its operand's type can be told without computing it.
std::optional<HostTensor> Probe::sizesOf(Operation *op) {
  if (!isa_and_nonnull<r1::DimOp, r1::ShapeOp>(op)) {
    return {};
  }
  std::optional<RankedTensorType> type = typeOf(op->getOperand(0));
  if (!type) {
    return {};
  }
  if (auto dim = dyn_cast<r1::DimOp>(op)) {
    return HostTensor(ArrayRef<int64_t>(), Integers{type->getDimSize(dim.getAxis())});
  }
  return HostTensor({type->getRank()}, Integers(type->getShape().begin(), type->getShape().end()));
}

std::optional<SmallVector<HostTensor>> Probe::evaluate(ValueRange values) {
  llvm::SetVector<Value> inputs;
  llvm::SetVector<Operation *> needed;
  SmallVector<HostValue> contents;
  SmallVector<Value> worklist(values);
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (inputs.contains(value) || (op && needed.contains(op))) {
      continue;
    }
    if (auto found = bound.find(value); found != bound.end()) {
      inputs.insert(value);
      contents.push_back(found->second);
    } else if (holdsPositions(value)) {
      int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(0);
      Integers positions(isDynamic(size) ? tokens : size);
      for (auto [index, position] : llvm::enumerate(positions)) {
        position = past + static_cast<int64_t>(index);
      }
      inputs.insert(value);
      contents.push_back(hostValue(HostTensor({static_cast<int64_t>(positions.size())}, positions)));
    } else if (std::optional<HostTensor> sizes = sizesOf(op)) {
      inputs.insert(value);
      contents.push_back(hostValue(std::move(*sizes)));
    } else if (!op || op->getNumRegions() > 0 || op->getBlock() != values.front().getParentBlock() ||
               isa<r1::CacheAppendOp, r1::CacheReadOp>(op) ||
               (isa<r1::WeightOp>(op) && weightFolder.empty() && !cast<r1::WeightOp>(op).getValueAttr())) {
      return {};
    } else {
      needed.insert(op);
      llvm::append_range(worklist, op->getOperands());
    }
  }

  MLIRContext *context = values.front().getContext();
  OpBuilder builder(context);
  Location location = values.front().getLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  builder.setInsertionPointToEnd(module->getBody());
  SmallVector<Type> inputTypes = llvm::map_to_vector(inputs, [](Value value) { return value.getType(); });
  auto function = func::FuncOp::create(builder, location, "f", builder.getFunctionType(inputTypes, values.getTypes()));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping mapping;
  for (auto [input, argument] : llvm::zip_equal(inputs, body->getArguments())) {
    mapping.map(input, argument);
  }
  SmallVector<Operation *> order = needed.takeVector();
  llvm::sort(order, [](Operation *lhs, Operation *rhs) { return lhs->isBeforeInBlock(rhs); });
  for (Operation *op : order) {
    // A weight whose elements are known needs no file.
    if (auto weight = dyn_cast<r1::WeightOp>(op); weight && weight.getValueAttr()) {
      mapping.map(weight.getResult(), r1::ConstantOp::create(builder, op->getLoc(), weight.getValueAttr()).getResult());
      continue;
    }
    builder.clone(*op, mapping);
  }
  SmallVector<Value> results = llvm::map_to_vector(values, [&](Value value) { return mapping.lookup(value); });
  func::ReturnOp::create(builder, location, results);
  decomposeComposites(module->getOperation());

  // What cannot be computed is no mistake of the model.
  ScopedDiagnosticHandler quiet(context, [](Diagnostic &) { return success(); });
  InterpretOptions options;
  options.weightFolder = weightFolder.str();
  FailureOr<SmallVector<HostValue>> computed = interpret(*module, "f", contents, options);
  if (failed(computed)) {
    return {};
  }
  return llvm::map_to_vector(*computed, [](const HostValue &value) { return tensorOf(value); });
}

} // namespace elah
