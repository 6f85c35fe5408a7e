// Rotary embedding (RoFormer, arXiv 2104.09864) is written with halves, pairs or complex numbers, from frequencies or
// from tables that are gathered or sliced. All of it is one linear map for each position. So the pattern is loose, what
// is computed from one activation and from tables that depend on positions alone; that it is a rotation, of which pairs
// and how far, is read off the numbers that it computes for the first few positions.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"
#include <cmath>
#include <random>

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEROPEPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// Positions 0 to 3 tell a rotation from everything else, and its angle up to whole turns in the first step.
constexpr int64_t probedTokens = 4;
/// Cosines and sines from a table have the precision of f32.
constexpr double tolerance = 1e-5;
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

/// Columns of the input, as factors: column = start + sum of index * stride.
struct Columns {
  int64_t start = 0;
  SmallVector<std::pair<int64_t, int64_t>> factors; ///< (size, stride), the outer ones first.
};

/// Splits a list of columns into factors; nothing if they are no such list.
std::optional<Columns> factorize(ArrayRef<int64_t> columns) {
  Columns result;
  result.start = columns.front();
  SmallVector<int64_t> heads(columns);
  while (heads.size() > 1) {
    int64_t stride = heads[1] - heads[0];
    size_t run = 2;
    while (run < heads.size() && heads[run] - heads[run - 1] == stride) {
      ++run;
    }
    if (heads.size() % run != 0) {
      return {};
    }
    SmallVector<int64_t> outer;
    for (size_t index = 0; index < heads.size(); index += run) {
      for (size_t inner = 0; inner < run; ++inner) {
        if (heads[index + inner] != heads[index] + static_cast<int64_t>(inner) * stride) {
          return {};
        }
      }
      outer.push_back(heads[index]);
    }
    result.factors.insert(result.factors.begin(), {static_cast<int64_t>(run), stride});
    heads = std::move(outer);
  }
  return result;
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

/// A rotation as its numbers show it.
struct Rotation {
  Columns columns; ///< Where its elements come from, head by head.
  int64_t tokenAxis = 0, heads = 1, width = 0;
  r1::RopeLayout layout = r1::RopeLayout::Half;
  SmallVector<double> frequencies;
  double scale = 1;
};

class RotationProbe {
public:
  RotationProbe(Value end, Value input) : end(end), input(input) {}

  std::optional<Rotation> run() {
    auto inputType = typeOf(input);
    auto endType = typeOf(end);
    if (inputType.getRank() != 2 || !inputType.isDynamicDim(0) || inputType.isDynamicDim(1) || endType.getRank() < 2) {
      return {};
    }
    width = inputType.getDimSize(1);
    // At position 0 nothing turns: each element is one of the input times the scale.
    HostTensor ones, ids;
    if (!compute(1, Floats(width, 1), ones)) {
      return {};
    }
    Floats names(width);
    for (int64_t column = 0; column < width; ++column) {
      names[column] = static_cast<double>(column + 1);
    }
    if (!compute(1, names, ids)) {
      return {};
    }
    Rotation rotation;
    rotation.scale = ones.floats().empty() ? 0 : ones.floats().front();
    if (!(rotation.scale > 0)) {
      return {};
    }
    SmallVector<int64_t> sources;
    for (auto [one, id] : llvm::zip_equal(ones.floats(), ids.floats())) {
      double column = id / one - 1;
      int64_t nearest = std::llround(column);
      if (!(std::abs(column - static_cast<double>(nearest)) < 0.25) || nearest < 0 || nearest >= width) {
        return {};
      }
      sources.push_back(nearest);
    }
    HostTensor first;
    if (!compute(probedTokens, Floats(width * probedTokens, 1), first)) {
      return {};
    }
    for (rotation.tokenAxis = 0; rotation.tokenAxis < endType.getRank(); ++rotation.tokenAxis) {
      if (first.shape[rotation.tokenAxis] != ones.shape[rotation.tokenAxis]) {
        break;
      }
    }
    if (rotation.tokenAxis >= endType.getRank() - 1 ||
        first.shape[rotation.tokenAxis] != probedTokens * ones.shape[rotation.tokenAxis] ||
        ones.shape[rotation.tokenAxis] != 1) {
      return {};
    }
    rotation.width = ones.shape.back();
    rotation.heads = static_cast<int64_t>(sources.size()) / rotation.width;
    for (r1::RopeLayout layout : {r1::RopeLayout::Half, r1::RopeLayout::Interleaved}) {
      // What is seen to turn, or all of a head.
      for (int64_t dim : {rotatedDim(ones, rotation.scale, first, rotation), rotation.width}) {
        rotation.layout = layout;
        if (dim > 1 && dim % 2 == 0 && dim <= rotation.width && findAngles(rotation, sources, dim) &&
            verify(rotation, sources)) {
          std::optional<Columns> columns = factorize(sources);
          if (!columns) {
            return {};
          }
          rotation.columns = *columns;
          splitHeads(rotation);
          return rotation;
        }
      }
    }
    return {};
  }

private:
  /// The end for `tokens` tokens, and an input of these elements.
  bool compute(int64_t tokens, Floats elements, HostTensor &result) {
    Probe probe(tokens, 0);
    probe.bind(input, HostTensor({tokens, width}, std::move(elements)));
    std::optional<SmallVector<HostTensor>> values = probe.evaluate(end);
    if (!values) {
      return false;
    }
    result = std::move(values->front());
    return true;
  }

  /// The element of `tensor` for a token, head and place.
  static double at(const HostTensor &tensor, const Rotation &rotation, int64_t token, int64_t element) {
    int64_t inner = 1;
    for (int64_t size : ArrayRef<int64_t>(tensor.shape).drop_front(rotation.tokenAxis + 1)) {
      inner *= size;
    }
    int64_t tokens = tensor.shape[rotation.tokenAxis];
    return tensor.floats()[(element / inner * tokens + token) * inner + element % inner];
  }

  /// Pairs of neighbours in a row without heads are those of several heads if their frequencies repeat.
  static void splitHeads(Rotation &rotation) {
    int64_t pairs = static_cast<int64_t>(rotation.frequencies.size());
    if (rotation.layout != r1::RopeLayout::Interleaved || rotation.heads != 1 || 2 * pairs != rotation.width) {
      return;
    }
    for (int64_t period = 2; period < pairs; ++period) {
      ArrayRef<double> frequencies = rotation.frequencies;
      if (pairs % period == 0 && frequencies.drop_front(period) == frequencies.drop_back(period)) {
        rotation.heads = pairs / period;
        rotation.width = 2 * period;
        rotation.frequencies.truncate(period);
        return;
      }
    }
  }

  /// How many elements of a head turn, if the scale or the numbers show it.
  int64_t rotatedDim(const HostTensor &ones, double scale, const HostTensor &first, const Rotation &rotation) const {
    int64_t dim = 0;
    for (int64_t place = 0; place < rotation.width; ++place) {
      double still = ones.floats()[place];
      for (int64_t token = 1; token < probedTokens; ++token) {
        if (still != 1 || scale != 1 || std::abs(at(first, rotation, token, place) - still) > 1e-15) {
          dim = still == 1 && scale != 1 ? dim : place + 1;
        }
      }
    }
    return dim;
  }

  static std::pair<int64_t, int64_t> placesOf(const Rotation &rotation, int64_t pair, int64_t pairs) {
    return rotation.layout == r1::RopeLayout::Half ? std::pair(pair, pair + pairs) : std::pair(2 * pair, 2 * pair + 1);
  }

  /// With 1 in the first element of each pair and 0 in the second, the results are cosine and sine.
  bool findAngles(Rotation &rotation, ArrayRef<int64_t> sources, int64_t dim) {
    int64_t pairs = dim / 2;
    Floats elements(width * probedTokens, 0);
    for (int64_t head = 0; head < rotation.heads; ++head) {
      for (int64_t pair = 0; pair < pairs; ++pair) {
        for (int64_t token = 0; token < probedTokens; ++token) {
          elements[token * width + sources[head * rotation.width + placesOf(rotation, pair, pairs).first]] = 1;
        }
      }
    }
    HostTensor turned;
    if (!compute(probedTokens, elements, turned)) {
      return false;
    }
    rotation.frequencies.clear();
    for (int64_t pair = 0; pair < pairs; ++pair) {
      auto [first, second] = placesOf(rotation, pair, pairs);
      double cosine = at(turned, rotation, 1, first), sine = at(turned, rotation, 1, second);
      double angle = std::atan2(sine, cosine), length = std::hypot(cosine, sine);
      if (std::abs(length - rotation.scale) > tolerance * rotation.scale) {
        return false;
      }
      rotation.frequencies.push_back(static_cast<double>(static_cast<float>(angle)));
    }
    return true;
  }

  bool verify(const Rotation &rotation, ArrayRef<int64_t> sources) {
    std::mt19937 engine(1);
    std::normal_distribution<double> normal;
    Floats elements(width * probedTokens);
    for (double &element : elements) {
      element = normal(engine);
    }
    HostTensor found;
    if (!compute(probedTokens, elements, found)) {
      return false;
    }
    int64_t pairs = static_cast<int64_t>(rotation.frequencies.size());
    auto isNear = [](double lhs, double rhs) {
      return std::abs(lhs - rhs) <= tolerance * std::max(1.0, std::abs(rhs));
    };
    for (int64_t token = 0; token < probedTokens; ++token) {
      for (int64_t head = 0; head < rotation.heads; ++head) {
        int64_t base = head * rotation.width;
        auto source = [&](int64_t place) { return elements[token * width + sources[base + place]]; };
        for (int64_t pair = 0; pair < pairs; ++pair) {
          auto [first, second] = placesOf(rotation, pair, pairs);
          double angle = static_cast<double>(token) * rotation.frequencies[pair];
          double cosine = std::cos(angle) * rotation.scale, sine = std::sin(angle) * rotation.scale;
          if (!isNear(at(found, rotation, token, base + first), source(first) * cosine - source(second) * sine) ||
              !isNear(at(found, rotation, token, base + second), source(first) * sine + source(second) * cosine)) {
            return false;
          }
        }
        for (int64_t place = 2 * pairs; place < rotation.width; ++place) {
          if (!isNear(at(found, rotation, token, base + place), source(place))) {
            return false;
          }
        }
      }
    }
    return true;
  }

  Value end, input;
  int64_t width = 0;
};

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
    std::optional<Rotation> rotation = RotationProbe(end, region->input).run();
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
