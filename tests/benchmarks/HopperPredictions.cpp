// What the models of GEMM and attention predict for the shapes that others have measured and published, beside
// their figures (DeepGEMM's and FlashMLA's READMEs on H800 SXM5; sources in RESULTS.md). A prediction, not a
// measurement: no GPU was asked.
//   HopperPredictions [TARGET ...]      h800 by default
#include "codegen/Cuda/AttentionTime.h"
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/GroupedGemm.h"
#include <cstdio>

using namespace elah;
using namespace elah::cuda;

namespace {

struct Dense {
  int64_t columns, depth;
  double published[3]; ///< Microseconds for 64, 128 and 4096 rows.
};
constexpr Dense denseShapes[] = {
    {2112, 7168, {9.4, 11.0, 123}},   {24576, 1536, {16.7, 18.1, 275}}, {32768, 512, {9.8, 12.0, 183}},
    {7168, 16384, {44.7, 46.6, 675}}, {4096, 7168, {13.1, 14.1, 190}},  {7168, 2048, {6.4, 7.4, 103}},
};
constexpr int64_t denseRows[] = {64, 128, 4096};

struct Grouped {
  int64_t experts, rowsOfExpert, columns, depth;
  double published; ///< TFLOPS
};
constexpr Grouped groupedShapes[] = {
    {4, 8192, 4096, 7168, 1346}, {4, 8192, 7168, 2048, 1214}, {8, 4096, 4096, 7168, 1346}, {8, 4096, 7168, 2048, 1214},
    {1, 1024, 4096, 7168, 1233}, {1, 1024, 7168, 2048, 925},  {2, 512, 4096, 7168, 1040},  {2, 512, 7168, 2048, 916},
    {4, 256, 4096, 7168, 932},   {4, 256, 7168, 2048, 815},
};

/// Decode: heads, new tokens of each of 128 sequences, context, and what was published, in microseconds; 0: nothing
/// was.
struct Decode {
  int64_t heads, tokens, context;
  double published;
  const char *source;
};
constexpr Decode decodeSteps[] = {
    {128, 1, 4096, 221.5, "FlashMLA, H800: 660 TFLOPS where compute bounds"},
    {128, 2, 4096, 443.0, "the same"},
    {128, 1, 32768, 1772, "the same"},
    {64, 1, 4096, 223, "a user's H100, the first FlashMLA"},
    {16, 1, 4096, 215, "the same"},
};

void print(const char *shape, double seconds, double flops, double publishedSeconds, const GemmSchedule &schedule) {
  std::printf("| %-26s | %8.1f | %6.0f | %8.1f | %5.2f | %s |\n", shape, seconds * 1e6, flops / seconds / 1e12,
              publishedSeconds * 1e6, publishedSeconds / seconds, schedule.describe().c_str());
}

void predict(const CudaTarget &target) {
  std::printf("%s, predicted\n\n", std::string(target.name).c_str());
  std::printf("| rows x columns x k         | us       | TFLOPS | H800, us | ratio | schedule |\n");
  std::printf("|----------------------------|----------|--------|----------|-------|----------|\n");
  char shape[64];
  for (const Dense &dense : denseShapes) {
    for (size_t i = 0; i < 3; ++i) {
      Fp8GemmShape gemm{.columns = dense.columns, .depth = dense.depth, .output = GemmOutput::BF16};
      GemmSchedule schedule = chooseGemmSchedule(gemm.problem(), denseRows[i], target);
      double seconds = predictGemmSeconds(gemm.problem(), schedule, denseRows[i], target);
      std::snprintf(shape, sizeof shape, "%lld x %lld x %lld", static_cast<long long>(denseRows[i]),
                    static_cast<long long>(dense.columns), static_cast<long long>(dense.depth));
      print(shape, seconds, 2.0 * static_cast<double>(denseRows[i] * dense.columns * dense.depth),
            dense.published[i] * 1e-6, schedule);
    }
  }
  for (const Grouped &grouped : groupedShapes) {
    GroupedGemmShape gemm;
    gemm.experts = grouped.experts;
    gemm.columns = grouped.columns;
    gemm.depth = grouped.depth;
    const int64_t rows = grouped.experts * grouped.rowsOfExpert;
    GemmSchedule schedule = chooseGemmSchedule(gemm.problem(), rows, target);
    double flops = 2.0 * static_cast<double>(rows * grouped.columns * grouped.depth);
    std::snprintf(shape, sizeof shape, "%lld x %lld x %lld x %lld", static_cast<long long>(grouped.experts),
                  static_cast<long long>(grouped.rowsOfExpert), static_cast<long long>(grouped.columns),
                  static_cast<long long>(grouped.depth));
    print(shape, predictGemmSeconds(gemm.problem(), schedule, rows, target), flops, flops / (grouped.published * 1e12),
          schedule);
  }
  std::printf("\n");
}

void predictAttention(const CudaTarget &target) {
  std::printf("%s, predicted\n\n", std::string(target.name).c_str());
  std::printf("| attention                      | us       | TFLOPS | TB/s | published, us | ratio | whose |\n");
  std::printf("|--------------------------------|----------|--------|------|---------------|-------|-------|\n");
  auto row = [](const std::string &name, double seconds, double flops, double bytes, double published,
                const char *source) {
    std::printf("| %-30s | %8.1f | %6.0f | %4.2f | %13.1f | %5.2f | %s |\n", name.c_str(), seconds * 1e6,
                flops / seconds / 1e12, bytes / seconds / 1e12, published, published / (seconds * 1e6), source);
  };
  for (const Decode &decode : decodeSteps) {
    LatentAttentionShape shape{.heads = decode.heads};
    AttendedStep step{.sequences = 128, .tokens = decode.tokens, .context = decode.context};
    auto schedule = chooseLatentAttentionSchedule(shape, step.sequences * step.tokens, step.context, target);
    // Whole scores, as the published figures count them.
    const double seen = static_cast<double>(step.sequences * step.context);
    row("MLA decode, " + std::to_string(decode.heads) + " heads, " + std::to_string(decode.tokens) + " x " +
            std::to_string(decode.context),
        predictLatentAttentionSeconds(shape, schedule, step, target).whole(),
        2.0 * seen * static_cast<double>(decode.tokens * decode.heads * (576 + 512)), seen * 1152, decode.published,
        decode.source);
  }
  // The trace's forward left 20 of 132 multiprocessors to communication; its time is scaled to all of them.
  AttentionShape shape{.heads = 128, .kvHeads = 128, .headDim = 192, .valueDim = 128};
  row("prefill 4096, 128 heads of 192", predictAttentionSeconds(shape, {2, 2, 1}, {1, 4096, 4096}, target).whole(),
      4096.0 * 4096 * (192 + 128) * 128, 4096.0 * 128 * (192 + 128) * 2, 1240 * 112 / 132.0,
      "FlashAttention-3 in an H800's trace, 112 of 132 multiprocessors, scaled");
  std::printf("\n");
}

} // namespace

int main(int argc, char **argv) {
  for (int i = argc > 1 ? 1 : 0; i < argc; ++i) {
    const char *name = argc > 1 ? argv[i] : "h800";
    const CudaTarget *target = findCudaTarget(name);
    if (!target) {
      std::fprintf(stderr, "error: unknown target '%s': expected one of %s\n", name, cudaTargetNames().c_str());
      return 2;
    }
    predict(*target);
    predictAttention(*target);
  }
}
