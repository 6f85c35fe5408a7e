// Pages of an FP8 cache on their way to attention's tensor cores: a third warpgroup loads rows (latent_row.cuh),
// dequantizes them, and stores bf16 to the tiles of 64 columns that TMA fills where the cache is in bf16. The rotated
// keys are in bf16 already: TMA brings them.
//
// Loads are always under way: each thread has its part of a tile or two in registers, and where it has stored one of
// them, it loads the one after the other, be it the next page's or the next piece's. They find their rows in L2, where
// a page is fetched as a whole before.
#pragma once

#include "kernels/attention_plan.cuh"
#include "kernels/latent_row.cuh"
#include "ptx/barrier.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/mbarrier.cuh"

namespace elah {

/// `Config`: LatentAttentionConfig. By all threads of a warpgroup.
template <typename Config> class LatentDequantize {
  using Row = Fp8LatentRow<Config::rank, Config::ropeDim>;
  /// Of a tile, in 16 columns: a thread has the same columns of two rows.
  static constexpr int32_t rowsOfThread = 2, rowStep = 32;
  static constexpr int32_t latentTiles = 2 * Config::halfTiles, tilesAhead = latentTiles > 2 ? 2 : 1;

  struct Chunk {
    Words4 values;
    float scale;
  };
  /// Rows of a page, from this thread's first column on.
  struct Rows {
    const uint8_t *from[rowsOfThread];
    bool isThere[rowsOfThread]; ///< Others are zeros.
  };

  const AttentionStep &step;
  const uint8_t *const cache;
  const TensorMap *const ropeMap;
  const uint32_t shared;
  const int32_t row, column; ///< Of a tile: this thread's first.
  const uint32_t place;      ///< Of these in a tile, swizzled.

  typename Config::Plan plan;
  AttentionPiece piece;
  int32_t index = -1;  ///< Of a page in its sequence.
  uint32_t phases = 3; ///< A bit for each of two pages in shared memory: parity of the phase that empties it.
  Chunk chunks[tilesAhead][rowsOfThread];

public:
  __device__ LatentDequantize(const AttentionStep &step, const void *cache, const TensorMap *ropeMap, uint32_t shared,
                              const typename Config::Plan &plan)
      : step(step), cache(static_cast<const uint8_t *>(cache)), ropeMap(ropeMap), shared(shared),
        row(threadIdx.x % 128 / 4), column(threadIdx.x % 4 * 16),
        place(row * 128 + ((2 * (threadIdx.x % 4) ^ row % 8) << 4)), plan(plan) {
    piece.pageEnd = 0;
  }

  __device__ void run() {
    bool isThere = advance();
    Rows rows = isThere ? rowsOfPage() : Rows{};
#pragma unroll
    for (int32_t tile = 0; tile < tilesAhead; ++tile) {
      load(rows, tile);
    }
    while (isThere) {
      const uint32_t slot = (index - piece.pageBegin) % 2;
      store<0>(slot, rows, rows);
      loadKeys(slot);
      isThere = advance();
      const Rows next = isThere ? rowsOfPage() : Rows{};
      store<1>(slot, rows, next);
      rows = next;
      phases ^= 1u << slot;
    }
  }

private:
  /// Moves on to the next page.
  __device__ bool advance() {
    if (++index < piece.pageEnd) {
      return true;
    }
    if (!plan.next(piece)) {
      return false;
    }
    index = piece.pageBegin;
    return true;
  }

  /// Which of the cache's pages is a sequence's `number`th.
  __device__ int32_t page(int32_t number) const {
    return step.pages[static_cast<int64_t>(step.sequences[piece.token]) * step.dims->pagesPerSequence + number];
  }

  __device__ Rows rowsOfPage() const {
    const int32_t first = row - piece.missing(index);
    const uint8_t *const from = cache + (static_cast<int64_t>(page(index)) * pageTokens + first) * Row::bytes;
    Rows rows;
#pragma unroll
    for (int32_t i = 0; i < rowsOfThread; ++i) {
      rows.from[i] = from + i * rowStep * Row::bytes;
      rows.isThere[i] = first + i * rowStep >= 0;
    }
    return rows;
  }

  __device__ void load(const Rows &rows, int32_t tile) { // Known when unrolled.
    const int32_t begin = 64 * tile;
#pragma unroll
    for (int32_t i = 0; i < rowsOfThread; ++i) {
      Chunk &chunk = chunks[tile % tilesAhead][i];
      chunk = {{0, 0, 0, 0}, 0};
      if (begin < Config::rank && rows.isThere[i] && (begin + 64 <= Config::rank || begin + column < Config::rank)) {
        chunk.values = ptx::ld_global_v4(rows.from[i] + begin + column);
        chunk.scale =
            ptx::ld_global_f32(reinterpret_cast<const float *>(rows.from[i] + Row::scalesOffset) + begin / 128);
      }
    }
  }

  /// Stores that half of a page's tiles, and loads those that are `tilesAhead` of them, of these rows or the next ones.
  template <int32_t half> __device__ void store(uint32_t slot, const Rows &rows, const Rows &next) {
    ptx::mbarrier_wait_parity(Config::emptyBarrier(shared, slot, half), phases >> slot & 1);
#pragma unroll
    for (int32_t tile = half * Config::halfTiles; tile < (half + 1) * Config::halfTiles; ++tile) {
#pragma unroll
      for (int32_t i = 0; i < rowsOfThread; ++i) {
        const Chunk &chunk = chunks[tile % tilesAhead][i];
        Words4 first, second;
        dequantize(chunk.values, chunk.scale, first, second);
        const uint32_t to = Config::pageTile(shared, slot, tile) + place + i * rowStep * 128;
        ptx::st_shared_v4(to, first);
        ptx::st_shared_v4(to ^ 16, second);
      }
      const int32_t ahead = tile + tilesAhead;
      load(ahead < latentTiles ? rows : next, ahead % latentTiles);
    }
    ptx::fence_proxy_async_shared();
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      ptx::mbarrier_arrive(Config::fullBarrier(shared, slot, half));
    }
  }

  /// The rotated keys, once both halves of the page before are free. Rows before the page's first are out of bounds,
  /// and so zeros. Fetches the page after the next one.
  __device__ void loadKeys(uint32_t slot) const {
    if (threadIdx.x % 128 == 0) {
      ptx::mbarrier_wait_parity(Config::emptyBarrier(shared, slot, 1), phases >> slot & 1);
      ptx::mbarrier_arrive_expect_tx(Config::fullBarrier(shared, slot, 2), Config::tileBytes);
      ptx::cp_async_bulk_tensor_3d_load(Config::pageTile(shared, slot, latentTiles), ropeMap, 0, -piece.missing(index),
                                        page(index), Config::fullBarrier(shared, slot, 2));
      if (index + 2 < piece.pageEnd) {
        ptx::cp_async_bulk_prefetch_l2(cache + static_cast<int64_t>(page(index + 2)) * pageTokens * Row::bytes,
                                       pageTokens * Row::bytes);
      }
    }
    __syncwarp();
  }
};

} // namespace elah
