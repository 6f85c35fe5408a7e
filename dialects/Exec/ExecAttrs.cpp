// What the attributes of the exec dialect say: sizes that depend on a step's dimensions, and the
// bytes of weights.
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace elah::exec;
using elah::r1::WeightAttr;

//===--- #exec.extent
//-------------------------------------------------------------------------------------------===//

ExtentAttr ExtentAttr::times(int64_t factor) const {
  SmallVector<int64_t> coefficients(getCoefficients().asArrayRef());
  for (int64_t &coefficient : coefficients) {
    coefficient *= factor;
  }
  return get(getContext(), getConstant() * factor, coefficients);
}

int64_t ExtentAttr::getCoefficient(Dim dim) const {
  unsigned index = static_cast<unsigned>(dim);
  ArrayRef<int64_t> coefficients = getCoefficients().asArrayRef();
  return index < coefficients.size() ? coefficients[index] : 0;
}

int64_t ExtentAttr::evaluate(ArrayRef<int64_t> dims) const {
  int64_t value = getConstant();
  for (auto [dim, coefficient] : llvm::zip(dims, getCoefficients().asArrayRef())) {
    value += dim * coefficient;
  }
  return value;
}

// extent ::= `<` term (`+` term)* `>`, term ::= integer | dim | integer `*` dim
Attribute ExtentAttr::parse(AsmParser &parser, Type) {
  int64_t constant = 0;
  SmallVector<int64_t> coefficients(getMaxEnumValForDim() + 1, 0);
  if (parser.parseLess()) {
    return {};
  }
  do {
    int64_t factor = 1;
    OptionalParseResult hasFactor = parser.parseOptionalInteger(factor);
    if (hasFactor.has_value() && failed(*hasFactor)) {
      return {};
    }
    if (hasFactor.has_value() && failed(parser.parseOptionalStar())) {
      constant += factor;
      continue;
    }
    SMLoc loc = parser.getCurrentLocation();
    StringRef keyword;
    if (parser.parseKeyword(&keyword)) {
      return {};
    }
    std::optional<Dim> dim = symbolizeDim(keyword);
    if (!dim) {
      parser.emitError(loc) << "unknown dimension '" << keyword
                            << "', expected tokens, sequences, logit_rows, cache_rows or pages_per_sequence";
      return {};
    }
    coefficients[static_cast<unsigned>(*dim)] += factor;
  } while (succeeded(parser.parseOptionalPlus()));
  if (parser.parseGreater()) {
    return {};
  }
  return get(parser.getContext(), constant, coefficients);
}

void ExtentAttr::print(AsmPrinter &printer) const {
  printer << "<";
  StringRef separator = "";
  if (getConstant() != 0 || getCoefficients().empty()) {
    printer << getConstant();
    separator = " + ";
  }
  for (auto [index, coefficient] : llvm::enumerate(getCoefficients().asArrayRef())) {
    if (coefficient == 0) {
      continue;
    }
    printer << separator;
    if (coefficient != 1) {
      printer << coefficient << " * ";
    }
    printer << stringifyDim(static_cast<Dim>(index));
    separator = " + ";
  }
  printer << ">";
}

//===--- #exec.recipe
//-------------------------------------------------------------------------------------------===//

SmallVector<WeightAttr> RecipeAttr::getWeights() const {
  return llvm::map_to_vector(getSources(), [](Attribute source) { return cast<WeightAttr>(source); });
}

int64_t RecipeAttr::getBytes() const {
  int64_t bytes = 0;
  switch (getKind()) {
  case RecipeKind::Vector:
    for (WeightAttr source : getWeights()) {
      bytes += source.getType().getNumElements() * 4;
    }
    return bytes;
  case RecipeKind::Table:
    return getWeights().front().getSize();
  case RecipeKind::Scales:
    for (WeightAttr source : getWeights()) {
      bytes += source.getScales().getType().getNumElements() * 4;
    }
    return bytes;
  case RecipeKind::Panels:
  case RecipeKind::HeadPanels:
    return getPacking().getBytes();
  case RecipeKind::ColumnScales:
    return getPacking().getScaleCount() * 4;
  }
  llvm_unreachable("unknown kind of recipe");
}

