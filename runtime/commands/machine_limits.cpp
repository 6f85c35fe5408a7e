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
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
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
    }
    work(thread);
  };
  for (unsigned i = 1; i < threads; ++i) {
    others.emplace_back(wait, i);
  }
  while (ready + 1 < threads) {
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

// Twelve chains of dependent operations hide the latency of four cycles at two operations a cycle. The loops are asm,
// so that chains stay in registers however this file is compiled, and no compiler finds out that nothing needs them.
constexpr int64_t rounds = 2'000'000;

#define ELAH_TWELVE(X, R)                                                                                              \
  X(R "0") X(R "1") X(R "2") X(R "3") X(R "4") X(R "5") X(R "6") X(R "7") X(R "8") X(R "9") X(R "10") X(R "11")
#define ELAH_ZERO(R) "vxorps %%" R ", %%" R ", %%" R "\n"
#define ELAH_DOT(R) "vdpbf16ps %%" R ", %%" R ", %%" R "\n"
#define ELAH_MULTIPLY_ADD(R) "vfmadd231ps %%" R ", %%" R ", %%" R "\n"
#define ELAH_CHAINS(NAME, INSTRUCTION, R)                                                                              \
  void NAME() {                                                                                                        \
    int64_t left = rounds;                                                                                             \
    asm volatile(ELAH_TWELVE(ELAH_ZERO, "ymm") "1:\n" ELAH_TWELVE(INSTRUCTION, R) "dec %0\njnz 1b\nvzeroupper\n"       \
                 : "+r"(left)                                                                                          \
                 :                                                                                                     \
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",   \
                   "cc");                                                                                              \
  }
ELAH_CHAINS(bf16Dots, ELAH_DOT, "zmm")
ELAH_CHAINS(wideMultiplyAdds, ELAH_MULTIPLY_ADD, "zmm")
ELAH_CHAINS(multiplyAdds, ELAH_MULTIPLY_ADD, "ymm")

/// Products of full AMX registers: four chains, as a kernel has.
void tileProducts() {
  alignas(64) uint8_t config[64] = {1};
  for (int tile = 0; tile < 8; ++tile) {
    config[16 + 2 * tile] = 64;
    config[48 + tile] = 16;
  }
  int64_t left = rounds / 4;
  asm volatile("ldtilecfg %1\n"
               "tilezero %%tmm0\ntilezero %%tmm1\ntilezero %%tmm2\ntilezero %%tmm3\n"
               "tilezero %%tmm4\ntilezero %%tmm5\ntilezero %%tmm6\ntilezero %%tmm7\n"
               "1:\n"
               "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\ntdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
               "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\ntdpbf16ps %%tmm7, %%tmm5, %%tmm3\n"
               "dec %0\njnz 1b\n"
               "tilerelease\n"
               : "+r"(left)
               : "m"(config)
               : "cc");
}

/// Whether the processor has AMX's bf16 products and the system lets this process use them.
bool hasTiles() {
  static const bool has = [] {
    unsigned a, b, c, d;
    constexpr unsigned products = 1u << 22, tiles = 1u << 24;
    constexpr int requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & products) && (d & tiles) &&
           ::syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  }();
  return has;
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
  if (bf16 && hasTiles()) {
    kernel = tileProducts;
    perRound = 16 * 16 * 32 * 2; // Four in a quarter of the rounds.
  } else if (bf16 && __builtin_cpu_supports("avx512bf16")) {
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
