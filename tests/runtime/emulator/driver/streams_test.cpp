#include "tests/runtime/emulator/driver/driver_test.h"
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace emulator::cuda {
namespace {

class Streams : public DriverTest {
protected:
  CUstream stream(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CUstream made = nullptr;
    EXPECT_CUDA(cuStreamCreate(&made, flags));
    return made;
  }
  CUevent event(unsigned flags = 0) {
    CUevent made = nullptr;
    EXPECT_CUDA(cuEventCreate(&made, flags));
    return made;
  }
};

TEST_F(Streams, KeepTheirOrder) {
  const CUstream s = stream();
  const CUdeviceptr a = upload(std::vector<uint32_t>(256, 0));
  for (int i = 0; i < 50; ++i) {
    ASSERT_CUDA(launch(kernel("increment"), 2, 128, s, a, 256u));
  }
  EXPECT_CUDA(cuStreamSynchronize(s));
  EXPECT_EQ(download<uint32_t>(a, 256), std::vector<uint32_t>(256, 50));
}

/// A kernel that waits for a flag which a later copy of another stream sets: only true concurrency ends this.
TEST_F(Streams, RunAtTheSameTime) {
  const CUstream first = stream(), second = stream();
  const CUdeviceptr flag = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(launch(kernel("await"), 1, 1, first, flag, out));
  EXPECT_EQ(cuStreamQuery(first), CUDA_ERROR_NOT_READY);
  ASSERT_CUDA(launch(kernel("signal"), 1, 1, second, flag, 77u));
  EXPECT_CUDA(cuStreamSynchronize(second));
  EXPECT_CUDA(cuStreamSynchronize(first));
  EXPECT_CUDA(cuStreamQuery(first));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 77u);
}

TEST_F(Streams, LaunchesReturnAtOnce) {
  const CUstream s = stream();
  uint32_t *flag = nullptr;
  ASSERT_CUDA(cuMemHostAlloc(reinterpret_cast<void **>(&flag), 4, 0));
  *flag = 0;
  const CUdeviceptr out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(launch(kernel("await"), 1, 1, s, reinterpret_cast<CUdeviceptr>(flag), out));
  EXPECT_EQ(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
  std::atomic_ref<uint32_t>(*flag).store(5);
  EXPECT_CUDA(cuStreamSynchronize(s));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 5u);
  EXPECT_CUDA(cuMemFreeHost(flag));
}

TEST_F(Streams, EventsOrderThem) {
  const CUstream first = stream(), second = stream();
  const CUevent done = event();
  const CUdeviceptr flag = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(launch(kernel("await"), 1, 1, first, flag, out));
  ASSERT_CUDA(cuEventRecord(done, first));
  ASSERT_CUDA(cuStreamWaitEvent(second, done, 0));
  ASSERT_CUDA(launch(kernel("increment"), 1, 1, second, out, 1u));
  EXPECT_EQ(cuEventQuery(done), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(cuStreamQuery(second), CUDA_ERROR_NOT_READY);
  const CUstream third = stream();
  ASSERT_CUDA(cuStreamWriteValue32_v2(third, flag, 10, 0));
  EXPECT_CUDA(cuEventSynchronize(done));
  EXPECT_CUDA(cuStreamSynchronize(second));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 11u);
}

TEST_F(Streams, EventsMeasure) {
  const CUstream s = stream();
  const CUevent begin = event(), end = event(), untimed = event(CU_EVENT_DISABLE_TIMING);
  float milliseconds = -1;
  EXPECT_EQ(cuEventElapsedTime_v2(&milliseconds, begin, end), CUDA_ERROR_INVALID_HANDLE);
  ASSERT_CUDA(cuEventRecord(begin, s));
  ASSERT_CUDA(cuLaunchHostFunc(s, [](void *) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }, nullptr));
  ASSERT_CUDA(cuEventRecord(end, s));
  ASSERT_CUDA(cuEventRecord(untimed, s));
  EXPECT_EQ(cuEventElapsedTime_v2(&milliseconds, begin, end), CUDA_ERROR_NOT_READY);
  EXPECT_CUDA(cuEventSynchronize(end));
  EXPECT_CUDA(cuEventElapsedTime_v2(&milliseconds, begin, end));
  EXPECT_GE(milliseconds, 19.f);
  EXPECT_LT(milliseconds, 5000.f);
  EXPECT_EQ(cuEventElapsedTime_v2(&milliseconds, begin, untimed), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_CUDA(cuEventDestroy_v2(begin));
  EXPECT_EQ(cuEventQuery(begin), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Streams, TheLegacyStreamWaitsForBlockingOnesAndTheyForIt) {
  const CUstream blocking = stream(CU_STREAM_DEFAULT), other = stream(CU_STREAM_DEFAULT);
  const CUdeviceptr flag = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(launch(kernel("await"), 1, 1, blocking, flag, out));
  ASSERT_CUDA(launch(kernel("increment"), 1, 1, nullptr, out, 1u)); // Behind the blocking stream.
  ASSERT_CUDA(launch(kernel("increment"), 1, 1, other, out, 1u));   // Behind the legacy one.
  EXPECT_EQ(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
  const CUstream free = stream(CU_STREAM_NON_BLOCKING);
  ASSERT_CUDA(launch(kernel("signal"), 1, 1, free, flag, 3u)); // Behind neither.
  EXPECT_CUDA(cuStreamSynchronize(free));
  EXPECT_CUDA(cuStreamSynchronize(other));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 5u);
}

TEST_F(Streams, EachThreadMayHaveADefault) {
  const CUdeviceptr flag = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  std::thread waits([&] {
    EXPECT_CUDA(cuCtxSetCurrent(context));
    EXPECT_CUDA(launch(kernel("await"), 1, 1, streamPerThread, flag, out));
    EXPECT_CUDA(cuStreamSynchronize(streamPerThread));
  });
  std::thread sets([&] {
    EXPECT_CUDA(cuCtxSetCurrent(context));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_CUDA(cuStreamWriteValue32_v2_ptsz(nullptr, flag, 9, 0)); // A null stream, and the thread's own.
  });
  waits.join();
  sets.join();
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 9u);
}

TEST_F(Streams, HostFunctionsRunInOrder) {
  const CUstream s = stream();
  const CUdeviceptr a = upload(std::vector<uint32_t>(1, 1));
  struct State {
    uint32_t *pinned;
    uint32_t seen = 0;
    CUresult status = CUDA_ERROR_UNKNOWN;
  } state;
  ASSERT_CUDA(cuMemHostAlloc(reinterpret_cast<void **>(&state.pinned), 4, 0));
  ASSERT_CUDA(launch(kernel("increment"), 1, 1, s, a, 1u));
  ASSERT_CUDA(cuMemcpyDtoHAsync_v2(state.pinned, a, 4, s));
  ASSERT_CUDA(cuLaunchHostFunc(
      s, [](void *data) { static_cast<State *>(data)->seen = *static_cast<State *>(data)->pinned; }, &state));
  ASSERT_CUDA(cuStreamAddCallback(
      s, [](CUstream, CUresult status, void *data) { static_cast<State *>(data)->status = status; }, &state, 0));
  EXPECT_CUDA(cuStreamSynchronize(s));
  EXPECT_EQ(state.seen, 2u);
  EXPECT_EQ(state.status, CUDA_SUCCESS);
  EXPECT_CUDA(cuMemFreeHost(state.pinned));
}

TEST_F(Streams, WaitForValues) {
  const CUstream first = stream(), second = stream();
  const CUdeviceptr flag = upload(std::vector<uint64_t>(2, 0)), out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(cuStreamWaitValue32_v2(first, flag, 5, CU_STREAM_WAIT_VALUE_GEQ));
  ASSERT_CUDA(cuStreamWaitValue64_v2(first, flag + 8, 0x100000000, CU_STREAM_WAIT_VALUE_AND));
  ASSERT_CUDA(launch(kernel("fill"), 1, 1, first, out, 1u, 1u));
  EXPECT_CUDA(cuStreamWriteValue32_v2(second, flag, 4, 0));
  EXPECT_CUDA(cuStreamSynchronize(second));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(cuStreamQuery(first), CUDA_ERROR_NOT_READY);
  EXPECT_CUDA(cuStreamWriteValue32_v2(second, flag, 6, 0));
  EXPECT_CUDA(cuStreamWriteValue64_v2(second, flag + 8, 0x300000000, 0));
  EXPECT_CUDA(cuStreamSynchronize(first));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 1u);
  EXPECT_EQ(cuStreamWaitValue32_v2(first, flag + 2, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuStreamWaitValue32_v2(first, 16, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Streams, PageableCopiesAreStaged) {
  const CUstream s = stream();
  const CUdeviceptr flag = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0)),
                    a = upload(std::vector<uint32_t>(1, 0));
  ASSERT_CUDA(launch(kernel("await"), 1, 1, s, flag, out));
  uint32_t value = 123;
  ASSERT_CUDA(cuMemcpyHtoDAsync_v2(a, &value, 4, s));
  value = 0; // The call has read it.
  const CUstream other = stream();
  EXPECT_CUDA(cuStreamWriteValue32_v2(other, flag, 1, 0));
  EXPECT_CUDA(cuStreamSynchronize(s));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 123u);
}

