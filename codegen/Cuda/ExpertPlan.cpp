#include "codegen/Cuda/ExpertPlan.h"

namespace elah::cuda {

namespace {

/// Of static shared memory, less the sums of threads.
constexpr int64_t countBytes = 48 * 1024 - 4096;

} // namespace

unsigned expertPlanWarps(const ExpertPlanShape &shape) {
  unsigned warps = 32;
  while (warps > 1 && warps * shape.experts * 4 > countBytes) {
    warps /= 2;
  }
  return warps;
}

std::string whyNoExpertPlan(const ExpertPlanShape &shape) {
  return shape.experts * 4 > countBytes ? "found " + std::to_string(shape.experts) + " experts, expected at most " +
                                              std::to_string(countBytes / 4) + ", whose counts fit into a block"
                                        : "";
}

KernelSpec specializeExpertPlan(const ExpertPlanShape &shape, unsigned warps) {
  KernelText text("expert_plan");
  text.operand("const int", "experts").operand("int", "offsets").operand("int", "gather").operand("int", "slots");
  text.shape("experts", shape.experts).shape("chosen", shape.chosen).shape("warps", int64_t(warps));
  return text.finish("", 32 * warps, KernelGrid(), std::to_string(warps) + " warps");
}

} // namespace elah::cuda
