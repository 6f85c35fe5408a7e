#ifndef RUNTIME_EMULATOR_DRIVER_DRIVER_H
#define RUNTIME_EMULATOR_DRIVER_DRIVER_H

// The driver's state: devices, and every object that a program has a handle to.
//
// One lock guards it all. A call takes it for its whole duration, except where it waits for the device; work itself
// runs on the executor's and the machine's threads, which never take it. Objects know their context by reference:
// contexts are marked when they are destroyed, and their memory stays, since any thread may still have one current.

#include "driver/failure.h"
#include "driver/task.h"
#include "machine/device.h"
#include "machine/options.h"
#include <cstdint>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <unordered_map>
#include <vector>

namespace emulator::driver {

struct Context;
struct Event;
struct Graph;
struct GraphExec;
struct GraphNode;
struct Function;
struct Library;
struct LibraryKernel;
struct LinkState;
struct Module;
struct Pool;
struct Stream;
struct UserObject;

/// The live objects of one kind. A handle is the object's address, and is looked up before it is used.
template <typename T> class Handles {
public:
  template <typename Handle> Handle add(std::shared_ptr<T> object) {
    T *address = object.get();
    live[address] = std::move(object);
    return reinterpret_cast<Handle>(address);
  }
  std::shared_ptr<T> find(const void *handle) const {
    auto found = live.find(handle);
    return found == live.end() ? nullptr : found->second;
  }
  bool remove(const void *handle) { return live.erase(handle) != 0; }
  template <typename Predicate> void removeWhere(Predicate predicate) {
    std::erase_if(live, [&](const auto &entry) { return predicate(*entry.second); });
  }
  template <typename Each> void each(Each visit) const {
    for (const auto &[address, object] : live) {
      visit(*object);
    }
  }
  size_t size() const { return live.size(); }

private:
  std::unordered_map<const void *, std::shared_ptr<T>> live;
};

template <typename Handle, typename T> Handle handleOf(const T *object) {
  return reinterpret_cast<Handle>(const_cast<T *>(object));
}

struct Device {
  int ordinal = 0;
  const DeviceProperties *properties = nullptr;
  Context *primary = nullptr; ///< null while nobody retains it
  unsigned primaryReferences = 0, primaryFlags = 0;
  std::shared_ptr<Pool> defaultPool, pool;
  /// peerAccess[d]: kernels of this device may use memory of device d (set through the contexts).
  std::vector<bool> peerAccess;
};

class Driver {
public:
  static Driver &instance();

  /// Reads the environment and makes the devices, once.
  void prepare();
  bool initialised = false; ///< cuInit was called

  Device &device(CUdevice ordinal);

  std::vector<Device> devices;
  RunOptions options;

  Handles<Context> contexts;
  Handles<Event> events;
  Handles<Function> functions;
  Handles<Graph> graphs;
  Handles<GraphExec> graphExecs;
  Handles<GraphNode> graphNodes;
  Handles<Library> libraries;
  Handles<LibraryKernel> libraryKernels;
  Handles<LinkState> linkStates;
  Handles<Module> modules;
  Handles<Pool> pools;
  Handles<Stream> streams;
  Handles<UserObject> userObjects;

  uint64_t nextId() { return ++lastId; }

  std::mutex mutex;

private:
  uint64_t lastId = 0;
};

/// Holds the driver's lock during a call.
class CallScope {
public:
  CallScope();
  ~CallScope();
  CallScope(const CallScope &) = delete;

  /// Waits for a task with the lock released; nothing found before is still sure to be there after.
  static void wait(const TaskPointer &task);

private:
  std::unique_lock<std::mutex> lock;
  CallScope *outer;
};

/// The calling thread's current context; fails where there is none, or it was destroyed, or a fault has broken it.
Context &currentContext();

namespace call_detail {
CUresult caught(const std::source_location &where);
void requireInitialised();
} // namespace call_detail

/// The frame of an API function that needs no context: `body` fails by throwing.
template <typename Body> CUresult call(Body body, const std::source_location where = std::source_location::current()) {
  try {
    CallScope scope;
    call_detail::requireInitialised();
    body();
    return CUDA_SUCCESS;
  } catch (...) {
    return call_detail::caught(where);
  }
}

/// As call, with the current context.
template <typename Body>
CUresult callInContext(Body body, const std::source_location where = std::source_location::current()) {
  try {
    CallScope scope;
    call_detail::requireInitialised();
    body(currentContext());
    return CUDA_SUCCESS;
  } catch (...) {
    return call_detail::caught(where);
  }
}

/// Fails with CUDA_ERROR_INVALID_VALUE where an argument that must point somewhere does not.
void requirePointer(const void *pointer, const char *what);

} // namespace emulator::driver

#endif