TEST_F(Streams, HaveAttributes) {
  CUstream s = nullptr;
  ASSERT_CUDA(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -100));
  int priority = 0;
  EXPECT_CUDA(cuStreamGetPriority(s, &priority));
  EXPECT_EQ(priority, -5);
  unsigned flags = 0;
  EXPECT_CUDA(cuStreamGetFlags(s, &flags));
  EXPECT_EQ(flags, unsigned(CU_STREAM_NON_BLOCKING));
  CUcontext owner = nullptr;
  EXPECT_CUDA(cuStreamGetCtx(s, &owner));
  EXPECT_EQ(owner, context);
  unsigned long long one = 0, two = 0;
  EXPECT_CUDA(cuStreamGetId(s, &one));
  EXPECT_CUDA(cuStreamGetId(nullptr, &two));
  EXPECT_NE(one, two);
  CUlaunchAttributeValue value{};
  value.memSyncDomain = CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE;
  EXPECT_CUDA(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, &value));
  value = {};
  EXPECT_CUDA(cuStreamGetAttribute(s, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, &value));
  EXPECT_EQ(value.memSyncDomain, CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE);
  EXPECT_EQ(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuStreamDestroy_v2(s));
  EXPECT_EQ(cuStreamDestroy_v2(s), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamDestroy_v2(nullptr), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Streams, DestroyedStreamsEndTheirWork) {
  const CUstream s = stream();
  const CUdeviceptr a = upload(std::vector<uint32_t>(256, 0));
  for (int i = 0; i < 20; ++i) {
    ASSERT_CUDA(launch(kernel("increment"), 2, 128, s, a, 256u));
  }
  EXPECT_CUDA(cuStreamDestroy_v2(s));
  EXPECT_CUDA(cuCtxSynchronize());
  EXPECT_EQ(download<uint32_t>(a, 256), std::vector<uint32_t>(256, 20));
}

/// Many threads, streams and events at once: for ThreadSanitizer.
TEST_F(Streams, ManyThreadsShareAContext) {
  kernel("increment");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      EXPECT_CUDA(cuCtxSetCurrent(context));
      const CUstream s = stream();
      const CUevent e = event();
      const CUdeviceptr a = upload(std::vector<uint32_t>(64, 0));
      for (int i = 0; i < 20; ++i) {
        EXPECT_CUDA(launch(kernel("increment"), 1, 64, s, a, 64u));
        EXPECT_CUDA(cuEventRecord(e, s));
        EXPECT_CUDA(cuStreamWaitEvent(s, e, 0));
        if (i % 5 == 0) {
          EXPECT_CUDA(cuEventSynchronize(e));
        }
      }
      EXPECT_CUDA(cuStreamSynchronize(s));
      EXPECT_EQ(download<uint32_t>(a, 64), std::vector<uint32_t>(64, 20));
      EXPECT_CUDA(cuMemFree_v2(a));
      EXPECT_CUDA(cuStreamDestroy_v2(s));
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

} // namespace
} // namespace emulator::cuda
