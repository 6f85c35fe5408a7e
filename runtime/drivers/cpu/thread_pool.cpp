// A decode step is some hundred launches of some ten microseconds: handing out work must cost little, and a thread that
// the system has taken the core from must not stop the others.
#include "drivers/cpu/thread_pool.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elah {
namespace {

constexpr int64_t chunksOfThread = 16;
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

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned threads) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool());
  for (unsigned i = 1; i < threads; ++i) {
    std::unique_ptr<Worker> worker(new Worker{pool.get(), i, {}});
    int error = pthread_create(
        &worker->thread, nullptr,
        [](void *argument) -> void * {
          Worker *self = static_cast<Worker *>(argument);
          self->pool->serve(self->number);
          return nullptr;
        },
        worker.get());
    if (error != 0) {
      return failure(ELAH_OUT_OF_MEMORY, "cannot start thread %u of %u: %s", i + 1, threads, std::strerror(error));
    }
    pool->workers.push_back(std::move(worker));
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stops = true;
  launch.fetch_add(1);
  launch.notify_all();
  for (const std::unique_ptr<Worker> &worker : workers) {
    pthread_join(worker->thread, nullptr);
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
  // Chunks even out threads of unequal speed: at the end of a launch one thread waits for at most a chunk of another.
  // Taking one costs a tenth of a microsecond.
  int64_t chunk = std::max<int64_t>(1, blocks / (chunksOfThread * static_cast<int64_t>(size())));
  // At most twice as many as there should be, which 16 bits hold.
  uint32_t chunks = static_cast<uint32_t>((blocks + chunk - 1) / chunk);
  blockCount.store(blocks, std::memory_order_relaxed);
  chunkBlocks.store(chunk, std::memory_order_relaxed);
  chunkCount.store(chunks, std::memory_order_relaxed);
  currentWork.store(work, std::memory_order_relaxed);
  currentContext.store(context, std::memory_order_relaxed);
  unfinished.store(chunks, std::memory_order_relaxed);
  uint64_t number = (state.load(std::memory_order_relaxed) >> 16) + 1;
  state.store(number << 16 | chunks, std::memory_order_release);
  launch.fetch_add(1); // sequentially consistent with `sleeping` below
  if (sleeping.load() != 0) {
    launch.notify_all();
  }
  takeChunks(0);
  while (!spin([&] { return unfinished.load(std::memory_order_acquire) == 0; })) {
    std::this_thread::yield(); // A worker has lost its core within a chunk: leave it ours.
  }
}

void ThreadPool::takeChunks(unsigned thread) {
  uint64_t seen = state.load(std::memory_order_acquire);
  while ((seen & 0xffff) != 0) {
    // What is read here belongs to launch `seen >> 16` if its chunk can still be taken: the caller writes these only
    // when all chunks are done.
    int64_t chunk = chunkBlocks.load(std::memory_order_relaxed), blocks = blockCount.load(std::memory_order_relaxed);
    int64_t index =
        static_cast<int64_t>(chunkCount.load(std::memory_order_relaxed)) - static_cast<int64_t>(seen & 0xffff);
    Work work = currentWork.load(std::memory_order_relaxed);
    void *context = currentContext.load(std::memory_order_relaxed);
    if (state.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      work(context, index * chunk, std::min((index + 1) * chunk, blocks), thread);
      unfinished.fetch_sub(1, std::memory_order_release);
      seen = state.load(std::memory_order_acquire);
    }
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
    takeChunks(thread);
  }
}

} // namespace elah
