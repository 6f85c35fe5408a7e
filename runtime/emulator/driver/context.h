#ifndef RUNTIME_EMULATOR_DRIVER_CONTEXT_H
#define RUNTIME_EMULATOR_DRIVER_CONTEXT_H

// A context: a device's streams, modules and memory under one roof, and under one error: after a kernel's fault every
// call in it fails with the fault's code.

#include "driver/driver.h"
#include <map>
#include <string>
#include <thread>

namespace emulator::driver {

struct Context {
  explicit Context(Device &device) : device(device) {}

  Device &device;
  uint64_t id = 0;
  unsigned flags = 0;
  unsigned apiVersion = 0;
  bool primary = false;
  bool destroyed = false;
  CUfunc_cache cacheConfig = CU_FUNC_CACHE_PREFER_NONE;
  CUsharedconfig sharedConfig = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
  std::map<CUlimit, size_t> limits;
  std::vector<Context *> peers; ///< whose memory this context's kernels may use

  /// Set by the machine's threads; read by all. Shared with tasks, which may outlive a reset.
  std::shared_ptr<Sticky> sticky = std::make_shared<Sticky>(0);

  std::shared_ptr<Stream> legacy;
  std::map<std::thread::id, std::shared_ptr<Stream>> perThread;
  std::vector<std::shared_ptr<Stream>> streams; ///< created ones
  std::vector<TaskPointer> orphans;             ///< last tasks of streams that were destroyed before they ended
};

/// Makes a context, unknown to any thread yet.
Context &createContext(Device &device, unsigned flags, bool primary);
/// Waits for its work, frees its memory and forgets its objects. The lock is released meanwhile.
void destroyContext(Context &context);
/// The context of a handle: CUDA_ERROR_INVALID_CONTEXT where it is none.
Context &contextOf(CUcontext handle);
/// Waits for all work of the context; fails with its fault.
void synchronise(Context &context);
/// Lets kernels of one device use another's memory.
void setPeerAccess(Device &from, const Device &to, bool allowed);

constexpr int leastStreamPriority = 0, greatestStreamPriority = -5;

/// Fails where a fault has broken the context.
void requireSound(const Context &context);

} // namespace emulator::driver

#endif
