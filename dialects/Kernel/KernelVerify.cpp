// The kernel operations' constraints, beyond what their definitions state. Each check carries the number that it has in
// the operation's description; the test of the same name breaks it. A kernel reads memory at addresses that it computes
// from these numbers, and no one checks them later.
#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace elah::kernel;

namespace {

int64_t width(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }
int64_t length(Value vector) { return cast<MemRefType>(vector.getType()).getDimSize(0); }
Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }

LogicalResult expectWidth(Operation *op, StringRef what, Value rows, int64_t expected) {
  if (width(rows) == expected) {
    return success();
  }
  return op->emitOpError() << what << " must be " << expected << " wide, found " << rows.getType();
}

/// Rows of an operation's latent cache: as many values as the latent and its key have, or FP8 rows' bytes.
template <typename Op> LogicalResult expectLatentRows(Op op) {
  std::optional<Fp8LatentRow> fp8 = op.getFp8Row();
  return expectWidth(op, "cache", op.getCache(),
                     fp8 ? fp8->bytes() : static_cast<int64_t>(op.getRank() + op.getRopeDim()));
}

/// Rows of `expected` values, split or not.
LogicalResult expectValues(Operation *op, StringRef what, Value rows, int64_t expected) {
  return isSplit(rows, expected) ? success() : expectWidth(op, what, rows, expected);
}

/// f8 rows of `count` values with their scales, or rows of another type without any.
LogicalResult expectQuantized(Operation *op, StringRef what, Value rows, Value scales, int64_t count) {
  bool isF8 = isa<Float8E4M3FNType>(elementOf(rows));
  if (isF8 != static_cast<bool>(scales)) {
    return op->emitOpError() << what << " must have scales exactly if it is f8, found " << rows.getType();
  }
  return scales ? expectWidth(op, (what + "'s scales").str(), scales, scalesOfRow(count)) : success();
}

LogicalResult expectLength(Operation *op, StringRef what, Value vector, int64_t expected) {
  if (length(vector) == expected) {
    return success();
  }
  return op->emitOpError() << what << " must have " << expected << " elements, found " << vector.getType();
}

LogicalResult expectPositive(Operation *op, ArrayRef<std::pair<StringRef, int64_t>> numbers) {
  for (auto [name, value] : numbers) {
    if (value <= 0) {
      return op->emitOpError() << name << " must be positive, found " << value;
    }
  }
  return success();
}

LogicalResult expectPositive(Operation *op, StringRef name, const APFloat &value) {
  if (value.isNonZero() && !value.isNegative() && value.isFinite()) {
    return success();
  }
  return op->emitOpError() << name << " must be positive, found " << value.convertToDouble();
}

LogicalResult verifyWeight(Operation *op, PackingAttr packing, Value weight, Value scales) {
  if (failed(expectLength(op, "weight", weight, packing.getBytes()))) { // gemm_c1, grouped_gemm_c1, head_gemm_c1
    return failure();
  }
  if (packing.isScaled() != static_cast<bool>(scales)) { // gemm_c1, grouped_gemm_c1, head_gemm_c1
    return op->emitOpError() << "must have scales exactly if the packing has blocks, which are " << packing.getBlockN()
                             << " x " << packing.getBlockK();
  }
  return scales ? expectLength(op, "scales", scales, packing.getScaleCount()) : success();
}

