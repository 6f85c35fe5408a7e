#include "driver/report_store.h"
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator::driver {

ReportStore &ReportStore::instance() {
  static ReportStore *store = new ReportStore; // The machine's threads report until the process ends.
  return *store;
}

ReportStore::ReportStore() {
  if (const char *path = std::getenv("ELAH_EMULATOR_REPORT")) {
    file = path;
  }
  if (const char *path = std::getenv("ELAH_EMULATOR_COUNTERS")) {
    counters = path;
  }
}

/// Adds a line to a file that a variable names.
static void append(const char *variable, const std::string &path, const std::string &line) {
  std::FILE *to = std::fopen(path.c_str(), "a");
  if (to) {
    std::fprintf(to, "%s\n", line.c_str());
    std::fclose(to);
  } else {
    std::fprintf(stderr, "%s: cannot write '%s': %s\n", variable, path.c_str(), std::strerror(errno));
  }
}

void ReportStore::add(ReportEntry report) {
  std::lock_guard lock(mutex);
  if (printing && file.empty()) {
    std::fprintf(stderr, "%s\n", report.text.c_str());
  } else if (printing) {
    append("ELAH_EMULATOR_REPORT", file, report.json);
  }
  reported.push_back(std::move(report));
}

void ReportStore::addLaunch(ReportEntry launch) {
  std::lock_guard lock(mutex);
  if (counters == "stderr") {
    std::fprintf(stderr, "%s", launch.text.c_str());
  } else if (!counters.empty()) {
    append("ELAH_EMULATOR_COUNTERS", counters, launch.json);
  }
  launched.push_back(std::move(launch));
}

const ReportEntry *ReportStore::report(size_t index) {
  std::lock_guard lock(mutex);
  return index < reported.size() ? &reported[index] : nullptr; // A deque's elements stay where they are.
}

const ReportEntry *ReportStore::launch(size_t index) {
  std::lock_guard lock(mutex);
  return index < launched.size() ? &launched[index] : nullptr;
}

size_t ReportStore::reports() {
  std::lock_guard lock(mutex);
  return reported.size();
}

size_t ReportStore::launches() {
  std::lock_guard lock(mutex);
  return launched.size();
}

void ReportStore::clear() {
  std::lock_guard lock(mutex);
  reported.clear();
  launched.clear();
}

void ReportStore::setPrinting(bool print) {
  std::lock_guard lock(mutex);
  printing = print;
}

std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    switch (c) {
    case '"':
    case '\\':
      result += '\\';
      result += c;
      break;
    case '\n':
      result += "\\n";
      break;
    case '\t':
      result += "\\t";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", c);
        result += escape;
      } else {
        result += c;
      }
    }
  }
  return result + "\"";
}

} // namespace emulator::driver
