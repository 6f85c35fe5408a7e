// Rotary embedding (RoFormer, arXiv 2104.09864) is written with halves, pairs or complex numbers, from frequencies or
// from tables that are gathered or sliced. All of it is one linear map for each position. So the pattern is loose, what
// is computed from one activation and from tables that depend on positions alone; that it is a rotation, of which pairs
// and how far, is read off the numbers that it computes for the first few positions.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/Rotation.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEROPEPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

constexpr size_t maxRegion = 96;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The operations between an activation and a possible end of a rotation.
struct Region {
  Value input;               ///< The one activation that all of it comes from.
  SmallVector<Value> tables; ///< What that is multiplied by.
};

std::optional<Region> regionOf(Value end, const Positional &positional) {
  Region region;
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist = {end};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (positional.contains(value)) {
      if (isa<FloatType>(typeOf(value).getElementType()) && !numberOf(value)) {
        region.tables.push_back(value);
      }
    } else if (op && isa<r1::AddOp, r1::SubOp, r1::MulOp, r1::NegOp, r1::ConcatOp, r1::SliceOp, r1::ReshapeOp,
                         r1::TransposeOp, r1::BroadcastToOp>(op)) {
      llvm::append_range(worklist, op->getOperands());
    } else if (region.input && region.input != value) {
      return {};
    } else {
      region.input = value;
    }
    if (seen.size() > maxRegion) {
      return {};
    }
  }
  bool isComplete = region.input && region.tables.size() >= 2 && typeOf(region.input).getElementType().isF32();
  return isComplete ? std::optional(region) : std::nullopt;
}

/// The columns of `input` [T, width] as [T, count].
Value selectColumns(OpBuilder &builder, Location location, Value input, const Columns &columns, int64_t count) {
  int64_t width = typeOf(input).getDimSize(1);
  if (columns.start == 0 && count == width && columns.factors.size() <= 1 &&
      (columns.factors.empty() || columns.factors.front().second == 1)) {
    return input;
  }
  // The input as a mixed radix number whose digits are the factors, the largest stride first.
  SmallVector<size_t> order = llvm::to_vector(llvm::seq<size_t>(0, columns.factors.size()));
  llvm::sort(order, [&](size_t lhs, size_t rhs) { return columns.factors[lhs].second > columns.factors[rhs].second; });
  SmallVector<int64_t> sizes = {-1}, strides;
  int64_t whole = width;
  for (size_t index : order) {
    int64_t stride = columns.factors[index].second;
    if (stride < 1 || whole % stride != 0) {
      return {};
    }
    sizes.push_back(whole / stride);
    strides.push_back(stride);
    whole = stride;
  }
  if (whole > 1) {
    sizes.push_back(whole);
    strides.push_back(1);
  }
  Value value = r1::ReshapeOp::create(builder, location, input, sizes);
  int64_t start = columns.start;
  for (size_t digit = 0; digit < strides.size(); ++digit) {
    int64_t stride = strides[digit], size = digit < order.size() ? columns.factors[order[digit]].first : 1;
    int64_t first = start / stride, axis = static_cast<int64_t>(digit) + 1;
    start %= stride;
    if (first + size > sizes[axis]) {
      return {};
    }
    if (size != sizes[axis]) {
      value = r1::SliceOp::create(builder, location, value, axis, first, first + size);
    }
  }
  SmallVector<int64_t> permutation = {0};
  for (size_t index = 0; index < columns.factors.size(); ++index) {
    permutation.push_back(static_cast<int64_t>(llvm::find(order, index) - order.begin()) + 1);
  }
  if (whole > 1) {
    permutation.push_back(static_cast<int64_t>(order.size()) + 1);
  }
  if (!llvm::is_sorted(permutation)) {
    value = r1::TransposeOp::create(builder, location, value, permutation);
  }
  return r1::ReshapeOp::create(builder, location, value, ArrayRef<int64_t>{-1, count});
}

