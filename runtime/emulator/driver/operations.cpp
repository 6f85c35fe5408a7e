// Operations become tasks.

#include "driver/context.h"
#include "driver/graph.h"
#include "driver/host_access.h"
#include "driver/memory_map.h"
#include "driver/operation.h"
#include "driver/stream.h"
#include <atomic>

namespace emulator::driver {

CUgraphNodeType typeOf(const Operation &operation) {
  static constexpr CUgraphNodeType types[] = {
      CU_GRAPH_NODE_TYPE_EMPTY,      CU_GRAPH_NODE_TYPE_KERNEL,      CU_GRAPH_NODE_TYPE_MEMCPY,
      CU_GRAPH_NODE_TYPE_MEMSET,     CU_GRAPH_NODE_TYPE_HOST,        CU_GRAPH_NODE_TYPE_EVENT_RECORD,
      CU_GRAPH_NODE_TYPE_WAIT_EVENT, CU_GRAPH_NODE_TYPE_GRAPH,       CU_GRAPH_NODE_TYPE_MEM_ALLOC,
      CU_GRAPH_NODE_TYPE_MEM_FREE,   CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
  static_assert(std::variant_size_v<Operation> == std::size(types));
  return types[operation.index()];
}

namespace {
/// One overload a kind of operation.
struct Starter {
  Context &context;
  std::vector<TaskPointer> after;
  std::vector<Started> primaries;

  /// What a kernel's programmatic edge would wait for early is waited for to its end by all others.
  void waitForPrimaries() {
    for (const Started &primary : primaries) {
      after.push_back(primary.done);
    }
  }

  Started plain(Task::Worker worker, std::function<void(Task &)> body, bool always = false) {
    waitForPrimaries();
    return {Executor::instance().submit({worker, std::move(body), std::move(after), {}, context.sticky, always}),
            nullptr};
  }

  Started operator()(const EmptyOperation &) { return plain(Task::Worker::None, nullptr); }

  Started operator()(const KernelOperation &kernel) {
    return startKernel(kernel, context, std::move(after), std::move(primaries));
  }

  Started operator()(const CopyOperation &copy) {
    return plain(Task::Worker::Copy, [copy](Task &task) {
      copyBytes(copy);
      task.finish();
    });
  }

  Started operator()(const MemsetOperation &memset) {
    return plain(Task::Worker::Copy, [what = memset.what](Task &task) {
      setBytes(what);
      task.finish();
    });
  }

  Started operator()(const HostOperation &host) {
    // A callback is called even where the work before it failed, and is told so; a host function is not called then.
    return plain(
        Task::Worker::Host,
        [host, sticky = context.sticky](Task &task) {
          if (host.callback) {
            host.callback(host.stream, static_cast<CUresult>(sticky->load()), host.what.userData);
          } else {
            host.what.fn(host.what.userData);
          }
          task.finish();
        },
        host.callback != nullptr);
  }

  Started operator()(const EventRecordOperation &record) {
    Started started = plain(Task::Worker::None, nullptr);
    record.event->record = started.done;
    record.event->capture = nullptr;
    record.event->captured.clear();
    return started;
  }

  Started operator()(const EventWaitOperation &wait) {
    if (wait.event->record) {
      after.push_back(wait.event->record);
    }
    return plain(Task::Worker::None, nullptr);
  }

  Started operator()(const ChildGraphOperation &child) {
    waitForPrimaries();
    return {startGraph(*child.graph, context, std::move(after)), nullptr};
  }

  // The node's memory exists as long as its graph does.
  Started operator()(const AllocOperation &) { return plain(Task::Worker::None, nullptr); }

  Started operator()(const FreeOperation &free) {
    if (free.ofGraph) {
      return plain(Task::Worker::None, nullptr);
    }
    return plain(Task::Worker::Copy, [address = free.address](Task &task) {
      MemoryMap::instance().free(address);
      task.finish();
    });
  }

  Started operator()(const ValueOperation &values) {
    auto next = std::make_shared<size_t>(0);
    return plain(Task::Worker::Poll, [what = values.what, next](Task &task) {
      if (performValues(what, *next)) {
        task.finish();
      }
    });
  }
};
} // namespace

Started start(const Operation &operation, Context &context, std::vector<TaskPointer> after,
              std::vector<Started> primaries) {
  return std::visit(Starter{context, std::move(after), std::move(primaries)}, operation);
}

// --- waits for and writes of values in memory

static bool isWait(CUstreamBatchMemOpType type) {
  return type == CU_STREAM_MEM_OP_WAIT_VALUE_32 || type == CU_STREAM_MEM_OP_WAIT_VALUE_64;
}

static bool isWide(CUstreamBatchMemOpType type) {
  return type == CU_STREAM_MEM_OP_WAIT_VALUE_64 || type == CU_STREAM_MEM_OP_WRITE_VALUE_64;
}

void requireValues(const std::vector<CUstreamBatchMemOpParams> &what) {
  for (const CUstreamBatchMemOpParams &operation : what) {
    switch (operation.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64: {
      const unsigned bytes = isWide(operation.operation) ? 8 : 4;
      if (operation.waitValue.address % bytes != 0) {
        fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not aligned to %u bytes", operation.waitValue.address, bytes);
      }
      requireRange(operation.waitValue.address, bytes, "the value's address");
      if (isWait(operation.operation) && (operation.waitValue.flags & CU_STREAM_WAIT_VALUE_FLUSH)) {
        fail(CUDA_ERROR_NOT_SUPPORTED, "CU_STREAM_WAIT_VALUE_FLUSH: the device claims no remote writes");
      }
      const unsigned known = isWait(operation.operation) ? 3 : 1;
      if (operation.waitValue.flags & ~known) {
        fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", operation.waitValue.flags);
      }
      break;
    }
    case CU_STREAM_MEM_OP_BARRIER:
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
      break;
    default:
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no operation on memory", static_cast<int>(operation.operation));
    }
  }
}

template <typename T> static bool holds(T found, T wanted, unsigned condition) {
  switch (condition) {
  case CU_STREAM_WAIT_VALUE_GEQ:
    return static_cast<std::make_signed_t<T>>(found - wanted) >= 0; // Cyclic, as CUDA says.
  case CU_STREAM_WAIT_VALUE_EQ:
    return found == wanted;
  case CU_STREAM_WAIT_VALUE_AND:
    return (found & wanted) != 0;
  default:
    return ~(found | wanted) != 0;
  }
}

template <typename T> static bool performValue(const CUstreamBatchMemOpParams &operation, T value) {
  std::atomic_ref<T> memory(*reinterpret_cast<T *>(operation.waitValue.address));
  if (isWait(operation.operation)) {
    return holds(memory.load(std::memory_order_acquire), value, operation.waitValue.flags & 3u);
  }
  memory.store(value, std::memory_order_release);
  hostWrote(operation.waitValue.address, sizeof(T));
  return true;
}

bool performValues(const std::vector<CUstreamBatchMemOpParams> &what, size_t &next) {
  for (; next < what.size(); ++next) {
    const CUstreamBatchMemOpParams &operation = what[next];
    if (operation.operation == CU_STREAM_MEM_OP_BARRIER ||
        operation.operation == CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES) {
      continue;
    }
    const bool done = isWide(operation.operation) ? performValue<uint64_t>(operation, operation.waitValue.value64)
                                                  : performValue<uint32_t>(operation, operation.waitValue.value);
    if (!done) {
      return false;
    }
  }
  return true;
}

} // namespace emulator::driver
