// How attention's work is shared by the blocks of a grid, planned by each block for itself from what the step holds.
//
// Consecutive tokens of a sequence that share a tile of query rows are a group: it attends to its sequence's pages,
// from the first to that of its last token. The groups lie on a line, each as long as its pages and a constant for what
// a group costs beside them; the line is cut into equal parts, one for each block (of each unit: heads that go by
// themselves). So a long group is split among parts, whose results attention_combine.cuh puts together. Where cuts are
// follows from the lengths alone: equal steps give equal bits.
#pragma once

#include "kernels/dims.cuh"
#include "ptx/memory.cuh"

namespace elah {

constexpr int32_t pageTokens = 64;

/// What a step says of its tokens. Those of a sequence follow each other, their positions ascend.
struct AttentionStep {
  const int32_t *positions, *sequences; ///< Of each token.
  const int32_t *pages;                 ///< [sequences, pagesPerSequence]
  const Dims *dims;
};

/// The part of a group's pages that a block goes through.
struct AttentionPiece {
  int32_t token, tokenEnd;     ///< The group.
  int32_t position;            ///< Of its last token.
  int32_t start;               ///< Of the group, on the line.
  int32_t pageBegin, pageEnd;  ///< In pages of the sequence.
  int32_t firstPart, lastPart; ///< That share the group.