struct FuseRopePass : impl::FuseRopePassBase<FuseRopePass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::RopeOp::getOperationName());
    Positional positional(getOperation());
    SmallVector<Operation *> ends;
    for (Operation &op : getOperation().front()) {
      if (isa<r1::AddOp, r1::ConcatOp, r1::ReshapeOp>(op) && !positional.contains(op.getResult(0))) {
        ends.push_back(&op);
      }
    }
    // Rotated halves may stand in a longer concatenation, behind the part of a head that passes.
    fusion.forEach<r1::ConcatOp>([&](r1::ConcatOp concat) { fuseHalves(fusion, positional, concat); });
    // The last end is the whole rotation, with what of a head passes it. Where heads are a dimension of their own they
    // are seen as such; what is left has one head.
    for (bool hasHeads : {true, false}) {
      for (Operation *end : llvm::reverse(ends)) {
        if (!fusion.isErased(end) && (typeOf(end->getResult(0)).getRank() > 2) == hasHeads) {
          std::ignore = fuse(fusion, positional, end->getResult(0));
        }
      }
    }
  }

private:
  static void fuseHalves(Fusion &fusion, const Positional &positional, r1::ConcatOp concat) {
    int64_t axis = typeOf(concat).getRank() - 1;
    size_t count = concat.getInputs().size();
    if (count < 3 || static_cast<int64_t>(concat.getAxis()) != axis) {
      return;
    }
    for (size_t index = 0; index + 1 < count; ++index) {
      Value first = concat.getInputs()[index], second = concat.getInputs()[index + 1];
      if (first.getType() != second.getType() || positional.contains(first)) {
        continue;
      }
      OpBuilder builder(concat);
      Value halves[] = {first, second};
      Value both = r1::ConcatOp::create(builder, concat.getLoc(), ValueRange(halves), axis);
      SmallVector<Value> inputs(concat.getInputs());
      inputs[index] = both;
      inputs.erase(inputs.begin() + static_cast<ptrdiff_t>(index) + 1);
      concat.getInputsMutable().assign(inputs);
      if (succeeded(fuse(fusion, positional, both))) {
        return;
      }
      inputs[index] = first;
      inputs.insert(inputs.begin() + static_cast<ptrdiff_t>(index) + 1, second);
      concat.getInputsMutable().assign(inputs);
      both.getDefiningOp()->erase();
    }
  }

  static LogicalResult fuse(Fusion &fusion, const Positional &positional, Value end) {
    std::optional<Region> region = regionOf(end, positional);
    if (!region) {
      return failure();
    }
    OpBuilder builder(end.getDefiningOp());
    Location location = end.getLoc();
    auto type = typeOf(end);
    std::optional<Rotation> rotation = findRotation(end, region->input);
    if (!rotation) {
      return failure(); // A part of a rotation, most often.
    }
    Value positions = positional.positionsOf(builder, location, region->tables, region->input);
    Value input = selectColumns(builder, location, region->input, rotation->columns, rotation->heads * rotation->width);
    if (!input) {
      return failure(); // More than a rotation, such as the choice of a head: an inner end may be one.
    }
    auto rope =
        r1::RopeAttr::get(builder.getContext(), rotation->layout, builder.getDenseF64ArrayAttr(rotation->frequencies),
                          builder.getF64FloatAttr(shortestDecimal(static_cast<float>(rotation->scale))));
    Value result = r1::RopeOp::create(builder, location, input.getType(), input, positions,
                                      static_cast<uint64_t>(rotation->heads), rope);
    // Back to where the graph has it.
    SmallVector<int64_t> sizes = {-1}, permutation;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      permutation.push_back(axis == rotation->tokenAxis ? 0 : axis < rotation->tokenAxis ? axis + 1 : axis);
      if (axis != rotation->tokenAxis) {
        sizes.push_back(type.getDimSize(axis));
      }
    }
    if (llvm::any_of(sizes, ShapedType::isDynamic) && llvm::is_contained(ArrayRef(sizes).drop_front(), -1)) {
      return failure();
    }
    result = r1::ReshapeOp::create(builder, location, result, sizes);
    result = r1::TransposeOp::create(builder, location, result, permutation);
    fusion.replace(end, result);
    return success();
  }
};

} // namespace
} // namespace elah
