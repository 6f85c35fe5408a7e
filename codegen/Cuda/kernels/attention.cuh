// Causal attention with grouped heads (GQA, MHA) over a paged cache, for prefill and decode alike.
//
// Query heads that share a key/value head read the same keys, as do the tokens of a chunk: together they fill the rows
// of a tile, 64 for each of one or two warpgroups. So a decode step of one token has as many rows as its key/value head
// has query heads, and a chunk fills tiles of 128, for which a page is loaded once. Who does which tile, and which of
// its pages, says attention_plan.cuh.
//
// One warp copies by TMA: queries, and rings of pages' keys and of their values. Each of the other warpgroups
// (FlashAttention-3, Shah et al., 2024) holds 64 queries in registers, as the A operand, and multiplies so that the
// tensor cores have work while it is busy with exponentials:
//
//   S1 = Q K1'   issued, then   O += P0 V0   issued;   P1 = exp(S1) as soon as S1 is there;   O is there   ...
//
// Of a sequence's last page only some tokens exist; what lies behind them may be anything, even NaN, which no
// probability of zero hides. So that page is loaded from a row before its first, whose rows are zeros because they are
// out of bounds: its last token comes to lie in the tile's last row.
#pragma once

#include "kernels/attention_combine.cuh"
#include "kernels/online_softmax.cuh"
#include "kernels/pipeline.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/matrix_moves.cuh"
#include "ptx/wgmma.cuh"

