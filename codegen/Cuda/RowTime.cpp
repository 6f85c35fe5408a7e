// Kernels of rows (norms, rotations, routing, copies) wait for memory, and mostly for the launch before them: what a
// launch costs and the bandwidth are those of the GEMM model (codegen/Cuda/GemmSchedule.cpp). What one kernel writes
// and the next reads is in L2 as long as it fits there.
#include "codegen/Cuda/RowTime.h"
#include <algorithm>

namespace elah::cuda {

double predictRowSeconds(double bytes, const CudaTarget &target) {
  const double clock = target.tensorMhz * 1e6;
  const double fromMemory = 0.87 * static_cast<double>(target.memoryBandwidth);
  const double fromL2 = std::max(fromMemory, 0.5 * target.l2BytesPerClock * clock);
  // Half of it, for others want to stay there, too.
  const double bandwidth = bytes < static_cast<double>(target.l2Bytes) / 2 ? fromL2 : fromMemory;
  return bytes / bandwidth + 2000 / clock + 1.4e-6;
}

} // namespace elah::cuda