  __device__ bool isSplit() const { return firstPart != lastPart; }
  /// Tokens that a page lacks to be whole.
  __device__ int32_t missing(int32_t page) const { return max(0, pageTokens * (page + 1) - (position + 1)); }
  /// Where results of this part of a split group go: a part ends one such group at most, and begins one.
  __device__ int32_t slot(int32_t part) const { return 2 * part + (part == firstPart); }
};

/// What a part tells the combining kernel: the split group that it begins. `parts` is 0 if there is none.
struct alignas(16) SplitGroup {
  int32_t token, tokenEnd, parts, unused;
};

template <int32_t tileTokens, int32_t parts, int32_t threads> class AttentionPlan {
  static constexpr int32_t warps = threads / 32;
  static_assert(tileTokens <= 128);
  /// What a group costs beside its pages: queries, first loads, results. In pages.
  static constexpr int32_t overhead = 5;

public:
  static constexpr int32_t sharedBytes = 8 * warps + 16;

  /// By all threads of the block. `shared`: of sharedBytes, free again at the next barrier of the block.
  __device__ AttentionPlan(const AttentionStep &step, int32_t part, uint32_t shared)
      : step(step), part(part), tokens(step.dims->tokens) {
    const int32_t tokensOfThread = (tokens + threads - 1) / threads;
    const int32_t begin = min(static_cast<int32_t>(threadIdx.x) * tokensOfThread, tokens);
    const int32_t end = min(begin + tokensOfThread, tokens);

    // Where the sequence of this thread's first token begins: the last beginning before.
    int32_t sequenceStart = begin;
    if constexpr (tileTokens > 1) {
      int32_t last = -1;
      for (int32_t token = begin; token < end; ++token) {
        last = isSequenceStart(token) ? token : last;
      }
      sequenceStart = scanBefore(last, -1, shared, [](int32_t a, int32_t b) { return max(a, b); });
    }
    int32_t cost = 0;
    forGroups(begin, end, sequenceStart, [&](int32_t, int32_t groupCost) { cost += groupCost; });
    const int32_t before = scanBefore(cost, 0, shared + 4 * warps, [](int32_t a, int32_t b) { return a + b; });
    int32_t total = 0;
#pragma unroll
    for (int32_t warp = 0; warp < warps; ++warp) {
      total += static_cast<int32_t>(ptx::ld_shared_u32(shared + 4 * (warps + warp)));
    }
    payload = max((total + parts - 1) / parts, overhead + 1);

    // The group in which this part begins.
    const int32_t target = part * payload;
    hasMore = target < total;
    if (target >= before && target < before + cost) {
      int32_t at = before;
      forGroups(begin, end, sequenceStart, [&](int32_t group, int32_t groupCost) {
        if (target >= at && target < at + groupCost) {
          ptx::st_shared_u32(shared + 8 * warps, static_cast<uint32_t>(group));
          ptx::st_shared_u32(shared + 8 * warps + 4, static_cast<uint32_t>(at));
        }
        at += groupCost;
      });
    }
    __syncthreads();
    if (hasMore) {
      nextToken = static_cast<int32_t>(ptx::ld_shared_u32(shared + 8 * warps));
      nextStart = static_cast<int32_t>(ptx::ld_shared_u32(shared + 8 * warps + 4));
    }
  }

  /// The next piece of this part, by whole warps; false if there is none.
  __device__ bool next(AttentionPiece &piece) {
    if (!hasMore || nextToken >= tokens || (nextStart + overhead) / payload > part) {
      return false;
    }
    piece.token = nextToken;
    piece.tokenEnd = groupEnd(nextToken);
    piece.position = step.positions[piece.tokenEnd - 1];
    piece.start = nextStart;
    const int32_t pages = piece.position / pageTokens + 1, cost = pages + overhead;
    piece.firstPart = (piece.start + overhead) / payload;
    piece.lastPart = (piece.start + cost - 1) / payload;
    piece.pageBegin = part == piece.firstPart ? 0 : part * payload - piece.start - overhead;
    piece.pageEnd = part == piece.lastPart ? pages : (part + 1) * payload - piece.start - overhead;
    hasMore = part == piece.lastPart;
    nextToken = piece.tokenEnd;
    nextStart += cost;
    return true;
  }

private:
  const AttentionStep &step;
  int32_t part, tokens;
  int32_t payload; ///< Length of a part.
  bool hasMore;
  int32_t nextToken = 0, nextStart = 0;

  __device__ bool isSequenceStart(int32_t token) const {
    return token == 0 || step.sequences[token] != step.sequences[token - 1];
  }

  /// Calls visit(first token, cost) for the groups whose last token is in [begin, end).
  template <typename Visit>
  __device__ void forGroups(int32_t begin, int32_t end, int32_t sequenceStart, const Visit &visit) const {
    for (int32_t token = begin; token < end; ++token) {
      int32_t inGroup = 0;
      bool isLast = true;
      if constexpr (tileTokens > 1) {
        sequenceStart = isSequenceStart(token) ? token : sequenceStart;
        inGroup = (token - sequenceStart) % tileTokens;
        isLast = inGroup + 1 == tileTokens || token + 1 == tokens || isSequenceStart(token + 1);
      }
      if (isLast) {
        visit(token - inGroup, step.positions[token] / pageTokens + 1 + overhead);
      }
    }
  }

  /// Over the values of all threads before this one. `totals`: a word in shared memory for each warp.
  template <typename Combine>
  __device__ static int32_t scanBefore(int32_t value, int32_t neutral, uint32_t totals, const Combine &combine) {
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t inclusive = value;
#pragma unroll
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
      int32_t below = __shfl_up_sync(0xffffffffu, inclusive, distance);
      inclusive = lane >= distance ? combine(inclusive, below) : inclusive;
    }
    if (lane == 31) {
      ptx::st_shared_u32(totals + 4 * warp, static_cast<uint32_t>(inclusive));
    }
    int32_t before = __shfl_up_sync(0xffffffffu, inclusive, 1);
    before = lane == 0 ? neutral : before;
    __syncthreads();
#pragma unroll
    for (uint32_t other = 0; other < warps; ++other) {
      if (other < warp) {
        before = combine(before, static_cast<int32_t>(ptx::ld_shared_u32(totals + 4 * other)));
      }
    }
    return before;
  }

  __device__ int32_t groupEnd(int32_t token) const {
    if constexpr (tileTokens == 1) {
      return token + 1;
    }
    const int32_t sequence = step.sequences[token];
    int32_t count = 1;
#pragma unroll
    for (int32_t first = 1; first < tileTokens; first += 32) {
      const int32_t other = token + first + static_cast<int32_t>(threadIdx.x % 32);
      const bool isSame = other < min(tokens, token + tileTokens) && step.sequences[other] == sequence;
      count += __popc(__ballot_sync(0xffffffffu, isSame));
    }
    return token + count;
  }
};

/// Rows of a tile: `tileHeads` heads of `tileTokens` tokens, a token's heads together.
template <int32_t tileHeads, int32_t tileTokens> struct AttentionRows {
  static constexpr int32_t rows = tileHeads * tileTokens;

  __device__ static int32_t token(const AttentionPiece &piece, int32_t row) { return piece.token + row / tileHeads; }
  __device__ static int32_t head(int32_t unit, int32_t row) { return unit * tileHeads + row % tileHeads; }
};

} // namespace elah
