// Exporters that fuse rotary embeddings put the cosines and sines of every position into two tables, megabytes of them
// (the ONNX Runtime GenAI builder, mobius). What they hold follows from one frequency for each pair of elements: it is
// read off the first rows and held against all others, and then the tables are not needed.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"
#include <cmath>

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_COMPUTEROPETABLESPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// Longer tables than any model has: 2^20 positions of 64 pairs.
constexpr int64_t maxElements = int64_t(1) << 26;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// A table [positions, pairs] and its elements.
struct Table {
  Type element;
  HostTensor elements;

  int64_t rows() const { return elements.shape[0]; }
  int64_t pairs() const { return elements.shape[1]; }
  double at(int64_t row, int64_t pair) const { return elements.floats()[row * pairs() + pair]; }
};

/// What a table of cosines and one of sines hold.
struct Angles {
  SmallVector<float> frequencies;
  double scale = 1;
};

/// How far elements of the table's type may be from what they stand for: a few of its last places, and of those of an
/// angle that was rounded to f32.
double toleranceOf(const Table &table, double angle) {
  double own = table.element.isF16() ? 1e-3 : table.element.isBF16() ? 8e-3 : 2e-6;
  return own + std::abs(angle) * 1.3e-7;
}

/// The frequency of one pair: what its second row says, to the last place that the other rows allow. Angles are
/// products of f32, or of numbers that are rounded only then.
std::optional<float> frequencyOf(const Table &cosines, const Table &sines, int64_t pair, double scale, bool isOfF32) {
  double angle = cosines.rows() > 1 ? std::atan2(sines.at(1, pair), cosines.at(1, pair)) : 0;
  // Rows far apart tell neighbouring numbers from one another.
  SmallVector<int64_t> rows;
  for (int64_t row = 1; row < cosines.rows(); row = row * 3 + 1) {
    rows.push_back(row);
  }
  auto errorOf = [&](float frequency) {
    double error = 0;
    for (int64_t row : rows) {
      double turned = static_cast<double>(row) * static_cast<double>(frequency);
      turned = isOfF32 ? static_cast<double>(static_cast<float>(turned)) : turned;
      error += std::abs(cosines.at(row, pair) - scale * std::cos(turned)) +
               std::abs(sines.at(row, pair) - scale * std::sin(turned));
    }
    return error;
  };
  float best = static_cast<float>(angle), below = best, above = best;
  double bestError = errorOf(best);
  for (int step = 0; step < 4; ++step) {
    below = std::nextafter(below, -4.0f);
    above = std::nextafter(above, 4.0f);
    for (float candidate : {below, above}) {
      if (double error = errorOf(candidate); error < bestError) {
        best = candidate;
        bestError = error;
      }
    }
  }
  for (int64_t row = 0; row < cosines.rows(); ++row) {
    double exact = static_cast<double>(row) * static_cast<double>(best),
           tolerance = toleranceOf(cosines, exact) * scale;
    if (!(std::abs(cosines.at(row, pair) - scale * std::cos(exact)) <= tolerance) ||
        !(std::abs(sines.at(row, pair) - scale * std::sin(exact)) <= tolerance)) {
      return {};
    }
  }
  return best;
}

/// Nothing if the tables are something else.
std::optional<Angles> anglesOf(const Table &cosines, const Table &sines) {
  Angles angles;
  angles.scale = cosines.at(0, 0);
  for (int64_t pair = 0; pair < cosines.pairs(); ++pair) {
    std::optional<float> frequency = frequencyOf(cosines, sines, pair, angles.scale, /*isOfF32=*/true);
    frequency = frequency ? frequency : frequencyOf(cosines, sines, pair, angles.scale, /*isOfF32=*/false);
    if (!frequency) {
      return {};
    }
    angles.frequencies.push_back(*frequency);
  }
  return angles;
}

struct ComputeRopeTablesPass : impl::ComputeRopeTablesPassBase<ComputeRopeTablesPass> {
  using ComputeRopeTablesPassBase::ComputeRopeTablesPassBase;

  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::RopeOp::getOperationName());
    Positional positional(getOperation());
    // Row 0 is the cosine or sine of 0; which tables are pairs shows in the others.
    SmallVector<std::pair<r1::GatherOp, Table *>> lookUps;
    SmallVector<Table *> cosines, sines;
    llvm::DenseMap<Operation *, std::unique_ptr<Table>> tables;
    fusion.forEach<r1::GatherOp>([&](r1::GatherOp gather) {
      auto weight = gather.getInput().getDefiningOp<r1::WeightOp>();
      if (!weight || gather.getAxis() != 0 || !positional.contains(gather.getIndices())) {
        return;
      }
      auto [entry, isNew] = tables.try_emplace(weight);
      if (isNew) {
        entry->second = read(weight);
        if (Table *table = entry->second.get()) {
          (table->at(0, 0) == 0 ? sines : cosines).push_back(table);
        }
      }
      if (Table *table = entry->second.get()) {
        lookUps.push_back({gather, table});
      }
    });
    llvm::DenseMap<Table *, Angles> known;
    for (Table *cosine : cosines) {
      for (Table *sine : sines) {
        if (cosine->elements.shape == sine->elements.shape) {
          if (std::optional<Angles> angles = anglesOf(*cosine, *sine)) {
            known[cosine] = known[sine] = *angles;
          }
        }
      }
    }
    for (auto [gather, table] : lookUps) {
      auto angles = known.find(table);
      if (angles == known.end()) {
        std::ignore = fusion.miss(gather, "the table is not one of cosines or sines that are multiples of one angle",
                                  "export the model with one rotary embedding for all lengths");
      } else if (hasOneUnknownSize(typeOf(gather.getIndices()))) {
        compute(gather, angles->second, llvm::is_contained(sines, table));
      }
    }
  }