namespace elah {

/// The host's counterparts are in codegen/Cuda/Attention.h.
struct AttentionShape {
  int32_t heads, kvHeads;
  int32_t headDim, valueDim; ///< Multiples of 8, at most 192 and 128.
};

struct AttentionSchedule {
  int32_t warpgroups; ///< That multiply, 1 or 2: tiles of 64 or of 128 rows.
  int32_t stages;     ///< Pages under way.
  int32_t parts;      ///< Blocks that share the tokens, for each unit of heads.
};

/// The largest divisor of `value` that is no larger than `bound`.
__host__ __device__ constexpr int32_t divisorUpTo(int32_t value, int32_t bound) {
  int32_t divisor = value < bound ? value : bound;
  while (value % divisor != 0) {
    --divisor;
  }
  return divisor;
}

template <AttentionShape shape, AttentionSchedule schedule> struct AttentionConfig {
  static constexpr int32_t tileRows = 64 * schedule.warpgroups;
  static constexpr int32_t mathThreads = 128 * schedule.warpgroups, threads = mathThreads + 128;
  static constexpr int32_t group = shape.heads / shape.kvHeads;
  static constexpr int32_t tileHeads = divisorUpTo(group, 64), tileTokens = tileRows / tileHeads;
  static constexpr int32_t usedRows = tileHeads * tileTokens;
  static constexpr int32_t units = shape.heads / tileHeads;
  static constexpr AttentionLayout layout = {shape.heads, shape.valueDim, tileHeads, tileTokens, units, schedule.parts};
  using Plan = AttentionPlan<tileTokens, schedule.parts, threads>;

  // In tiles of 64 columns, of 128 bytes a row and so swizzled.
  static constexpr int32_t keyTiles = ceilDiv(shape.headDim, 64), valueTiles = ceilDiv(shape.valueDim, 64);
  static constexpr int32_t keySteps = ceilDiv(shape.headDim, 16); ///< Of products, 16 columns each.
  static constexpr int32_t queryTileBytes = tileRows * 128, pageTileBytes = pageTokens * 128;
  static constexpr int32_t valueColumns = 64 * valueTiles;
  /// Output rows are staged, padded so that eight rows lie in different banks.
  static constexpr int32_t stagedPitch = 2 * roundUp(shape.valueDim, 16) + 16;

  // Shared memory, in this order.
  static constexpr int32_t keyOffset = keyTiles * queryTileBytes;
  static constexpr int32_t valueOffset = keyOffset + schedule.stages * keyTiles * pageTileBytes;
  static constexpr int32_t stagedOffset = valueOffset + schedule.stages * valueTiles * pageTileBytes;
  /// Of queries: full and empty; then of the keys' ring and of the values'.
  static constexpr int32_t barrierOffset = stagedOffset + tileRows * stagedPitch;
  static constexpr int32_t planOffset = barrierOffset + 8 * (2 + 4 * schedule.stages);
  static constexpr int32_t sharedBytes = planOffset + Plan::sharedBytes;
};

struct AttentionMaps {
  const TensorMap *query, *key, *value;
};

template <AttentionShape shape, AttentionSchedule schedule> class Attention {
  using Config = AttentionConfig<shape, schedule>;
  using Rows = AttentionRows<Config::tileHeads, Config::tileTokens>;
  using Ring = Pipeline<schedule.stages>;
  using Position = PipelinePosition<schedule.stages>;
  static constexpr uint32_t mathWarps = 4 * schedule.warpgroups;
  static constexpr uint32_t warpgroupReady = 1; ///< Named barriers, of each warpgroup.

  const AttentionStep &step;
  const AttentionMaps &maps;
  const AttentionResults<Config::layout> results;
  uint16_t *output;
  float scale;
  uint32_t shared;
  int32_t part, unit;
  Pipeline<1> queryRing;
  Ring keyRing, valueRing;

public:
  __device__ Attention(const AttentionStep &step, const AttentionMaps &maps, uint16_t *output, void *scratch,
                       float scale, uint32_t shared)
      : step(step), maps(maps), results(scratch), output(output), scale(scale * 1.44269504f), shared(shared),
        part(blockIdx.x / Config::units), unit(blockIdx.x % Config::units), queryRing{shared + Config::barrierOffset},
        keyRing{queryRing.barriers + 16}, valueRing{keyRing.barriers + 16 * schedule.stages} {}

  __device__ void run() {
    const uint32_t warpgroup = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0);
    if (threadIdx.x == 0) {
      ptx::prefetch_tensormap(maps.query);
      ptx::prefetch_tensormap(maps.key);
      ptx::prefetch_tensormap(maps.value);
      queryRing.init(mathWarps);
      keyRing.init(mathWarps);
      valueRing.init(mathWarps);
      ptx::fence_mbarrier_init();
    }
    clearUnusedRows();
    ptx::griddepcontrol_wait();
    typename Config::Plan plan(step, part, shared + Config::planOffset); // Ends with a barrier of the block.
    if (warpgroup == schedule.warpgroups) {
      if constexpr (schedule.warpgroups == 2) {
        ptx::setmaxnreg_dec<40>();
      }
      if (threadIdx.x < Config::mathThreads + 32) {
        produce(plan);
      }
    } else {
      if constexpr (schedule.warpgroups == 2) {
        ptx::setmaxnreg_inc<232>();
      }
      consume(plan, static_cast<int32_t>(warpgroup));
    }
  }

private:
  __device__ uint32_t queryTile(int32_t tile) const { return shared + tile * Config::queryTileBytes; }
  __device__ uint32_t keyTile(uint32_t stage, int32_t tile) const {
    return shared + Config::keyOffset + (stage * Config::keyTiles + tile) * Config::pageTileBytes;
  }
  __device__ uint32_t valueTile(uint32_t stage, int32_t tile) const {
    return shared + Config::valueOffset + (stage * Config::valueTiles + tile) * Config::pageTileBytes;
  }

  /// Rows that no token fills: they are multiplied, too, though nobody asks what becomes of them.
  __device__ void clearUnusedRows() const {
    if constexpr (Config::usedRows < Config::tileRows) {
      constexpr int32_t chunks = (Config::tileRows - Config::usedRows) * 8;
      for (int32_t i = threadIdx.x; i < Config::keyTiles * chunks; i += Config::threads) {
        ptx::st_shared_v4(queryTile(i / chunks) + Config::usedRows * 128 + i % chunks * 16, {0, 0, 0, 0});
      }
    }
  }

  /// Tokens that a page lacks to be whole.
  __device__ static int32_t missing(const AttentionPiece &piece, int32_t index) {
    return max(0, pageTokens * (index + 1) - (piece.position + 1));
  }

