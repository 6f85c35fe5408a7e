// cuStream*Capture*.

#include "driver/capture.h"
#include "driver/api/functions.h"
#include "driver/context.h"
#include <algorithm>
#include <set>

namespace emulator::driver {

/// All captures that run; guarded by the driver's lock.
static std::vector<std::shared_ptr<Capture>> &activeCaptures() {
  static auto *captures = new std::vector<std::shared_ptr<Capture>>;
  return *captures;
}

CUstreamCaptureMode &threadCaptureMode() {
  static thread_local CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  return mode;
}

void requireNoUnsafeCapture(const char *what) {
  if (threadCaptureMode() == CU_STREAM_CAPTURE_MODE_RELAXED) {
    return;
  }
  for (const std::shared_ptr<Capture> &capture : activeCaptures()) {
    const bool own = capture->thread == std::this_thread::get_id();
    const bool forbids = capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL
                             ? own || threadCaptureMode() == CU_STREAM_CAPTURE_MODE_GLOBAL
                             : capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && own;
    if (forbids && !capture->invalidated) {
      capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s while a stream captures", what);
    }
  }
}

void requireNoCapture(const Context &context) {
  for (const std::shared_ptr<Capture> &capture : activeCaptures()) {
    for (Stream *stream : capture->streams) {
      if (&stream->context == &context) {
        capture->invalidated = true;
        fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a stream of the context captures");
      }
    }
  }
}

void requireValidCapture(const Stream &stream) {
  if (stream.capture && stream.capture->invalidated) {
    fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "an earlier call has invalidated the capture");
  }
}

GraphNode &captureNode(Stream &stream, Operation operation) {
  requireValidCapture(stream);
  const KernelOperation *kernel = std::get_if<KernelOperation>(&operation);
  bool serialised = false;
  std::shared_ptr<Event> event;
  if (kernel) {
    auto attribute = kernel->attributes.find(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
    serialised = attribute != kernel->attributes.end() && attribute->second.programmaticStreamSerializationAllowed != 0;
    event = kernel->programmaticEvent;
  }
  std::vector<GraphEdge> dependencies;
  for (GraphNode *node : stream.captureTail) {
    GraphEdge edge{node, {}};
    const bool programmatic =
        kernel && ((serialised && node == stream.capturedKernel) || node == stream.programmaticTail);
    if (programmatic) {
      edge.data.from_port = kernelPortProgrammatic;
      edge.data.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
    }
    dependencies.push_back(edge);
  }
  GraphNode &node = addNode(*stream.capture->graph, stream.context, std::move(operation), dependencies);
  stream.captureTail = {&node};
  stream.capturedKernel = kernel ? &node : nullptr;
  stream.programmaticTail = nullptr;
  if (event) {
    event->capture = stream.capture;
    event->captured = {&node};
    event->programmatic = true;
    event->record = nullptr;
  }
  return node;
}

void dropCapture(const std::shared_ptr<Capture> &capture) {
  const std::shared_ptr<Capture> kept = capture; // The argument may be one of the pointers that are reset.
  for (Stream *stream : kept->streams) {
    stream->capture = nullptr;
    stream->captureTail.clear();
    stream->capturedKernel = stream->programmaticTail = nullptr;
  }
  kept->streams.clear();
  kept->invalidated = true; // For events that still refer to it.
  std::erase(activeCaptures(), kept);
}

/// All nodes from which one of `ends` can be reached.
static std::set<const GraphNode *> ancestors(const std::vector<GraphNode *> &ends) {
  std::set<const GraphNode *> found(ends.begin(), ends.end());
  std::vector<const GraphNode *> open(ends.begin(), ends.end());
  while (!open.empty()) {
    const GraphNode *node = open.back();
    open.pop_back();
    for (const GraphEdge &edge : node->dependencies) {
      if (found.insert(edge.node).second) {
        open.push_back(edge.node);
      }
    }
  }
  return found;
}

static void begin(CUstream handle, Context &context, CUstreamCaptureMode mode, std::shared_ptr<Graph> graph,
                  std::vector<GraphNode *> tail) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no capture mode", static_cast<int>(mode));
  }
  const std::shared_ptr<Stream> stream = streamOf(handle, context);
  if (stream->kind == Stream::Kind::Legacy) {
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the legacy stream cannot be captured");
  }
  if (stream->capture) {
    fail(CUDA_ERROR_ILLEGAL_STATE, "the stream captures already");
  }
  auto capture = std::make_shared<Capture>();
  capture->ofCaller = graph != nullptr;
  capture->graph = graph ? std::move(graph) : std::make_shared<Graph>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->id = Driver::instance().nextId();
  capture->origin = stream.get();
  capture->streams = {stream.get()};
  stream->capture = capture;
  stream->captureTail = std::move(tail);
  stream->capturedKernel = stream->programmaticTail = nullptr;
  activeCaptures().push_back(capture);
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  return callInContext([&](Context &context) { begin(stream, context, mode, nullptr, {}); });
}

