#ifndef RUNTIME_EMULATOR_DRIVER_LOG_H
#define RUNTIME_EMULATOR_DRIVER_LOG_H

// What the driver has to say besides codes: a line for each failed call. It goes to ELAH_EMULATOR_LOG (a file, or
// "stderr"), and the last lines are kept for cuLogs*.

#include "driver/api/types.h"
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace emulator::driver {

using namespace emulator::cuda;

class Log {
public:
  static Log &instance();

  void add(const std::string &line);
  /// How many lines there have been: what an iterator of cuLogs* counts.
  unsigned count();
  /// Lines from number `from` on, as far as they are kept; `from` becomes count().
  std::string since(unsigned &from);

  CUlogsCallbackHandle addCallback(CUlogsCallback callback, void *data);
  bool removeCallback(CUlogsCallbackHandle handle);

private:
  Log();

  std::mutex mutex;
  std::FILE *file = nullptr;
  std::deque<std::string> lines; ///< the last 256
  unsigned total = 0;
  std::map<uintptr_t, std::pair<CUlogsCallback, void *>> callbacks;
  uintptr_t lastCallback = 0;
};

} // namespace emulator::driver

#endif
