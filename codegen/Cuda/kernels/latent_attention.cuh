// Attention of absorbed queries to a paged cache of latents (MLA decode): all heads share one key of rank + ropeDim
// values a token, and the key's first `rank` values are its value, too.
//
// A tile is 64 rows, of one token or of several of a sequence. Its output, 64 x rank in f32, fills half of the register
// file, so two warpgroups hold half of the columns each, and take turns with the pages: the first computes the scores
// of even pages, the second those of odd ones, and either needs the other's probabilities for its own columns
// ("seesaw", FlashMLA's deep dive of 2025-04-22). While one is busy with exponentials, the other keeps the tensor cores
// so.
//
//   warpgroup 0, columns left                    warpgroup 1, columns right
//   scores of page 0 = Q K0'                     scores of page 1 = Q K1'
//   probabilities P0, to shared memory -------->
//   O += P0 V0                                   O += P0 V0
//                      <------------------------ probabilities P1, to shared memory
//   O += P1 V1                                   O += P1 V1
//
// Pages come by TMA in tiles of 64 columns, each with its own mbarrier. A page's values are the same bytes as its key,
// read with tokens as the inner dimension. Whoever used a tile last loads the next page's over it: each warpgroup the
// tiles of its own columns, and the rotary ones of the pages whose scores are its own.
//
// Of a sequence's last page only some tokens exist; what lies behind them may be anything, even NaN, which no
// probability of zero hides. So that page is loaded from a row before its first, whose rows are zeros because they are
// out of bounds: its last token comes to lie in the tile's last row.
//
// Where the cache is in FP8, a third warpgroup fills the tiles (latent_dequantize.cuh), and whoever used one last tells
// it so. The rotated keys have a tile of their own then, which is no value's: once the scores are there, a page's
// probabilities take that place.
#pragma once

#include "kernels/attention_combine.cuh"
#include "kernels/latent_dequantize.cuh"
#include "kernels/online_softmax.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/matrix_moves.cuh"
#include "ptx/mbarrier.cuh"
#include "ptx/wgmma.cuh"