CUresult cuStreamBeginCapture(CUstream stream) {
  return cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                                     const CUgraphEdgeData *data, size_t count, CUstreamCaptureMode mode) {
  return callInContext([&](Context &context) {
    std::vector<GraphNode *> tail;
    for (size_t i = 0; i < count; ++i) {
      tail.push_back(graphNodeOf(dependencies[i]).get());
    }
    begin(stream, context, mode, graphOf(graph), std::move(tail));
  });
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *result) {
  return callInContext([&](Context &context) {
    if (result) {
      *result = nullptr;
    }
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    const std::shared_ptr<Capture> capture = stream->capture;
    if (!capture) {
      fail(CUDA_ERROR_ILLEGAL_STATE, "the stream does not capture");
    }
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id()) {
      fail(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "another thread began the capture");
    }
    if (capture->origin != stream.get()) {
      capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream");
    }
    requirePointer(result, "phGraph");
    const bool valid = !capture->invalidated;
    bool joined = true;
    const std::set<const GraphNode *> reached = ancestors(stream->captureTail);
    for (const Stream *other : capture->streams) {
      for (const GraphNode *node : other->captureTail) {
        joined = joined && reached.contains(node);
      }
    }
    dropCapture(capture);
    if (!valid) {
      fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "an earlier call has invalidated the capture");
    }
    if (!joined) {
      fail(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "another stream's captured work does not lead back to this stream");
    }
    if (capture->ofCaller) {
      *result = handleOf<CUgraph>(capture->graph.get());
    } else {
      publishGraph(capture->graph);
      *result = handleOf<CUgraph>(capture->graph.get());
    }
  });
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  return callInContext([&](Context &context) {
    requirePointer(status, "captureStatus");
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    if (stream->kind == Stream::Kind::Legacy) {
      for (const std::shared_ptr<Stream> &other : context.streams) {
        if (other->capture && other->blocking()) {
          fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "a blocking stream captures");
        }
      }
    }
    *status = !stream->capture               ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  });
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **dependencies, const CUgraphEdgeData **edges, size_t *count) {
  return callInContext([&](Context &context) {
    requirePointer(status, "captureStatus_out");
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    const Capture *capture = stream->capture.get();
    *status = !capture               ? CU_STREAM_CAPTURE_STATUS_NONE
              : capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                     : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE) {
      return;
    }
    if (id) {
      *id = capture->id;
    }
    if (graph) {
      // A handle that is valid until the capture ends, as CUDA says.
      if (!Driver::instance().graphs.find(capture->graph.get())) {
        publishGraph(capture->graph);
      }
      *graph = handleOf<CUgraph>(capture->graph.get());
    }
    static_assert(sizeof(GraphNode *) == sizeof(CUgraphNode));
    if (dependencies) {
      *dependencies = reinterpret_cast<const CUgraphNode *>(stream->captureTail.data());
    }
    if (edges) {
      *edges = nullptr;
    }
    if (count) {
      *count = stream->captureTail.size();
    }
  });
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **dependencies, size_t *count) {
  return cuStreamGetCaptureInfo_v3(stream, status, id, graph, dependencies, nullptr, count);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id) {
  return cuStreamGetCaptureInfo_v3(stream, status, id, nullptr, nullptr, nullptr, nullptr);
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream handle, CUgraphNode *dependencies, const CUgraphEdgeData *data,
                                              size_t count, unsigned int flags) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    if (!stream->capture) {
      fail(CUDA_ERROR_ILLEGAL_STATE, "the stream does not capture");
    }
    requireValidCapture(*stream);
    if (flags != CU_STREAM_ADD_CAPTURE_DEPENDENCIES && flags != CU_STREAM_SET_CAPTURE_DEPENDENCIES) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    std::vector<GraphNode *> tail;
    if (flags == CU_STREAM_ADD_CAPTURE_DEPENDENCIES) {
      tail = stream->captureTail;
    }
    for (size_t i = 0; i < count; ++i) {
      GraphNode *node = graphNodeOf(dependencies[i]).get();
      if (node->graph != stream->capture->graph.get()) {
        fail(CUDA_ERROR_INVALID_VALUE, "a node of another graph");
      }
      if (std::ranges::find(tail, node) == tail.end()) {
        tail.push_back(node);
      }
    }
    stream->captureTail = std::move(tail);
    stream->capturedKernel = nullptr;
  });
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *dependencies, size_t count,
                                           unsigned int flags) {
  return cuStreamUpdateCaptureDependencies_v2(stream, dependencies, nullptr, count, flags);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
  return call([&] {
    requirePointer(mode, "mode");
    if (*mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no capture mode", static_cast<int>(*mode));
    }
    std::swap(*mode, threadCaptureMode());
  });
}

} // namespace emulator::cuda
