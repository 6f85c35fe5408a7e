// The schedule of kernels whose rows are independent, and how it is chosen. Counterpart: kernels/rows.cuh.
#ifndef CODEGEN_CUDA_ROWSCHEDULE_H
#define CODEGEN_CUDA_ROWSCHEDULE_H

#include "codegen/Cuda/KernelText.h"

namespace elah::cuda {

struct RowSchedule {
  unsigned threadsPerRow = 32; ///< A multiple of 32.
  unsigned rowsPerBlock = 1;   ///< More than one only with 32 threads a row.

  unsigned threads() const { return threadsPerRow * rowsPerBlock; }
  std::string describe() const;
};

/// For rows of so many units, each of which a thread handles at once: a thread has up to four, so that its loads are
/// under way together, and a warp is the least that a row has.
std::vector<RowSchedule> legalRowSchedules(int64_t units);
RowSchedule chooseRowSchedule(int64_t units);

/// The most values, up to `most` and a power of two, that all of these numbers are multiples of.
int64_t accessWidth(int64_t most, std::initializer_list<int64_t> multiples);

KernelSpec finishRows(KernelText &text, const RowSchedule &schedule, const Extent &rows);

} // namespace elah::cuda

#endif
