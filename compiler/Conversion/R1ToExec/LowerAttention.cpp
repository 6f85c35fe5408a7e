// Attention over the paged cache: grouped-query attention, and latent attention in its absorbed
// form (DeepSeek-V2, section 2.1.2): with q_nope . (W_uk c) = (W_uk^T q_nope) . c, all heads attend
// to the latents as they lie in the cache.
#include "compiler/Conversion/R1ToExec/Lowerings.h"

using namespace mlir;

namespace elah {
namespace {

/// Blocks of one token's latent attention: more share a decode step among threads, fewer load a
/// cache row less often.
constexpr int64_t wantedHeadGroups = 4;
constexpr int64_t largestHeadGroup = 16;

int64_t headGroupsOf(int64_t heads) {
  for (int64_t groups = std::min(heads, wantedHeadGroups); groups < heads; ++groups) {
    if (heads % groups == 0 && heads / groups <= largestHeadGroup) {
      return groups;
    }
  }
  return heads;
}

/// Checks that an attention reads this step's positions and the cache as it is now, and moves on to
/// its new state.
template <typename Attention> LogicalResult advanceCache(Attention op, ProgramBuilder &program) {
  if (op.getPositions() != program.state.positions) {
    return op.emitOpError() << "expected the function's positions";
  }
  if (!op.getCache() || op.getCache() != program.state.cache) {
    return op.emitOpError() << "expected the cache in its latest state";
  }
  program.state.cache = op.getNewCache();
  return success();
}

/// Attention over the cache writes f32 or bf16; where products read split or quantized rows, these are made behind it.
kernel::Compute writtenFor(ProgramBuilder &program, kernel::Compute reader) {
  return reader == kernel::Compute::BF16 ? reader : program.precision.byDefault();
}

/// In which precision attention is computed, for the weight behind what it reads: split values lose nothing that shows,
/// and single tokens, which are computed in f32, must agree with prefill.
kernel::Compute attentionCompute(ProgramBuilder &program, Value weight) {
  if (program.target.isCuda) {
    return kernel::Compute::BF16;
  }
  bool isF32 = program.precision.computeOf(weight) == kernel::Compute::F32;
  return isF32 ? kernel::Compute::F32 : kernel::Compute::BF16X2;
}

/// The same for several linear maps, or parts of one: f32 if one of them is.
kernel::Compute attentionCompute(ProgramBuilder &program, ArrayRef<Value> maps) {
  kernel::Compute compute = program.target.isCuda ? kernel::Compute::BF16 : kernel::Compute::BF16X2;
  bool isAlike = llvm::all_of(maps, [&](Value map) {
    while (auto slice = map.getDefiningOp<r1::SliceOp>()) {
      map = slice.getInput();
    }
    auto linear = map.getDefiningOp<r1::LinearOp>();
    return linear && attentionCompute(program, linear.getWeight()) == compute;
  });
  return isAlike ? compute : kernel::Compute::F32;
}

/// The one buffer in which query, key and value stand side by side; null if they do not.
Value sideBySide(Location loc, ArrayRef<Value> values, ProgramBuilder &program) {
  Value source;
  int64_t first = 0, next = 0;
  for (Value value : values) {
    Value buffer = program.rows(value);
    auto view = buffer.getDefiningOp<exec::ViewOp>();
    Value whole = view ? view.getSource() : buffer;
    int64_t column = view ? static_cast<int64_t>(view.getColumn()) : 0;
    if (!source) {
      source = whole;
      first = next = column;
    }
    if (source != whole || column != next) {
      return {};
    }
    next += cast<MemRefType>(buffer.getType()).getDimSize(1);
  }
  return program.columns(loc, source, first, next - first);
}

} // namespace

LogicalResult lower(r1::AttentionOp op, ProgramBuilder &program) {
  if (failed(advanceCache(op, program))) {
    return failure();
  }
  Location loc = op.getLoc();
  OpBuilder &builder = program.builder;
  Value qkv = sideBySide(loc, {op.getQuery(), op.getKey(), op.getValue()}, program);
  if (!qkv) {
    return op.emitOpError() << "expected query, key and value to be linear maps of one input, in this order";
  }
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), headDim = op.getHeadDim(), valueDim = op.getValueDim();
  int64_t layer = op.getLayer();
  Value query = program.allocRows(loc, program.tokens(), heads * headDim);
  Value keys = program.cache(loc, 0, layer, kvHeads * headDim);
  Value values = program.cache(loc, 1, layer, kvHeads * valueDim);
  Value table = op.getRope() ? program.ropeTable(loc, *op.getRope()) : Value();
  kernel::RopeAppendOp::create(builder, loc, qkv, table, program.input(exec::Input::CacheRows), query, keys, values,
                               heads, kvHeads, headDim, valueDim, op.getRopeAttr());
  kernel::Compute reader = program.precision.storageOf(op.getResult());
  Value output = program.allocFor(writtenFor(program, reader), loc, program.tokens(), heads * valueDim);
  kernel::AttentionOp::create(builder, loc, query, keys, values, program.input(exec::Input::Positions),
                              program.input(exec::Input::TokenSequence), program.input(exec::Input::PageTable), output,
                              heads, kvHeads, headDim, valueDim, op.getScale(), program.pageTokens,
                              attentionCompute(program, {op.getQuery(), op.getKey(), op.getValue()}));
  program.bind(op.getResult(), program.convertFor(reader, loc, output));
  return success();
}

