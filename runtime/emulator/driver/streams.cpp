// cuStream*, without capture.

#include "driver/api/functions.h"
#include "driver/capture.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include "driver/stream.h"
#include <algorithm>

namespace emulator::driver {

thread_local unsigned PerThreadDefault::depth = 0;

std::shared_ptr<Stream> streamOf(CUstream handle, Context &context) {
  const bool perThread = handle == streamPerThread || (!handle && PerThreadDefault::active());
  if (perThread) {
    std::shared_ptr<Stream> &stream = context.perThread[std::this_thread::get_id()];
    if (!stream) {
      stream = std::make_shared<Stream>(context, Stream::Kind::PerThread);
      stream->id = Driver::instance().nextId();
    }
    return stream;
  }
  if (!handle || handle == streamLegacy) {
    return context.legacy;
  }
  std::shared_ptr<Stream> stream = Driver::instance().streams.find(handle);
  if (!stream) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no stream", static_cast<void *>(handle));
  }
  requireSound(stream->context);
  return stream;
}

static void prune(std::vector<TaskPointer> &tasks) {
  std::erase_if(tasks, [](const TaskPointer &task) { return task->done(); });
}

std::vector<TaskPointer> predecessors(Stream &stream) {
  prune(stream.tail);
  std::vector<TaskPointer> before = stream.tail;
  Context &context = stream.context;
  auto append = [&](Stream &other) {
    prune(other.tail);
    before.insert(before.end(), other.tail.begin(), other.tail.end());
  };
  if (stream.kind == Stream::Kind::Legacy) {
    for (const std::shared_ptr<Stream> &other : context.streams) {
      if (other->blocking()) {
        append(*other);
      }
    }
    for (const auto &[thread, other] : context.perThread) {
      append(*other);
    }
    prune(context.orphans);
    before.insert(before.end(), context.orphans.begin(), context.orphans.end());
  } else if (stream.blocking()) {
    append(*context.legacy);
  }
  return before;
}

/// The legacy stream must not do anything while a blocking stream captures: it would depend on the capture.
static void requireLegacyUncaptured(Stream &stream) {
  if (stream.kind != Stream::Kind::Legacy) {
    return;
  }
  auto check = [](const Stream &other) {
    if (other.capture && other.blocking() && other.capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
      other.capture->invalidated = true;
      fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream would wait for a stream that captures");
    }
  };
  for (const std::shared_ptr<Stream> &other : stream.context.streams) {
    check(*other);
  }
  for (const auto &[thread, other] : stream.context.perThread) {
    check(*other);
  }
}

TaskPointer enqueue(Stream &stream, Operation operation) {
  requireLegacyUncaptured(stream);
  if (stream.capture) {
    captureNode(stream, std::move(operation));
    return nullptr;
  }
  std::vector<Started> primaries;
  std::vector<TaskPointer> after = predecessors(stream);
  if (const KernelOperation *kernel = std::get_if<KernelOperation>(&operation)) {
    auto attribute = kernel->attributes.find(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
    if (attribute != kernel->attributes.end() && attribute->second.programmaticStreamSerializationAllowed &&
        stream.lastKernel && !stream.lastKernel->done() && stream.tail.size() == 1) {
      primaries.push_back({stream.tail.front(), stream.lastKernel});
      std::erase(after, stream.tail.front());
    }
  }
  const bool isKernel = std::holds_alternative<KernelOperation>(operation);
  const Started started = start(operation, stream.context, std::move(after), std::move(primaries));
  stream.tail = {started.done};
  stream.lastKernel = isKernel ? started.kernel : nullptr;
  return started.done;
}

void enqueueAndWait(Stream &stream, Operation operation) {
  if (stream.capture) {
    stream.capture->invalidated = true;
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a call that waits, on a stream that captures");
  }
  CallScope::wait(enqueue(stream, std::move(operation)));
  requireSound(stream.context);
}

static void requireIdleCapture(Stream &stream, const char *what) {
  if (stream.capture) {
    stream.capture->invalidated = true;
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s on a stream that captures", what);
  }
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuStreamCreateWithPriority(CUstream *result, unsigned int flags, int priority) {
  return callInContext([&](Context &context) {
    requirePointer(result, "phStream");
    if (flags & ~static_cast<unsigned>(CU_STREAM_NON_BLOCKING)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    auto stream = std::make_shared<Stream>(context, Stream::Kind::Created);
    stream->flags = flags;
    stream->priority = std::clamp(priority, greatestStreamPriority, leastStreamPriority);
    stream->id = Driver::instance().nextId();
    context.streams.push_back(stream);
    *result = Driver::instance().streams.add<CUstream>(stream);
  });
}

CUresult cuStreamCreate(CUstream *result, unsigned int flags) { return cuStreamCreateWithPriority(result, flags, 0); }

CUresult cuStreamDestroy_v2(CUstream handle) {
  return call([&] {
    std::shared_ptr<Stream> stream = Driver::instance().streams.find(handle);
    if (!stream) {
      fail(CUDA_ERROR_INVALID_HANDLE, "%p is no stream that was created", static_cast<void *>(handle));
    }
    if (stream->capture) {
      dropCapture(stream->capture);
    }
    // Its work goes on.
    std::vector<TaskPointer> &orphans = stream->context.orphans;
    orphans.insert(orphans.end(), stream->tail.begin(), stream->tail.end());
    std::erase(stream->context.streams, stream);
    Driver::instance().streams.remove(handle);
  });
}

CUresult cuStreamGetPriority(CUstream handle, int *priority) {
  return callInContext([&](Context &context) {
    requirePointer(priority, "priority");
    *priority = streamOf(handle, context)->priority;
  });
}

CUresult cuStreamGetFlags(CUstream handle, unsigned int *flags) {
  return callInContext([&](Context &context) {
    requirePointer(flags, "flags");
    *flags = streamOf(handle, context)->flags;
  });
}

CUresult cuStreamGetId(CUstream handle, unsigned long long *id) {
  return callInContext([&](Context &context) {
    requirePointer(id, "streamId");
    *id = streamOf(handle, context)->id;
  });
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice *device) {
  return callInContext([&](Context &context) {
    requirePointer(device, "device");
    *device = streamOf(handle, context)->context.device.ordinal;
  });
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *result) {
  return callInContext([&](Context &context) {
    requirePointer(result, "pctx");
    *result = handleOf<CUcontext>(&streamOf(handle, context)->context);
  });
}

CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext *result, CUgreenCtx *green) {
  if (green) {
    *green = nullptr;
  }
  return cuStreamGetCtx(handle, result);
}

CUresult cuStreamQuery(CUstream handle) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    requireIdleCapture(*stream, "cuStreamQuery");
    for (const TaskPointer &task : predecessors(*stream)) {
      if (!task->done()) {
        throw Failure{CUDA_ERROR_NOT_READY, ""};
      }
    }
    requireSound(stream->context);
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    requireIdleCapture(*stream, "cuStreamSynchronize");
    for (const TaskPointer &task : stream->kind == Stream::Kind::Legacy ? predecessors(*stream) : stream->tail) {
      CallScope::wait(task);
    }
    requireSound(stream->context);
  });
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int flags) {
  return callInContext([&](Context &context) {
    if (flags & ~static_cast<unsigned>(CU_EVENT_WAIT_EXTERNAL)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    waitEvent(*streamOf(handle, context), eventOf(event), flags);
  });
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
  return callInContext([&](Context &context) {
    requirePointer(reinterpret_cast<const void *>(function), "fn");
    enqueue(*streamOf(handle, context), HostOperation{{function, data}, nullptr, nullptr});
  });
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void *data, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(reinterpret_cast<const void *>(callback), "callback");
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    requireIdleCapture(*stream, "cuStreamAddCallback");
    enqueue(*stream, HostOperation{{nullptr, data}, callback, handle});
  });
}