LogicalResult verifyCompute(Operation *op, PackingAttr packing, Compute compute, Value input) {
  if (compute == Compute::F8) { // gemm_c2, grouped_gemm_c2
    if (isa<Float8E4M3FNType>(elementOf(input)) && packing.getFormat() == Format::F8 && packing.isScaled()) {
      return success();
    }
    return op->emitOpError() << "computes in f8 and needs an f8 input and an f8 packing with blocks, found "
                             << input.getType() << " and " << packing;
  }
  bool isBF16 = compute != Compute::F32;
  bool fits = isBF16 ? elementOf(input).isBF16() : elementOf(input).isF32();
  if (!fits) { // gemm_c2, grouped_gemm_c2, head_gemm_c2
    return op->emitOpError() << "computes in " << stringifyCompute(compute) << " and needs an input in "
                             << (isBF16 ? "bf16" : "f32") << ", found " << input.getType();
  }
  int64_t step = isBF16 || packing.getFormat() == Format::U4 ? 2 : 1;
  if (packing.getStep() != step && !packing.isRows()) { // gemm_c2, grouped_gemm_c2, head_gemm_c2
    return op->emitOpError() << "computes in " << stringifyCompute(compute) << " and needs a packing with step " << step
                             << ", found " << packing.getStep();
  }
  return success();
}

/// What a product with rows of k values reads.
LogicalResult verifyInput(Operation *op, PackingAttr packing, Compute compute, Value input) {
  int64_t parts = compute == Compute::BF16X2 ? 2 : 1;
  return expectWidth(op, "input", input, parts * packing.getK()); // gemm_c3, grouped_gemm_c3
}

LogicalResult verifyActivation(Operation *op, PackingAttr packing, Activation activation) {
  if (packing.getSwiglu() == (activation == Activation::Swiglu)) {
    return success();
  }
  return op->emitOpError() << "activation " << stringifyActivation(activation) << " needs a packing with swiglu = "
                           << (packing.getSwiglu() ? "false" : "true"); // gemm_c4, grouped_gemm_c4
}

/// Numbers of grouped-query attention.
LogicalResult verifyHeads(Operation *op, int64_t heads, int64_t kvHeads, int64_t headDim, int64_t valueDim) {
  if (failed(expectPositive(op, {{"heads", heads},
                                 {"kv_heads", kvHeads},
                                 {"head_dim", headDim},
                                 {"value_dim", valueDim}}))) { // rope_append_c1, attention_c1
    return failure();
  }
  if (heads % kvHeads != 0) { // rope_append_c1, attention_c1
    return op->emitOpError() << "heads must be a multiple of kv_heads, found " << heads << " and " << kvHeads;
  }
  return success();
}

} // namespace

int64_t elah::kernel::pitchOf(MemRefType rows) {
  SmallVector<int64_t> strides;
  int64_t offset;
  [[maybe_unused]] LogicalResult isStrided = rows.getStridesAndOffset(strides, offset);
  assert(succeeded(isStrided) && "rows are strided");
  return strides.front();
}

int64_t elah::kernel::widthOf(MemRefType rows) { return rows.getRank() > 1 ? rows.getDimSize(1) : 1; }

int64_t elah::kernel::scalesOfRow(int64_t count) { return ((count + 127) / 128 + 3) / 4 * 4; }

bool elah::kernel::isSplit(Value rows, int64_t count) { return elementOf(rows).isBF16() && width(rows) == 2 * count; }

