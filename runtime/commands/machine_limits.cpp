// A figure without the machine's limit beside it says little, and on a shared machine the limit moves from minute to
// minute: both are measured in one run, by turns.
#include "commands/machine_limits.h"
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <sys/mman.h>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr uint64_t bufferBytes = uint64_t(1) << 30;
constexpr uint64_t sampleBytes = uint64_t(128) << 20;

using Clock = std::chrono::steady_clock;

/// Seconds that all threads need together for `work(thread)`, from a common start.
double timeTogether(unsigned threads, const std::function<void(unsigned)> &work) {
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> others;
  auto wait = [&](unsigned thread) {
    ++ready;
    while (!go) {
      std::this_thread::yield();
    }
    work(thread);
  };
  for (unsigned i = 1; i < threads; ++i) {
    others.emplace_back(wait, i);
  }
  while (ready + 1 < threads) {
    std::this_thread::yield();
  }
  Clock::time_point start = Clock::now();
  go = true;
  work(0);
  for (std::thread &other : others) {
    other.join();
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

volatile uint64_t sink;

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t readAll(const char *begin, uint64_t size) {
  __m256i sums[4] = {};
  for (uint64_t i = 0; i + 128 <= size; i += 128) {
    for (int j = 0; j < 4; ++j) {
      sums[j] = _mm256_add_epi64(sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(begin + i + 32 * j)));
    }
  }
  __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(sum, 0));
}

// Twelve chains of dependent operations hide the latency of four cycles at two operations a cycle. The bodies are asm
// so that no compiler finds out that the result is not needed.
constexpr int64_t rounds = 2'000'000;

__attribute__((target("avx512f,avx512bf16"))) void bf16Dots() {
  __m512 a[12] = {};
  __m512i x = _mm512_setzero_si512();
  for (int64_t i = 0; i < rounds; ++i) {
    for (__m512 &chain : a) {
      asm volatile("vdpbf16ps %1, %1, %0" : "+v"(chain) : "v"(x));
    }
  }
}

__attribute__((target("avx512f"))) void wideMultiplyAdds() {
  __m512 a[12] = {};
  __m512 x = _mm512_setzero_ps();
  for (int64_t i = 0; i < rounds; ++i) {
    for (__m512 &chain : a) {
      asm volatile("vfmadd231ps %1, %1, %0" : "+v"(chain) : "v"(x));
    }
  }
}

__attribute__((target("avx2,fma"))) void multiplyAdds() {
  __m256 a[12] = {};
  __m256 x = _mm256_setzero_ps();
  for (int64_t i = 0; i < rounds; ++i) {
    for (__m256 &chain : a) {
      asm volatile("vfmadd231ps %1, %1, %0" : "+x"(chain) : "x"(x));
    }
  }
}
#else
uint64_t readAll(const char *begin, uint64_t size) {
  uint64_t sums[8] = {};
  for (uint64_t i = 0; i + 64 <= size; i += 64) {
    uint64_t words[8];
    std::memcpy(words, begin + i, 64);
    for (int j = 0; j < 8; ++j) {
      sums[j] += words[j];
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}
#endif

} // namespace

struct MachineLimits::State {
  unsigned threads;
  char *buffer = nullptr;
  uint64_t next = 0;
};

MachineLimits::MachineLimits(unsigned threads) : state(new State{threads}) {
  void *memory = ::mmap(nullptr, bufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    ::madvise(memory, bufferBytes, MADV_HUGEPAGE);
    std::memset(memory, 1, bufferBytes);
    state->buffer = static_cast<char *>(memory);
  }
}

MachineLimits::~MachineLimits() {
  if (state->buffer) {
    ::munmap(state->buffer, bufferBytes);
  }
}

double MachineLimits::sampleReadBandwidth() {
  if (!state->buffer) {
    return 0;
  }
  const char *begin = state->buffer + state->next;
  state->next = (state->next + sampleBytes) % bufferBytes;
  uint64_t part = sampleBytes / state->threads / 4096 * 4096;
  double seconds = timeTogether(state->threads, [&](unsigned thread) { sink = readAll(begin + thread * part, part); });
  return static_cast<double>(part * state->threads) / seconds;
}

double MachineLimits::sampleComputePeak(bool bf16) {
#if defined(__x86_64__)
  double perRound = 12.0;
  void (*kernel)();
  if (bf16 && __builtin_cpu_supports("avx512bf16")) {
    kernel = bf16Dots;
    perRound *= 64;
  } else if (__builtin_cpu_supports("avx512f")) {
    kernel = wideMultiplyAdds;
    perRound *= 32;
  } else {
    kernel = multiplyAdds;
    perRound *= 16;
  }
  double seconds = timeTogether(state->threads, [&](unsigned) { kernel(); });
  return perRound * rounds * state->threads / seconds;
#else
  return 0;
#endif
}
