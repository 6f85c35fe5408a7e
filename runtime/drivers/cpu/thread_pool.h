#ifndef RUNTIME_DRIVERS_CPU_THREAD_POOL_H
#define RUNTIME_DRIVERS_CPU_THREAD_POOL_H

#include "src/status.h"
#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <vector>

namespace elah {

/// Threads that share the blocks of a launch. Between launches they spin for some ten microseconds, which is what lies
/// between the kernels of a decode step, and then sleep: a waiting session costs nothing, and a machine with other work
/// loses little. The caller is one of the threads.
class ThreadPool {
public:
  /// Computes blocks [begin, end) as thread `thread`.
  using Work = void (*)(void *context, int64_t begin, int64_t end, unsigned thread);

  /// `threads` in 1..4096.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;

  unsigned size() const { return static_cast<unsigned>(workers.size()) + 1; }
  /// Runs `work` on all `blocks` and returns when they are done.
  void run(int64_t blocks, Work work, void *context);

private:
  struct Worker {
    ThreadPool *pool;
    unsigned number;
    pthread_t thread;
  };

  ThreadPool() = default;
  void serve(unsigned thread);
  void takeChunks(unsigned thread);

  std::vector<std::unique_ptr<Worker>> workers;
  /// Number of the launch << 16 | its chunks that nobody has taken (at most 8 for each of 4096 threads). A thread takes
  /// a chunk by counting it down, which fails if anything has happened since it looked: one that comes late cannot get
  /// into the next launch with what it read about the last, and need not be waited for.
  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<uint32_t> unfinished{0}; ///< Chunks of this launch that are not done.
  alignas(64) std::atomic<uint32_t> launch{0};     ///< What workers wait for to change.
  std::atomic<uint32_t> sleeping{0};
  std::atomic<bool> stops{false};
  // The launch. Atomic only because a late thread may read them, to no effect, while the next launch is written.
  std::atomic<int64_t> blockCount{0};
  std::atomic<Work> currentWork{nullptr};
  std::atomic<void *> currentContext{nullptr};
};

} // namespace elah

#endif
