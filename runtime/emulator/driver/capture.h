#ifndef RUNTIME_EMULATOR_DRIVER_CAPTURE_H
#define RUNTIME_EMULATOR_DRIVER_CAPTURE_H

// Stream capture: the streams of one capture sequence write into one graph instead of doing their work.

#include "driver/stream.h"
#include <thread>

namespace emulator::driver {

struct Capture {
  std::shared_ptr<Graph> graph;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  uint64_t id = 0;
  bool invalidated = false;
  bool ofCaller = false; ///< the graph is the caller's: cuStreamBeginCaptureToGraph
  Stream *origin = nullptr;
  std::vector<Stream *> streams; ///< that have joined, the origin first
};

/// Appends a node behind what the stream has captured so far.
GraphNode &captureNode(Stream &stream, Operation operation);
/// Ends it without a graph: its streams no longer capture.
void dropCapture(const std::shared_ptr<Capture> &capture);
/// Fails where the stream's capture was invalidated.
void requireValidCapture(const Stream &stream);
/// The current mode of the calling thread, for cuThreadExchangeStreamCaptureMode.
CUstreamCaptureMode &threadCaptureMode();

} // namespace emulator::driver

#endif
