#include "driver/log.h"
#include <cstdlib>
#include <cstring>
#include <vector>

namespace emulator::driver {

static constexpr size_t keptLines = 256;

Log &Log::instance() {
  static Log *log = new Log; // Outlives the driver's threads.
  return *log;
}

Log::Log() {
  const char *where = std::getenv("ELAH_EMULATOR_LOG");
  if (!where || !*where) {
    return;
  }
  if (std::strcmp(where, "stderr") == 0) {
    file = stderr;
    return;
  }
  file = std::fopen(where, "a");
  if (!file) {
    std::fprintf(stderr, "ELAH_EMULATOR_LOG: cannot write '%s': %s\n", where, std::strerror(errno));
  }
}

void Log::add(const std::string &line) {
  std::vector<std::pair<CUlogsCallback, void *>> listeners;
  {
    std::lock_guard lock(mutex);
    if (file) {
      std::fprintf(file, "%s\n", line.c_str());
      std::fflush(file);
    }
    lines.push_back(line);
    ++total;
    if (lines.size() > keptLines) {
      lines.pop_front();
    }
    for (const auto &[handle, listener] : callbacks) {
      listeners.push_back(listener);
    }
  }
  for (const auto &[callback, data] : listeners) {
    std::string text = line;
    callback(data, CU_LOG_LEVEL_ERROR, text.data(), text.size());
  }
}

unsigned Log::count() {
  std::lock_guard lock(mutex);
  return total;
}

std::string Log::since(unsigned &from) {
  std::lock_guard lock(mutex);
  std::string text;
  const unsigned first = total - static_cast<unsigned>(lines.size());
  for (unsigned number = from > first ? from : first; number < total; ++number) {
    text += lines[number - first] + "\n";
  }
  from = total;
  return text;
}

CUlogsCallbackHandle Log::addCallback(CUlogsCallback callback, void *data) {
  std::lock_guard lock(mutex);
  callbacks[++lastCallback] = {callback, data};
  return reinterpret_cast<CUlogsCallbackHandle>(lastCallback);
}

bool Log::removeCallback(CUlogsCallbackHandle handle) {
  std::lock_guard lock(mutex);
  return callbacks.erase(reinterpret_cast<uintptr_t>(handle)) != 0;
}

} // namespace emulator::driver