  /// By one warp: its first lane copies.
  __device__ void produce(typename Config::Plan &plan) const {
    const bool isCopying = threadIdx.x % 32 == 0;
    const int32_t kvHead = unit * Config::tileHeads / Config::group;
    PipelinePosition<1> queries;
    Position position;
    AttentionPiece piece;
    while (plan.next(piece)) {
      if (isCopying) {
        ptx::mbarrier_wait_parity(queryRing.empty(0), queries.phase ^ 1);
        ptx::mbarrier_arrive_expect_tx(queryRing.full(0), Config::keyTiles * Config::usedRows * 128);
        for (int32_t tile = 0; tile < Config::keyTiles; ++tile) {
          ptx::cp_async_bulk_tensor_3d_load(queryTile(tile), maps.query, tile * 64, unit * Config::tileHeads,
                                            piece.token, queryRing.full(0));
        }
        const int32_t *pages =
            step.pages + static_cast<int64_t>(step.sequences[piece.token]) * step.dims->pagesPerSequence;
        for (int32_t index = piece.pageBegin; index < piece.pageEnd; ++index) {
          const int32_t page = pages[index], first = -missing(piece, index);
          const uint32_t stage = position.stage;
          ptx::mbarrier_wait_parity(keyRing.empty(stage), position.phase ^ 1);
          ptx::mbarrier_arrive_expect_tx(keyRing.full(stage), Config::keyTiles * Config::pageTileBytes);
          for (int32_t tile = 0; tile < Config::keyTiles; ++tile) {
            ptx::cp_async_bulk_tensor_4d_load(keyTile(stage, tile), maps.key, tile * 64, kvHead, first, page,
                                              keyRing.full(stage));
          }
          ptx::mbarrier_wait_parity(valueRing.empty(stage), position.phase ^ 1);
          ptx::mbarrier_arrive_expect_tx(valueRing.full(stage), Config::valueTiles * Config::pageTileBytes);
          for (int32_t tile = 0; tile < Config::valueTiles; ++tile) {
            ptx::cp_async_bulk_tensor_4d_load(valueTile(stage, tile), maps.value, tile * 64, kvHead, first, page,
                                              valueRing.full(stage));
          }
          position.advance();
        }
      }
      __syncwarp();
      queries.advance();
    }
    ptx::griddepcontrol_launch_dependents();
  }

  /// What a warpgroup knows of its 64 rows.
  struct Tile {
    int32_t warpgroup, row; ///< The first of this thread's two rows, in the whole tile; the other is 8 below.
    uint32_t queries[Config::keySteps][4];
    float out[Config::valueColumns / 2];
    OnlineSoftmax softmax;
    int32_t position[2];
  };

  __device__ void consume(typename Config::Plan &plan, int32_t warpgroup) const {
    const int32_t thread = static_cast<int32_t>(threadIdx.x) % 128;
    PipelinePosition<1> queries;
    Position keys, values;
    SplitGroup begun = {0, 0, 0, 0};
    AttentionPiece piece;
    Tile tile;
    tile.warpgroup = warpgroup;
    tile.row = 64 * warpgroup + thread / 32 * 16 + thread % 32 / 4;
    while (plan.next(piece)) {
      takeQueries(tile, queries);
      if (64 * warpgroup < (piece.tokenEnd - piece.token) * Config::tileHeads) {
        attend(tile, piece, keys, values);
        normalize(tile);
        if (piece.isSplit()) {
          writeResults(tile, piece);
        } else {
          writeOutput(tile, piece);
        }
      } else {
        skip(piece, keys, values);
      }
      if (piece.isSplit() && part == piece.firstPart) {
        begun = {piece.token, piece.tokenEnd, piece.lastPart - piece.firstPart + 1, 0};
      }
    }
    if (unit == 0 && threadIdx.x == 0) {
      results.groups[part] = begun;
    }
    ptx::cp_async_bulk_wait_group<0>();
  }

