// cuLogs*, and the profiler's switches.

#include "driver/api/functions.h"
#include "driver/driver.h"
#include "driver/log.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuLogsRegisterCallback(CUlogsCallback callback, void *data, CUlogsCallbackHandle *handle) {
  return call([&] {
    requirePointer(reinterpret_cast<const void *>(callback), "callbackFunc");
    const CUlogsCallbackHandle made = Log::instance().addCallback(callback, data);
    if (handle) {
      *handle = made;
    }
  });
}

CUresult cuLogsUnregisterCallback(CUlogsCallbackHandle handle) {
  return call([&] {
    if (!Log::instance().removeCallback(handle)) {
      fail(CUDA_ERROR_INVALID_VALUE, "%p is no callback", static_cast<void *>(handle));
    }
  });
}

static void requireNoFlags(unsigned flags) {
  if (flags != 0) {
    fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
  }
}

CUresult cuLogsCurrent(CUlogIterator *iterator, unsigned int flags) {
  return call([&] {
    requirePointer(iterator, "iterator_out");
    requireNoFlags(flags);
    *iterator = Log::instance().count();
  });
}

CUresult cuLogsDumpToFile(CUlogIterator *iterator, const char *path, unsigned int flags) {
  return call([&] {
    requirePointer(path, "pathToFile");
    requireNoFlags(flags);
    unsigned from = iterator ? *iterator : 0;
    const std::string text = Log::instance().since(from);
    std::FILE *file = std::fopen(path, "w");
    if (!file) {
      fail(CUDA_ERROR_INVALID_VALUE, "%s: %s", path, std::strerror(errno));
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) {
      fail(CUDA_ERROR_OPERATING_SYSTEM, "%s: %s", path, std::strerror(errno));
    }
    if (iterator) {
      *iterator = from;
    }
  });
}

CUresult cuLogsDumpToMemory(CUlogIterator *iterator, char *buffer, size_t *size, unsigned int flags) {
  return call([&] {
    requirePointer(buffer, "buffer");
    requirePointer(size, "size");
    requireNoFlags(flags);
    unsigned from = iterator ? *iterator : 0;
    std::string text = Log::instance().since(from);
    if (*size == 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "a buffer of 0 bytes");
    }
    // Whole lines, the last ones, as many as fit.
    while (text.size() + 1 > *size) {
      const size_t end = text.find('\n');
      text.erase(0, end == std::string::npos ? text.size() : end + 1);
    }
    std::memcpy(buffer, text.c_str(), text.size() + 1);
    *size = text.size() + 1;
    if (iterator) {
      *iterator = from;
    }
  });
}

CUresult cuProfilerInitialize(const char *, const char *, int) {
  return call([] { fail(CUDA_ERROR_NOT_SUPPORTED, "the command line profiler is gone since CUDA 5"); });
}

CUresult cuProfilerStart() {
  return call([] {});
}

CUresult cuProfilerStop() {
  return call([] {});
}

} // namespace emulator::cuda
