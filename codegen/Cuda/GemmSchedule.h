// What all GEMM families share: the product that a kernel computes, the schedules that it may have, which of them are
// legal and why not, and a choice among them. Counterparts on the device: kernels/gemm_config.cuh.
#ifndef CODEGEN_CUDA_GEMMSCHEDULE_H
#define CODEGEN_CUDA_GEMMSCHEDULE_H

#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"
#include <optional>

namespace elah::cuda {

enum class GemmElement { F8, BF16 };
enum class GemmOutput {
  BF16,
  F32,
  F32Add,     ///< Added to what is there: a residual connection.
  SwigluBF16, ///< The weight has the gate's rows, then the up projection's.
  SwigluF8,   ///< The same, quantized with a scale for each row and 128 columns.
};
enum class GemmBatch { None, Heads, Experts };

/// Which number of rows a product has.
enum class GemmRows { Tokens, LogitRows };

/// output[t, c] = sum over k of input[t, k] * weight[c, k] (+ bias[c]), per head or expert.
struct GemmProblem {
  GemmElement element = GemmElement::BF16;
  GemmOutput output = GemmOutput::BF16;
  GemmBatch batch = GemmBatch::None;
  int64_t columns = 0; ///< Of the output.
  int64_t depth = 0;   ///< k
  int64_t batches = 1; ///< Heads or experts.
  GemmRows rows = GemmRows::Tokens;
  int64_t rowsOfToken = 1; ///< Experts: rows for each token.
  int64_t inputPitch = 0;  ///< Elements between rows.
  int64_t inputStride = 0; ///< Elements between heads.
  int64_t inputOffset = 0; ///< Of the first head.
  int64_t outputPitch = 0;
  int64_t outputStride = 0;
  int64_t outputOffset = 0;
  bool hasBias = false;

  bool isSwiglu() const { return output == GemmOutput::SwigluBF16 || output == GemmOutput::SwigluF8; }
  int64_t halves() const { return isSwiglu() ? 2 : 1; }
  int64_t elementBytes() const { return element == GemmElement::F8 ? 1 : 2; }
  int64_t depthBlocks() const { return (depth * elementBytes() + 127) / 128; }
  int64_t weightPitch() const; ///< Elements.
  Extent rowExtent() const;
};

/// Field by field as on the device.
struct GemmSchedule {
  unsigned tileRows = 128;
  unsigned tileColumns = 128; ///< Weight rows, of both halves of a SwiGLU.
  unsigned mathWarpgroups = 2;
  unsigned stages = 4;
  unsigned clusterRows = 1, clusterColumns = 1;
  unsigned splits = 1;
  unsigned rowGroup = 16;
  unsigned blocks = 132; ///< At most: those of the target's multiprocessors.

  unsigned threads() const { return 128 * (mathWarpgroups + 1); }
  std::string describe() const;
  bool operator==(const GemmSchedule &) const = default;
};

/// Dynamic shared memory, as kernels/gemm_config.cuh lays it out.
unsigned gemmSharedBytes(const GemmProblem &problem, const GemmSchedule &schedule);

/// Why the problem has no kernel, whatever the schedule: empty, or found and expected.
std::string whyNoGemm(const GemmProblem &problem);

/// Why a kernel cannot have this schedule: empty if it can. `rows`: the most that it will see.
std::string whyIllegal(const GemmProblem &problem, const GemmSchedule &schedule, int64_t rows,
                       const CudaTarget &target);

/// All schedules that are legal and that the others do not include: of each tile as many stages as fit.
std::vector<GemmSchedule> legalGemmSchedules(const GemmProblem &problem, int64_t rows, const CudaTarget &target);

/// Seconds that the model predicts for `rows` rows.
double predictGemmSeconds(const GemmProblem &problem, const GemmSchedule &schedule, int64_t rows,
                          const CudaTarget &target);

/// The schedule with the smallest prediction.
GemmSchedule chooseGemmSchedule(const GemmProblem &problem, int64_t rows, const CudaTarget &target);

/// Operands: input, input scales (e4m3), weight, weight scales (e4m3), bias, offsets (experts), output, output scales
/// (SwigluF8); those that the problem has.
KernelSpec specializeGemm(const std::string &family, const GemmProblem &problem, const GemmSchedule &schedule);

} // namespace elah::cuda

#endif