  /// By each warp, when it needs nothing of the stage any more.
  __device__ static void release(uint32_t empty) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      ptx::mbarrier_arrive(empty);
    }
  }

  __device__ void takeQueries(Tile &tile, PipelinePosition<1> &queries) const {
    const uint32_t lane = threadIdx.x % 32, row = 64 * tile.warpgroup + threadIdx.x % 128 / 32 * 16 + lane % 16;
    ptx::mbarrier_wait_parity(queryRing.full(0), queries.phase);
#pragma unroll
    for (int32_t k = 0; k < Config::keySteps; ++k) {
      const uint32_t chunk = k % 4 * 2 + lane / 16;
      ptx::ldmatrix_x4(tile.queries[k], queryTile(k / 4) + row * 128 + ((chunk ^ row % 8) << 4));
    }
    release(queryRing.empty(0));
    queries.advance();
  }

  /// Issues scores = queries * keys of a page.
  __device__ void score(Tile &tile, float (&scores)[32], const Position &keys) const {
    ptx::mbarrier_wait_parity(keyRing.full(keys.stage), keys.phase);
    ptx::wgmma_hold_registers(scores);
    ptx::wgmma_hold_registers(tile.queries);
    ptx::wgmma_fence();
#pragma unroll
    for (int32_t k = 0; k < Config::keySteps; ++k) {
      const uint64_t columns =
          ptx::wgmma_descriptor(keyTile(keys.stage, k / 4), 0, 1024, ptx::MatrixSwizzle::B128) + k % 4 * 2;
      ptx::wgmma_k16_f32_bf16_bf16<64>(scores, tile.queries[k], columns, k > 0);
    }
    ptx::wgmma_commit_group();
  }

  /// Issues out += probabilities * values of a page.
  __device__ void addValues(Tile &tile, uint32_t (&probabilities)[4][4], const Position &values) const {
    ptx::mbarrier_wait_parity(valueRing.full(values.stage), values.phase);
    const uint64_t rows =
        ptx::wgmma_descriptor(valueTile(values.stage, 0), Config::pageTileBytes, 1024, ptx::MatrixSwizzle::B128);
    ptx::wgmma_hold_registers(tile.out);
    ptx::wgmma_hold_registers(probabilities);
    ptx::wgmma_fence();
#pragma unroll
    for (int32_t k = 0; k < 4; ++k) {
      ptx::wgmma_k16_f32_bf16_bf16<Config::valueColumns, 1>(tile.out, probabilities[k], rows + 128 * k, 1);
    }
    ptx::wgmma_commit_group();
  }

  template <int32_t pending> __device__ void waitScores(float (&scores)[32], Position &keys) const {
    ptx::wgmma_wait_group<pending>();
    ptx::wgmma_hold_registers(scores);
    release(keyRing.empty(keys.stage));
    keys.advance();
  }

  __device__ void waitValues(Tile &tile, Position &values) const {
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_hold_registers(tile.out);
    release(valueRing.empty(values.stage));
    values.advance();
  }

  __device__ static void exponentials(Tile &tile, const AttentionPiece &piece, int32_t firstPosition, int32_t index,
                                      float (&scores)[32], float (&factor)[2]) {
    // Pages that every row sees whole need no mask.
    if (pageTokens * (index + 1) > firstPosition + 1) {
      const int32_t shift = missing(piece, index);
      maskScores(scores, pageTokens * index - shift, shift, tile.position);
    }
    tile.softmax.follow(scores, factor);
    tile.softmax.exponentials(scores);
  }

  __device__ void attend(Tile &tile, const AttentionPiece &piece, Position &keys, Position &values) const {
    tile.softmax = {scale};
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      tile.position[i] = step.positions[min(Rows::token(piece, tile.row + 8 * i), piece.tokenEnd - 1)];
    }
