#ifndef RUNTIME_EMULATOR_DRIVER_TASK_H
#define RUNTIME_EMULATOR_DRIVER_TASK_H

// What streams and graphs come down to: tasks that wait for other tasks. A stream is a chain of them, an event is one
// of them, a graph launch is a tree between two of them; so order within a stream, concurrency between streams, and
// all kinds of waiting are one mechanism.

#include "driver/api/types.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace emulator {
class Grid;
}

namespace emulator::driver {

using namespace emulator::cuda;

class Executor;
class Task;
using TaskPointer = std::shared_ptr<Task>;

/// Of a context: the error that a fault left behind. Once set, the context's work is dropped and its calls fail.
using Sticky = std::atomic<int>;

class Task : public std::enable_shared_from_this<Task> {
public:
  using Clock = std::chrono::steady_clock;

  /// Who runs the body.
  enum class Worker : uint8_t {
    None, ///< no body: a join, or an event
    Copy, ///< a few threads
    Host, ///< one thread: host functions never overlap, and may block
    Poll, ///< the body is called again and again until it calls Task::finish
  };

  bool done() const { return finished.load(std::memory_order_acquire); }
  /// When it ended; meaningful once done.
  Clock::time_point finishedAt() const { return end; }
  /// The body calls it when the work is done: at once, or later from another thread.
  void finish();
  /// A kernel's grid, from its start to its end.
  std::shared_ptr<Grid> grid() const;
  void setGrid(std::shared_ptr<Grid> started);

private:
  friend class Executor;
  std::atomic<bool> finished = false;
  Clock::time_point end;
  bool started = false;
  unsigned waitingFor = 0;
  Worker worker = Worker::None;
  std::function<void(Task &)> body;
  bool always = false; ///< runs even where the context has failed
  std::shared_ptr<Sticky> sticky;
  std::vector<TaskPointer> whenDone, whenStarted;
  std::shared_ptr<Grid> running;
};

struct TaskPlan {
  Task::Worker worker = Task::Worker::None;
  std::function<void(Task &)> body;
  std::vector<TaskPointer> after;        ///< begins when these have ended
  std::vector<TaskPointer> afterStartOf; ///< and these have begun
  std::shared_ptr<Sticky> sticky;
  bool always = false;
};

class Executor {
public:
  static Executor &instance();

  TaskPointer submit(TaskPlan plan);
  /// Blocks until the task has ended.
  void wait(const Task &task);

private:
  friend class Task;
  Executor();
  void finish(Task &task);
  /// Puts a task whose wait is over where it runs. With the lock held.
  void ready(TaskPointer task, std::vector<TaskPointer> &ended);
  void end(std::vector<TaskPointer> ended);
  void runBody(Task &task, std::unique_lock<std::mutex> &lock);
  void work(std::deque<TaskPointer> &queue);
  void poll();

  std::mutex mutex;
  std::condition_variable somethingReady, somethingDone;
  std::deque<TaskPointer> copies, hostCalls, polls;
};

} // namespace emulator::driver

#endif
