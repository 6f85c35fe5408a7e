#include "codegen/Cuda/Sample.h"
#include <bit>

namespace elah::cuda {
namespace {

/// Blocks of a cluster on any device (CUDA programming guide, thread block clusters).
constexpr unsigned maxCluster = 8;
/// Histograms and what else is static: see kernels/sample.cuh.
constexpr int64_t staticBytes = 13 * 1024;

/// A block's part of a row, in whole accesses.
int64_t shareBytes(const SampleShape &shape, unsigned cluster) {
  return ((shape.vocabulary + cluster - 1) / cluster + 3) / 4 * 16;
}

} // namespace

std::string SampleSchedule::describe() const {
  return std::to_string(threads) + " threads, cluster " + std::to_string(cluster) + " a row";
}

std::string whyNoSample(const SampleShape &shape, const CudaTarget &target) {
  int64_t room = target.sharedPerBlock - staticBytes;
  return shareBytes(shape, maxCluster) > room
             ? "found a vocabulary of " + std::to_string(shape.vocabulary) + ", expected at most " +
                   std::to_string(room / 16 * 4 * maxCluster) + ", which the shared memory of a cluster holds"
             : "";
}

std::vector<SampleSchedule> legalSampleSchedules(const SampleShape &shape, const CudaTarget &target) {
  std::vector<SampleSchedule> schedules;
  for (unsigned cluster = 1; cluster <= maxCluster; cluster *= 2) {
    bool hasRoom = shareBytes(shape, cluster) <= target.sharedPerBlock - staticBytes;
    if (hasRoom && (cluster == 1 || shape.vocabulary >= 1024 * cluster)) {
      schedules.push_back({512, cluster});
    }
  }
  return schedules;
}

SampleSchedule chooseSampleSchedule(const SampleShape &shape, const CudaTarget &target) {
  return legalSampleSchedules(shape, target).back();
}

KernelSpec specializeSample(const SampleShape &shape, const SampleSchedule &schedule) {
  KernelText text("sample");
  text.operand("const float", "logits").operand("const Draw", "draws").operand("int", "tokens");
  text.shape("vocabulary", shape.vocabulary);
  // The sum of all weights is below 2^63.
  text.shape("weightBits", int64_t(62 - std::bit_width(static_cast<uint64_t>(shape.vocabulary))));
  text.schedule("threads", schedule.threads).schedule("cluster", schedule.cluster);
  KernelGrid grid;
  grid.outer = schedule.cluster;
  grid.rows = Extent::logitRows();
  KernelSpec spec = text.finish("SampleSchedule", schedule.threads, grid, schedule.describe());
  spec.cluster = schedule.cluster;
  spec.sharedBytes = static_cast<unsigned>(shareBytes(shape, schedule.cluster));
  return spec;
}

} // namespace elah::cuda
