// Elah's targets and the emulator's devices are described apart, for neither knows the other: they must agree.
#include "codegen/Target/CudaTarget.h"
#include "machine/device.h"
#include "machine/occupancy.h"
#include "machine/program.h"
#include <gtest/gtest.h>

namespace elah {
namespace {

TEST(CudaTarget, AgreesWithTheEmulatorsDevice) {
  EXPECT_EQ(cudaTargets().size(), emulator::knownDevices().size());
  for (const CudaTarget &target : cudaTargets()) {
    SCOPED_TRACE(target.name);
    const emulator::DeviceProperties *device = emulator::deviceNamed(target.name);
    ASSERT_TRUE(device);
    EXPECT_EQ(target.device, device->name);
    EXPECT_EQ(target.multiprocessors, device->multiprocessors);
    EXPECT_EQ(target.boostMhz * 1000, device->clockKhz);
    EXPECT_LT(target.tensorMhz, target.boostMhz);
    EXPECT_EQ(target.memoryBytes, device->memoryBytes);
    EXPECT_EQ(target.l2Bytes, device->l2Bytes);
    // Two transfers in a memory clock; data sheets round the product.
    double bandwidth = 2e3 * device->memoryClockKhz * device->memoryBusBits / 8;
    EXPECT_NEAR(static_cast<double>(target.memoryBandwidth) / bandwidth, 1.0, 0.03);
    EXPECT_EQ(target.computeCapability, device->majorCapability * 10 + device->minorCapability);
    EXPECT_EQ(target.registersPerMultiprocessor, device->registersPerSm);
    EXPECT_EQ(target.registersPerThread, device->maxRegistersPerThread);
    EXPECT_EQ(target.sharedPerMultiprocessor, device->sharedPerSm);
    EXPECT_EQ(target.sharedPerBlock, device->sharedPerCtaOptIn);
    EXPECT_EQ(target.threadsPerMultiprocessor, device->maxThreadsPerSm);
    EXPECT_EQ(target.threadsPerBlock, device->maxThreadsPerCta);
    EXPECT_EQ(target.blocksPerMultiprocessor, device->maxCtasPerSm);
    EXPECT_EQ(target.clusterBlocks, device->maxClusterCtas);
  }
}

TEST(CudaTarget, OccupancyIsTheEmulators) {
  const CudaTarget &target = *findCudaTarget("h800");
  const emulator::DeviceProperties &device = *emulator::deviceNamed("h800");
  emulator::Kernel kernel;
  for (unsigned threads : {32u, 96u, 128u, 256u, 384u, 512u, 1024u}) {
    for (unsigned registers : {1u, 24u, 40u, 64u, 128u, 168u, 255u}) {
      for (unsigned shared : {0u, 1u, 1024u, 49152u, 100000u, 115712u, 232448u}) {
        kernel.registers = registers;
        kernel.staticSharedBytes = shared / 2;
        EXPECT_EQ(target.occupancy(threads, registers, shared),
                  emulator::occupancyOf(kernel, threads, shared - shared / 2, device).ctas())
            << threads << " threads, " << registers << " registers, " << shared << " bytes";
      }
    }
  }
}

TEST(CudaTarget, IsFoundByItsName) {
  EXPECT_EQ(findCudaTarget("h20")->multiprocessors, 78u);
  EXPECT_EQ(findCudaTarget("h900"), nullptr);
  EXPECT_EQ(cudaTargetNames(), "gh200, h100, h100-pcie, h20, h200, h800");
}

} // namespace
} // namespace elah
