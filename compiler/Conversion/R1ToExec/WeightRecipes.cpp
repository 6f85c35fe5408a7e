// How each weight is packed. Bytes are what decoding waits for, so a weight keeps its format
// wherever the kernels can read it: f8 with its block scales if a block's rows are whole panels, so
// that a panel's step has one scale.
#include "compiler/Conversion/R1ToExec/WeightRecipes.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

namespace elah {
namespace {

ArrayAttr sourcesOf(ArrayRef<r1::WeightAttr> sources) {
  SmallVector<Attribute> attributes(sources.begin(), sources.end());
  return ArrayAttr::get(sources.front().getContext(), attributes);
}

r1::BlocksAttr blocksOf(r1::WeightAttr source) {
  return dyn_cast_or_null<r1::BlocksAttr>(source.getType().getEncoding());
}

} // namespace

FailureOr<SmallVector<r1::WeightAttr>> matricesOf(Operation *user, Value weight) {
  auto op = weight.getDefiningOp<r1::WeightOp>();
  if (!op) {
    InFlightDiagnostic error = user->emitOpError() << "expected a weight that lies on disk";
    error.attachNote(weight.getLoc()) << "found a computed one";
    return failure();
  }
  SmallVector<r1::WeightAttr> matrices;
  for (Attribute attribute : op.getParts()) {
    auto part = cast<r1::WeightAttr>(attribute);
    if (part.getType().getRank() < 3) {
      matrices.push_back(part);
      continue;
    }
    for (int64_t index = 0; index < part.getType().getDimSize(0); ++index) {
      matrices.push_back(part.matrix(index));
    }
  }
  return matrices;
}

Value WeightRecipes::refer(Location loc, exec::RecipeAttr recipe, MemRefType type, StringRef suffix) {
  StringAttr &symbol = known[recipe];
  if (!symbol) {
    // Two recipes may begin with one tensor: an embedding that is also the head, a query's part of
    // a matrix.
    std::string name = (recipe.getWeights().front().getName().getValue() + suffix).str();
    unsigned count = names[StringAttr::get(module.getContext(), name)]++;
    if (count > 0) {
      name += "." + std::to_string(count);
    }
    symbol = StringAttr::get(module.getContext(), name);
    exec::WeightOp::create(symbols, loc, symbol, recipe, symbols.getI64IntegerAttr(recipe.getBytes()));
  }
  return exec::WeightRefOp::create(program, loc, type, FlatSymbolRefAttr::get(symbol));
}

Value WeightRecipes::vector(Location loc, ArrayRef<r1::WeightAttr> sources) {
  auto recipe =
      exec::RecipeAttr::get(module.getContext(), exec::RecipeKind::Vector, sourcesOf(sources), {}, 0, 0, false);
  return refer(loc, recipe, MemRefType::get({recipe.getBytes() / 4}, program.getF32Type()), "");
}

Value WeightRecipes::table(Location loc, r1::WeightAttr source) {
  auto recipe = exec::RecipeAttr::get(module.getContext(), exec::RecipeKind::Table, sourcesOf(source), {}, 0, 0, false);
  return refer(loc, recipe, MemRefType::get(source.getType().getShape(), source.getType().getElementType()), "");
}

bool WeightRecipes::canStack(ArrayRef<r1::WeightAttr> above, r1::WeightAttr next) const {
  RankedTensorType first = above.front().getType(), type = next.getType();
  if (first.getElementType() != type.getElementType() || first.getEncoding() != type.getEncoding() ||
      first.getDimSize(1) != type.getDimSize(1) ||
      static_cast<bool>(above.front().getZeros()) != static_cast<bool>(next.getZeros())) {
    return false;
  }
  int64_t rows = 0;
  for (r1::WeightAttr source : above) {
    rows += source.getType().getDimSize(0);
  }
  r1::BlocksAttr blocks = blocksOf(next);
  return !blocks || rows % blocks.getRows() == 0;
}

kernel::Format WeightRecipes::formatOf(ArrayRef<r1::WeightAttr> sources, kernel::Compute compute, bool swiglu) const {
  kernel::Format converted = compute != kernel::Compute::F32 ? kernel::Format::BF16 : kernel::Format::F32;
  RankedTensorType type = sources.front().getType();
  Type element = type.getElementType();
  bool isUniform = llvm::all_of(sources, [&](r1::WeightAttr source) {
    return source.getType().getElementType() == element && source.getType().getEncoding() == type.getEncoding() &&
           static_cast<bool>(source.getZeros()) == static_cast<bool>(sources.front().getZeros());
  });
  if (!isUniform) {
    return converted;
  }
  if (target.isCuda) {
    return compute == kernel::Compute::F8 ? kernel::Format::F8 : kernel::Format::BF16;
  }
  if (isa<Float8E4M3FNType>(element)) {
    int64_t panelColumns = target.panel / (swiglu ? 2 : 1), step = compute != kernel::Compute::F32 ? 2 : 1;
    r1::BlocksAttr blocks = blocksOf(sources.front());
    bool fits =
        !blocks || ((blocks.getRows() % panelColumns == 0 || blocks.getRows() == 1) && blocks.getColumns() % step == 0);
    return fits ? kernel::Format::F8 : converted;
  }
  if (isa<IntegerType>(element)) {
    // A step is two values of u4 in any case.
    r1::BlocksAttr blocks = blocksOf(sources.front());
    bool fits = blocks.getRows() == 1 && blocks.getColumns() % 2 == 0;
    return !fits ? converted : element.isUnsignedInteger(4) ? kernel::Format::U4 : kernel::Format::U8;
  }
  if (compute != kernel::Compute::F32) {
    return kernel::Format::BF16;
  }
  return element.isBF16() ? kernel::Format::BF16 : element.isF16() ? kernel::Format::F16 : kernel::Format::F32;
}

int64_t WeightRecipes::stepOf(kernel::Format format, kernel::Compute compute) const {
  return target.stepOf(compute == kernel::Compute::F32, kernel::PackingAttr::elementBits(format));
}

PackedWeight WeightRecipes::panels(Location loc, ArrayRef<r1::WeightAttr> sources, int64_t batch,
                                   kernel::Compute compute, bool swiglu) {
  MLIRContext *context = module.getContext();
  int64_t rows = 0;
  for (r1::WeightAttr source : sources) {
    rows += source.getType().getDimSize(0);
  }
  kernel::Format format = formatOf(sources, compute, swiglu);
  bool keepsScales = kernel::PackingAttr::elementBits(format) <= 8;
  r1::BlocksAttr blocks = keepsScales ? blocksOf(sources.front()) : r1::BlocksAttr();
  auto packing =
      kernel::PackingAttr::get(context, format, rows / batch, sources.front().getType().getDimSize(1), target.panel,
                               stepOf(format, compute), batch, swiglu, blocks ? blocks.getRows() : 0,
                               blocks ? blocks.getColumns() : 0, blocks && sources.front().getZeros());
  ArrayAttr array = sourcesOf(sources);
  auto recipe = exec::RecipeAttr::get(context, exec::RecipeKind::Panels, array, packing, 0, 0, false);
  PackedWeight result{refer(loc, recipe, MemRefType::get({packing.getBytes()}, program.getI8Type()), ""), {}, packing};
  if (blocks) {
    auto scales = packing.hasColumnScales()
                      ? exec::RecipeAttr::get(context, exec::RecipeKind::ColumnScales, array, packing, 0, 0, false)
                      : exec::RecipeAttr::get(context, exec::RecipeKind::Scales, array, {}, 0, 0, false);
    result.scales = refer(loc, scales, MemRefType::get({packing.getScaleCount()}, program.getF32Type()), ".scales");
  }
  return result;
}

PackedWeight WeightRecipes::headPanels(Location loc, r1::WeightAttr source, const HeadSlices &slices,
                                       kernel::Compute compute, kernel::Format converted, StringRef suffix) {
  MLIRContext *context = module.getContext();
  Type element = source.getType().getElementType();
  kernel::Format format = kernel::Format::F32;
  if (isa<Float8E4M3FNType, IntegerType>(element)) {
    format = converted;
  } else if (compute != kernel::Compute::F32 || element.isBF16()) {
    format = kernel::Format::BF16;
  } else if (element.isF16()) {
    format = kernel::Format::F16;
  }
  auto packing = kernel::PackingAttr::get(context, format, slices.n, slices.k, target.panel, stepOf(format, compute),
                                          slices.heads, false, 0, 0, false);
  auto recipe = exec::RecipeAttr::get(context, exec::RecipeKind::HeadPanels, sourcesOf(source), packing, slices.stride,
                                      slices.first, slices.transposed);
  return {refer(loc, recipe, MemRefType::get({packing.getBytes()}, program.getI8Type()), suffix), {}, packing};
}

} // namespace elah
