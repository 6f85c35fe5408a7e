// A rotation by position is a linear map for each position: position 0 shows where elements come from, position 1 the
// angles, and random elements whether that is all.
#include "compiler/Transforms/Rotation.h"
#include "compiler/Transforms/Probe.h"
#include <cmath>
#include <random>

using namespace mlir;

namespace elah {
namespace {

/// Positions 0 to 3 tell a rotation from everything else, and its angle up to whole turns in the first step.
constexpr int64_t probedTokens = 4;
/// Cosines and sines from a table have the precision of f32.
constexpr double tolerance = 1e-5;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

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

} // namespace

std::optional<Rotation> findRotation(Value end, Value input) { return RotationProbe(end, input).run(); }

} // namespace elah