LogicalResult PackingAttr::verify(function_ref<InFlightDiagnostic()> emitError, Format format, int64_t n, int64_t k,
                                  int64_t panel, int64_t step, int64_t batch, bool swiglu, int64_t blockN,
                                  int64_t blockK, bool zeros) {
  if (n <= 0 || k <= 0 || panel <= 0 || step <= 0 || batch <= 0) { // packing_c1
    return emitError() << "n, k, panel, step and batch must be positive, found " << n << ", " << k << ", " << panel
                       << ", " << step << " and " << batch;
  }
  if (swiglu && (n % 2 != 0 || (panel % 2 != 0 && panel != 1))) { // packing_c1
    return emitError() << "with swiglu, n and panel must be even, found " << n << " and " << panel;
  }
  int64_t bits = step * elementBits(format);
  if (bits > (panel == 1 ? 128 : 32) || bits % 8 != 0) { // packing_c2
    return emitError() << "a step must be at most " << (panel == 1 ? 16 : 4) << " whole bytes of a column, found "
                       << bits << " bits";
  }
  if (format == Format::U4 && panel > 1 && (step != 2 || panel % 4 != 0)) { // packing_c2
    return emitError() << "panels of u4 must have steps of 2 values and a number of columns that 4 divides, found "
                       << step << " and " << panel;
  }
  bool isInteger = format == Format::U4 || format == Format::U8;
  bool isScaled = blockN > 0 && blockK > 0 && (isInteger || format == Format::F8);
  if (!isScaled && (blockN != 0 || blockK != 0 || isInteger)) { // packing_c3
    return emitError() << "blocks must be positive in u4 and u8, positive or 0 x 0 in f8, 0 x 0 otherwise, found "
                       << blockN << " x " << blockK << " in " << stringifyFormat(format);
  }
  int64_t columns = swiglu && panel > 1 ? panel / 2 : panel;
  if (isScaled && ((blockN % columns != 0 && blockN != 1) || blockK % step != 0)) { // packing_c4
    return emitError() << "blocks must be whole panels of " << columns << " columns, or one, and whole steps of "
                       << step << ", found " << blockN << " x " << blockK;
  }
  if (zeros && !isInteger) { // packing_c5
    return emitError() << "zero points must be those of u4 or u8, found " << stringifyFormat(format);
  }
  return success();
}

LogicalResult EmbedOp::verify() {
  return expectWidth(*this, "output", getOutput(), width(getTable())); // embed_c1
}

LogicalResult RmsNormOp::verify() {
  if (failed(expectLength(*this, "weight", getWeight(), width(getInput()))) ||            // rms_norm_c1
      failed(expectValues(*this, "output", getOutput(), width(getInput()))) ||            // rms_norm_c1
      (getCopy() && failed(expectValues(*this, "copy", getCopy(), width(getInput()))))) { // rms_norm_c1
    return failure();
  }
  if (failed(expectQuantized(*this, "output", getOutput(), getOutputScales(), width(getInput())))) { // rms_norm_c3
    return failure();
  }
  return expectPositive(*this, "epsilon", getEpsilon()); // rms_norm_c2
}

LogicalResult QuantizeOp::verify() {
  if (!isa<Float8E4M3FNType>(elementOf(getOutput()))) { // quantize_c1
    return emitOpError() << "output must be f8, found " << getOutput().getType();
  }
  if (failed(expectWidth(*this, "output", getOutput(), width(getInput())))) { // quantize_c1
    return failure();
  }
  return expectQuantized(*this, "output", getOutput(), getOutputScales(), width(getInput())); // quantize_c1
}

LogicalResult DispatchOp::verify() {
  if (elementOf(getInput()) != elementOf(getOutput())) { // dispatch_c1
    return emitOpError() << "must not change the type of elements, found " << getInput().getType() << " and "
                         << getOutput().getType();
  }
  int64_t count = width(getInput());
  if (failed(expectWidth(*this, "output", getOutput(), count)) ||                     // dispatch_c1
      failed(expectQuantized(*this, "input", getInput(), getInputScales(), count))) { // dispatch_c2
    return failure();
  }
  return expectQuantized(*this, "output", getOutput(), getOutputScales(), count); // dispatch_c2
}

LogicalResult SplitOp::verify() {
  if (!isSplit(getOutput(), width(getInput()))) { // split_c1
    return emitOpError() << "output must be " << 2 * width(getInput()) << " bf16 wide, found " << getOutput().getType();
  }
  return success();
}

