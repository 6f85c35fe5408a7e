// What the model that chooses GEMM schedules predicts for the shapes that others have measured and published, beside
// their figures (DeepGEMM's README on H800 SXM5, NVCC 12.8; sources in RESULTS.md). A prediction, not a measurement: no
// GPU was asked.
//   HopperPredictions [TARGET ...]      h800 by default
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
  }
}
