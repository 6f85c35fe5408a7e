#include "drivers/cpu/thread_pool.h"
#include <algorithm>
#include <chrono>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elah {
namespace {

constexpr std::chrono::microseconds spinTime(40);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins until `done` or until the spin time is over; says whether it is done.
template <typename Done> bool spin(Done done) {
  auto deadline = std::chrono::steady_clock::now() + spinTime;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) {
        return true;
      }
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

} // namespace

ThreadPool::ThreadPool(unsigned threads) {
  for (unsigned i = 1; i < std::max(threads, 1u); ++i) {
    workers.emplace_back([this, i] { serve(i); });
  }
}

ThreadPool::~ThreadPool() {
  stops = true;
  launch.fetch_add(1);
  launch.notify_all();
  for (std::thread &worker : workers) {
    worker.join();
  }
}

void ThreadPool::run(int64_t blocks, Work work, void *context) {
  if (blocks <= 0) {
    return;
  }
  if (workers.empty() || blocks == 1) {
    work(context, 0, blocks, 0);
    return;
  }
  blockCount = blocks;
  // A few chunks a thread even out threads of unequal speed; more would only cost.
  chunk = std::max<int64_t>(1, blocks / (4 * static_cast<int64_t>(size())));
  currentWork = work;
  currentContext = context;
  next.store(0, std::memory_order_relaxed);
  busy.store(static_cast<uint32_t>(workers.size()), std::memory_order_relaxed);
  launch.fetch_add(1); // sequentially consistent with `sleeping` below
  if (sleeping.load() != 0) {
    launch.notify_all();
  }
  takeBlocks(0);
  while (!spin([&] { return busy.load(std::memory_order_acquire) == 0; })) {
    std::this_thread::yield(); // A worker has lost its core: leave it ours.
  }
}

void ThreadPool::takeBlocks(unsigned thread) {
  for (int64_t begin = next.fetch_add(chunk); begin < blockCount; begin = next.fetch_add(chunk)) {
    currentWork(currentContext, begin, std::min(begin + chunk, blockCount), thread);
  }
}

void ThreadPool::serve(unsigned thread) {
  uint32_t seen = 0;
  while (true) {
    if (!spin([&] { return launch.load(std::memory_order_acquire) != seen; })) {
      sleeping.fetch_add(1);
      launch.wait(seen);
      sleeping.fetch_sub(1);
    }
    seen = launch.load(std::memory_order_acquire);
    if (stops) {
      return;
    }
    takeBlocks(thread);
    busy.fetch_sub(1, std::memory_order_release);
  }
}

} // namespace elah
