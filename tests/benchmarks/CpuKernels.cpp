// One thread's matrix products and attention beside what the processor can do at most: products against a loop of
// nothing but the instruction that they are made of, decode against a plain read of as much memory. Kernel and limit
// take turns, and the best sample of each counts, by the thread's own clock: on a shared machine both move together.
#include "KernelHarness.h"
#include "llvm/Support/FormatVariadic.h"
#include <benchmark/benchmark.h>
#include <ctime>
#include <immintrin.h>
#include <sys/mman.h>

using namespace elah;
using namespace elah::test;

namespace {

double now() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

template <typename Work> double seconds(Work &&work) {
  double begin = now();
  work();
  return now() - begin;
}

// Twelve chains in registers of their own hide the latency.
constexpr int64_t rounds = 200'000;
#define ELAH_12(X, R)                                                                                                  \
  X(R "0")                                                                                                             \
  X(R "1") X(R "2") X(R "3") X(R "4") X(R "5") X(R "6") X(R "7") X(R "8") X(R "9") X(R "10") X(R "11")
#define ELAH_BF16(R) "vdpbf16ps %%" R ", %%" R ", %%" R "\n"
#define ELAH_FMA(R) "vfmadd231ps %%" R ", %%" R ", %%" R "\n"
#define ELAH_ZERO(R) "vxorps %%" R ", %%" R ", %%" R "\n"
#define ELAH_CHAINS(NAME, INSTRUCTION, R)                                                                              \
  void NAME() {                                                                                                        \
    int64_t left = rounds;                                                                                             \
    asm volatile(ELAH_12(ELAH_ZERO, "ymm") "1:\n" ELAH_12(INSTRUCTION, R) "dec %0\njnz 1b\nvzeroupper\n"               \
                 : "+r"(left)                                                                                          \
                 :                                                                                                     \
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",   \
                   "cc");                                                                                              \
  }
ELAH_CHAINS(bf16Dots, ELAH_BF16, "zmm")
ELAH_CHAINS(wideMultiplyAdds, ELAH_FMA, "zmm")
ELAH_CHAINS(multiplyAdds, ELAH_FMA, "ymm")

/// Products of AMX's registers in four chains, as a kernel has.
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

__attribute__((target("avx2"))) void readAll(const char *begin, int64_t size) {
  __m256i sums[4] = {};
  for (int64_t i = 0; i + 128 <= size; i += 128) {
    for (int j = 0; j < 4; ++j) {
      sums[j] = _mm256_add_epi64(sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(begin + i + 32 * j)));
    }
  }
  benchmark::DoNotOptimize(sums);
}

/// Weights as decode meets them: never in a cache, in large pages.
char *coldMemory(int64_t bytes) {
  static char *memory = [] {
    constexpr size_t size = 1 << 30;
    void *address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(address, size, MADV_HUGEPAGE);
    std::memset(address, 0x30, size);
    return static_cast<char *>(address);
  }();
  return bytes <= (1 << 30) ? memory : nullptr;
}

struct Shape {
  const char *target, *format, *compute;
  int64_t rows, k, n;
};

/// As the compiler lays out rows that products read in bf16.
int64_t rowStrideFor(int64_t width) { return ((width + 31) / 32 | 1) * 32; }

void gemm(benchmark::State &state, Shape s) {
  CpuTarget target = testTarget(s.target);
  bool inBF16 = s.compute[0] == 'b', isSplit = std::strcmp(s.compute, "bf16x2") == 0;
  int64_t panel = target.panel(), step = inBF16 ? 2 : 1, width = isSplit ? 2 * s.k : s.k;
  int64_t stride = inBF16 ? rowStrideFor(width) : width;
  int64_t elementBytes = s.format[0] == 'b' ? 2 : s.format[1] == '8' ? 1 : 4;
  int64_t panels = (s.n + panel - 1) / panel, bytes = panels * panel * s.k * elementBytes;
  bool scaled = elementBytes == 1;
  int64_t scaleCount = scaled ? (s.n + 127) / 128 * ((s.k + 127) / 128) : 0;
  std::string scale = scaled ? llvm::formatv(", memref<{0}xf32>", scaleCount).str() : "";
  std::string text = llvm::formatv(
      "module {{\nexec.kernel @gemm(%a: {12}, %w: memref<{2}xi8>{3}, %c: memref<?x{4}xf32>) rows "
      "[#exec.extent<tokens>, #exec.extent<{2}>{5}, #exec.extent<tokens>] {{\nkernel.gemm %a, %w{6} to %c {{packing = "
      "#kernel.packing<{7}, n = {4}, k = {0}, panel = {8}, step = {9}, batch = 1, swiglu = false, blocks = {10}>, "
      "compute = #kernel<compute {1}>, activation = #kernel<activation none>} : {12}, "
      "memref<{2}xi8>{11}, memref<?x{4}xf32>\n}\n}\n",
      s.k, s.compute, bytes, scaled ? llvm::formatv(", %s: memref<{0}xf32>", scaleCount).str() : "", s.n,
      scaled ? llvm::formatv(", #exec.extent<{0}>", scaleCount).str() : "", scaled ? " scales %s" : "", s.format, panel,
      step, scaled ? "128 x 128" : "0 x 0", scale,
      llvm::formatv("memref<?x{0}x{1}, strided<[{2}, 1], offset: ?>>", width, inBF16 ? "bf16" : "f32", stride).str());
  Kernels kernels(s.target, text);
  elah_cpu_kernel kernel = kernels.find("gemm");

  Random random(1);
  std::vector<uint16_t> narrow(s.rows * stride);
  std::vector<float> wide = random.numbers(s.rows * stride);
  for (size_t i = 0; i < wide.size(); ++i) {
    narrow[i] = toBF16(wide[i]);
  }
  auto narrowInput = bufferOf(narrow), wideInput = bufferOf(wide);
  auto scales = bufferOf(random.numbers(scaleCount));
  Buffer output(s.rows * s.n * 4), scratch(kernels.object.scratchBytes.lookup("gemm"));
  int64_t dims[ELAH_DIM_COUNT] = {s.rows, 1, 1, 1, 1};
  int64_t copies = (int64_t(1) << 30) / bytes, next = 0;
  bool isDecode = s.rows <= 8;
  bool hasTiles = inBF16 && target.hasAmxBF16;
  void (*limit)() = hasTiles ? tileProducts : inBF16 ? bf16Dots : panel == 64 ? wideMultiplyAdds : multiplyAdds;
  double operations = hasTiles ? 16384.0 * static_cast<double>(rounds)
                               : 12.0 * static_cast<double>(rounds) *
                                     (inBF16        ? 64
                                      : panel == 64 ? 32
                                                    : 16);

  double best = 1e30, bestLimit = 1e30;
  for (auto _ : state) {
    char *weights = coldMemory(bytes) + next * bytes;
    next = isDecode ? (next + 1) % copies : 0;
    std::vector<void *> buffers = {inBF16 ? narrowInput->data() : wideInput->data(), weights};
    if (scaled) {
      buffers.push_back(scales->data());
    }
    buffers.push_back(output.data());
    double time = seconds([&] { kernel(buffers.data(), dims, 0, panels, scratch.data()); });
    state.SetIterationTime(time);
    best = std::min(best, time);
    if (isDecode) {
      char *other = coldMemory(bytes) + next * bytes;
      next = (next + 1) % copies;
      bestLimit = std::min(bestLimit, seconds([&] { readAll(other, bytes); }) / static_cast<double>(bytes));
    } else {
      bestLimit = std::min(bestLimit, seconds(limit) / operations);
    }
  }
  double work = isDecode ? static_cast<double>(bytes) : 2.0 * static_cast<double>(s.rows * s.k * s.n);
  state.counters[isDecode ? "GB/s" : "GFLOP/s"] = work / best * 1e-9;
  state.counters["limit"] = 1e-9 / bestLimit;
  state.counters["of_limit"] = work / best * bestLimit;
}

struct AttentionShape {
  const char *name, *target, *cache, *compute;
  int64_t heads, kvHeads, keyDim, valueDim; ///< Of latent attention: head groups, and a value is the key's beginning.
  bool isLatent;
  int64_t tokens, context; ///< The last `tokens` of one sequence.
};

void attention(benchmark::State &state, AttentionShape s) {
  CpuTarget target = testTarget(s.target);
  bool isF32 = std::string(s.cache) == "f32";
  int64_t groups = s.isLatent ? 1 : s.kvHeads, keyRow = groups * s.keyDim, valueRow = groups * s.valueDim;
  int64_t pageTokens = 64, rows = (s.context + pageTokens - 1) / pageTokens * pageTokens;
  std::string pools =
      s.isLatent ? llvm::formatv("%k: memref<?x{0}x{1}>", keyRow, s.cache).str()
                 : llvm::formatv("%k: memref<?x{0}x{2}>, %v: memref<?x{1}x{2}>", keyRow, valueRow, s.cache).str();
  std::string poolTypes = s.isLatent
                              ? llvm::formatv("memref<?x{0}x{1}>", keyRow, s.cache).str()
                              : llvm::formatv("memref<?x{0}x{2}>, memref<?x{1}x{2}>", keyRow, valueRow, s.cache).str();
  std::string shape =
      s.isLatent
          ? llvm::formatv("rank = {0}, rope_dim = {1}, head_groups = {2}", s.valueDim, s.keyDim - s.valueDim, s.kvHeads)
                .str()
          : llvm::formatv("kv_heads = {0}, head_dim = {1}, value_dim = {2}", s.kvHeads, s.keyDim, s.valueDim).str();
  std::string text = llvm::formatv(
      "module {{\nexec.kernel @attention(%q: memref<?x{0}xf32>, {1}, %p: memref<?xi32>, %s: memref<?xi32>, %t: "
      "memref<?xi32>, %o: memref<?x{2}xf32>) rows [#exec.extent<tokens>, #exec.extent<cache_rows>, {3}"
      "#exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<sequences>, #exec.extent<tokens>] {{\nkernel.{4} %q, "
      "{5} "
      "at %p, %s, %t to %o {{heads = {6}, {7}, scale = 0.07, page_tokens = {8}, compute = #kernel<compute {9}>} : "
      "memref<?x{0}xf32>, {10}, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x{2}xf32>\n}\n}\n",
      s.heads * s.keyDim, pools, s.heads * s.valueDim, s.isLatent ? "" : "#exec.extent<cache_rows>, ",
      s.isLatent ? "latent_attention" : "attention", s.isLatent ? "%k" : "%k, %v", s.heads, shape, pageTokens,
      s.compute, poolTypes);
  Kernels kernels(s.target, text);
  elah_cpu_kernel kernel = kernels.find("attention");

  // In large pages, as the runtime has it.
  Random random(1);
  int64_t used = 0;
  auto place = [&](const auto &values) {
    char *address = coldMemory(used) + used;
    std::memcpy(address, values.data(), values.size() * sizeof(values[0]));
    used += llvm::alignTo(values.size() * sizeof(values[0]), 4096);
    return static_cast<void *>(address);
  };
  auto pool = [&](int64_t count) {
    std::vector<float> numbers = random.numbers(count);
    if (isF32) {
      return place(numbers);
    }
    std::vector<uint16_t> narrow;
    for (float number : numbers) {
      narrow.push_back(toBF16(number));
    }
    return place(narrow);
  };
  std::vector<int32_t> positions, pages;
  for (int64_t i = s.context - s.tokens; i < s.context; ++i) {
    positions.push_back(static_cast<int32_t>(i));
  }
  for (int64_t i = 0; i < rows / pageTokens; ++i) {
    pages.push_back(static_cast<int32_t>(rows / pageTokens - 1 - i));
  }
  std::vector<void *> buffers = {place(random.numbers(s.tokens * s.heads * s.keyDim)), pool(rows * keyRow)};
  if (!s.isLatent) {
    buffers.push_back(pool(rows * valueRow));
  }
  buffers.push_back(place(positions));
  buffers.push_back(place(std::vector<int32_t>(s.tokens)));
  buffers.push_back(place(pages));
  buffers.push_back(place(std::vector<float>(s.tokens * s.heads * s.valueDim)));
  void *scratch = place(std::vector<char>(kernels.object.scratchBytes.lookup("attention")));
  int64_t dims[ELAH_DIM_COUNT] = {s.tokens, 1, 1, rows, rows / pageTokens};
  bool hasTiles = target.hasAmxBF16 && std::string(s.compute) != "f32";
  void (*limit)() = hasTiles ? tileProducts : target.vectorBits == 512 ? wideMultiplyAdds : multiplyAdds;
  double operations = static_cast<double>(rounds) * (hasTiles ? 16384.0 : 24.0 * target.lanes());
  double best = 1e30, bestLimit = 1e30;
  for (auto _ : state) {
    double time = seconds([&] { kernel(buffers.data(), dims, 0, s.tokens * s.kvHeads, scratch); });
    state.SetIterationTime(time);
    best = std::min(best, time);
    bestLimit = std::min(bestLimit, seconds(limit) / operations);
  }
  // What the mask leaves, with no part counted twice.
  double seen =
      static_cast<double>(s.tokens) * (static_cast<double>(s.context) - static_cast<double>(s.tokens - 1) / 2);
  double work = 2 * seen * static_cast<double>(s.heads * (s.keyDim + s.valueDim));
  state.counters["ms"] = best * 1e3;
  state.counters["GFLOP/s"] = work / best * 1e-9;
  state.counters["limit"] = 1e-9 / bestLimit;
  state.counters["of_limit"] = work / best * bestLimit;
}

} // namespace

int main(int argc, char **argv) {
  std::vector<Shape> shapes;
  for (const char *target : {"x86-64-v3", "x86-64-v4", "bf16-dot", "host"}) {
    CpuTarget cpu = testTarget(target);
    std::vector<const char *> computes = {"f32"};
    if (cpu.hasBF16Dot) {
      computes = {"bf16", "bf16x2"};
    }
    for (const char *format : {"bf16", "f8"}) {
      for (const char *compute : computes) {
        for (auto [k, n] : {std::pair<int64_t, int64_t>{2048, 5632}, {1536, 8960}, {7168, 2048}}) {
          for (int64_t rows : {1, 4, 16, 64, 512}) {
            shapes.push_back({target, format, compute, rows, k, n});
          }
        }
      }
    }
  }
  std::vector<std::string> names = runnableTargets();
  for (const Shape &shape : shapes) {
    if (std::find(names.begin(), names.end(), shape.target) != names.end()) {
      std::string name = llvm::formatv("gemm/{0}/{1}/{2}/rows:{3}/k:{4}/n:{5}", shape.target, shape.format,
                                       shape.compute, shape.rows, shape.k, shape.n);
      benchmark::RegisterBenchmark(name.c_str(), [shape](benchmark::State &state) { gemm(state, shape); })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond)
          ->MinTime(0.3);
    }
  }
  std::vector<AttentionShape> attentionShapes;
  for (auto [tokens, context] : {std::pair<int64_t, int64_t>{512, 512}, {512, 4096}, {1, 512}, {1, 4096}}) {
    for (auto [cache, compute] :
         {std::pair("f32", "f32"), {"bf16", "f32"}, {"f32", "bf16x2"}, {"bf16", "bf16x2"}, {"bf16", "bf16"}}) {
      for (const char *target : {"x86-64-v3", "x86-64-v4", "host"}) {
        if ((std::string(compute) == "f32") != (std::string(target) == "host")) {
          attentionShapes.push_back({"r1-small", target, cache, compute, 16, 4, 576, 512, true, tokens, context});
          attentionShapes.push_back({"r1", target, cache, compute, 128, 8, 576, 512, true, tokens, context});
          attentionShapes.push_back({"qwen-1.5b", target, cache, compute, 12, 2, 128, 128, false, tokens, context});
        }
      }
    }
  }
  for (const AttentionShape &shape : attentionShapes) {
    if (std::find(names.begin(), names.end(), shape.target) != names.end()) {
      std::string name = llvm::formatv("attention/{0}/{1}/cache:{2}/{3}/tokens:{4}/context:{5}", shape.name,
                                       shape.target, shape.cache, shape.compute, shape.tokens, shape.context);
      benchmark::RegisterBenchmark(name.c_str(), [shape](benchmark::State &state) { attention(state, shape); })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond)
          ->MinTime(0.3);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
