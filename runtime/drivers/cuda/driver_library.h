#ifndef RUNTIME_DRIVERS_CUDA_DRIVER_LIBRARY_H
#define RUNTIME_DRIVERS_CUDA_DRIVER_LIBRARY_H

#include "drivers/cuda/driver_api.h"
#include "src/status.h"
#include <memory>
#include <string>

namespace elah::cuda {

/// A library with the CUDA driver API, opened.
class DriverLibrary {
public:
  /// Opens `path`, finds all functions and initialises the driver. The error says what is missing.
  static Result<std::unique_ptr<DriverLibrary>> open(const std::string &path);
  ~DriverLibrary();
  DriverLibrary(const DriverLibrary &) = delete;

  const DriverFunctions &functions() const { return table; }
  /// Another symbol of the library, or null.
  void *find(const char *symbol) const;
  /// What went wrong, with CUDA's own words for `code`: "copying weights: out of memory (CUDA_ERROR_OUT_OF_MEMORY)".
  Status explain(CUresult code, const char *what) const;

private:
  explicit DriverLibrary(void *handle) : handle(handle) {}
  void *handle;
  DriverFunctions table;
};

/// Leaves the function with a failure if a call of the driver failed.
#define ELAH_CUDA_RETURN_IF_ERROR(library, call, what)                                                                 \
  do {                                                                                                                 \
    if (::elah::cuda::CUresult cudaResult = (library).functions().call; cudaResult != ::elah::cuda::CUDA_SUCCESS) {    \
      return (library).explain(cudaResult, what);                                                                      \
    }                                                                                                                  \
  } while (false)

} // namespace elah::cuda

#endif
