// cuCtx* and cuDevicePrimaryCtx*.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include "driver/module.h"
#include "driver/stream.h"
#include <algorithm>

namespace emulator::driver {

/// The calling thread's stack of contexts; the last is current, and may be null.
static thread_local std::vector<Context *> stack;

static std::vector<std::shared_ptr<Context>> &everyContext() {
  static auto *all = new std::vector<std::shared_ptr<Context>>; // See driver.h: contexts are never deleted.
  return *all;
}

static Context *current() { return stack.empty() ? nullptr : stack.back(); }

void requireSound(const Context &context) {
  if (const int code = context.sticky->load(std::memory_order_acquire)) {
    fail(static_cast<CUresult>(code), "an earlier kernel's fault has broken the context");
  }
}

Context &currentContext() {
  Context *context = current();
  if (!context) {
    fail(CUDA_ERROR_INVALID_CONTEXT, "the calling thread has no current context");
  }
  if (context->destroyed) {
    fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the current context was destroyed");
  }
  requireSound(*context);
  return *context;
}

Context &contextOf(CUcontext handle) {
  std::shared_ptr<Context> context = Driver::instance().contexts.find(handle);
  if (!context) {
    fail(CUDA_ERROR_INVALID_CONTEXT, "%p is no context", static_cast<void *>(handle));
  }
  return *context;
}

static void setDefaultLimits(Context &context) {
  context.limits = {{CU_LIMIT_STACK_SIZE, 1024},
                    {CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20},
                    {CU_LIMIT_MALLOC_HEAP_SIZE, 8 << 20},
                    {CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2},
                    {CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 2048},
                    {CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64},
                    {CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 0}};
}

Context &createContext(Device &device, unsigned flags, bool primary) {
  Driver &driver = Driver::instance();
  auto context = std::make_shared<Context>(device);
  context->id = driver.nextId();
  context->flags = flags;
  context->apiVersion = 13000;
  context->primary = primary;
  setDefaultLimits(*context);
  context->legacy = std::make_shared<Stream>(*context, Stream::Kind::Legacy);
  context->legacy->id = driver.nextId();
  everyContext().push_back(context);
  driver.contexts.add<CUcontext>(context);
  return *context;
}

/// Everything that the context still has to end.
static std::vector<TaskPointer> pendingWork(const Context &context) {
  std::vector<TaskPointer> pending = context.orphans;
  auto append = [&](const Stream &stream) { pending.insert(pending.end(), stream.tail.begin(), stream.tail.end()); };
  append(*context.legacy);
  for (const auto &[thread, stream] : context.perThread) {
    append(*stream);
  }
  for (const std::shared_ptr<Stream> &stream : context.streams) {
    append(*stream);
  }
  return pending;
}

void synchronise(Context &context) {
  for (const TaskPointer &task : pendingWork(context)) {
    CallScope::wait(task);
  }
  std::erase_if(context.orphans, [](const TaskPointer &task) { return task->done(); });
  requireSound(context);
}

void setPeerAccess(Device &from, const Device &to, bool allowed) {
  from.peerAccess[static_cast<size_t>(to.ordinal)] = allowed;
}

void destroyContext(Context &context) {
  Driver &driver = Driver::instance();
  for (const TaskPointer &task : pendingWork(context)) {
    CallScope::wait(task);
  }
  context.destroyed = true;
  for (const Block &block : MemoryMap::instance().blocks()) {
    if (block.context == &context) {
      MemoryMap::instance().free(block.address);
    }
  }
  driver.functions.removeWhere([&](const Function &function) { return &function.module->context == &context; });
  driver.modules.removeWhere([&](const Module &module) { return &module.context == &context; });
  driver.libraries.each([&](Library &library) { library.modules.erase(&context); });
  driver.events.removeWhere([&](const Event &event) { return event.context == &context; });
  driver.streams.removeWhere([&](const Stream &stream) { return &stream.context == &context; });
  for (Device &device : driver.devices) {
    if (device.primary == &context) {
      device.primary = nullptr;
    }
  }
  if (!context.peers.empty()) {
    std::fill(context.device.peerAccess.begin(), context.device.peerAccess.end(), false);
  }
  context.streams.clear();
  context.perThread.clear();
  context.orphans.clear();
  context.legacy = std::make_shared<Stream>(context, Stream::Kind::Legacy);
  driver.contexts.remove(&context);
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

static void requireContextFlags(unsigned flags) {
  const unsigned schedule = flags & CU_CTX_SCHED_MASK;
  if ((flags & ~static_cast<unsigned>(CU_CTX_FLAGS_MASK)) || (schedule & (schedule - 1))) {
    fail(CUDA_ERROR_INVALID_VALUE, "context flags 0x%x", flags);
  }
}

CUresult cuCtxCreate_v2(CUcontext *result, unsigned int flags, CUdevice device) {
  return call([&] {
    requirePointer(result, "pctx");
    requireContextFlags(flags);
    Context &context = createContext(Driver::instance().device(device), flags, false);
    stack.push_back(&context);
    *result = handleOf<CUcontext>(&context);
  });
}

CUresult cuCtxCreate_v3(CUcontext *result, CUexecAffinityParam *affinity, int count, unsigned int flags,
                        CUdevice device) {
  if (count != 0) {
    return call([&] { fail(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "execution affinity is not emulated"); });
  }
  return cuCtxCreate_v2(result, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext *result, CUctxCreateParams *parameters, unsigned int flags, CUdevice device) {
  if (parameters && parameters->cigParams) {
    return call([&] { fail(CUDA_ERROR_NOT_SUPPORTED, "CUDA in graphics is not emulated"); });
  }
  return cuCtxCreate_v3(result, parameters ? parameters->execAffinityParams : nullptr,
                        parameters ? parameters->numExecAffinityParams : 0, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  return call([&] {
    Context &context = contextOf(handle);
    if (context.primary) {
      fail(CUDA_ERROR_INVALID_CONTEXT, "a primary context is released, not destroyed");
    }
    destroyContext(context);
    if (current() == &context) {
      stack.pop_back();
    }
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  return call([&] { stack.push_back(&contextOf(handle)); });
}

CUresult cuCtxPopCurrent_v2(CUcontext *result) {
  return call([&] {
    if (!current()) {
      fail(CUDA_ERROR_INVALID_CONTEXT, "the calling thread has no current context");
    }
    if (result) {
      *result = handleOf<CUcontext>(current());
    }
    stack.pop_back();
  });
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  return call([&] {
    if (!handle) {
      if (!stack.empty()) {
        stack.pop_back();
      }
      return;
    }
    Context &context = contextOf(handle);
    if (stack.empty()) {
      stack.push_back(&context);
    } else {
      stack.back() = &context;
    }
  });
}

CUresult cuCtxGetCurrent(CUcontext *result) {
  return call([&] {
    requirePointer(result, "pctx");
    *result = current() ? handleOf<CUcontext>(current()) : nullptr;
  });
}

CUresult cuCtxGetDevice(CUdevice *device) {
  return callInContext([&](Context &context) {
    requirePointer(device, "device");
    *device = context.device.ordinal;
  });
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle) {
  if (!handle) {
    return cuCtxGetDevice(device);
  }
  return call([&] {
    requirePointer(device, "device");
    *device = contextOf(handle).device.ordinal;
  });
}

CUresult cuCtxGetFlags(unsigned int *flags) {
  return callInContext([&](Context &context) {
    requirePointer(flags, "flags");
    *flags = context.flags;
  });
}

CUresult cuCtxSetFlags(unsigned int flags) {
  return callInContext([&](Context &context) {
    requireContextFlags(flags);
    context.flags = flags;
  });
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id) {
  return call([&] {
    requirePointer(id, "ctxId");
    *id = (handle ? contextOf(handle) : currentContext()).id;
  });
}

CUresult cuCtxSynchronize() {
  return callInContext([&](Context &context) {
    requireNoUnsafeCapture("cuCtxSynchronize");
    requireNoCapture(context);
    synchronise(context);
  });
}

CUresult cuCtxSynchronize_v2(CUcontext handle) {
  if (!handle) {
    return cuCtxSynchronize();
  }
  return call([&] {
    Context &context = contextOf(handle);
    requireSound(context);
    requireNoCapture(context);
    synchronise(context);
  });
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  return callInContext([&](Context &context) {
    auto found = context.limits.find(limit);
    if (found == context.limits.end()) {
      fail(limit >= CU_LIMIT_MAX || limit < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_UNSUPPORTED_LIMIT,
           "limit %d is not one of the emulator's", static_cast<int>(limit));
    }
    if (limit == CU_LIMIT_STACK_SIZE && value > (512 << 10)) {
      fail(CUDA_ERROR_INVALID_VALUE, "a stack of %zu bytes, where 512 KiB is the most", value);
    }
    found->second = value;
  });
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
  return callInContext([&](Context &context) {
    requirePointer(value, "pvalue");
    auto found = context.limits.find(limit);
    if (found == context.limits.end()) {
      fail(limit >= CU_LIMIT_MAX || limit < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_UNSUPPORTED_LIMIT,
           "limit %d is not one of the emulator's", static_cast<int>(limit));
    }
    *value = found->second;
  });
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config) {
  return callInContext([&](Context &context) {
    requirePointer(config, "pconfig");
    *config = context.cacheConfig;
  });
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  return callInContext([&](Context &context) {
    if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no cache configuration", static_cast<int>(config));
    }
    context.cacheConfig = config;
  });
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config) {
  return callInContext([&](Context &context) {
    requirePointer(config, "pConfig");
    *config = context.sharedConfig;
  });
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config) {
  return callInContext([&](Context &context) {
    if (config < CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE || config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no shared memory configuration", static_cast<int>(config));
    }
    // Banks are four bytes wide since compute capability 5.0, whatever is asked for.
  });
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned int *version) {
  return call([&] {
    requirePointer(version, "version");
    *version = (handle ? contextOf(handle) : currentContext()).apiVersion;
  });
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return callInContext([&](Context &) {
    if (least) {
      *least = leastStreamPriority;
    }
    if (greatest) {
      *greatest = greatestStreamPriority;
    }
  });
}

CUresult cuCtxResetPersistingL2Cache() {
  return callInContext([](Context &) {});
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
  return callInContext([&](Context &context) {
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    Context &other = contextOf(peer);
    if (&other.device == &context.device) {
      fail(&other == &context ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_PEER_ACCESS_UNSUPPORTED,
           "both contexts are of device %d", context.device.ordinal);
    }
    if (std::ranges::find(context.peers, &other) != context.peers.end()) {
      fail(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "from device %d to %d", context.device.ordinal,
           other.device.ordinal);
    }
    context.peers.push_back(&other);
    setPeerAccess(context.device, other.device, true);
  });
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  return callInContext([&](Context &context) {
    Context &other = contextOf(peer);
    if (std::erase(context.peers, &other) == 0) {
      fail(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "from device %d to %d", context.device.ordinal, other.device.ordinal);
    }
    setPeerAccess(context.device, other.device, false);
  });
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *result, CUdevice ordinal) {
  return call([&] {
    requirePointer(result, "pctx");
    Device &device = Driver::instance().device(ordinal);
    if (!device.primary) {
      device.primary = &createContext(device, device.primaryFlags, true);
    }
    ++device.primaryReferences;
    *result = handleOf<CUcontext>(device.primary);
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
  return call([&] {
    Device &device = Driver::instance().device(ordinal);
    if (!device.primary || device.primaryReferences == 0) {
      fail(CUDA_ERROR_INVALID_CONTEXT, "the primary context of device %d is not retained", ordinal);
    }
    if (--device.primaryReferences == 0) {
      destroyContext(*device.primary);
    }
  });
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

/// The context stays where it is current, and begins anew: its memory, modules, streams and error are gone.
CUresult cuDevicePrimaryCtxReset_v2(CUdevice ordinal) {
  return call([&] {
    Device &device = Driver::instance().device(ordinal);
    Context *context = device.primary;
    if (!context) {
      return;
    }
    destroyContext(*context);
    context->destroyed = false;
    context->sticky = std::make_shared<Sticky>(0);
    context->peers.clear();
    setDefaultLimits(*context);
    for (const std::shared_ptr<Context> &known : everyContext()) {
      if (known.get() == context) {
        Driver::instance().contexts.add<CUcontext>(known);
      }
    }
    device.primary = context;
  });
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice ordinal, unsigned int flags) {
  return call([&] {
    requireContextFlags(flags);
    Device &device = Driver::instance().device(ordinal);
    device.primaryFlags = flags;
    if (device.primary) {
      device.primary->flags = flags;
    }
  });
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned int *flags, int *active) {
  return call([&] {
    requirePointer(flags, "flags");
    requirePointer(active, "active");
    const Device &device = Driver::instance().device(ordinal);
    *flags = device.primary ? device.primary->flags : device.primaryFlags;
    *active = device.primary != nullptr;
  });
}

} // namespace emulator::cuda