namespace elah {

/// The host's counterparts are in codegen/Cuda/LatentAttention.h.
struct LatentAttentionShape {
  int32_t heads, rank, ropeDim; ///< rank and ropeDim are multiples of 16; rank at most 512.
  bool isFp8;                   ///< The cache.
};

struct LatentAttentionSchedule {
  int32_t parts; ///< Blocks that share the tokens, for each unit of 64 heads.
};

template <LatentAttentionShape shape, LatentAttentionSchedule schedule> struct LatentAttentionConfig {
  static constexpr bool isFp8 = shape.isFp8;
  static constexpr int32_t rank = shape.rank, ropeDim = shape.ropeDim;
  static constexpr int32_t tileRows = 64, threads = 256, blockThreads = isFp8 ? 384 : threads;
  static constexpr int32_t tileHeads = shape.heads < tileRows ? shape.heads : tileRows;
  static constexpr int32_t tileTokens = tileRows / tileHeads;
  static constexpr int32_t usedRows = tileHeads * tileTokens;
  static constexpr int32_t units = (shape.heads + tileHeads - 1) / tileHeads;
  static constexpr AttentionLayout layout = {shape.heads, shape.rank, tileHeads, tileTokens, units, schedule.parts};
  using Plan = AttentionPlan<tileTokens, schedule.parts, blockThreads>;

  /// Of a thread, of those that a block of 384 threads starts with: 168.
  static constexpr int32_t computingRegisters = 208, loadingRegisters = 88;

  // In tiles of 64 rows and 64 columns, of 128 bytes a row and so swizzled.
  static constexpr int32_t tileBytes = 64 * 128;
  static constexpr int32_t dims = rank + ropeDim;
  static constexpr int32_t halfTiles = (rank + 127) / 128; ///< Of a warpgroup's columns of the output.
  static constexpr int32_t halfColumns = 64 * halfTiles;
  static constexpr int32_t latentTiles = (rank + 63) / 64;
  static constexpr int32_t queryTiles = isFp8 ? latentTiles + 1 : (dims + 63) / 64;
  static constexpr int32_t pageTiles = isFp8                        ? 2 * halfTiles + 1
                                       : queryTiles > 2 * halfTiles ? queryTiles
                                                                    : 2 * halfTiles;

  // Which values are in a page's tile: of a query's from `firstValue` on, those before `endValue`.
  __host__ __device__ static constexpr bool isRope(int32_t tile) { return isFp8 && tile == 2 * halfTiles; }
  __host__ __device__ static constexpr int32_t firstValue(int32_t tile) { return isRope(tile) ? rank : 64 * tile; }
  __host__ __device__ static constexpr int32_t endValue(int32_t tile) { return isFp8 && !isRope(tile) ? rank : dims; }
  __host__ __device__ static constexpr int32_t queryTile(int32_t tile) { return isRope(tile) ? latentTiles : tile; }

  // Shared memory, in this order. Where the cache is in bf16, queries' last tile goes to registers, and the second
  // probabilities to its place.
  static constexpr int32_t pageOffset = queryTiles * tileBytes;
  static constexpr int32_t firstProbabilities = pageOffset + 2 * pageTiles * tileBytes;
  static constexpr int32_t secondProbabilities = (queryTiles - 1) * tileBytes;
  static constexpr int32_t barrierOffset = firstProbabilities + (isFp8 ? 0 : tileBytes);
  // Full, of each page's tiles, or its halves and rotated keys; the queries'; empty, of these halves.
  static constexpr int32_t fullBarriers = isFp8 ? 3 : pageTiles;
  static constexpr int32_t barriers = 2 * fullBarriers + 1 + (isFp8 ? 2 * 2 : 0);
  static constexpr int32_t referenceOffset = barrierOffset + 8 * (barriers + barriers % 2); ///< [2][64]
  static constexpr int32_t sumOffset = referenceOffset + 2 * 64 * 4;                        ///< [2][64]
  static constexpr int32_t planOffset = sumOffset + 2 * 64 * 4;
  static constexpr int32_t sharedBytes = planOffset + Plan::sharedBytes;

  // The output is staged in the place of the queries.
  static_assert(latentTiles <= queryTiles);
  static_assert(!isFp8 || ropeDim > 0);

  __device__ static uint32_t pageTile(uint32_t shared, int32_t page, int32_t tile) {
    return shared + pageOffset + (page * pageTiles + tile) * tileBytes;
  }
  __device__ static uint32_t probabilitiesTile(uint32_t shared, int32_t page) {
    return isFp8       ? pageTile(shared, page, 2 * halfTiles)
           : page == 0 ? shared + firstProbabilities
                       : shared + secondProbabilities;
  }
  __device__ static uint32_t barrier(uint32_t shared, int32_t index) { return shared + barrierOffset + 8 * index; }
  __device__ static uint32_t fullBarrier(uint32_t shared, int32_t page, int32_t index) {
    return barrier(shared, page * fullBarriers + index);
  }
  __device__ static uint32_t queryBarrier(uint32_t shared) { return barrier(shared, 2 * fullBarriers); }
  __device__ static uint32_t emptyBarrier(uint32_t shared, int32_t page, int32_t index) {
    return barrier(shared, 2 * fullBarriers + 1 + page * 2 + index);
  }
  /// Warps that fill, or leave, an FP8 page's half; bulk copies are the arrival of one thread.
  __device__ static uint32_t arrivals(int32_t index) {
    const bool isCopied = index <= 2 * fullBarriers && (index % fullBarriers == 2 || index == 2 * fullBarriers);
    return !isFp8 || isCopied ? 1 : 4;
  }
};

template <LatentAttentionShape shape, LatentAttentionSchedule schedule> class LatentAttention {
  using Config = LatentAttentionConfig<shape, schedule>;
  using Rows = AttentionRows<Config::tileHeads, Config::tileTokens>;
  static constexpr int32_t tileBytes = Config::tileBytes;
  // Named barriers.
  static constexpr uint32_t allReady = 1, firstReady = 2, secondReady = 3, warpgroupReady = 4;

  const AttentionStep &step;
  const void *cache;
  const TensorMap *queryMap, *cacheMap, *outputMap;
  const AttentionResults<Config::layout> results;
  uint32_t shared;
  int32_t part, unit;
  int32_t warpgroup, row; ///< The first of this thread's two rows; the other is 8 below.

  float out[Config::halfColumns / 2]; ///< 64 x halfColumns: this warpgroup's half of the output.
  uint32_t lastQueries[4][4];         ///< The queries' last tile.
  OnlineSoftmax softmax;
  int32_t position[2]; ///< Of this thread's rows.
  uint32_t phase[2] = {0, 0}, queryPhase = 0;

public:
  __device__ LatentAttention(const AttentionStep &step, const void *cache, const TensorMap *queryMap,
                             const TensorMap *cacheMap, const TensorMap *outputMap, void *scratch, float scale,
                             uint32_t shared)
      : step(step), cache(cache), queryMap(queryMap), cacheMap(cacheMap), outputMap(outputMap), results(scratch),
        shared(shared), part(blockIdx.x / Config::units), unit(blockIdx.x % Config::units),
        warpgroup(__shfl_sync(0xffffffffu, static_cast<int32_t>(threadIdx.x / 128), 0)),
        row(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4), softmax{scale * 1.44269504f} {}

  __device__ void run() {
    if (threadIdx.x == 0) {
      ptx::prefetch_tensormap(queryMap);
      ptx::prefetch_tensormap(cacheMap);
      ptx::prefetch_tensormap(outputMap);
      for (int32_t i = 0; i < Config::barriers; ++i) {
        ptx::mbarrier_init(Config::barrier(shared, i), Config::arrivals(i));
      }
      ptx::fence_mbarrier_init();
    }
    clearUnusedRows();
    ptx::griddepcontrol_wait();
    typename Config::Plan plan(step, part, shared + Config::planOffset); // Ends with a barrier of the block.
    if constexpr (shape.isFp8) {
      if (warpgroup == 2) {
        ptx::setmaxnreg_dec<Config::loadingRegisters>();
        LatentDequantize<Config>(step, cache, cacheMap, shared, plan).run();
        return;
      }
      ptx::setmaxnreg_inc<Config::computingRegisters>();
    }
    AttentionPiece piece, following;
    bool hasPiece = plan.next(piece);
    SplitGroup begun = {0, 0, 0, 0};
    if (hasPiece) {
      loadFirstPages(piece);
      loadQueries(piece);
    }
    while (hasPiece) {
      if (warpgroup == 0) {
        attend<0>(piece);
      } else {
        attend<1>(piece);
      }
      shareSums();
      const bool hasFollowing = plan.next(following);
      if (hasFollowing) {
        loadFirstPages(following);
      } else {
        ptx::griddepcontrol_launch_dependents();
      }
      if (piece.isSplit()) {
        writeResults(piece);
        if (part == piece.firstPart) {
          begun = {piece.token, piece.tokenEnd, piece.lastPart - piece.firstPart + 1, 0};
        }
      } else {
        writeOutput(piece);
      }
      hasPiece = hasFollowing;
      if (hasFollowing) {
        ptx::bar_sync(allReady, Config::threads); // Nobody reads the queries' place any more.
        loadQueries(following);
        piece = following;
      }
    }
    if (unit == 0 && threadIdx.x == 0) {
      results.groups[part] = begun;
    }
    ptx::cp_async_bulk_wait_group<0>();
  }

private:
  __device__ uint32_t pageBarrier(int32_t page, int32_t tile) const {
    return Config::fullBarrier(shared, page, shape.isFp8 ? tile / Config::halfTiles : tile);
  }
  __device__ uint32_t queryBarrier() const { return Config::queryBarrier(shared); }
  __device__ uint32_t pageTile(int32_t page, int32_t tile) const { return Config::pageTile(shared, page, tile); }
  __device__ static uint64_t rowsOf(uint32_t tile) {
    return ptx::wgmma_descriptor(tile, 0, 1024, ptx::MatrixSwizzle::B128);
  }
  __device__ static uint64_t columnsOf(uint32_t tiles) {
    return ptx::wgmma_descriptor(tiles, tileBytes, 1024, ptx::MatrixSwizzle::B128);
  }
  /// Of a thread of the warp, for ldmatrix and stmatrix: 16 rows x 16 columns of a tile from column 16 * step.
  __device__ uint32_t fragmentRow(uint32_t tile, int32_t fragment) const {
    const uint32_t lane = threadIdx.x % 32, chunk = 2 * fragment + lane / 16;
    const uint32_t tileRow = threadIdx.x % 128 / 32 * 16 + lane % 16;
    return tile + tileRow * 128 + ((chunk ^ tileRow % 8) << 4);
  }
  /// Places in shared memory for values of each row: of a warpgroup, or of the one whose pages they belong to.
  __device__ uint32_t rowValue(int32_t offset, int32_t owner, int32_t i) const {
    return shared + offset + (owner * 64 + row + 8 * i) * 4;
  }

  /// Rows that no token fills: wgmma reads them, though nobody what becomes of them.
  __device__ void clearUnusedRows() const {
    if constexpr (Config::usedRows < Config::tileRows) {
      constexpr int32_t chunks = (Config::tileRows - Config::usedRows) * 8;
      for (int32_t i = threadIdx.x; i < Config::queryTiles * chunks; i += Config::blockThreads) {
        ptx::st_shared_v4(shared + i / chunks * tileBytes + Config::usedRows * 128 + i % chunks * 16, {0, 0, 0, 0});
      }
      ptx::fence_proxy_async_shared();
    }
  }

  // Loads, by the first thread of a warpgroup.

  __device__ void loadQueries(const AttentionPiece &piece) const {
    if (threadIdx.x == 0) {
      ptx::mbarrier_arrive_expect_tx(queryBarrier(), Config::queryTiles * Config::usedRows * 128);
      for (int32_t tile = 0; tile < Config::queryTiles; ++tile) {
        const int32_t first = shape.isFp8 && tile == Config::latentTiles ? shape.rank : tile * 64;
        ptx::cp_async_bulk_tensor_3d_load(shared + tile * tileBytes, queryMap, first, unit * Config::tileHeads,
                                          piece.token, queryBarrier());
      }
    }
  }

  __device__ void loadTiles(const AttentionPiece &piece, int32_t page, int32_t index, int32_t begin,
                            int32_t end) const {
    const int32_t sequence = step.sequences[piece.token];
    const int32_t where = step.pages[static_cast<int64_t>(sequence) * step.dims->pagesPerSequence + index];
    const int32_t first = -piece.missing(index);
    for (int32_t tile = begin; tile < end; ++tile) {
      ptx::mbarrier_arrive_expect_tx(pageBarrier(page, tile), tileBytes);
      ptx::cp_async_bulk_tensor_3d_load(pageTile(page, tile), cacheMap, tile * 64, first, where,
                                        pageBarrier(page, tile));
    }
  }

  __device__ void loadFirstPages(const AttentionPiece &piece) const {
    if (!shape.isFp8 && threadIdx.x % 128 == 0 && piece.pageBegin + warpgroup < piece.pageEnd) {
      loadTiles(piece, warpgroup, piece.pageBegin + warpgroup, 0, Config::pageTiles);
    }
  }

  /// The other half's columns of a page, which nobody needs any more, become the next page's; `withRest`: and those
  /// behind the output's columns.
  __device__ void reload(const AttentionPiece &piece, int32_t page, int32_t index, bool withRest) const {
    if constexpr (shape.isFp8) {
      if (threadIdx.x % 32 == 0) {
        ptx::mbarrier_arrive(Config::emptyBarrier(shared, page, warpgroup));
      }
      return;
    }
    // Each warp has waited for its own products only.
    ptx::bar_sync(warpgroupReady + warpgroup, 128);
    if (threadIdx.x % 128 == 0 && index < piece.pageEnd) {
      loadTiles(piece, page, index, warpgroup * Config::halfTiles, (warpgroup + 1) * Config::halfTiles);
      if (withRest) {
        loadTiles(piece, page, index, 2 * Config::halfTiles, Config::pageTiles);
      }
    }
  }

  /// Scores of 64 rows and a page's 64 tokens. Tiles in the order in which they come: own columns, the rest, the
  /// others'.
  template <int32_t page> __device__ void score(float (&scores)[32]) {
    constexpr int32_t half = Config::halfTiles;
    bool hasScores = false; // Of tiles before: known when unrolled.
    ptx::wgmma_hold_registers(scores);
    if constexpr (!shape.isFp8) {
      ptx::wgmma_hold_registers(lastQueries);
    }
#pragma unroll
    for (int32_t i = 0; i < Config::pageTiles; ++i) {
      const int32_t rest = Config::pageTiles - 2 * half;
      const int32_t tile = shape.isFp8       ? i
                           : i < half        ? page * half + i
                           : i < half + rest ? i + half
                                             : (1 - page) * half + i - half - rest;
      if (!shape.isFp8 || tile % half == 0) {
        ptx::mbarrier_wait_parity(pageBarrier(page, tile), phase[page]);
      }
      ptx::wgmma_fence(); // Behind the wait: the assembler puts another one behind a loop.
#pragma unroll
      for (int32_t k = 0; k < 4; ++k) {
        const uint64_t keys = rowsOf(pageTile(page, tile)) + 2 * k;
        if (Config::firstValue(tile) + 16 * k < Config::endValue(tile)) {
          const int32_t queryTile = Config::queryTile(tile);
          if (!shape.isFp8 && queryTile == Config::queryTiles - 1) {
            ptx::wgmma_k16_f32_bf16_bf16<64>(scores, lastQueries[k], keys, hasScores);
          } else {
            ptx::wgmma_k16_f32_bf16_bf16<64>(scores, rowsOf(shared + queryTile * tileBytes) + 2 * k, keys, hasScores);
          }
          hasScores = true;
        }
      }
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_hold_registers(scores);
    phase[page] ^= 1;
  }

  /// out += probabilities * values of a page, the probabilities in registers or in shared memory.
  template <typename Probabilities> __device__ void addValues(Probabilities &&probabilities, int32_t page) {
    if constexpr (shape.isFp8 && sizeof(probabilities) != sizeof(uint64_t)) {
      // A warpgroup reads its own from shared memory, too: there are fewer registers beside a third one's. Each warp
      // its own rows.
      __syncwarp();
      addValues(rowsOf(Config::probabilitiesTile(shared, page)), page);
      return;
    }
    const uint64_t values = columnsOf(pageTile(page, warpgroup * Config::halfTiles));
    ptx::wgmma_hold_registers(out);
    if constexpr (sizeof(probabilities) != sizeof(uint64_t)) {
      ptx::wgmma_hold_registers(probabilities);
    }
    ptx::wgmma_fence();
#pragma unroll
    for (int32_t k = 0; k < 4; ++k) {
      if constexpr (sizeof(probabilities) == sizeof(uint64_t)) {
        ptx::wgmma_k16_f32_bf16_bf16<Config::halfColumns, 0, 1>(out, probabilities + 2 * k, values + 128 * k, 1);
      } else {
        ptx::wgmma_k16_f32_bf16_bf16<Config::halfColumns, 1>(out, probabilities[k], values + 128 * k, 1);
      }
    }
    ptx::wgmma_commit_group();
  }

  __device__ void waitValues() {
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_hold_registers(out);
  }

  /// Probabilities of the scores of page `index`, for this warpgroup in registers, for the other in shared memory.
  template <int32_t page>
  __device__ void exponentials(const AttentionPiece &piece, int32_t index, float (&scores)[32],
                               uint32_t (&probabilities)[4][4], float (&factor)[2]) {
    softmax.follow(scores, factor);
    softmax.exponentials(scores);
    toFragments(scores, probabilities);
    if (threadIdx.x % 4 == 0) {
      ptx::st_shared_f32(rowValue(Config::referenceOffset, page, 0), softmax.reference[0]);
      ptx::st_shared_f32(rowValue(Config::referenceOffset, page, 1), softmax.reference[1]);
    }
    const uint32_t tile = Config::probabilitiesTile(shared, page);
    if constexpr (shape.isFp8) {
      ptx::bar_sync(warpgroupReady + page, 128); // No warp needs the rotated keys any more.
    }
#pragma unroll
    for (int32_t k = 0; k < 4; ++k) {
      ptx::stmatrix_x4(fragmentRow(tile, k), probabilities[k][0], probabilities[k][1], probabilities[k][2],
                       probabilities[k][3]);
    }
    ptx::fence_proxy_async_shared();
  }

  __device__ void mask(const AttentionPiece &piece, int32_t index, float (&scores)[32]) const {
    // Only the last page lacks tokens; only where rows are of several tokens may some not see all of an earlier one.
    if (pageTokens * (index + 1) > piece.position + 2 - (piece.tokenEnd - piece.token)) {
      const int32_t shift = piece.missing(index);
      maskScores(scores, pageTokens * index - shift, shift, position);
    }
  }

  /// Takes the references that the other warpgroup has moved for its scores.
  __device__ void adopt(int32_t owner) {
    float factor[2];
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      factor[i] = softmax.adopt(i, ptx::ld_shared_f32(rowValue(Config::referenceOffset, owner, i)));
    }
    rescale(out, factor);
  }

  template <int32_t side> __device__ void attend(const AttentionPiece &piece) {
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      position[i] = step.positions[min(Rows::token(piece, row + 8 * i), piece.tokenEnd - 1)];
      softmax.reference[i] = OnlineSoftmax::lowest;
      softmax.sum[i] = 0;
    }
#pragma unroll
    for (int32_t i = 0; i < Config::halfColumns / 2; ++i) {
      out[i] = 0;
    }
    ptx::mbarrier_wait_parity(queryBarrier(), queryPhase);
    queryPhase ^= 1;
    if constexpr (!shape.isFp8) {
#pragma unroll
      for (int32_t k = 0; k < 4; ++k) {
        ptx::ldmatrix_x4(lastQueries[k], fragmentRow(shared + Config::secondProbabilities, k));
      }
    }

    float scores[32], factor[2];
    uint32_t probabilities[4][4];
    for (int32_t index = piece.pageBegin; index < piece.pageEnd; index += 2) {
      const bool hasSecond = index + 1 < piece.pageEnd;
      if constexpr (side == 0) {
        score<0>(scores);
        mask(piece, index, scores);
        exponentials<0>(piece, index, scores, probabilities, factor);
        ptx::bar_arrive(firstReady, Config::threads);
        rescale(out, factor);
        addValues(probabilities, 0);
        waitValues();
        reload(piece, 0, index + 2, true);
        if (hasSecond) {
          ptx::bar_sync(secondReady, Config::threads);
          adopt(1);
          addValues(rowsOf(Config::probabilitiesTile(shared, 1)), 1);
          waitValues();
          reload(piece, 1, index + 3, false);
        }
      } else {
        if (hasSecond) {
          score<1>(scores);
          mask(piece, index + 1, scores);
        }
        ptx::bar_sync(firstReady, Config::threads);
        adopt(0);
        addValues(rowsOf(Config::probabilitiesTile(shared, 0)), 0);
        if (hasSecond) {
          exponentials<1>(piece, index + 1, scores, probabilities, factor);
          ptx::bar_arrive(secondReady, Config::threads);
        }
        waitValues();
        reload(piece, 0, index + 2, false);
        if (hasSecond) {
          rescale(out, factor);
          addValues(probabilities, 1);
          waitValues();
          reload(piece, 1, index + 3, true);
        }
      }
    }
  }