LogicalResult lower(r1::LatentAttentionOp op, ProgramBuilder &program) {
  if (failed(advanceCache(op, program))) {
    return failure();
  }
  FailureOr<SmallVector<r1::WeightAttr>> expand = matricesOf(op, op.getExpand());
  FailureOr<SmallVector<r1::WeightAttr>> normWeight = matricesOf(op, op.getNormWeight());
  if (failed(expand) || failed(normWeight)) {
    return failure();
  }
  if (expand->size() != 1 || normWeight->size() != 1) {
    return op.emitOpError() << "expected weights of one part";
  }
  Location loc = op.getLoc();
  OpBuilder &builder = program.builder;
  int64_t heads = op.getHeads(), nope = op.getNopeDim(), rope = op.getRopeDim(), valueDim = op.getValueDim(),
          rank = op.getRank();
  int64_t row = rank + rope;
  Value query = program.rows(op.getQuery()), latent = program.rows(op.getLatent());

  // Unblocked f8 values times their scale; as precise as f32 where that is asked for.
  kernel::Format converted = program.precision.isF32Only() ? kernel::Format::F32 : kernel::Format::BF16;
  // The query is never rounded: what is lost here is lost for every token that it is compared with.
  bool isCuda = program.target.isCuda;
  kernel::Compute compute = isCuda ? kernel::Compute::BF16 : program.precision.computeOf(op.getExpand());
  kernel::Compute queryCompute = isCuda || compute == kernel::Compute::F32 ? compute : kernel::Compute::BF16X2;
  Value absorbed = program.allocRows(loc, program.tokens(), heads * row);
  PackedWeight forQuery =
      program.weights.headPanels(loc, expand->front(), {heads, nope + valueDim, 0, rank, nope, /*transposed=*/true},
                                 queryCompute, converted, ".query");
  program.count(forQuery, heads);
  kernel::HeadGemmOp::create(builder, loc, program.convertFor(queryCompute, loc, query), forQuery.bytes, absorbed,
                             forQuery.packing, queryCompute, nope + rope, 0, row, 0);

  const int64_t cacheRow = program.hasFp8Cache() ? kernel::Fp8LatentRow{rank, rope}.bytes() : row;
  Value cache = program.cache(loc, 0, op.getLayer(), cacheRow);
  Value norm = program.weights.vector(loc, *normWeight);
  program.countBytes(rank * 4);
  kernel::LatentAppendOp::create(builder, loc, query, latent, norm, program.ropeTable(loc, op.getRope()),
                                 program.input(exec::Input::CacheRows), absorbed, cache, heads, nope, rope, rank,
                                 op.getEpsilon(), op.getRope());

  Value attended = program.allocFor(writtenFor(program, compute), loc, program.tokens(), heads * rank);
  kernel::LatentAttentionOp::create(builder, loc, absorbed, cache, program.input(exec::Input::Positions),
                                    program.input(exec::Input::TokenSequence), program.input(exec::Input::PageTable),
                                    attended, heads, rank, rope, headGroupsOf(heads), op.getScale(), program.pageTokens,
                                    attentionCompute(program, Value(op.getExpand())));
  attended = program.convertFor(compute, loc, attended);

  PackedWeight forValue = program.weights.headPanels(
      loc, expand->front(), {heads, nope + valueDim, nope, valueDim, rank, /*transposed=*/false}, compute, converted,
      ".value");
  program.count(forValue, heads);
  kernel::Compute reader = program.precision.storageOf(op.getResult());
  Value output = program.allocFor(isCuda ? kernel::Compute::BF16 : reader, loc, program.tokens(), heads * valueDim);
  kernel::HeadGemmOp::create(builder, loc, attended, forValue.bytes, output, forValue.packing, compute, rank, 0,
                             valueDim, 0);
  program.bind(op.getResult(), isCuda ? program.convertFor(reader, loc, output) : output);
  return success();
}

} // namespace elah
