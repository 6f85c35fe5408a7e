// cuEvent*. Times are the host's.

#include "driver/api/functions.h"
#include "driver/capture.h"
#include "driver/context.h"
#include "driver/stream.h"
#include <algorithm>

namespace emulator::driver {

std::shared_ptr<Event> eventOf(CUevent handle) {
  std::shared_ptr<Event> event = Driver::instance().events.find(handle);
  if (!event) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no event", static_cast<void *>(handle));
  }
  return event;
}

void recordEvent(Stream &stream, const std::shared_ptr<Event> &event, unsigned flags) {
  if (event->context != &stream.context) {
    fail(CUDA_ERROR_INVALID_HANDLE, "the event and the stream are of different contexts");
  }
  if (stream.capture) {
    requireValidCapture(stream);
    if (flags & CU_EVENT_RECORD_EXTERNAL) {
      captureNode(stream, EventRecordOperation{event});
      return;
    }
    event->capture = stream.capture;
    event->captured = stream.captureTail;
    event->programmatic = false;
    event->record = nullptr;
    return;
  }
  if (flags & CU_EVENT_RECORD_EXTERNAL) {
    fail(CUDA_ERROR_INVALID_VALUE, "CU_EVENT_RECORD_EXTERNAL is of streams that capture");
  }
  enqueue(stream, EventRecordOperation{event});
}

void waitEvent(Stream &stream, const std::shared_ptr<Event> &event, unsigned flags) {
  if (stream.capture && (flags & CU_EVENT_WAIT_EXTERNAL)) {
    captureNode(stream, EventWaitOperation{event});
    return;
  }
  if (flags & CU_EVENT_WAIT_EXTERNAL) {
    fail(CUDA_ERROR_INVALID_VALUE, "CU_EVENT_WAIT_EXTERNAL is of streams that capture");
  }
  if (event->capture) {
    // The stream joins the event's capture.
    const std::shared_ptr<Capture> capture = event->capture;
    if (capture->invalidated) {
      fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the event's capture was invalidated");
    }
    if (stream.kind == Stream::Kind::Legacy) {
      capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream cannot be captured");
    }
    if (stream.capture && stream.capture != capture) {
      capture->invalidated = stream.capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_MERGE, "the event and the stream belong to different captures");
    }
    if (!stream.capture) {
      stream.capture = capture;
      stream.captureTail.clear();
      capture->streams.push_back(&stream);
    }
    for (GraphNode *node : event->captured) {
      if (std::ranges::find(stream.captureTail, node) == stream.captureTail.end()) {
        stream.captureTail.push_back(node);
      }
    }
    stream.programmaticTail = event->programmatic && !event->captured.empty() ? event->captured.front() : nullptr;
    stream.capturedKernel = nullptr;
    return;
  }
  if (stream.capture) {
    if (event->record) {
      stream.capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the event was recorded outside of the capture");
    }
    return;
  }
  if (event->record && !event->record->done()) {
    stream.tail.push_back(event->record);
    stream.lastKernel = nullptr;
  }
}

static void requireNotCaptured(const Event &event) {
  if (event.capture) {
    event.capture->invalidated = true;
    fail(CUDA_ERROR_CAPTURED_EVENT, "the event was recorded in a capture");
  }
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuEventCreate(CUevent *result, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(result, "phEvent");
    if (flags & ~7u) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    if (flags & CU_EVENT_INTERPROCESS) {
      fail(flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE,
           "events of several processes are not emulated");
    }
    auto event = std::make_shared<Event>();
    event->context = &context;
    event->flags = flags;
    *result = Driver::instance().events.add<CUevent>(event);
  });
}

CUresult cuEventDestroy_v2(CUevent handle) {
  return call([&] {
    eventOf(handle);
    Driver::instance().events.remove(handle);
  });
}

CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream, unsigned int flags) {
  return callInContext([&](Context &context) {
    if (flags & ~static_cast<unsigned>(CU_EVENT_RECORD_EXTERNAL)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    const std::shared_ptr<Event> event = eventOf(handle);
    // A null stream is the current context's, but the event may be of another.
    recordEvent(*streamOf(stream, context), event, flags);
  });
}

CUresult cuEventRecord(CUevent event, CUstream stream) { return cuEventRecordWithFlags(event, stream, 0); }

CUresult cuEventQuery(CUevent handle) {
  return call([&] {
    const std::shared_ptr<Event> event = eventOf(handle);
    requireNotCaptured(*event);
    requireSound(*event->context);
    if (event->record && !event->record->done()) {
      throw Failure{CUDA_ERROR_NOT_READY, ""};
    }
  });
}

CUresult cuEventSynchronize(CUevent handle) {
  return call([&] {
    const std::shared_ptr<Event> event = eventOf(handle);
    requireNotCaptured(*event);
    requireSound(*event->context);
    CallScope::wait(event->record);
    requireSound(*event->context);
  });
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent begin, CUevent end) {
  return call([&] {
    requirePointer(milliseconds, "pMilliseconds");
    const std::shared_ptr<Event> first = eventOf(begin), second = eventOf(end);
    for (const Event *event : {first.get(), second.get()}) {
      requireNotCaptured(*event);
      if (event->flags & CU_EVENT_DISABLE_TIMING) {
        fail(CUDA_ERROR_INVALID_HANDLE, "an event was made with CU_EVENT_DISABLE_TIMING");
      }
      if (!event->record) {
        fail(CUDA_ERROR_INVALID_HANDLE, "an event was never recorded");
      }
      requireSound(*event->context);
      if (!event->record->done()) {
        throw Failure{CUDA_ERROR_NOT_READY, ""};
      }
    }
    *milliseconds =
        std::chrono::duration<float, std::milli>(second->record->finishedAt() - first->record->finishedAt()).count();
  });
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, begin, end);
}

} // namespace emulator::cuda
