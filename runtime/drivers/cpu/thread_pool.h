#ifndef RUNTIME_DRIVERS_CPU_THREAD_POOL_H
#define RUNTIME_DRIVERS_CPU_THREAD_POOL_H

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace elah {

/// Threads that share the blocks of a launch. Between launches they spin for some ten microseconds, which is what lies
/// between the kernels of a decode step, and then sleep: a waiting session costs nothing, and a machine with other work
/// loses little. The caller is one of the threads.
class ThreadPool {
public:
  /// Computes blocks [begin, end) as thread `thread`.
  using Work = void (*)(void *context, int64_t begin, int64_t end, unsigned thread);

  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;

  unsigned size() const { return static_cast<unsigned>(workers.size()) + 1; }
  /// Runs `work` on all `blocks` and returns when they are done.
  void run(int64_t blocks, Work work, void *context);

private:
  void serve(unsigned thread);
  void takeBlocks(unsigned thread);

  std::vector<std::thread> workers;
  alignas(64) std::atomic<uint32_t> launch{0}; ///< Counts launches; workers wait for it to change.
  alignas(64) std::atomic<int64_t> next{0};    ///< The first block that nobody has taken.
  alignas(64) std::atomic<uint32_t> busy{0};   ///< Workers that have not finished this launch.
  std::atomic<uint32_t> sleeping{0};
  std::atomic<bool> stops{false};
  int64_t blockCount = 0, chunk = 1;
  Work currentWork = nullptr;
  void *currentContext = nullptr;
};

} // namespace elah

#endif