LogicalResult GemmOp::verify() {
  PackingAttr packing = getPacking();
  if (failed(verifyWeight(*this, packing, getWeight(), getScales())) ||
      failed(verifyCompute(*this, packing, getCompute(), getInput())) ||
      failed(verifyInput(*this, packing, getCompute(), getInput())) ||                                  // gemm_c3
      failed(expectQuantized(*this, "input", getInput(), getInputScales(), packing.getK())) ||          // gemm_c3
      failed(expectValues(*this, "output", getOutput(), packing.getColumns())) ||                       // gemm_c3
      failed(expectQuantized(*this, "output", getOutput(), getOutputScales(), packing.getColumns())) || // gemm_c3
      failed(verifyActivation(*this, packing, getActivation()))) {
    return failure();
  }
  if (packing.getBatch() != 1) { // gemm_c4
    return emitOpError() << "must have one matrix, found a packing of " << packing.getBatch();
  }
  if (getBias() && failed(expectLength(*this, "bias", getBias(), packing.getN()))) { // gemm_c5
    return failure();
  }
  if (getAccumulate() && (!elementOf(getOutput()).isF32() || getActivation() != Activation::None)) { // gemm_c6
    return emitOpError() << "accumulates into f32 only, without an activation, found " << getOutput().getType()
                         << " and " << stringifyActivation(getActivation());
  }
  return success();
}

LogicalResult GroupedGemmOp::verify() {
  PackingAttr packing = getPacking();
  if (failed(verifyWeight(*this, packing, getWeight(), getScales())) ||
      failed(verifyCompute(*this, packing, getCompute(), getInput())) ||
      failed(verifyInput(*this, packing, getCompute(), getInput())) ||                         // grouped_gemm_c3
      failed(expectQuantized(*this, "input", getInput(), getInputScales(), packing.getK())) || // grouped_gemm_c3
      failed(expectValues(*this, "output", getOutput(), packing.getColumns())) ||              // grouped_gemm_c3
      failed(
          expectQuantized(*this, "output", getOutput(), getOutputScales(), packing.getColumns())) || // grouped_gemm_c3
      failed(verifyActivation(*this, packing, getActivation()))) {
    return failure();
  }
  return expectLength(*this, "offsets", getOffsets(), packing.getBatch() + 1); // grouped_gemm_c5
}

LogicalResult HeadGemmOp::verify() {
  PackingAttr packing = getPacking();
  if (packing.getSwiglu()) { // head_gemm_c1
    return emitOpError() << "must have a packing without swiglu";
  }
  if (failed(verifyWeight(*this, packing, getWeight(), {})) ||
      failed(verifyCompute(*this, packing, getCompute(), getInput()))) {
    return failure();
  }
  int64_t heads = packing.getBatch(), inputStride = getInputStride(), inputOffset = getInputOffset(),
          outputStride = getOutputStride(), outputOffset = getOutputOffset();
  bool isSplitInput = getCompute() == Compute::BF16X2, isSplitOutput = isSplit(getOutput(), heads * outputStride);
  if (isSplitInput && !isSplit(getInput(), heads * inputStride)) { // head_gemm_c5
    return emitOpError() << "computes in bf16x2 and needs an input of " << 2 * heads * inputStride << " bf16, found "
                         << getInput().getType();
  }
  int64_t inputWidth = width(getInput()) / (isSplitInput ? 2 : 1),
          outputWidth = width(getOutput()) / (isSplitOutput ? 2 : 1);
  bool isNegative = inputStride < 0 || inputOffset < 0 || outputStride < 0 || outputOffset < 0;
  if (isNegative || (heads - 1) * inputStride + inputOffset + packing.getK() > inputWidth ||
      (heads - 1) * outputStride + outputOffset + packing.getN() > outputWidth) { // head_gemm_c3
    return emitOpError() << "the slices of " << heads << " heads must lie within the rows, found " << packing.getK()
                         << " of stride " << inputStride << " from " << inputOffset << " in " << getInput().getType()
                         << " and " << packing.getN() << " of stride " << outputStride << " from " << outputOffset
                         << " in " << getOutput().getType();
  }
  if (heads > 1 && outputStride < packing.getN()) { // head_gemm_c4
    return emitOpError() << "output_stride must be at least the " << packing.getN() << " columns of a head, found "
                         << outputStride;
  }
  return success();
}