private:
  /// The table, if its first two rows can be those of cosines or sines.
  std::unique_ptr<Table> read(r1::WeightOp weight) const {
    auto type = typeOf(weight.getResult());
    if (type.getRank() != 2 || type.getDimSize(0) < 2 || !isa<FloatType>(type.getElementType()) || type.getEncoding() ||
        type.getNumElements() > maxElements || weight.getParts().size() != 1) {
      return {};
    }
    auto elementsOf = [&](Value value) -> std::optional<HostTensor> {
      std::optional<SmallVector<HostTensor>> found = Probe(1, 0, weightFolder).evaluate(value);
      return found ? std::optional(std::move(found->front())) : std::nullopt;
    };
    // Most tables that are looked up in are embeddings, which are large.
    auto part = cast<r1::WeightAttr>(weight.getParts()[0]);
    auto firstType = RankedTensorType::get({2, type.getDimSize(1)}, type.getElementType());
    uint64_t bytes = part.getSize() / static_cast<uint64_t>(type.getDimSize(0)) * 2;
    if (part.getTransposed()) {
      return {};
    }
    if (!weight.getValueAttr()) {
      OpBuilder builder(weight);
      Attribute slice = r1::WeightAttr::get(weight.getContext(), part.getFile(), part.getName(), part.getOffset(),
                                            bytes, firstType, r1::WeightAttr());
      auto first = r1::WeightOp::create(builder, weight.getLoc(), firstType, builder.getArrayAttr(slice));
      std::optional<HostTensor> rows = elementsOf(first.getResult());
      first.erase();
      if (!rows || !isRowOfAngleZero(rows->floats(), type.getDimSize(1))) {
        return {};
      }
    }
    std::optional<HostTensor> elements = elementsOf(weight.getResult());
    if (!elements || !isRowOfAngleZero(elements->floats(), type.getDimSize(1))) {
      return {};
    }
    return std::make_unique<Table>(Table{type.getElementType(), std::move(*elements)});
  }

  static bool isRowOfAngleZero(const Floats &elements, int64_t pairs) {
    double first = elements.front();
    return first >= 0 && std::isfinite(first) &&
           std::all_of(elements.begin(), elements.begin() + pairs, [&](double element) { return element == first; });
  }

  /// cos(position * frequency) * scale in the place of the look-up.
  static void compute(r1::GatherOp gather, const Angles &angles, bool isSine) {
    OpBuilder builder(gather);
    Location location = gather.getLoc();
    Type f32 = builder.getF32Type();
    auto pairs = RankedTensorType::get({static_cast<int64_t>(angles.frequencies.size())}, f32);
    auto constant = [&](DenseElementsAttr elements) -> Value {
      return r1::ConstantOp::create(builder, location, cast<ElementsAttr>(elements));
    };
    Value positions = r1::CastOp::create(builder, location, gather.getIndices(), f32);
    SmallVector<int64_t> shape(typeOf(positions).getShape());
    shape.push_back(1);
    positions = reshapeTo(builder, location, positions, RankedTensorType::get(shape, f32), {});
    Value turned = r1::MulOp::create(builder, location, positions,
                                     constant(DenseElementsAttr::get(pairs, ArrayRef<float>(angles.frequencies))));
    Value result = isSine ? r1::SinOp::create(builder, location, turned).getResult()
                          : r1::CosOp::create(builder, location, turned).getResult();
    if (angles.scale != 1) {
      auto scalar = RankedTensorType::get({}, f32);
      result = r1::MulOp::create(builder, location, result,
                                 constant(DenseElementsAttr::get(scalar, static_cast<float>(angles.scale))));
    }
    if (!typeOf(gather).getElementType().isF32()) {
      result = r1::CastOp::create(builder, location, result, typeOf(gather).getElementType());
    }
    gather.getResult().replaceAllUsesWith(result);
    gather.erase();
  }
};

} // namespace
} // namespace elah
