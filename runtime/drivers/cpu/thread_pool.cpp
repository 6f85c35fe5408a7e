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

constexpr std::chrono::microseconds spinTime(40);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How a launch is cut. A stream from memory takes a while to gather speed, so chunks should be few; threads are of
/// unequal speed, so the last ones should be small. Therefore each thread may take a half of its fair share in one
/// piece, then half of what remains of it, and so on.
struct Chunks {
  Chunks(int64_t blocks, unsigned threads) : blocks(blocks), parts(std::min<int64_t>(threads, blocks)) {
    while (halvings < 7 && parts << halvings < blocks) {
      ++halvings;
    }
  }

  uint32_t count() const { return static_cast<uint32_t>(parts * (halvings + 1)); }
  /// The first block of chunk `index`, and the end of the one before it.
  int64_t begin(int64_t index) const {
    // In units of which there are parts * 2^halvings: rounds of parts chunks of 2^(halvings - 1), ..., 2, 1 and 1.
    int64_t round = std::min(index / parts, halvings),
            before = (int64_t(1) << halvings) - (int64_t(1) << (halvings - round));
    int64_t width = round < halvings ? int64_t(1) << (halvings - round - 1) : 1;
    int64_t unit = parts * before + (index - round * parts) * width;
    return static_cast<int64_t>(static_cast<__int128>(blocks) * unit / (parts << halvings));
  }

  int64_t blocks, parts, halvings = 0;
};

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
  uint32_t chunks = Chunks(blocks, size()).count();
  blockCount.store(blocks, std::memory_order_relaxed);
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
    Chunks chunks(blockCount.load(std::memory_order_relaxed), size());
    int64_t index = static_cast<int64_t>(chunks.count()) - static_cast<int64_t>(seen & 0xffff);
    Work work = currentWork.load(std::memory_order_relaxed);
    void *context = currentContext.load(std::memory_order_relaxed);
    if (state.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      int64_t begin = chunks.begin(index), end = chunks.begin(index + 1);
      if (begin < end) { // Of few blocks, some chunks get none.
        work(context, begin, end, thread);
      }
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
