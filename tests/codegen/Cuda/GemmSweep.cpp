// Every schedule of the GEMM families' space, which takes hours:
//   gemm_sweep run [I/N]    right and clean in lazy and in random order, each on three small shapes or more
//   gemm_sweep gates [I/N]  compiled within the gates (no spills, no remarks of the assembler) at R1's shapes
// With I/N only the I-th of N parts, I from 0. Prints what is wrong, and how much was tried; fails if anything is
// wrong.
#include "codegen/Cuda/Bf16Gemm.h"
#include "codegen/Cuda/CompileKernels.h"
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/GroupedGemm.h"
#include "codegen/Cuda/KernelCache.h"
#include "tests/codegen/Cuda/GemmCase.h"
#include <cstdio>
#include <map>

namespace elah::cuda {
namespace {

/// A product, and how many tokens of how many there can be.
struct Case {
  const char *family;
  GemmProblem problem;
  int64_t tokens, bucket;
};

using enum GemmOutput;

std::vector<Case> smallCases() {
  auto fp8 = [](int64_t columns, int64_t depth, GemmOutput output, bool hasBias = false) {
    return Fp8GemmShape{.columns = columns, .depth = depth, .output = output, .hasBias = hasBias}.problem();
  };
  auto bf16 = [](int64_t columns, int64_t depth, GemmOutput output, bool hasBias = false) {
    return Bf16GemmShape{.columns = columns, .depth = depth, .output = output, .hasBias = hasBias}.problem();
  };
  auto head = [](int64_t heads, int64_t columns, int64_t depth, int64_t inputStride, int64_t outputStride) {
    return HeadGemmShape{
        .heads = heads, .columns = columns, .depth = depth, .inputStride = inputStride, .outputStride = outputStride}
        .problem();
  };
  auto grouped = [](GemmElement element, int64_t experts, int64_t columns, int64_t depth, GemmOutput output) {
    return GroupedGemmShape{
        .element = element, .experts = experts, .columns = columns, .depth = depth, .output = output, .rowsOfToken = 2}
        .problem();
  };
  std::vector<Case> cases;
  for (GemmOutput output : {BF16, F32, F32Add}) {
    cases.push_back({"fp8_gemm", fp8(320, 256, output), 200, 256});
    cases.push_back({"fp8_gemm", fp8(576, 1152, output), 300, 320});
    cases.push_back({"fp8_gemm", fp8(272, 680, output, output != F32Add), 131, 131});
    cases.push_back({"bf16_gemm", bf16(320, 256, output), 200, 256});
    cases.push_back({"bf16_gemm", bf16(576, 520, output), 300, 320});
    cases.push_back({"bf16_gemm", bf16(272, 328, output, true), 131, 131});
  }
  for (int64_t columns : {80, 384, 640}) {
    cases.push_back({"fp8_gemm", fp8(columns, 640, SwigluF8, columns == 80), 130, 256});
  }
  cases.push_back({"bf16_gemm", bf16(64, 256, SwigluBF16), 200, 256});
  cases.push_back({"bf16_gemm", bf16(328, 520, SwigluBF16), 300, 320});
  cases.push_back({"bf16_gemm", bf16(136, 328, SwigluBF16, true), 131, 131});
  cases.push_back({"head_gemm", head(8, 96, 32, 48, 112), 200, 256});
  cases.push_back({"head_gemm", head(3, 256, 128, 192, 328), 300, 320});
  cases.push_back({"head_gemm", head(5, 200, 136, 136, 200), 131, 131});
  for (GemmElement element : {GemmElement::F8, GemmElement::BF16}) {
    const GemmOutput swiglu = element == GemmElement::F8 ? SwigluF8 : SwigluBF16;
    const char *family = element == GemmElement::F8 ? "fp8_grouped_gemm" : "bf16_grouped_gemm";
    cases.push_back({family, grouped(element, 17, 64, 256, swiglu), 77, 128});
    // Quantized rows are copied in pieces of 16 columns, others in pieces of 8.
    const int64_t piece = element == GemmElement::F8 ? 8 : 0;
    cases.push_back({family, grouped(element, 5, 328 + piece, 520, swiglu), 300, 320});
    cases.push_back({family, grouped(element, 3, 136 + piece, 200, swiglu), 131, 131});
    cases.push_back({family, grouped(element, 17, 256, 64, BF16), 77, 128});
    cases.push_back({family, grouped(element, 5, 520, 328, BF16), 300, 320});
    cases.push_back({family, grouped(element, 3, 200, 136, BF16), 131, 131});
  }
  return cases;
}

/// R1's, at the sizes of steps that its space differs in.
std::vector<Case> r1Cases() {
  std::vector<Case> cases;
  for (int64_t tokens : {64, 128, 4096}) {
    for (auto [columns, depth, output] :
         {std::tuple(2112, 7168, BF16), std::tuple(24576, 1536, BF16), std::tuple(7168, 16384, F32Add),
          std::tuple(2048, 7168, SwigluF8), std::tuple(18432, 7168, SwigluF8), std::tuple(7168, 18432, F32Add)}) {
      Fp8GemmShape shape{.columns = columns, .depth = depth, .output = output};
      cases.push_back({"fp8_gemm", shape.problem(), tokens, tokens});
    }
    Bf16GemmShape router{.columns = 256, .depth = 7168, .output = F32};
    cases.push_back({"bf16_gemm", router.problem(), tokens, tokens});
    Bf16GemmShape logits{.columns = 129280, .depth = 7168, .output = F32, .rows = GemmRows::LogitRows};
    cases.push_back({"bf16_gemm", logits.problem(), tokens, tokens});
    HeadGemmShape absorb{.heads = 128, .columns = 512, .depth = 128, .inputStride = 192, .outputStride = 576};
    cases.push_back({"head_gemm", absorb.problem(), tokens, tokens});
    HeadGemmShape values{.heads = 128, .columns = 128, .depth = 512, .inputStride = 512, .outputStride = 128};
    cases.push_back({"head_gemm", values.problem(), tokens, tokens});
    GroupedGemmShape up{.experts = 257, .columns = 2048, .depth = 7168, .output = SwigluF8, .rowsOfToken = 9};
    cases.push_back({"fp8_grouped_gemm", up.problem(), tokens, tokens});
    GroupedGemmShape down{.experts = 257, .columns = 7168, .depth = 2048, .rowsOfToken = 9};
    cases.push_back({"fp8_grouped_gemm", down.problem(), tokens, tokens});
  }
  return cases;
}

const CudaTarget &h800 = *findCudaTarget("h800");

std::vector<GemmSchedule> schedulesOf(const Case &known) {
  return legalGemmSchedules(known.problem, known.bucket * known.problem.rowsOfToken, h800);
}

int runAll(size_t part, size_t parts) {
  size_t index = 0, tried = 0, wrong = 0;
  std::map<std::string, size_t> triedOf;
  for (const Case &known : smallCases()) {
    std::optional<GemmCase> gemm;
    for (GemmSchedule schedule : schedulesOf(known)) {
      if (index++ % parts != part) {
        continue;
      }
      if (!gemm) {
        gemm.emplace(known.problem, known.tokens, known.bucket);
      }
      // Few blocks, so that each has several tiles; with parts of k as many as there are.
      schedule.blocks = schedule.splits > 1 ? 132 : 6;
      std::string complaints = checkGemm(*gemm, specializeGemm(known.family, known.problem, schedule), testOrders(1));
      ++tried;
      ++triedOf[known.family];
      wrong += !complaints.empty();
      if (!complaints.empty()) {
        std::printf("%s", complaints.c_str());
      }
      if (tried % 25 == 0) {
        std::printf("%zu tried, %zu wrong\n", tried, wrong);
      }
      std::fflush(stdout);
    }
  }
  for (const auto &[family, count] : triedOf) {
    std::printf("%s: %zu kernels\n", family.c_str(), count);
  }
  std::printf("%zu kernels of %zu, each in lazy and random order: %zu wrong\n", tried, index, wrong);
  return wrong != 0;
}

int compileAll(size_t part, size_t parts) {
  std::map<std::string, KernelSpec> specs;
  for (const Case &known : r1Cases()) {
    for (const GemmSchedule &schedule : schedulesOf(known)) {
      KernelSpec spec = specializeGemm(known.family, known.problem, schedule);
      specs.emplace(spec.symbol, spec);
    }
  }
  std::vector<KernelSpec> mine;
  size_t index = 0;
  for (const auto &[symbol, spec] : specs) {
    if (index++ % parts == part) {
      mine.push_back(spec);
    }
  }
  CompileKernelsOptions options;
  options.cacheFolder = KernelCache::defaultFolder();
  options.onProgress = [](size_t done, size_t total) {
    if (done % 25 == 0) {
      std::printf("%zu of %zu\n", done, total);
      std::fflush(stdout);
    }
  };
  const CompileKernelsOutcome outcome = compileKernels(mine, h800, options);
  for (const std::string &error : outcome.errors) {
    std::printf("%s\n", error.c_str());
  }
  std::printf("%zu kernels of %zu: %zu beyond the gates\n", mine.size(), specs.size(), outcome.errors.size());
  return !outcome.errors.empty();
}

} // namespace
} // namespace elah::cuda

int main(int argc, char **argv) {
  if (std::optional<int> status = elah::cuda::runKernelCompiler(argc, argv)) {
    return *status;
  }
  const std::string mode = argc > 1 ? argv[1] : "";
  size_t part = 0, parts = 1;
  if ((mode != "run" && mode != "gates") || argc > 3 ||
      (argc == 3 && (std::sscanf(argv[2], "%zu/%zu", &part, &parts) != 2 || part >= parts))) {
    std::fprintf(stderr, "usage: gemm_sweep run|gates [I/N]\n");
    return 2;
  }
  return mode == "run" ? elah::cuda::runAll(part, parts) : elah::cuda::compileAll(part, parts);
}
