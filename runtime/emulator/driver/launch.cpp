// cuLaunch*: what is asked for is checked and read here, and handed to the machine when its turn in the stream comes.

#include "driver/api/functions.h"
#include "driver/capture.h"
#include "driver/module.h"
#include "driver/reports.h"
#include "driver/stream.h"
#include <algorithm>
#include <cstring>

namespace emulator::driver {

void clusterOf(const CUlaunchConfig &config, const Function &function, uint32_t (&cluster)[3]) {
  for (unsigned d = 0; d < 3; ++d) {
    const uint32_t required = function.settings.cluster[d].value_or(function.kernel->bounds.requiredCluster[d]);
    cluster[d] = std::max(1u, required);
  }
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    if (config.attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
      const CUlaunchAttributeValue::Dim &asked = config.attrs[i].value.clusterDim;
      cluster[0] = asked.x;
      cluster[1] = asked.y;
      cluster[2] = asked.z;
    }
  }
}

static const CUlaunchAttributeValue *attributeIn(const KernelOperation &kernel, CUlaunchAttributeID id) {
  auto found = kernel.attributes.find(id);
  return found == kernel.attributes.end() ? nullptr : &found->second;
}

/// The machine's launch, without what depends on the moment.
static LaunchConfig configOf(const KernelOperation &kernel) {
  const Function &function = *kernel.function;
  LaunchConfig config;
  config.kernel = function.kernel;
  config.module = kernel.module->loaded;
  std::copy_n(kernel.grid, 3, config.grid);
  std::copy_n(kernel.block, 3, config.block);
  for (unsigned d = 0; d < 3; ++d) {
    config.cluster[d] = std::max(1u, function.settings.cluster[d].value_or(function.kernel->bounds.requiredCluster[d]));
  }
  if (const CUlaunchAttributeValue *cluster = attributeIn(kernel, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)) {
    config.cluster[0] = cluster->clusterDim.x;
    config.cluster[1] = cluster->clusterDim.y;
    config.cluster[2] = cluster->clusterDim.z;
  }
  if (const CUlaunchAttributeValue *cooperative = attributeIn(kernel, CU_LAUNCH_ATTRIBUTE_COOPERATIVE)) {
    config.cooperative = cooperative->cooperative != 0;
  }
  config.dynamicSharedBytes = kernel.dynamicSharedBytes;
  config.parameters = kernel.parameters;
  config.device = kernel.module->context.device.ordinal;
  config.properties = kernel.module->context.device.properties;
  const Device &device = kernel.module->context.device;
  for (size_t peer = 0; peer < device.peerAccess.size(); ++peer) {
    if (device.peerAccess[peer]) {
      config.peers.push_back(static_cast<int>(peer));
    }
  }
  return config;
}

void requireLaunchable(const KernelOperation &kernel) {
  const Function &function = *kernel.function;
  const Device &device = kernel.module->context.device;
  const LaunchConfig config = configOf(kernel);
  if (auto refusal = Machine::refuse(config, *device.properties)) {
    fail(static_cast<CUresult>(refusal->first), "%s", refusal->second.c_str());
  }
  const uint32_t limit = dynamicSharedLimit(*function.kernel, function.settings, device);
  if (kernel.dynamicSharedBytes > limit) {
    fail(CUDA_ERROR_INVALID_VALUE,
         "%u bytes of dynamic shared memory for '%s', which may use %u; more needs "
         "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES",
         kernel.dynamicSharedBytes, function.kernel->name.c_str(), limit);
  }
  const uint64_t ctas = uint64_t(config.cluster[0]) * config.cluster[1] * config.cluster[2];
  if (ctas > device.properties->maxClusterCtas && !function.settings.nonPortableCluster) {
    fail(CUDA_ERROR_INVALID_CLUSTER_SIZE,
         "a cluster of %llu CTAs for '%s', where %u are portable; more needs "
         "CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED",
         (unsigned long long)ctas, function.kernel->name.c_str(), device.properties->maxClusterCtas);
  }
}

void setLaunchAttribute(KernelOperation &kernel, const CUlaunchAttribute &attribute) {
  switch (attribute.id) {
  case CU_LAUNCH_ATTRIBUTE_IGNORE:
    return;
  case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
    kernel.programmaticEvent = eventOf(attribute.value.programmaticEvent.event);
    break;
  case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
    kernel.completionEvent = eventOf(attribute.value.launchCompletionEvent.event);
    break;
  case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
    const CUlaunchAttributeValue::Dim &asked = attribute.value.clusterDim;
    if (asked.x == 0 || asked.y == 0 || asked.z == 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "a cluster of %u x %u x %u", asked.x, asked.y, asked.z);
    }
    break;
  }
  case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
    if (attribute.value.deviceUpdatableKernelNode.deviceUpdatable) {
      fail(CUDA_ERROR_NOT_SUPPORTED, "updating nodes from kernels is not emulated");
    }
    break;
  // Hints, and what orders memory more weakly than the emulator does.
  case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
  case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
  case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
  case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
  case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
  case CU_LAUNCH_ATTRIBUTE_PRIORITY:
  case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
  case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
  case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
  case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
  case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
    break;
  default:
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute of launches", static_cast<int>(attribute.id));
  }
  kernel.attributes[attribute.id] = attribute.value;
}

