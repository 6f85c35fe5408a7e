#ifndef RUNTIME_EMULATOR_DRIVER_OPERATION_H
#define RUNTIME_EMULATOR_DRIVER_OPERATION_H

// What can be put into a stream, or stand in a graph as a node: one type for both, so that a captured stream and a
// graph built by hand are the same thing, and a graph launch does what the stream would have done.

#include "driver/driver.h"
#include <cstddef>
#include <map>
#include <variant>

namespace emulator::driver {

struct KernelOperation {
  std::shared_ptr<Function> function;
  std::shared_ptr<Module> module; ///< kept while work is queued
  CUkernel libraryKernel = nullptr;
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  uint32_t dynamicSharedBytes = 0;
  std::vector<std::byte> parameters;
  std::map<CUlaunchAttributeID, CUlaunchAttributeValue> attributes;
  std::vector<void *> parameterPointers; ///< for cuGraphKernelNodeGetParams: into `parameters`
  /// Of CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT and _LAUNCH_COMPLETION_EVENT.
  std::shared_ptr<Event> programmaticEvent, completionEvent;
};

/// A copy of depth * height rows of `width` bytes; addresses are host addresses on both sides.
struct CopyOperation {
  CUDA_MEMCPY3D asked{}; ///< for cuGraphMemcpyNodeGetParams
  uint64_t from = 0, to = 0;
  size_t fromPitch = 0, toPitch = 0, fromSlice = 0, toSlice = 0;
  size_t width = 0, height = 1, depth = 1;
  /// A copy from pageable memory reads it before the call returns, as CUDA's staging does.
  std::shared_ptr<std::vector<std::byte>> staged;
};

struct MemsetOperation {
  CUDA_MEMSET_NODE_PARAMS what{};
};

struct HostOperation {
  CUDA_HOST_NODE_PARAMS what{};
  CUstreamCallback callback = nullptr; ///< cuStreamAddCallback: instead of `what.fn`
  CUstream stream = nullptr;
};

struct EmptyOperation {};

struct EventRecordOperation {
  std::shared_ptr<Event> event;
};

struct EventWaitOperation {
  std::shared_ptr<Event> event;
};

struct ChildGraphOperation {
  std::shared_ptr<Graph> graph;
};

struct AllocOperation {
  CUDA_MEM_ALLOC_NODE_PARAMS what{};
  /// The node's memory: taken when the node is made, since its address is known then, and given back with the last
  /// graph that has the node.
  std::shared_ptr<uint64_t> memory;
};

struct FreeOperation {
  CUdeviceptr address = 0;
  bool ofGraph = false; ///< the memory belongs to an AllocOperation
};

struct ValueOperation {
  std::vector<CUstreamBatchMemOpParams> what;
};

using Operation =
    std::variant<EmptyOperation, KernelOperation, CopyOperation, MemsetOperation, HostOperation, EventRecordOperation,
                 EventWaitOperation, ChildGraphOperation, AllocOperation, FreeOperation, ValueOperation>;

CUgraphNodeType typeOf(const Operation &operation);

/// Begun work: what followers wait for, and, where it is a kernel, what a programmatically dependent launch waits for.
struct Started {
  TaskPointer done;
  TaskPointer kernel;
};

/// Starts an operation behind `after`. Kernels in `primaries` need only have begun and launched their dependents; but
/// what they overlapped in their turn has ended, too, when this one is done.
Started start(const Operation &operation, Context &context, std::vector<TaskPointer> after,
              std::vector<Started> primaries = {});

/// What a launch asks for, checked against the function and the device, its parameters read.
KernelOperation kernelOf(const CUlaunchConfig &config, CUfunction function, void **parameters, void **extra,
                         Context &context);
/// Checks anew, after attributes have changed.
void requireLaunchable(const KernelOperation &kernel);
void setLaunchAttribute(KernelOperation &kernel, const CUlaunchAttribute &attribute);

// The parts of start, one a file.
Started startKernel(const KernelOperation &operation, Context &context, std::vector<TaskPointer> after,
                    std::vector<Started> primaries);
/// Checks both sides, and finds the addresses.
CopyOperation copyOf(const CUDA_MEMCPY3D &asked);
/// Takes the memory of an allocation node.
void allocateForNode(AllocOperation &operation, Context &context);
void requireMemset(const CUDA_MEMSET_NODE_PARAMS &what);
void copyBytes(const CopyOperation &operation);
void setBytes(const CUDA_MEMSET_NODE_PARAMS &what);
void requireValues(const std::vector<CUstreamBatchMemOpParams> &what);
/// Whether all waits hold; performs writes on the way. `next` is where to go on.
bool performValues(const std::vector<CUstreamBatchMemOpParams> &what, size_t &next);

} // namespace emulator::driver

#endif
