#ifndef CODEGEN_CUDA_SAMPLE_H
#define CODEGEN_CUDA_SAMPLE_H

#include "codegen/Cuda/KernelText.h"
#include "codegen/Target/CudaTarget.h"

namespace elah::cuda {

/// Draws a token from each row of logits, as elah_sample does. Operands: logits f32[logit rows, vocabulary], draws
/// [logit rows], tokens i32[logit rows], -1 where a logit is no number.
struct SampleShape {
  int64_t vocabulary = 0;
};

/// What a row's draw depends on. The parameters are within elah_sample's bounds.
struct Draw {
  float temperature = 0; ///< 0: greedy.
  float topP = 1;
  uint32_t topK = 0; ///< 0: all.
  uint64_t seed = 0, step = 0;
};

/// A cluster of blocks has a row, and keeps it in its shared memory.
struct SampleSchedule {
  unsigned threads = 512, cluster = 1;

  std::string describe() const;
};

/// Empty, or what was found and expected.
std::string whyNoSample(const SampleShape &shape, const CudaTarget &target);

/// A block has at least 1024 tokens, and at most what its shared memory holds.
std::vector<SampleSchedule> legalSampleSchedules(const SampleShape &shape, const CudaTarget &target);
/// As many blocks as a cluster may have: few rows are drawn from at once, and a pass over a row takes as long as one
/// block's part of it.
SampleSchedule chooseSampleSchedule(const SampleShape &shape, const CudaTarget &target);

KernelSpec specializeSample(const SampleShape &shape, const SampleSchedule &schedule);

} // namespace elah::cuda

#endif