  /// Whole rows' sums: each warpgroup has those of its pages. Ends the piece: nobody reads pages or queries any more.
  __device__ void shareSums() {
    softmax.sumQuads();
    if (threadIdx.x % 4 == 0) {
      ptx::st_shared_f32(rowValue(Config::sumOffset, warpgroup, 0), softmax.sum[0]);
      ptx::st_shared_f32(rowValue(Config::sumOffset, warpgroup, 1), softmax.sum[1]);
    }
    ptx::bar_sync(allReady, Config::threads);
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      softmax.sum[i] += ptx::ld_shared_f32(rowValue(Config::sumOffset, 1 - warpgroup, i));
      // A row may see nothing of a part.
      const float factor = softmax.sum[i] > 0 ? 1 / softmax.sum[i] : 0;
#pragma unroll
      for (int32_t j = 2 * i; j < Config::halfColumns / 2; j += 4) {
        out[j] *= factor;
        out[j + 1] *= factor;
      }
    }
  }

  __device__ bool isRow(const AttentionPiece &piece, int32_t tileRow) const {
    return tileRow < Config::usedRows && Rows::token(piece, tileRow) < piece.tokenEnd &&
           Rows::head(unit, tileRow) < shape.heads;
  }

  /// For the combining kernel, in f32: four lanes write 32 bytes of a row.
  __device__ void writeResults(const AttentionPiece &piece) const {
    const int32_t slot = piece.slot(part);
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      if (isRow(piece, row + 8 * i)) {
        const int32_t place = AttentionResults<Config::layout>::row(slot, unit, row + 8 * i);
        if (warpgroup == 0 && threadIdx.x % 4 == 0) {
          results.weights[place] = softmax.reference[i] * softmax.scale + ptx::lg2_approx(softmax.sum[i]);
        }
        float *to = results.values + static_cast<int64_t>(place) * shape.rank;
#pragma unroll
        for (int32_t j = 0; j < Config::halfColumns / 8; ++j) {
          const int32_t column = warpgroup * Config::halfColumns + 8 * j + threadIdx.x % 4 * 2;
          if (column < shape.rank) {
            *reinterpret_cast<Floats2 *>(to + column) = {out[4 * j + 2 * i], out[4 * j + 2 * i + 1]};
          }
        }
      }
    }
  }

  /// Through shared memory, in the queries' place: each warp stores a tile of 64 columns, token by token, because a
  /// group may have fewer of them than the tile has.
  __device__ void writeOutput(const AttentionPiece &piece) const {
#pragma unroll
    for (int32_t j = 0; j < Config::halfColumns / 16; ++j) {
      const int32_t tile = warpgroup * Config::halfTiles + j / 4;
      if (64 * tile + j % 4 * 16 < shape.rank) {
        ptx::stmatrix_x4(fragmentRow(shared + tile * tileBytes, j % 4),
                         ptx::cvt_rn_bf16x2_f32(out[8 * j], out[8 * j + 1]),
                         ptx::cvt_rn_bf16x2_f32(out[8 * j + 2], out[8 * j + 3]),
                         ptx::cvt_rn_bf16x2_f32(out[8 * j + 4], out[8 * j + 5]),
                         ptx::cvt_rn_bf16x2_f32(out[8 * j + 6], out[8 * j + 7]));
      }
    }
    ptx::fence_proxy_async_shared();
    ptx::bar_sync(warpgroupReady + warpgroup, 128);
    const int32_t warp = threadIdx.x % 128 / 32, tile = warpgroup * Config::halfTiles + warp;
    if (threadIdx.x % 32 == 0 && warp < Config::halfTiles && 64 * tile < shape.rank) {
      for (int32_t token = piece.token; token < piece.tokenEnd; ++token) {
        ptx::cp_async_bulk_tensor_3d_store(outputMap, 64 * tile, unit * Config::tileHeads, token,
                                           shared + tile * tileBytes + (token - piece.token) * Config::tileHeads * 128);
      }
      ptx::cp_async_bulk_commit_group();
      ptx::cp_async_bulk_wait_group_read<0>();
    }
  }
};

/// The kernel's body. `cacheMap`: of the cache, or of the rotated keys in an FP8 one. `scale`: of scores.
template <LatentAttentionShape shape, LatentAttentionSchedule schedule>
__device__ inline void latentAttention(const AttentionStep &step, const void *cache, const TensorMap *queryMap,
                                       const TensorMap *cacheMap, const TensorMap *outputMap, void *scratch,
                                       float scale) {
  extern __shared__ __align__(1024) uint8_t memory[];
  LatentAttention<shape, schedule>(step, cache, queryMap, cacheMap, outputMap, scratch, scale,
                                   ptx::cvta_to_shared(memory))
      .run();
}

template <LatentAttentionShape shape, LatentAttentionSchedule schedule>
__device__ inline void latentAttentionCombine(uint16_t *output, void *scratch) {
  AttentionCombine<LatentAttentionConfig<shape, schedule>::layout>::run(output, scratch);
}

} // namespace elah
