// What the models of time take for granted of Hopper, whichever kernel they are of. Fitted to published times:
// DeepGEMM's of FP8 GEMMs on H800 (codegen/Cuda/GemmSchedule.cpp).
#ifndef CODEGEN_CUDA_TIMEMODEL_H
#define CODEGEN_CUDA_TIMEMODEL_H

namespace elah::cuda::timeModel {

constexpr double launchSeconds = 1.4e-6;
/// Cycles until the first tile's data are there, and after the last one's.
constexpr double fillCycles = 2000;
/// Of the memory's bandwidth, and of the L2 cache's.
constexpr double memoryEfficiency = 0.87, l2Efficiency = 0.5;
/// Few blocks cannot ask for all of the memory's bandwidth: bytes a cycle each.
constexpr double bytesPerCycleOfBlock = 24;

} // namespace elah::cuda::timeModel

#endif
