// Opens a CUDA driver by name: which one, NVIDIA's or the emulator's, is all that tells a real device from an emulated
// one.
#include "drivers/cuda/driver_library.h"
#include <cstring>
#include <dlfcn.h>
#include <iterator>

namespace elah::cuda {
namespace {

/// In the order of the table's members.
constexpr const char *symbols[] = {
#define ELAH_CUDA_SYMBOL(member, symbol, parameters) #symbol,
    ELAH_CUDA_DRIVER_FUNCTIONS(ELAH_CUDA_SYMBOL)
#undef ELAH_CUDA_SYMBOL
};
static_assert(sizeof(DriverFunctions) == std::size(symbols) * sizeof(void *), "the table is one of pointers");

} // namespace

Result<std::unique_ptr<DriverLibrary>> DriverLibrary::open(const std::string &path) {
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = ::dlerror();
    return failure(ELAH_UNSUPPORTED, "there is no CUDA driver here: %s", reason ? reason : path.c_str());
  }
  std::unique_ptr<DriverLibrary> library(new DriverLibrary(handle));
  for (size_t i = 0; i < std::size(symbols); ++i) {
    void *function = library->find(symbols[i]);
    if (!function) {
      return failure(ELAH_UNSUPPORTED, "%s: the CUDA driver lacks %s: expected one of CUDA 12.0 or later", path.c_str(),
                     symbols[i]);
    }
    std::memcpy(reinterpret_cast<char *>(&library->table) + i * sizeof(function), &function, sizeof(function));
  }
  if (CUresult code = library->table.init(0); code != CUDA_SUCCESS) {
    return library->explain(code, "the CUDA driver does not start");
  }
  return library;
}

DriverLibrary::~DriverLibrary() {
  // Never closed: a driver has threads of its own.
}

void *DriverLibrary::find(const char *symbol) const { return ::dlsym(handle, symbol); }

Status DriverLibrary::explain(CUresult code, const char *what) const {
  const char *text = nullptr, *name = nullptr;
  if (table.getErrorString(code, &text) != CUDA_SUCCESS || table.getErrorName(code, &name) != CUDA_SUCCESS || !text ||
      !name) {
    return failure(ELAH_INTERNAL, "%s: CUDA error %d", what, code);
  }
  elah_code kind = ELAH_INTERNAL;
  if (code == CUDA_ERROR_OUT_OF_MEMORY) {
    kind = ELAH_OUT_OF_MEMORY;
  } else if (code == CUDA_ERROR_NO_DEVICE || code == CUDA_ERROR_INVALID_DEVICE) {
    kind = ELAH_UNSUPPORTED;
  }
  return failure(kind, "%s: %s (%s)", what, text, name);
}

} // namespace elah::cuda