/// The parameters' bytes: from an array of pointers, or from a buffer that `extra` describes.
static std::vector<std::byte> parametersOf(const Kernel &kernel, void **parameters, void **extra) {
  std::vector<std::byte> bytes(kernel.parameterBytes);
  if (parameters && extra) {
    fail(CUDA_ERROR_INVALID_VALUE, "parameters are given twice, as kernelParams and extra");
  }
  if (parameters) {
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      const Parameter &parameter = kernel.parameters[i];
      if (!parameters[i]) {
        fail(CUDA_ERROR_INVALID_VALUE, "parameter %zu of '%s' is null", i, kernel.name.c_str());
      }
      std::memcpy(bytes.data() + parameter.offset, parameters[i], parameter.size);
    }
    return bytes;
  }
  if (!extra) {
    if (!kernel.parameters.empty()) {
      fail(CUDA_ERROR_INVALID_VALUE, "'%s' has %zu parameters, and none are given", kernel.name.c_str(),
           kernel.parameters.size());
    }
    return bytes;
  }
  const void *buffer = nullptr;
  size_t size = 0;
  bool sized = false;
  for (unsigned i = 0; extra[i] != launchParamEnd; i += 2) {
    if (extra[i] == launchParamBufferPointer) {
      buffer = extra[i + 1];
    } else if (extra[i] == launchParamBufferSize) {
      requirePointer(extra[i + 1], "the size of the parameters");
      size = *static_cast<const size_t *>(extra[i + 1]);
      sized = true;
    } else {
      fail(CUDA_ERROR_INVALID_VALUE, "%p is no option of a launch", extra[i]);
    }
  }
  // A buffer may end with the padding that a host structure has behind its last member.
  if ((!buffer && kernel.parameterBytes) || !sized || size < kernel.parameterBytes ||
      size > (kernel.parameterBytes + 15u) / 16 * 16) {
    fail(CUDA_ERROR_INVALID_VALUE, "a buffer of %zu bytes for the parameters of '%s', which have %u", size,
         kernel.name.c_str(), kernel.parameterBytes);
  }
  if (!bytes.empty()) {
    std::memcpy(bytes.data(), buffer, bytes.size());
  }
  return bytes;
}

KernelOperation kernelOf(const CUlaunchConfig &config, CUfunction handle, void **parameters, void **extra,
                         Context &context) {
  KernelOperation kernel;
  kernel.function = functionOf(handle, context);
  if (&kernel.function->module->context != &context) {
    fail(CUDA_ERROR_INVALID_HANDLE, "'%s' was loaded in another context", kernel.function->kernel->name.c_str());
  }
  kernel.module = Driver::instance().modules.find(kernel.function->module);
  if (Driver::instance().libraryKernels.find(handle)) {
    kernel.libraryKernel = reinterpret_cast<CUkernel>(handle);
  }
  const uint32_t grid[3] = {config.gridDimX, config.gridDimY, config.gridDimZ};
  const uint32_t block[3] = {config.blockDimX, config.blockDimY, config.blockDimZ};
  std::copy_n(grid, 3, kernel.grid);
  std::copy_n(block, 3, kernel.block);
  kernel.dynamicSharedBytes = config.sharedMemBytes;
  if (config.numAttrs != 0) {
    requirePointer(config.attrs, "the launch's attributes");
  }
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    setLaunchAttribute(kernel, config.attrs[i]);
  }
  kernel.parameters = parametersOf(*kernel.function->kernel, parameters, extra);
  requireLaunchable(kernel);
  return kernel;
}

/// The error that a fault leaves in its context.
static CUresult codeOf(Fault::Kind kind) {
  switch (kind) {
  case Fault::Kind::IllegalAddress:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case Fault::Kind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case Fault::Kind::IllegalInstruction:
  case Fault::Kind::IllegalBarrier:
  case Fault::Kind::Unsupported:
    return CUDA_ERROR_ILLEGAL_INSTRUCTION;
  case Fault::Kind::Assertion:
    return CUDA_ERROR_ASSERT;
  case Fault::Kind::Deadlock: // On the device the program would hang, and a watchdog would end it.
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  case Fault::Kind::StackOverflow:
    return CUDA_ERROR_HARDWARE_STACK_ERROR;
  case Fault::Kind::Trap:
    return CUDA_ERROR_LAUNCH_FAILED;
  }
  return CUDA_ERROR_LAUNCH_FAILED;
}