// --- values in memory

static CUresult enqueueValues(CUstream handle, std::vector<CUstreamBatchMemOpParams> operations,
                              const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        const std::shared_ptr<Stream> stream = streamOf(handle, context);
        requireValues(operations);
        enqueue(*stream, ValueOperation{std::move(operations)});
      },
      where);
}

static CUstreamBatchMemOpParams valueOperation(CUstreamBatchMemOpType type, CUdeviceptr address, cuuint64_t value,
                                               unsigned flags) {
  CUstreamBatchMemOpParams operation{};
  operation.waitValue.operation = type;
  operation.waitValue.address = address;
  operation.waitValue.value64 = value;
  operation.waitValue.flags = flags;
  return operation;
}

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return enqueueValues(stream, {valueOperation(CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags)});
}
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return enqueueValues(stream, {valueOperation(CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags)});
}
CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return enqueueValues(stream, {valueOperation(CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags)});
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return enqueueValues(stream, {valueOperation(CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags)});
}
CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return cuStreamWaitValue32_v2(stream, address, value, flags);
}
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return cuStreamWaitValue64_v2(stream, address, value, flags);
}
CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return cuStreamWriteValue32_v2(stream, address, value, flags);
}
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return cuStreamWriteValue64_v2(stream, address, value, flags);
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations,
                               unsigned int flags) {
  if (count == 0 || count > 256 || !operations || flags != 0) {
    return call(
        [&] { fail(CUDA_ERROR_INVALID_VALUE, "%u operations, flags 0x%x; expected 1 to 256, and 0", count, flags); });
  }
  return enqueueValues(stream, {operations, operations + count});
}

CUresult cuStreamBatchMemOp(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations,
                            unsigned int flags) {
  return cuStreamBatchMemOp_v2(stream, count, operations, flags);
}

// --- attributes

static void requireStreamAttribute(CUstreamAttrID attribute) {
  switch (attribute) {
  case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
  case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
  case CU_LAUNCH_ATTRIBUTE_PRIORITY:
  case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
  case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    return;
  default:
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute of streams", static_cast<int>(attribute));
  }
}

CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID attribute, CUstreamAttrValue *value) {
  return callInContext([&](Context &context) {
    requirePointer(value, "value_out");
    requireStreamAttribute(attribute);
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    *value = {};
    if (attribute == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
      value->priority = stream->priority;
    } else if (auto found = stream->attributes.find(attribute); found != stream->attributes.end()) {
      *value = found->second;
    } else if (attribute == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY) {
      value->syncPolicy = CU_SYNC_POLICY_AUTO;
    } else if (attribute == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP) {
      value->memSyncDomainMap = {0, 1};
    }
  });
}

CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID attribute, const CUstreamAttrValue *value) {
  return callInContext([&](Context &context) {
    requirePointer(value, "value");
    requireStreamAttribute(attribute);
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    if (attribute == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
      stream->priority = std::clamp(value->priority, greatestStreamPriority, leastStreamPriority);
    } else {
      stream->attributes[attribute] = *value;
    }
  });
}

CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> source = streamOf(from, context), destination = streamOf(to, context);
    destination->attributes = source->attributes;
    destination->priority = source->priority;
  });
}

} // namespace emulator::cuda
