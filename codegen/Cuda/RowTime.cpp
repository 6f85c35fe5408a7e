// Kernels of rows (norms, rotations, routing, copies) wait for memory, and mostly for the launch before them: what a
// launch costs and the bandwidth are those of all models (codegen/Cuda/TimeModel.h). What one kernel writes
// and the next reads is in L2 as long as it fits there.
#include "codegen/Cuda/RowTime.h"
#include "codegen/Cuda/TimeModel.h"
#include <algorithm>

namespace elah::cuda {

double predictRowSeconds(double bytes, const CudaTarget &target) {
  const double clock = target.tensorMhz * 1e6;
  const double fromMemory = timeModel::memoryEfficiency * static_cast<double>(target.memoryBandwidth);
  const double fromL2 = std::max(fromMemory, timeModel::l2Efficiency * target.l2BytesPerClock * clock);
  // Half of it, for others want to stay there, too.
  const double bandwidth = bytes < static_cast<double>(target.l2Bytes) / 2 ? fromL2 : fromMemory;
  return bytes / bandwidth + timeModel::fillCycles / clock + timeModel::launchSeconds;
}

} // namespace elah::cuda