Started startKernel(const KernelOperation &kernel, Context &context, std::vector<TaskPointer> after,
                    std::vector<Started> primaries) {
  Executor &executor = Executor::instance();
  const std::shared_ptr<Sticky> sticky = context.sticky;
  const RunOptions options = Driver::instance().options;
  // What is asked for now counts, whatever attributes change before the launch's turn comes. The task owns what the
  // grid refers to: the kernel, by its module; who watches.
  std::vector<TaskPointer> kernels, all;
  for (Started &primary : primaries) {
    kernels.push_back(std::move(primary.kernel));
    all.push_back(std::move(primary.done));
  }
  auto body = [asked = std::make_shared<const LaunchConfig>(configOf(kernel)), module = kernel.module, sticky, options,
               kernels](Task &task) {
    LaunchConfig config = *asked;
    for (const TaskPointer &primary : kernels) {
      if (std::shared_ptr<Grid> grid = primary->grid()) {
        config.primarySerials.push_back(grid->serial);
        if (!grid->ended()) {
          config.primaries.push_back(std::move(grid));
        }
      }
    }
    const std::shared_ptr<Watch> watch = std::make_shared<Watch>(options);
    config.observer = watch->observer();
    const TaskPointer kept = task.shared_from_this();
    task.setGrid(Machine::instance().launch(std::move(config), options, [kept, sticky, watch](Grid &grid) {
      if (const std::optional<Fault> fault = grid.wait()) {
        int none = 0;
        sticky->compare_exchange_strong(none, codeOf(fault->kind));
        reportFault(grid, *fault, codeOf(fault->kind));
      }
      watch->gridEnded(grid);
      kept->finish();
    }));
  };
  const TaskPointer task = executor.submit({Task::Worker::Copy, body, std::move(after), kernels, sticky, false});
  if (kernel.programmaticEvent) {
    // Happens when every CTA has launched its dependents or ended.
    kernel.programmaticEvent->capture = nullptr;
    kernel.programmaticEvent->record = executor.submit({Task::Worker::Poll,
                                                        [task](Task &event) {
                                                          const std::shared_ptr<Grid> grid = task->grid();
                                                          if (task->done() || (grid && grid->dependentsMayStart())) {
                                                            event.finish();
                                                          }
                                                        },
                                                        {},
                                                        {task},
                                                        sticky,
                                                        false});
  }
  if (kernel.completionEvent) {
    // "All CTAs have begun" is not observed: the event happens with the grid's end, which is later and allowed.
    kernel.completionEvent->capture = nullptr;
    kernel.completionEvent->record = executor.submit({Task::Worker::None, nullptr, {task}, {}, nullptr, false});
  }
  if (all.empty()) {
    return {task, task};
  }
  // For all but programmatic followers the launch ends when what it overlapped has ended too.
  all.push_back(task);
  return {executor.submit({Task::Worker::None, nullptr, std::move(all), {}, nullptr, false}), task};
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

static CUresult launch(const CUlaunchConfig &config, CUfunction function, void **parameters, void **extra,
                       const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        const std::shared_ptr<Stream> stream = streamOf(config.hStream, context);
        enqueue(*stream, kernelOf(config, function, parameters, extra, stream->context));
      },
      where);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
  if (!config) {
    return call([] { fail(CUDA_ERROR_INVALID_VALUE, "config is null"); });
  }
  return launch(*config, function, parameters, extra);
}

static CUlaunchConfig configOf(unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                               unsigned blockZ, unsigned shared, CUstream stream) {
  return {gridX, gridY, gridZ, blockX, blockY, blockZ, shared, stream, nullptr, 0};
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gridX, unsigned int gridY, unsigned int gridZ,
                        unsigned int blockX, unsigned int blockY, unsigned int blockZ, unsigned int shared,
                        CUstream stream, void **parameters, void **extra) {
  return launch(configOf(gridX, gridY, gridZ, blockX, blockY, blockZ, shared, stream), function, parameters, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gridX, unsigned int gridY, unsigned int gridZ,
                                   unsigned int blockX, unsigned int blockY, unsigned int blockZ, unsigned int shared,
                                   CUstream stream, void **parameters) {
  CUlaunchAttribute cooperative{};
  cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
  cooperative.value.cooperative = 1;
  CUlaunchConfig config = configOf(gridX, gridY, gridZ, blockX, blockY, blockZ, shared, stream);
  config.attrs = &cooperative;
  config.numAttrs = 1;
  return launch(config, function, parameters, nullptr);
}

} // namespace emulator::cuda
