// Draws a token from each row of logits: greedily, or with temperature, top-k and top-p in that order.
//
// A cluster has a row, each block a part of it in shared memory. Tokens have an order, by logit and then by index, in
// which top-k, top-p and the draw itself all ask the same: which is the first token whose running count, or running
// weight, exceeds a bound? A radix select finds it without sorting: histograms of counts and weights, first over
// buckets of equal steps in the exponent, then over digits of the key within a bucket, until one token is left. Weights
// are integers, exp((logit - largest) / temperature) times a power of two, so that their sums depend on no order, and
// seed, step and logits decide about the token.
#pragma once

#include "kernels/values.cuh"
#include "ptx/barrier.cuh"
#include "ptx/mbarrier.cuh"

namespace elah {

struct SampleShape {
  int32_t vocabulary;
  int32_t weightBits; ///< The best token's weight is 2 to this power; the vocabulary's sum stays below 2^63.
};

struct SampleSchedule {
  int32_t threads, cluster;
};

/// How a row's token is drawn: elah_sampling, and the count of the sequence's draws.
struct Draw {
  float temperature; ///< 0: greedy.
  float topP;        ///< 1: all.
  uint32_t topK;     ///< 0: all.
  uint64_t seed, step;
};

struct SampleOperands {
  const float *logits; ///< [logit rows, vocabulary]
  const Draw *draws;
  int32_t *tokens; ///< -1 where a logit is no number.
  const Dims *dims;
};

/// 53 random bits from seed and step: SplitMix64 (Steele, Lea and Flood, 2014) on their mix, as the runtime's sampler.
__device__ inline uint64_t randomBits(uint64_t seed, uint64_t step) {
  uint64_t z = seed + (step + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return (z ^ (z >> 31)) >> 11;
}

template <SampleShape shape, SampleSchedule schedule> class Sampler {
public:
  static constexpr int32_t share = roundUp(ceilDiv(shape.vocabulary, schedule.cluster), 4); ///< Tokens of a block.

private:
  static constexpr int32_t buckets = 256, indexBits = shape.vocabulary <= 256 ? 8 : shape.vocabulary <= 65536 ? 16 : 24;
  static_assert(schedule.threads >= buckets);

  /// An array each, so that neighbouring buckets are in different banks.
  struct Histogram {
    uint64_t weights[buckets];
    uint32_t counts[buckets];
  };
  struct Choice {
    uint64_t weightBefore, weight;
    uint32_t countBefore, count, bucket;
  };

public:
  struct Shared {
    Histogram parts[2]; ///< Of this block; in turn, while others still read the one before.
    Histogram coarse, fine;
    Choice choice;
    uint64_t bestOfWarp[32], best, total;
  };

  __device__ Sampler(Shared &shared, float *logits) : shared(shared), logits(logits) {}

  __device__ void run(const SampleOperands &operands) {
    const int32_t row = static_cast<int32_t>(blockIdx.x) / schedule.cluster;
    const int64_t first = static_cast<int64_t>(row) * shape.vocabulary;
    const Draw draw = operands.draws[row];
    begin = static_cast<int32_t>(ptx::cluster_ctarank()) * share;
    count = max(min(shape.vocabulary - begin, share), 0);
    isByIndex = false;
    const uint64_t best = load(operands.logits + first);
    if (best >> indexBits == 0 || draw.temperature == 0 || draw.topK == 1) {
      answer(operands.tokens + row, best);
      return;
    }
    largest = operands.logits[first + static_cast<int32_t>(best & ((1u << indexBits) - 1))];
    if (fabsf(largest) == __int_as_float(0x7f800000)) {
      answer(operands.tokens + row, best);
      return;
    }
    const bool hasTopK = draw.topK > 0 && draw.topK < shape.vocabulary;
    temperature = draw.temperature;
    steepness = 8 / draw.temperature;
    isByIndex = !hasTopK && draw.topP >= 1;
    makeCoarse();
    uint64_t total = shared.total;
    if (hasTopK) {
      total = select(true, draw.topK - 1);
    }
    if (draw.topP < 1) {
      const uint64_t least = __double2ull_ru(static_cast<double>(draw.topP) * static_cast<double>(total));
      total = select(false, max(least, uint64_t(1)) - 1);
    }
    // A random number below one, times the total, rounded down.
    select(false, __umul64hi(randomBits(draw.seed, draw.step) << 11, total));
    for (int32_t i = threadIdx.x; i < count; i += schedule.threads) {
      if (isChosen(i)) {
        operands.tokens[row] = begin + i;
      }
    }
  }

private:
  Shared &shared;
  float *const logits;
  int32_t begin, count; ///< This block's tokens.
  float largest, temperature, steepness;
  bool isByIndex; ///< Nothing is cut off: tokens in the order of their indices, as the runtime's sampler has them.
  uint32_t turn = 0;
  // Of the selection: the bucket, and the digits of the key so far, above `shift`.
  uint32_t bucket, shift;
  uint64_t prefix;

  __device__ void syncCluster() const {
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
  }

  /// Ascending from the best token; what is no number comes before all, with nothing above its index.
  __device__ uint64_t keyOf(float logit, int32_t index) const {
    const uint64_t upper = isByIndex || logit != logit ? 0 : ~orderedBits(logit);
    return upper << indexBits | static_cast<uint32_t>(index);
  }
  __device__ uint32_t bucketOf(int32_t i) const {
    return isByIndex ? static_cast<uint32_t>(begin + i) / ceilDiv(shape.vocabulary, buckets)
                     : static_cast<uint32_t>(min(__float2int_rz((largest - logits[i]) * steepness), buckets - 1));
  }
  __device__ uint64_t weightOf(int32_t i) const {
    constexpr double scale = static_cast<double>(1ull << shape.weightBits);
    return __double2ull_rn(scale * exp((static_cast<double>(logits[i]) - static_cast<double>(largest)) /
                                       static_cast<double>(temperature)));
  }
  __device__ bool isChosen(int32_t i) const {
    return bucketOf(i) == bucket && keyOf(logits[i], begin + i) >> shift == prefix;
  }

  __device__ void answer(int32_t *token, uint64_t best) const {
    if (begin == 0 && threadIdx.x == 0) {
      *token = best >> indexBits == 0 ? -1 : static_cast<int32_t>(best & ((1u << indexBits) - 1));
    }
  }

  /// Logits into shared memory. The least key of the row.
  __device__ uint64_t load(const float *row) {
    constexpr int32_t vector = shape.vocabulary % 4 == 0 ? 4 : 1;
    uint64_t best = ~uint64_t(0);
    for (int32_t i = static_cast<int32_t>(threadIdx.x) * vector; i < count; i += schedule.threads * vector) {
      float x[vector];
      load_values<Element::F32, vector>(row, begin + i, x);
#pragma unroll
      for (int32_t j = 0; j < vector; ++j) {
        best = min(best, keyOf(x[j], begin + i + j));
      }
      store_values<Element::F32, vector>(logits, i, x);
    }
#pragma unroll
    for (int32_t distance = 16; distance > 0; distance /= 2) {
      best = min(best, __shfl_xor_sync(0xffffffffu, best, distance));
    }
    if (threadIdx.x % 32 == 0) {
      shared.bestOfWarp[threadIdx.x / 32] = best;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int32_t warp = 1; warp < schedule.threads / 32; ++warp) {
        best = min(best, shared.bestOfWarp[warp]);
      }
      shared.best = best;
    }
    syncCluster();
    best = ~uint64_t(0);
#pragma unroll
    for (int32_t rank = 0; rank < schedule.cluster; ++rank) {
      best = min(best, ptx::ld_shared_cluster_u64(ptx::mapa(ptx::cvta_to_shared(&shared.best), rank)));
    }
    return best;
  }

  __device__ Histogram &clearedPart() {
    Histogram &part = shared.parts[turn];
    turn ^= 1;
    if (threadIdx.x < buckets) {
      part.weights[threadIdx.x] = 0, part.counts[threadIdx.x] = 0;
    }
    __syncthreads();
    return part;
  }
  __device__ void add(Histogram &part, uint32_t to, int32_t i) {
    atomicAdd(&part.weights[to], weightOf(i));
    atomicAdd(&part.counts[to], 1u);
  }
  /// The cluster's sums of all blocks' parts, in each of its blocks.
  __device__ void gather(const Histogram &part, Histogram &sums) {
    syncCluster();
    if (threadIdx.x < buckets) {
      uint64_t weight = 0;
      uint32_t tokens = 0;
#pragma unroll
      for (int32_t rank = 0; rank < schedule.cluster; ++rank) {
        weight += ptx::ld_shared_cluster_u64(ptx::mapa(ptx::cvta_to_shared(&part.weights[threadIdx.x]), rank));
        tokens += ptx::ld_shared_cluster_u32(ptx::mapa(ptx::cvta_to_shared(&part.counts[threadIdx.x]), rank));
      }
      sums.weights[threadIdx.x] = weight, sums.counts[threadIdx.x] = tokens;
    }
    __syncthreads();
  }

  __device__ void makeCoarse() {
    Histogram &part = clearedPart();
    for (int32_t i = threadIdx.x; i < count; i += schedule.threads) {
      add(part, bucketOf(i), i);
    }
    gather(part, shared.coarse);
    if (threadIdx.x < 32) {
      uint64_t sum = 0;
      for (int32_t i = threadIdx.x; i < buckets; i += 32) {
        sum += shared.coarse.weights[i];
      }
#pragma unroll
      for (int32_t distance = 16; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
      }
      if (threadIdx.x == 0) {
        shared.total = sum;
      }
    }
    __syncthreads();
  }

  /// Leaves in shared.choice the first bucket with which the running count, or weight, exceeds `bound`. A warp does it,
  /// a lane for neighbouring buckets.
  __device__ void choose(const Histogram &histogram, bool isByCount, uint64_t bound) {
    if (threadIdx.x < 32) {
      constexpr int32_t each = buckets / 32;
      const int32_t lane = threadIdx.x;
      uint64_t weight = 0;
      uint32_t tokens = 0;
#pragma unroll
      for (int32_t i = 0; i < each; ++i) {
        weight += histogram.weights[lane * each + i];
        tokens += histogram.counts[lane * each + i];
      }
      uint64_t weightBefore = weight;
      uint32_t countBefore = tokens;
#pragma unroll
      for (int32_t distance = 1; distance < 32; distance *= 2) {
        const uint64_t lowerWeight = __shfl_up_sync(0xffffffffu, weightBefore, distance);
        const uint32_t lowerCount = __shfl_up_sync(0xffffffffu, countBefore, distance);
        if (lane >= distance) {
          weightBefore += lowerWeight, countBefore += lowerCount;
        }
      }
      weightBefore -= weight, countBefore -= tokens;
      for (int32_t i = 0; i < each; ++i) {
        const uint64_t ofBucket = histogram.weights[lane * each + i];
        const uint32_t tokensOfBucket = histogram.counts[lane * each + i];
        const uint64_t before = isByCount ? countBefore : weightBefore;
        if (before <= bound && bound < before + (isByCount ? tokensOfBucket : ofBucket)) {
          shared.choice = {weightBefore, ofBucket, countBefore, tokensOfBucket, static_cast<uint32_t>(lane * each + i)};
        }
        weightBefore += ofBucket, countBefore += tokensOfBucket;
      }
    }
    __syncthreads();
  }

  /// The first token with which the running count, or weight, exceeds `bound`: isChosen() knows it then. The running
  /// weight, the token's own included.
  __device__ uint64_t select(bool isByCount, uint64_t bound) {
    __syncthreads(); // The last choice has been read.
    choose(shared.coarse, isByCount, bound);
    uint64_t running = shared.choice.weightBefore;
    bucket = shared.choice.bucket, shift = (isByIndex ? 0 : 32) + indexBits, prefix = 0;
    while (shared.choice.count > 1 && shift > 0) {
      bound -= isByCount ? shared.choice.countBefore : shared.choice.weightBefore;
      Histogram &part = clearedPart();
      for (int32_t i = threadIdx.x; i < count; i += schedule.threads) {
        if (isChosen(i)) {
          add(part, static_cast<uint32_t>(keyOf(logits[i], begin + i) >> (shift - 8)) % buckets, i);
        }
      }
      gather(part, shared.fine);
      choose(shared.fine, isByCount, bound);
      running += shared.choice.weightBefore;
      shift -= 8, prefix = prefix << 8 | shared.choice.bucket;
    }
    return running + shared.choice.weight;
  }
};

template <SampleShape shape, SampleSchedule schedule> __device__ inline void sample(const SampleOperands &operands) {
  using Rows = Sampler<shape, schedule>;
  extern __shared__ Floats4 logits[];
  __shared__ typename Rows::Shared shared;
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  if (static_cast<int32_t>(blockIdx.x) / schedule.cluster >= operands.dims->logitRows) {
    return;
  }
  Rows(shared, reinterpret_cast<float *>(logits)).run(operands);
  // Others of the cluster may still read this block's memory.
  ptx::barrier_cluster_arrive();
  ptx::barrier_cluster_wait();
}

} // namespace elah
