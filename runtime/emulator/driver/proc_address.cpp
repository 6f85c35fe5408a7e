// cuGetProcAddress: a function by its name and the CUDA version that the caller was written for. A name means, for a
// version, the newest variant that is not newer than it: cuMemAlloc is cuMemAlloc_v2 from 3.2 on.

#include "driver/api/functions.h"
#include "driver/driver.h"
#include <algorithm>
#include <cstring>
#include <string_view>

using namespace emulator::driver;

namespace emulator::cuda {

// The unsupported ones are declared where they are listed.
extern "C" {
#define UNSUPPORTED(base, symbol, since) CUresult symbol();
#include "driver/api/unsupported.inc"
#undef UNSUPPORTED
}

namespace {
struct Entry {
  std::string_view base, symbol;
  int since;
  void *address;
  void *perThread; ///< the variant for the thread's default stream; null where there is none
};
} // namespace

#define ADDRESS(symbol) reinterpret_cast<void *>(&symbol)
static const Entry entries[] = {
#define FUNCTION(base, symbol, since, parameters) {#base, #symbol, since, ADDRESS(symbol), nullptr},
#define STREAM_FUNCTION(base, symbol, suffix, since, parameters)                                                       \
  {#base, #symbol, since, ADDRESS(symbol), ADDRESS(symbol##_##suffix)},
#define ALIAS(base, symbol, since) {#base, #symbol, since, ADDRESS(symbol), nullptr},
#include "driver/api/functions.inc"
#undef FUNCTION
#undef STREAM_FUNCTION
#undef ALIAS
#define UNSUPPORTED(base, symbol, since) {#base, #symbol, since, ADDRESS(symbol), nullptr},
#include "driver/api/unsupported.inc"
#undef UNSUPPORTED
};
#undef ADDRESS

/// Version 13000 of a program understands all; older programs ask for less.
static const Entry *find(std::string_view name, int version, bool &known) {
  const Entry *best = nullptr;
  known = false;
  for (const Entry &entry : entries) {
    if (entry.base != name) {
      continue;
    }
    known = true;
    if (entry.since <= version && (!best || entry.since > best->since)) {
      best = &entry;
    }
  }
  return best;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
  // May be called before cuInit: that is how a program finds cuInit.
  auto answer = [&](CUresult code, CUdriverProcAddressQueryResult what, const std::string &reason) {
    if (status) {
      *status = what;
    }
    if (code != CUDA_SUCCESS) {
      logFailure("cuGetProcAddress_v2", code, reason);
    }
    return code;
  };
  if (!symbol || !function) {
    return answer(CUDA_ERROR_INVALID_VALUE, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, "symbol or pfn is null");
  }
  *function = nullptr;
  constexpr cuuint64_t streams = CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  if ((flags & ~streams) || (flags & streams) == streams) {
    return answer(CUDA_ERROR_INVALID_VALUE, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND,
                  formatted("flags 0x%llx", (unsigned long long)flags));
  }
  bool known = false;
  const Entry *entry = find(symbol, version, known);
  if (!entry) {
    // An answer of its own rather than a failure for callers that ask why; without a place for it, a failure.
    const CUdriverProcAddressQueryResult what =
        known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return answer(status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND, what,
                  formatted("'%s' for CUDA version %d", symbol, version));
  }
  const bool perThread = (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) && entry->perThread;
  *function = perThread ? entry->perThread : entry->address;
  return answer(CUDA_SUCCESS, CU_GET_PROC_ADDRESS_SUCCESS, "");
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}

/// The driver's private tables have no documentation, and the emulator has none of them.
CUresult cuGetExportTable(const void **table, const CUuuid *id) {
  if (!table || !id) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *table = nullptr;
  std::string name;
  for (char byte : id->bytes) {
    name += formatted("%02x", static_cast<unsigned char>(byte));
  }
  logFailure("cuGetExportTable", CUDA_ERROR_NOT_FOUND, "no private table " + name);
  return CUDA_ERROR_NOT_FOUND;
}

} // namespace emulator::cuda
