#ifndef RUNTIME_EMULATOR_DRIVER_STREAM_H
#define RUNTIME_EMULATOR_DRIVER_STREAM_H

// Streams and events. A stream is its last tasks; new work goes behind them. The legacy default stream goes behind all
// blocking streams of its context, and they behind it.

#include "driver/graph.h"
#include "driver/operation.h"
#include <map>

namespace emulator::driver {

struct Capture;

struct Stream {
  enum class Kind : uint8_t { Created, Legacy, PerThread };

  Stream(Context &context, Kind kind) : context(context), kind(kind) {}

  Context &context;
  const Kind kind;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  std::map<CUlaunchAttributeID, CUlaunchAttributeValue> attributes;

  std::vector<TaskPointer> tail;
  /// The last operation, where it is a kernel and nothing else came after: what a programmatically serialised launch
  /// goes behind.
  TaskPointer lastKernel;

  std::shared_ptr<Capture> capture; ///< null: not capturing
  std::vector<GraphNode *> captureTail;
  /// The capture's last kernel, as above.
  GraphNode *capturedKernel = nullptr;
  /// In captureTail: a kernel whose programmatic event was waited for. The edge to the next kernel is programmatic.
  GraphNode *programmaticTail = nullptr;

  bool blocking() const { return !(flags & CU_STREAM_NON_BLOCKING); }
};

struct Event {
  Context *context = nullptr;
  unsigned flags = 0;
  TaskPointer record; ///< null: never recorded, which counts as complete
  /// Recorded in a capture: the event stands for these nodes.
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode *> captured;
  /// Recorded by a kernel's programmatic event in a capture: an edge from this node is programmatic.
  bool programmatic = false;
};

/// Default streams follow `perThread` calls (the _ptsz and _ptds variants).
class PerThreadDefault {
public:
  PerThreadDefault() { ++depth; }
  ~PerThreadDefault() { --depth; }
  static bool active() { return depth != 0; }

private:
  static thread_local unsigned depth;
};

/// A stream's handle, the default streams' included: CUDA_ERROR_INVALID_HANDLE or _CONTEXT_IS_DESTROYED otherwise.
std::shared_ptr<Stream> streamOf(CUstream handle, Context &context);
std::shared_ptr<Event> eventOf(CUevent handle);

/// A call that would wait for the whole context is not allowed while one of its streams captures.
void requireNoCapture(const Context &context);
/// A call that may wait behind the program's back (an allocation, a query) is not allowed while this thread captures in
/// another mode than relaxed, or any thread in global mode.
void requireNoUnsafeCapture(const char *what);

/// What new work of the stream must wait for, and the stream's housekeeping before it.
std::vector<TaskPointer> predecessors(Stream &stream);
/// Puts an operation into the stream: into its capture where it has one.
TaskPointer enqueue(Stream &stream, Operation operation);
/// As above; waits where the call is a synchronous one. Fails with the context's fault.
void enqueueAndWait(Stream &stream, Operation operation);
/// Records the event in the stream, or in its capture.
void recordEvent(Stream &stream, const std::shared_ptr<Event> &event, unsigned flags);
void waitEvent(Stream &stream, const std::shared_ptr<Event> &event, unsigned flags);

} // namespace emulator::driver

#endif
