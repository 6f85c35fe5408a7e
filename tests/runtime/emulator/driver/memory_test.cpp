#include "tests/runtime/emulator/driver/driver_test.h"
#include <cstring>
#include <numeric>

namespace emulator::cuda {
namespace {

class Memory : public DriverTest {};

TEST_F(Memory, AllocationsAreCounted) {
  size_t before = 0, after = 0, total = 0;
  ASSERT_CUDA(cuMemGetInfo_v2(&before, &total));
  CUdeviceptr address = 0;
  ASSERT_CUDA(cuMemAlloc_v2(&address, 1 << 20));
  EXPECT_EQ(address % 256, 0u);
  ASSERT_CUDA(cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before - after, 1u << 20);
  EXPECT_CUDA(cuMemFree_v2(address));
  ASSERT_CUDA(cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before, after);
  EXPECT_EQ(cuMemAlloc_v2(&address, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuMemAlloc_v2(&address, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, FreesOnlyWhatBegins) {
  CUdeviceptr address = 0;
  ASSERT_CUDA(cuMemAlloc_v2(&address, 64));
  EXPECT_EQ(cuMemFree_v2(address + 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuMemFree_v2(address));
  EXPECT_EQ(cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuMemFree_v2(0));
}

TEST_F(Memory, CopiesGoAllWays) {
  std::vector<uint32_t> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 1);
  const CUdeviceptr a = upload(numbers), b = upload(std::vector<uint32_t>(1000));
  EXPECT_CUDA(cuMemcpyDtoD_v2(b, a, 4000));
  EXPECT_EQ(download<uint32_t>(b, 1000), numbers);
  EXPECT_CUDA(cuMemcpy(b + 4, a, 3996));
  EXPECT_EQ(download<uint32_t>(b, 2), (std::vector<uint32_t>{1, 1}));
  EXPECT_EQ(cuMemcpyDtoD_v2(b + 4, a, 4000), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyHtoD_v2(a, nullptr, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyHtoD_v2(0x1000, numbers.data(), 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuMemcpyHtoD_v2(a, numbers.data(), 0));
}

TEST_F(Memory, CopiesRectangles) {
  CUdeviceptr address = 0;
  size_t pitch = 0;
  ASSERT_CUDA(cuMemAllocPitch_v2(&address, &pitch, 100, 7, 4));
  EXPECT_EQ(pitch % 512, 0u);
  std::vector<uint8_t> host(100 * 7);
  std::iota(host.begin(), host.end(), 0);
  CUDA_MEMCPY2D in{};
  in.srcMemoryType = CU_MEMORYTYPE_HOST;
  in.srcHost = host.data();
  in.srcPitch = 100;
  in.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  in.dstDevice = address;
  in.dstPitch = pitch;
  in.WidthInBytes = 100;
  in.Height = 7;
  ASSERT_CUDA(cuMemcpy2D_v2(&in));
  // Rows 2 to 4, columns 10 to 29, come back to row 1, column 5 of a host array.
  std::vector<uint8_t> part(50 * 5, 0xee);
  CUDA_MEMCPY2D out{};
  out.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  out.srcDevice = address;
  out.srcPitch = pitch;
  out.srcXInBytes = 10;
  out.srcY = 2;
  out.dstMemoryType = CU_MEMORYTYPE_HOST;
  out.dstHost = part.data();
  out.dstPitch = 50;
  out.dstXInBytes = 5;
  out.dstY = 1;
  out.WidthInBytes = 20;
  out.Height = 3;
  ASSERT_CUDA(cuMemcpy2D_v2(&out));
  for (size_t y = 0; y < 5; ++y) {
    for (size_t x = 0; x < 50; ++x) {
      const bool inside = y >= 1 && y < 4 && x >= 5 && x < 25;
      EXPECT_EQ(part[y * 50 + x], inside ? host[(y + 1) * 100 + x + 5] : 0xee) << y << " " << x;
    }
  }
  out.WidthInBytes = pitch;
  EXPECT_EQ(cuMemcpy2D_v2(&out), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpy2D_v2(nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, CopiesBoxes) {
  std::vector<uint32_t> numbers(4 * 3 * 2);
  std::iota(numbers.begin(), numbers.end(), 0);
  const CUdeviceptr a = upload(numbers), b = upload(std::vector<uint32_t>(24, 99));
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = a;
  copy.dstDevice = b;
  copy.srcPitch = copy.dstPitch = 16;
  copy.srcHeight = copy.dstHeight = 3;
  copy.srcY = 1;
  copy.WidthInBytes = 8;
  copy.Height = 2;
  copy.Depth = 2;
  ASSERT_CUDA(cuMemcpy3D_v2(&copy));
  const std::vector<uint32_t> result = download<uint32_t>(b, 24);
  for (size_t z = 0; z < 2; ++z) {
    for (size_t y = 0; y < 3; ++y) {
      for (size_t x = 0; x < 4; ++x) {
        EXPECT_EQ(result[z * 12 + y * 4 + x], x < 2 && y < 2 ? z * 12 + (y + 1) * 4 + x : 99) << x << y << z;
      }
    }
  }
}

TEST_F(Memory, Sets) {
  const CUdeviceptr a = upload(std::vector<uint8_t>(64, 0xff));
  ASSERT_CUDA(cuMemsetD8_v2(a, 0x11, 3));
  ASSERT_CUDA(cuMemsetD16_v2(a + 4, 0x2233, 2));
  ASSERT_CUDA(cuMemsetD32_v2(a + 8, 0x44556677, 1));
  ASSERT_CUDA(cuMemsetD2D8_v2(a + 16, 8, 0, 2, 3));
  ASSERT_CUDA(cuCtxSynchronize());
  const std::vector<uint8_t> bytes = download<uint8_t>(a, 64);
  const std::vector<uint8_t> begin = {0x11, 0x11, 0x11, 0xff, 0x33, 0x22, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, 0xff};
  EXPECT_EQ(std::vector<uint8_t>(bytes.begin(), bytes.begin() + 13), begin);
  for (size_t i = 16; i < 40; ++i) {
    EXPECT_EQ(bytes[i], (i - 16) % 8 < 2 ? 0 : 0xff) << i;
  }
  EXPECT_EQ(cuMemsetD32_v2(a + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD8_v2(a, 0, 65), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, PinnedMemoryIsTheDevices) {
  void *pinned = nullptr;
  ASSERT_CUDA(cuMemHostAlloc(&pinned, 400, memHostDeviceMap));
  CUdeviceptr mapped = 0;
  ASSERT_CUDA(cuMemHostGetDevicePointer_v2(&mapped, pinned, 0));
  EXPECT_CUDA(launch(kernel("fill"), 1, 128, nullptr, mapped, 5u, 100u));
  EXPECT_CUDA(cuCtxSynchronize());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(static_cast<uint32_t *>(pinned)[i], 5u);
  }
  unsigned flags = 0;
  EXPECT_CUDA(cuMemHostGetFlags(&flags, pinned));
  EXPECT_TRUE(flags & memHostDeviceMap);
  EXPECT_EQ(cuMemFree_v2(mapped), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuMemFreeHost(pinned));
  EXPECT_EQ(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, RegisteredMemoryStaysTheHosts) {
  std::vector<uint32_t> host(100, 1);
  ASSERT_CUDA(cuMemHostRegister_v2(host.data(), 400, memHostDeviceMap));
  EXPECT_EQ(cuMemHostRegister_v2(host.data() + 10, 40, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CUdeviceptr mapped = 0;
  ASSERT_CUDA(cuMemHostGetDevicePointer_v2(&mapped, host.data(), 0));
  EXPECT_CUDA(launch(kernel("increment"), 1, 128, nullptr, mapped, 100u));
  EXPECT_CUDA(cuCtxSynchronize());
  EXPECT_EQ(host, std::vector<uint32_t>(100, 2));
  EXPECT_CUDA(cuMemHostUnregister(host.data()));
  EXPECT_EQ(cuMemHostUnregister(host.data()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

TEST_F(Memory, ManagedMemoryIsBoths) {
  CUdeviceptr address = 0;
  ASSERT_CUDA(cuMemAllocManaged(&address, 400, CU_MEM_ATTACH_GLOBAL));
  uint32_t *host = reinterpret_cast<uint32_t *>(address);
  std::fill_n(host, 100, 41u);
  EXPECT_CUDA(cuMemAdvise_v2(address, 400, CU_MEM_ADVISE_SET_READ_MOSTLY, {CU_MEM_LOCATION_TYPE_DEVICE, 0}));
  EXPECT_CUDA(cuMemPrefetchAsync_v2(address, 400, {CU_MEM_LOCATION_TYPE_DEVICE, 0}, 0, nullptr));
  EXPECT_CUDA(launch(kernel("increment"), 1, 128, nullptr, address, 100u));
  EXPECT_CUDA(cuCtxSynchronize());
  EXPECT_EQ(host[99], 42u);
  EXPECT_EQ(cuMemAllocManaged(&address, 400, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, AddressesSayWhatTheyAre) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(100));
  CUdeviceptr base = 0;
  size_t size = 0;
  EXPECT_CUDA(cuMemGetAddressRange_v2(&base, &size, a + 17));
  EXPECT_EQ(base, a);
  EXPECT_EQ(size, 400u);
  unsigned type = 0;
  EXPECT_CUDA(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a + 4));
  EXPECT_EQ(type, unsigned(CU_MEMORYTYPE_DEVICE));
  CUcontext owner = nullptr;
  EXPECT_CUDA(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, a));
  EXPECT_EQ(owner, context);
  int onStack = 0;
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(&onStack)),
            CUDA_ERROR_INVALID_VALUE);
  // The plural form does not fail for what it does not know.
  CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_RANGE_SIZE};
  size_t range = 7;
  void *results[] = {&type, &range};
  EXPECT_CUDA(cuPointerGetAttributes(2, attributes, results, reinterpret_cast<CUdeviceptr>(&onStack)));
  EXPECT_EQ(type, 0u);
  EXPECT_EQ(range, 0u);
}

TEST_F(Memory, PoolsAllocateInStreamOrder) {
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr a = 0;
  ASSERT_CUDA(cuMemAllocAsync(&a, 4096, stream));
  EXPECT_CUDA(launch(kernel("fill"), 8, 128, stream, a, 3u, 1024u));
  std::vector<uint32_t> host(1024);
  EXPECT_CUDA(cuMemcpyDtoHAsync_v2(host.data(), a, 4096, stream));
  CUmemoryPool pool = nullptr;
  EXPECT_CUDA(cuDeviceGetDefaultMemPool(&pool, device));
  cuuint64_t used = 0;
  EXPECT_CUDA(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 4096u);
  EXPECT_CUDA(cuMemFreeAsync(a, stream));
  EXPECT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(host, std::vector<uint32_t>(1024, 3));
  EXPECT_CUDA(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 0u);
  EXPECT_EQ(cuMemFreeAsync(a, stream), CUDA_ERROR_INVALID_VALUE);
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  properties.maxSize = 1 << 20;
  CUmemoryPool own = nullptr;
  ASSERT_CUDA(cuMemPoolCreate(&own, &properties));
  EXPECT_EQ(cuMemAllocFromPoolAsync(&a, (1 << 20) + 1, own, stream), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_CUDA(cuMemAllocFromPoolAsync(&a, 1 << 20, own, stream));
  EXPECT_CUDA(cuMemFree_v2(a));
  EXPECT_CUDA(cuMemPoolDestroy(own));
  EXPECT_EQ(cuMemPoolDestroy(own), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuStreamDestroy_v2(stream));
}

TEST_F(Memory, PoolsCountAndTrim) {
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemoryPool pool = nullptr, current = nullptr, usual = nullptr;
  ASSERT_CUDA(cuMemPoolCreate(&pool, &properties));
  auto attribute = [&](CUmemPool_attribute which) {
    cuuint64_t value = 0;
    EXPECT_CUDA(cuMemPoolGetAttribute(pool, which, &value));
    return value;
  };
  // Of the device from now on: cuMemAllocAsync takes from it.
  ASSERT_CUDA(cuDeviceGetDefaultMemPool(&usual, device));
  ASSERT_CUDA(cuDeviceSetMemPool(device, pool));
  EXPECT_CUDA(cuDeviceGetMemPool(&current, device));
  EXPECT_EQ(current, pool);
  cuuint64_t keep = ~cuuint64_t(0);
  EXPECT_CUDA(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), keep);
  CUdeviceptr blocks[3];
  for (CUdeviceptr &block : blocks) {
    ASSERT_CUDA(cuMemAllocAsync(&block, 1 << 16, stream));
  }
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 3u << 16);
  CUmemoryPool owner = nullptr;
  EXPECT_CUDA(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, blocks[1]));
  EXPECT_EQ(owner, pool);
  for (CUdeviceptr block : blocks) {
    ASSERT_CUDA(cuMemFreeAsync(block, stream));
  }
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0u);
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_USED_MEM_HIGH), 3u << 16);
  EXPECT_GE(attribute(CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH), 3u << 16);
  cuuint64_t zero = 0, one = 1;
  EXPECT_EQ(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &one), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_USED_MEM_HIGH), 0u);
  EXPECT_CUDA(cuMemPoolTrimTo(pool, 0));
  EXPECT_EQ(attribute(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 0u);
  // Of a pool that goes the memory stays until it is freed; the device gets its default pool back.
  ASSERT_CUDA(cuMemAllocAsync(&blocks[0], 64, stream));
  EXPECT_CUDA(cuMemPoolDestroy(pool));
  EXPECT_CUDA(cuMemsetD8Async(blocks[0], 1, 64, stream));
  EXPECT_CUDA(cuMemFreeAsync(blocks[0], stream));
  EXPECT_CUDA(cuStreamSynchronize(stream));
  EXPECT_CUDA(cuDeviceGetMemPool(&current, device));
  EXPECT_EQ(current, usual);
}

TEST_F(Memory, VirtualMemoryIsMappedTwice) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t granularity = 0;
  ASSERT_CUDA(cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CUmemGenericAllocationHandle handle = 0;
  ASSERT_CUDA(cuMemCreate(&handle, granularity, &properties, 0));
  CUdeviceptr range = 0;
  ASSERT_CUDA(cuMemAddressReserve(&range, 2 * granularity, 0, 0, 0));
  EXPECT_EQ(cuMemMap(range, granularity + 1, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
  ASSERT_CUDA(cuMemMap(range, granularity, 0, handle, 0));
  ASSERT_CUDA(cuMemMap(range + granularity, granularity, 0, handle, 0));
  EXPECT_EQ(cuMemMap(range, granularity, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD32_v2(range, 1, 4), CUDA_ERROR_INVALID_VALUE) << "no access yet";
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  ASSERT_CUDA(cuMemSetAccess(range, 2 * granularity, &access, 1));
  EXPECT_CUDA(launch(kernel("fill"), 1, 32, nullptr, range, 9u, 32u));
  EXPECT_EQ(download<uint32_t>(range + granularity, 32), std::vector<uint32_t>(32, 9));
  EXPECT_EQ(cuMemAddressFree(range, 2 * granularity), CUDA_ERROR_INVALID_VALUE) << "still mapped";
  EXPECT_CUDA(cuMemUnmap(range, granularity));
  EXPECT_CUDA(cuMemUnmap(range + granularity, granularity));
  EXPECT_CUDA(cuMemRelease(handle));
  EXPECT_CUDA(cuMemAddressFree(range, 2 * granularity));
  EXPECT_EQ(cuMemcpyHtoD_v2(range, &granularity, 8), CUDA_ERROR_INVALID_VALUE);
}

} // namespace
} // namespace emulator::cuda
