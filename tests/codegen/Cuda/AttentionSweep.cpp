// Every schedule of attention's space, for grouped heads and for latents, which takes an hour:
//   attention_sweep attention|latent [I/N]
// Right and clean in lazy and in random order, each on three steps: of decoding, of ragged prefill, and of both. With
// I/N only the I-th of N parts, I from 0. Prints what is wrong, and how much was tried; fails if anything is wrong.
#include "codegen/Cuda/Attention.h"
#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include <cmath>
#include <cstdio>
#include <cstring>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");

/// Lengths around a page's, chunks that fill no tile; one group that many parts share.
const std::vector<SequenceStep> steps[] = {
    {{200, 1}, {63, 1}, {0, 1}, {127, 1}, {700, 1}},
    {{0, 70}, {0, 1}, {37, 45}, {64, 64}},
    {{330, 1}, {64, 20}, {126, 2}, {0, 33}, {90, 1}},
};

class Sweep {
public:
  Sweep(size_t part, size_t parts) : part(part), parts(parts) {}

  bool takesNext() { return index++ % parts == part; }
  void note(const std::string &complaints) {
    ++tried;
    wrong += !complaints.empty();
    std::printf("%s", complaints.c_str());
    if (tried % 25 == 0) {
      std::printf("%zu tried, %zu wrong\n", tried, wrong);
    }
    std::fflush(stdout);
  }
  int finish() const {
    std::printf("%zu schedules of %zu, each on %zu steps in lazy and random order: %zu wrong\n", tried, index,
                std::size(steps), wrong);
    return wrong != 0;
  }

private:
  size_t part, parts, index = 0, tried = 0, wrong = 0;
};

template <typename Case> std::string check(std::vector<Case> &cases, const std::vector<KernelSpec> &kernels) {
  std::string complaints;
  for (Case &one : cases) {
    complaints += one.check(kernels, testOrders(1));
  }
  return complaints;
}

/// The distills' heads (DeepSeek-R1-Distill-Qwen 1.5B, 7B, 14B and 32B, Llama 8B, 70B), others' widths, and those of
/// R1 in the expanded form.
int sweepAttention(Sweep sweep) {
  const double scale = 1 / std::sqrt(128.0);
  for (const AttentionShape &shape : {AttentionShape{12, 2, 128, 128, scale},
                                      {28, 4, 128, 128, scale},
                                      {40, 8, 128, 128, scale},
                                      {32, 8, 128, 128, scale},
                                      {64, 8, 128, 128, scale},
                                      {6, 2, 80, 72, 0.11},
                                      {4, 4, 192, 128, 0.07}}) {
    std::vector<AttentionCase> cases;
    for (const std::vector<SequenceStep> &step : steps) {
      cases.emplace_back(
          AttentionProblem{shape.heads, shape.kvHeads, shape.headDim, shape.valueDim, shape.scale, false}, step,
          AttentionData{.seed = cases.size(), .unusedTokens = 3});
    }
    for (const AttentionSchedule &schedule : legalAttentionSchedules(shape, 4096, h800)) {
      if (sweep.takesNext()) {
        sweep.note(check(cases, specializeAttention(shape, schedule)));
      }
    }
  }
  return sweep.finish();
}

/// R1's heads, whole and among devices, Tiny-R1's, and widths that fill no tile; with caches in bf16 and in FP8.
int sweepLatentAttention(Sweep sweep) {
  for (bool isFp8 : {false, true}) {
    for (LatentAttentionShape shape : {LatentAttentionShape{8, 96, 16, 0.144},
                                       {128, 512, 64, 0.135},
                                       {64, 512, 64, 0.07},
                                       {16, 512, 64, 0.07},
                                       {96, 128, 64, 0.1},
                                       {12, 80, 16, 0.1},
                                       {1, 64, 64, 0.1},
                                       {8, 448, 32, 0.1}}) {
      shape.isFp8 = isFp8;
      std::vector<LatentAttentionCase> cases;
      for (const std::vector<SequenceStep> &step : steps) {
        cases.emplace_back(shape, step, LatentAttentionData{.seed = cases.size(), .unusedTokens = 3});
      }
      for (const LatentAttentionSchedule &schedule : legalLatentAttentionSchedules(shape, h800)) {
        if (sweep.takesNext()) {
          sweep.note(check(cases, specializeLatentAttention(shape, schedule)));
        }
      }
    }
  }
  return sweep.finish();
}

} // namespace
} // namespace elah::cuda

int main(int argc, char **argv) {
  const char *const family = argc > 1 ? argv[1] : "";
  const bool isLatent = std::strcmp(family, "latent") == 0;
  size_t part = 0, parts = 1;
  if ((!isLatent && std::strcmp(family, "attention") != 0) || argc > 3 ||
      (argc == 3 && (std::sscanf(argv[2], "%zu/%zu", &part, &parts) != 2 || part >= parts))) {
    std::fprintf(stderr, "usage: attention_sweep attention|latent [I/N]\n");
    return 2;
  }
  const elah::cuda::Sweep sweep(part, parts);
  return isLatent ? elah::cuda::sweepLatentAttention(sweep) : elah::cuda::sweepAttention(sweep);
}