LogicalResult RouteOp::verify() {
  int64_t experts = width(getLogits());
  if (getBias() && failed(expectLength(*this, "bias", getBias(), experts))) { // route_c1
    return failure();
  }
  elah::r1::RoutingAttr routing = getRouting();
  int64_t topK = routing.getTopK(), groups = routing.getGroups(), topGroups = routing.getTopGroups();
  int64_t shared = getShared();
  if (shared < 0) { // route_c2
    return emitOpError() << "shared must not be negative, found " << shared;
  }
  if (failed(expectWidth(*this, "experts", getExperts(), topK + shared)) ||
      failed(expectWidth(*this, "weights", getWeights(), topK + shared))) { // route_c2
    return failure();
  }
  if (groups < 1 || experts % groups != 0 || topGroups < 1 || topGroups > groups || topK < 1 ||
      topK > experts / groups * topGroups) { // route_c3
    return emitOpError() << "must choose top_k of the experts in top_groups of equal groups, found " << topK << " of "
                         << experts << " in " << topGroups << " of " << groups;
  }
  return success();
}

LogicalResult ExpertPlanOp::verify() {
  if (failed(expectWidth(*this, "slots", getSlots(), width(getExperts())))) { // expert_plan_c1
    return failure();
  }
  if (ShapedType::isDynamic(length(getOffsets())) || length(getOffsets()) < 2) { // expert_plan_c2
    return emitOpError() << "must know the number of offsets, found " << getOffsets().getType();
  }
  return success();
}

LogicalResult CombineOp::verify() {
  if (failed(expectWidth(*this, "slots", getSlots(), width(getWeights())))) { // combine_c1
    return failure();
  }
  return expectWidth(*this, "output", getOutput(), width(getRows())); // combine_c2
}

LogicalResult RopeTableOp::verify() {
  return expectWidth(*this, "table", getTable(), getRope().getDim()); // rope_table_c1
}

LogicalResult RopeAppendOp::verify() {
  int64_t heads = getHeads(), kvHeads = getKvHeads(), headDim = getHeadDim(), valueDim = getValueDim();
  if (failed(verifyHeads(*this, heads, kvHeads, headDim, valueDim)) ||
      failed(expectWidth(*this, "qkv", getQkv(), heads * headDim + kvHeads * (headDim + valueDim))) ||
      failed(expectWidth(*this, "query", getQuery(), heads * headDim)) ||
      failed(expectWidth(*this, "key_cache", getKeyCache(), kvHeads * headDim)) ||
      failed(expectWidth(*this, "value_cache", getValueCache(), kvHeads * valueDim))) { // rope_append_c2
    return failure();
  }
  if (static_cast<bool>(getTable()) != getRope().has_value()) { // rope_append_c3
    return emitOpError() << "must have a table exactly if it has a rotation";
  }
  if (!getTable()) {
    return success();
  }
  if (getRope()->getDim() > headDim) { // rope_append_c3
    return emitOpError() << "rotates at most the " << headDim << " values of a head, found " << getRope()->getDim();
  }
  return expectWidth(*this, "table", getTable(), getRope()->getDim()); // rope_append_c3
}

LogicalResult AttentionOp::verify() {
  int64_t heads = getHeads(), kvHeads = getKvHeads(), headDim = getHeadDim(), valueDim = getValueDim();
  if (failed(verifyHeads(*this, heads, kvHeads, headDim, valueDim)) ||
      failed(expectWidth(*this, "query", getQuery(), heads * headDim)) ||
      failed(expectWidth(*this, "key_cache", getKeyCache(), kvHeads * headDim)) ||
      failed(expectWidth(*this, "value_cache", getValueCache(), kvHeads * valueDim)) ||
      failed(expectWidth(*this, "output", getOutput(), heads * valueDim))) { // attention_c2
    return failure();
  }
  if (elementOf(getKeyCache()) != elementOf(getValueCache())) { // attention_c3
    return emitOpError() << "must have pools of one type, found " << elementOf(getKeyCache()) << " and "
                         << elementOf(getValueCache());
  }
  return expectPositive(*this, {{"page_tokens", getPageTokens()}}); // attention_c4
}

