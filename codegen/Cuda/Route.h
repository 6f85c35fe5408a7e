#ifndef CODEGEN_CUDA_ROUTE_H
#define CODEGEN_CUDA_ROUTE_H

#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.route. Operands: logits f32[T, experts], bias f32[experts] (if there is one), chosen i32[T, topK + shared],
/// weights f32[T, topK + shared].
struct RouteShape {
  bool isSigmoid = true; ///< Scores are sigmoids, not a softmax.
  int64_t experts = 0, groups = 1, topGroups = 1, topK = 1;
  bool isTop2 = true;       ///< A group's rank is the sum of its two best.
  bool isNormalized = true; ///< Weights are divided by their sum.
  int64_t shared = 0;
  bool hasBias = false;
  double scale = 1;
};

/// Empty, or what was found and expected.
std::string whyNoRoute(const RouteShape &shape);

/// A warp has a token; a block has `tokensPerBlock` of them.
KernelSpec specializeRoute(const RouteShape &shape, unsigned tokensPerBlock = 4);

} // namespace elah::cuda

#endif