#pragma unroll
    for (float &value : tile.out) {
      value = 0;
    }
    const int32_t firstPosition = step.positions[piece.token];
    float scores[32], factor[2];
    uint32_t probabilities[4][4];
    score(tile, scores, keys);
    waitScores<0>(scores, keys);
    exponentials(tile, piece, firstPosition, piece.pageBegin, scores, factor);
    toFragments(scores, probabilities);
    for (int32_t index = piece.pageBegin + 1; index < piece.pageEnd; ++index) {
      score(tile, scores, keys);
      addValues(tile, probabilities, values);
      waitScores<1>(scores, keys);
      exponentials(tile, piece, firstPosition, index, scores, factor);
      waitValues(tile, values);
      // Not before: the product reads the probabilities.
      ptx::wgmma_hold_registers(scores);
      toFragments(scores, probabilities);
      rescale(tile.out, factor);
    }
    addValues(tile, probabilities, values);
    waitValues(tile, values);
  }

  /// A warpgroup that has no rows in the group releases what it does not need.
  __device__ void skip(const AttentionPiece &piece, Position &keys, Position &values) const {
    for (int32_t index = piece.pageBegin; index < piece.pageEnd; ++index) {
      ptx::mbarrier_wait_parity(keyRing.full(keys.stage), keys.phase);
      release(keyRing.empty(keys.stage));
      keys.advance();
      ptx::mbarrier_wait_parity(valueRing.full(values.stage), values.phase);
      release(valueRing.empty(values.stage));
      values.advance();
    }
  }

  __device__ static void normalize(Tile &tile) {
    tile.softmax.sumQuads();
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      // A row may see nothing of a part.
      const float factor = tile.softmax.sum[i] > 0 ? 1 / tile.softmax.sum[i] : 0;
#pragma unroll
      for (int32_t j = 2 * i; j < Config::valueColumns / 2; j += 4) {
        tile.out[j] *= factor;
        tile.out[j + 1] *= factor;
      }
    }
  }

  /// Rows behind those that are used would be of a token behind the group, too.
  __device__ static bool isRow(const AttentionPiece &piece, int32_t row) {
    return Rows::token(piece, row) < piece.tokenEnd;
  }

  /// For the combining kernel, in f32: four lanes write 32 bytes of a row.
  __device__ void writeResults(const Tile &tile, const AttentionPiece &piece) const {
    const int32_t slot = piece.slot(part);
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      if (isRow(piece, tile.row + 8 * i)) {
        const int32_t place = AttentionResults<Config::layout>::row(slot, unit, tile.row + 8 * i);
        if (threadIdx.x % 4 == 0) {
          results.weights[place] = tile.softmax.reference[i] * scale + ptx::lg2_approx(tile.softmax.sum[i]);
        }
        float *to = results.values + static_cast<int64_t>(place) * shape.valueDim;
#pragma unroll
        for (int32_t j = 0; j < ceilDiv(shape.valueDim, 8); ++j) {
          const int32_t column = 8 * j + threadIdx.x % 4 * 2;
          *reinterpret_cast<Floats2 *>(to + column) = {tile.out[4 * j + 2 * i], tile.out[4 * j + 2 * i + 1]};
        }
      }
    }
  }

  /// Through shared memory: a row is one copy.
  __device__ void writeOutput(const Tile &tile, const AttentionPiece &piece) const {
    const int32_t thread = static_cast<int32_t>(threadIdx.x) % 128, lane = thread % 32;
    const uint32_t staged = shared + Config::stagedOffset + 64 * tile.warpgroup * Config::stagedPitch;
    // What was staged before has been read.
    ptx::cp_async_bulk_wait_group_read<0>();
    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);
    const uint32_t to = staged + (thread / 32 * 16 + lane % 16) * Config::stagedPitch + lane / 16 * 16;
#pragma unroll
    for (int32_t j = 0; j < ceilDiv(shape.valueDim, 16); ++j) {
      const float *out = tile.out + 8 * j;
      ptx::stmatrix_x4(to + 32 * j, ptx::cvt_rn_bf16x2_f32(out[0], out[1]), ptx::cvt_rn_bf16x2_f32(out[2], out[3]),
                       ptx::cvt_rn_bf16x2_f32(out[4], out[5]), ptx::cvt_rn_bf16x2_f32(out[6], out[7]));
    }
    ptx::fence_proxy_async_shared();
    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);
    const int32_t row = 64 * tile.warpgroup + thread;
    if (thread < 64 && isRow(piece, row)) {
      uint16_t *at = output + (static_cast<int64_t>(Rows::token(piece, row)) * shape.heads + Rows::head(unit, row)) *
                                  shape.valueDim;
      ptx::cp_async_bulk_store(at, staged + thread * Config::stagedPitch, 2 * shape.valueDim);
      ptx::cp_async_bulk_commit_group();
    }
  }
};

/// The kernel's body. `scale`: of scores.
template <AttentionShape shape, AttentionSchedule schedule>
__device__ inline void attention(const AttentionStep &step, const AttentionMaps &maps, uint16_t *output, void *scratch,
                                 float scale) {
  extern __shared__ __align__(1024) uint8_t memory[];
  Attention<shape, schedule>(step, maps, output, scratch, scale, ptx::cvta_to_shared(memory)).run();
}

template <AttentionShape shape, AttentionSchedule schedule>
__device__ inline void attentionCombine(uint16_t *output, void *scratch) {
  AttentionCombine<AttentionConfig<shape, schedule>::layout>::run(output, scratch);
}

} // namespace elah
