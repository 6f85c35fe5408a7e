#include "driver/task.h"
#include <thread>

namespace emulator::driver {

static constexpr unsigned copyThreads = 2;
static constexpr std::chrono::microseconds pollInterval(50);

void Task::finish() { Executor::instance().finish(*this); }

std::shared_ptr<Grid> Task::grid() const {
  std::lock_guard lock(Executor::instance().mutex);
  return running;
}

void Task::setGrid(std::shared_ptr<Grid> grid) {
  std::lock_guard lock(Executor::instance().mutex);
  // A short grid may have ended already. The grid's end holds the task, so the task must not hold a grid that ended.
  if (!done()) {
    running = std::move(grid);
  }
}

Executor &Executor::instance() {
  static Executor *executor = new Executor; // Its threads run until the process ends.
  return *executor;
}

Executor::Executor() {
  for (unsigned i = 0; i < copyThreads; ++i) {
    std::thread([this] { work(copies); }).detach();
  }
  std::thread([this] { work(hostCalls); }).detach();
  std::thread([this] { poll(); }).detach();
}

TaskPointer Executor::submit(TaskPlan plan) {
  auto task = std::make_shared<Task>();
  task->worker = plan.worker;
  task->body = std::move(plan.body);
  task->always = plan.always;
  task->sticky = std::move(plan.sticky);
  std::vector<TaskPointer> ended;
  {
    std::lock_guard lock(mutex);
    for (const TaskPointer &before : plan.after) {
      if (!before->done()) {
        before->whenDone.push_back(task);
        ++task->waitingFor;
      }
    }
    for (const TaskPointer &before : plan.afterStartOf) {
      if (!before->started && !before->done()) {
        before->whenStarted.push_back(task);
        ++task->waitingFor;
      }
    }
    if (task->waitingFor == 0) {
      ready(task, ended);
    }
  }
  end(std::move(ended));
  return task;
}

void Executor::ready(TaskPointer task, std::vector<TaskPointer> &ended) {
  const bool dropped = task->sticky && task->sticky->load(std::memory_order_acquire) != 0 && !task->always;
  if (dropped || task->worker == Task::Worker::None) {
    ended.push_back(std::move(task));
    return;
  }
  std::deque<TaskPointer> &queue = task->worker == Task::Worker::Copy   ? copies
                                   : task->worker == Task::Worker::Host ? hostCalls
                                                                        : polls;
  queue.push_back(std::move(task));
  somethingReady.notify_all();
}

/// Ends tasks and all that follow from it without running anything: a loop, since a chain of events may be long.
void Executor::end(std::vector<TaskPointer> ended) {
  if (ended.empty()) {
    return;
  }
  std::vector<std::function<void(Task &)>> bodies; // Destroyed without the lock: they own what they worked on.
  std::vector<std::shared_ptr<Grid>> grids;
  std::vector<TaskPointer> dropped;
  {
    std::lock_guard lock(mutex);
    while (!ended.empty()) {
      TaskPointer task = std::move(ended.back());
      ended.pop_back();
      if (task->done()) {
        continue;
      }
      task->end = Task::Clock::now();
      task->started = true;
      task->finished.store(true, std::memory_order_release);
      bodies.push_back(std::move(task->body));
      task->body = nullptr;
      grids.push_back(std::move(task->running));
      for (std::vector<TaskPointer> *followers : {&task->whenStarted, &task->whenDone}) {
        for (TaskPointer &follower : *followers) {
          if (--follower->waitingFor == 0) {
            ready(std::move(follower), ended);
          }
        }
        followers->clear();
      }
      dropped.push_back(std::move(task));
    }
    somethingDone.notify_all();
  }
}

void Executor::finish(Task &task) { end({task.shared_from_this()}); }

void Executor::wait(const Task &task) {
  if (task.done()) {
    return;
  }
  std::unique_lock lock(mutex);
  somethingDone.wait(lock, [&] { return task.done(); });
}

void Executor::runBody(Task &task, std::unique_lock<std::mutex> &lock) {
  // The body may finish the task from another thread before it returns; keep the function alive for itself.
  std::function<void(Task &)> body = task.body;
  lock.unlock();
  body(task);
  body = nullptr;
  lock.lock();
  if (!task.started) {
    task.started = true;
    std::vector<TaskPointer> followers = std::move(task.whenStarted);
    task.whenStarted.clear();
    std::vector<TaskPointer> ended;
    for (TaskPointer &follower : followers) {
      if (--follower->waitingFor == 0) {
        ready(std::move(follower), ended);
      }
    }
    lock.unlock();
    end(std::move(ended));
    lock.lock();
  }
}

void Executor::work(std::deque<TaskPointer> &queue) {
  std::unique_lock lock(mutex);
  while (true) {
    somethingReady.wait(lock, [&] { return !queue.empty(); });
    TaskPointer task = std::move(queue.front());
    queue.pop_front();
    runBody(*task, lock);
    lock.unlock();
    task.reset();
    lock.lock();
  }
}

void Executor::poll() {
  std::unique_lock lock(mutex);
  while (true) {
    somethingReady.wait(lock, [&] { return !polls.empty(); });
    for (size_t i = 0, n = polls.size(); i < n; ++i) {
      TaskPointer task = std::move(polls.front());
      polls.pop_front();
      if (task->sticky && task->sticky->load(std::memory_order_acquire) != 0 && !task->always) {
        lock.unlock();
        end({std::move(task)});
        lock.lock();
        continue;
      }
      runBody(*task, lock);
      if (!task->done()) {
        polls.push_back(std::move(task));
      }
    }
    if (!polls.empty()) {
      lock.unlock();
      std::this_thread::sleep_for(pollInterval);
      lock.lock();
    }
  }
}

} // namespace emulator::driver