LogicalResult RecipeAttr::verify(function_ref<InFlightDiagnostic()> emitError, RecipeKind kind, ArrayAttr sources,
                                 kernel::PackingAttr packing, int64_t headStride, int64_t headFirst, bool transposed) {
  // recipe_c1
  if (sources.empty() || !llvm::all_of(sources, llvm::IsaPred<WeightAttr>)) {
    return emitError() << "expected #r1.weight sources, found " << sources;
  }
  bool isSingle = kind == RecipeKind::Table || kind == RecipeKind::HeadPanels;
  if (isSingle && sources.size() != 1) {
    return emitError() << "a " << stringifyRecipeKind(kind) << " has one source, found " << sources.size();
  }
  // recipe_c2
  bool isStacked = kind == RecipeKind::Panels || kind == RecipeKind::ColumnScales;
  bool isPacked = isStacked || kind == RecipeKind::HeadPanels;
  if (isPacked != static_cast<bool>(packing)) {
    return emitError() << stringifyRecipeKind(kind) << (isPacked ? " needs a packing" : " has no packing");
  }
  if (isStacked) { // recipe_c3
    int64_t rows = 0;
    for (Attribute source : sources) {
      RankedTensorType type = cast<WeightAttr>(source).getType();
      if (type.getRank() != 2 || type.getDimSize(1) != packing.getK()) {
        return emitError() << "expected sources that are matrices " << packing.getK() << " wide, found " << type;
      }
      rows += type.getDimSize(0);
    }
    if (rows != packing.getN() * packing.getBatch()) {
      return emitError() << "expected sources of " << packing.getN() * packing.getBatch() << " rows in all, found "
                         << rows;
    }
  }
  if (kind == RecipeKind::Scales || kind == RecipeKind::ColumnScales) { // recipe_c4
    for (Attribute source : sources) {
      if (!cast<WeightAttr>(source).getScales()) {
        return emitError() << "expected sources with scales, found " << source;
      }
    }
  }
  if (kind == RecipeKind::HeadPanels) { // recipe_c5
    RankedTensorType type = cast<WeightAttr>(sources[0]).getType();
    int64_t rows = transposed ? packing.getK() : packing.getN();
    int64_t width = transposed ? packing.getN() : packing.getK();
    int64_t end = (packing.getBatch() - 1) * headStride + headFirst + rows;
    if (type.getRank() != 2 || type.getDimSize(0) < end || type.getDimSize(1) != width) {
      return emitError() << "expected a source of at least " << end << " rows that are " << width << " wide, found "
                         << type;
    }
  }
  if (!isPacked) { // recipe_c6
    for (Attribute source : sources) {
      if (cast<WeightAttr>(source).getTransposed()) {
        return emitError() << "a " << stringifyRecipeKind(kind) << " is made of sources that are not transposed, found "
                           << source;
      }
    }
  }
  return success();
}

//===--- Rows
//---------------------------------------------------------------------------------------------------===//

ExtentAttr elah::exec::rowsOf(Value buffer) {
  MLIRContext *context = buffer.getContext();
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    auto kernel = cast<KernelOp>(argument.getOwner()->getParentOp());
    return cast<ExtentAttr>(kernel.getRows()[argument.getArgNumber()]);
  }
  Operation *op = buffer.getDefiningOp();
  if (auto view = dyn_cast<ViewOp>(op)) {
    return rowsOf(view.getSource());
  }
  if (auto alloc = dyn_cast<AllocOp>(op)) {
    return alloc.getRows();
  }
  if (isa<CacheOp>(op)) {
    return ExtentAttr::get(context, Dim::AllCacheRows);
  }
  if (auto weight = dyn_cast<WeightRefOp>(op)) {
    return ExtentAttr::get(context, cast<MemRefType>(weight.getType()).getDimSize(0));
  }
  auto input = cast<InputOp>(op);
  switch (input.getInput()) {
  case Input::TokenIds:
  case Input::Positions:
  case Input::TokenSequence:
  case Input::CacheRows:
    return ExtentAttr::get(context, Dim::Tokens);
  case Input::SequenceStarts:
    return ExtentAttr::get(context, 1, {0, 1});
  case Input::ContextLengths:
  case Input::PageTable:
    return ExtentAttr::get(context, Dim::Sequences);
  case Input::LogitTokens:
    return ExtentAttr::get(context, Dim::LogitRows);
  }
  llvm_unreachable("unknown input");
}

bool elah::exec::hasLogitRows(Value buffer) { return rowsOf(buffer).getCoefficient(Dim::LogitRows) > 0; }
