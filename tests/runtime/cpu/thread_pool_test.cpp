#include "drivers/cpu/thread_pool.h"
#include <chrono>
#include <ctime>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using namespace elah;

namespace {

std::unique_ptr<ThreadPool> makePool(unsigned threads) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  EXPECT_TRUE(pool.ok()) << pool.status().message();
  return std::move(*pool);
}

/// One launch: every block writes its own number, plainly, so that a block done twice or for another launch shows, and
/// a missing synchronization is a race that ThreadSanitizer sees.
struct Launch {
  std::vector<uint64_t> *cells;
  uint64_t number;
  std::vector<uint64_t> *threadCells;

  static void work(void *context, int64_t begin, int64_t end, unsigned thread) {
    const Launch &self = *static_cast<Launch *>(context);
    for (int64_t block = begin; block < end; ++block) {
      (*self.cells)[static_cast<size_t>(block)] += self.number;
    }
    ++(*self.threadCells)[thread * 8]; // a thread's own place
  }
};

class ThreadPoolLaunches : public testing::TestWithParam<unsigned> {};

TEST_P(ThreadPoolLaunches, everyBlockOnceInEachLaunch) {
  unsigned threads = GetParam();
  std::unique_ptr<ThreadPool> pool = makePool(threads);
  ASSERT_EQ(pool->size(), threads);
  std::vector<uint64_t> cells(100), expected(100), threadCells(threads * 8);
  constexpr uint64_t launches = ELAH_LAUNCHES;
  for (uint64_t number = 1; number <= launches; ++number) {
    size_t blocks = number * 7919 % 101;
    Launch launch = {&cells, number, &threadCells}; // its place on the stack is used again by the next
    pool->run(static_cast<int64_t>(blocks), Launch::work, &launch);
    for (size_t i = 0; i < blocks; ++i) {
      expected[i] += number;
    }
    ASSERT_EQ(cells, expected) << "launch " << number;
    if (number % 997 == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(number % 200)); // some launches find the workers asleep
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolLaunches, testing::Values(1, 2, 3, 4));

TEST(ThreadPool, fewAndManyBlocks) {
  std::unique_ptr<ThreadPool> pool = makePool(4);
  for (int64_t blocks : {int64_t(-1), int64_t(0), int64_t(1), int64_t(2), int64_t(15), int64_t(16), int64_t(17),
                         int64_t(31), int64_t(33), int64_t(1) << 33}) {
    std::atomic<int64_t> done{0};
    pool->run(
        blocks,
        [](void *context, int64_t begin, int64_t end, unsigned) {
          *static_cast<std::atomic<int64_t> *>(context) += end - begin;
        },
        &done);
    EXPECT_EQ(done, std::max<int64_t>(blocks, 0));
  }
}

TEST(ThreadPool, waitingCostsNothing) {
  std::unique_ptr<ThreadPool> pool = makePool(4);
  pool->run(64, [](void *, int64_t, int64_t, unsigned) {}, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(20)); // past the spinning
  auto processorTime = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  double before = processorTime();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(processorTime() - before, 0.01);
}

TEST(ThreadPool, endsWhileItsThreadsSpinOrSleep) {
  for (int i = 0; i < 200; ++i) {
    std::unique_ptr<ThreadPool> pool = makePool(3);
    if (i % 2) {
      pool->run(9, [](void *, int64_t, int64_t, unsigned) {}, nullptr);
    }
    if (i % 40 == 3) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

} // namespace
