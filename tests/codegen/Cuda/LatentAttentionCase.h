#ifndef TESTS_CODEGEN_CUDA_LATENTATTENTIONCASE_H
#define TESTS_CODEGEN_CUDA_LATENTATTENTIONCASE_H

#include "codegen/Cuda/LatentAttention.h"
#include "tests/codegen/Cuda/AttentionCase.h"

namespace elah::cuda {

using LatentAttentionData = AttentionData;

/// All heads attend to one latent, whose first values are its value.
class LatentAttentionCase : public AttentionCase {
public:
  LatentAttentionCase(const LatentAttentionShape &shape, const std::vector<SequenceStep> &sequences,
                      const LatentAttentionData &data = {})
      : AttentionCase({shape.heads, 1, shape.rank + shape.ropeDim, shape.rank, shape.scale, true, shape.isFp8},
                      sequences, data) {}
};

/// Compiles within the gates, then runs in each of the orders. Empty if all is well.
inline std::string checkLatentAttention(LatentAttentionCase &attention, const LatentAttentionShape &shape,
                                        const LatentAttentionSchedule &schedule, const std::vector<RunOrder> &orders) {
  return attention.check(specializeLatentAttention(shape, schedule), orders);
}

} // namespace elah::cuda

#endif