LogicalResult LatentAppendOp::verify() {
  int64_t heads = getHeads(), nopeDim = getNopeDim(), ropeDim = getRopeDim(), rank = getRank();
  if (failed(expectPositive(
          *this,
          {{"heads", heads}, {"nope_dim", nopeDim}, {"rope_dim", ropeDim}, {"rank", rank}})) || // latent_append_c1
      failed(expectWidth(*this, "query", getQuery(), heads * (nopeDim + ropeDim))) ||
      failed(expectWidth(*this, "latent", getLatent(), rank + ropeDim)) ||
      failed(expectLength(*this, "norm_weight", getNormWeight(), rank)) ||
      failed(expectWidth(*this, "absorbed", getAbsorbed(), heads * (rank + ropeDim))) ||
      failed(expectLatentRows(*this)) ||                          // latent_append_c2
      failed(expectWidth(*this, "table", getTable(), ropeDim))) { // latent_append_c3
    return failure();
  }
  if (getRope().getDim() != ropeDim) { // latent_append_c3
    return emitOpError() << "must rotate " << ropeDim << " values, found " << getRope().getDim();
  }
  return expectPositive(*this, "epsilon", getEpsilon()); // latent_append_c4
}

LogicalResult LatentAttentionOp::verify() {
  int64_t heads = getHeads(), ropeDim = getRopeDim(), rank = getRank(), groups = getHeadGroups();
  if (failed(
          expectPositive(*this, {{"heads", heads}, {"rope_dim", ropeDim}, {"rank", rank}, {"head_groups", groups}}))) {
    return failure(); // latent_attention_c1
  }
  if (heads % groups != 0) { // latent_attention_c1
    return emitOpError() << "heads must be a multiple of head_groups, found " << heads << " and " << groups;
  }
  if (failed(expectWidth(*this, "query", getQuery(), heads * (rank + ropeDim))) || failed(expectLatentRows(*this)) ||
      failed(expectWidth(*this, "output", getOutput(), heads * rank))) { // latent_attention_c2
    return failure();
  }
  return expectPositive(*this, {{"page_tokens", getPageTokens()}}); // latent_attention_c3
}

static bool isOfGenericBody(Operation &op) {
  if (isa<YieldOp>(op)) {
    return true;
  }
  static const llvm::StringSet<> known = {
      "arith.constant", "arith.addf",     "arith.subf",     "arith.mulf", "arith.divf", "arith.negf",
      "arith.maximumf", "arith.minimumf", "math.absf",      "math.ceil",  "math.erf",   "math.exp",
      "math.floor",     "math.log",       "math.roundeven", "math.sqrt",  "math.tanh"};
  return known.contains(op.getName().getStringRef()) &&
         llvm::all_of(op.getResultTypes(), [](Type type) { return type.isF32(); });
}

LogicalResult GenericOp::verify() {
  Block &body = getBody().front();
  bool isOfNumbers = body.getNumArguments() == getInputs().size() &&
                     llvm::all_of(body.getArgumentTypes(), [](Type type) { return type.isF32(); });
  if (!isOfNumbers) { // generic_c1
    return emitOpError() << "body must have one f32 argument for each of " << getInputs().size() << " inputs, found "
                         << TypeRange(body.getArgumentTypes());
  }
  for (Value input : getInputs()) {
    bool isVector = cast<MemRefType>(input.getType()).getRank() == 1;
    if (failed(isVector ? expectLength(*this, "vectors", input, width(getOutput()))
                        : expectWidth(*this, "rows", input, width(getOutput())))) { // generic_c2
      return failure();
    }
  }
  for (Operation &op : body) {
    if (!isOfGenericBody(op)) { // generic_c3
      return emitOpError() << "body must be of arith and math on f32 that every target has, found '" << op.getName()
                           << "'";
    }
  }
  return success();
}
