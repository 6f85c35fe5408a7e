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
}

void ReportStore::add(ReportEntry report) {
  std::lock_guard lock(mutex);
  if (printing && file.empty()) {
    std::fprintf(stderr, "%s\n", report.text.c_str());
  } else if (printing) {
    std::FILE *to = std::fopen(file.c_str(), "a");
    if (to) {
      std::fprintf(to, "%s\n", report.json.c_str());
      std::fclose(to);
    } else {
      std::fprintf(stderr, "ELAH_EMULATOR_REPORT: cannot write '%s': %s\n", file.c_str(), std::strerror(errno));
    }
  }
  reported.push_back(std::move(report));
}

void ReportStore::addLaunch(ReportEntry counters) {
  std::lock_guard lock(mutex);
  launched.push_back(std::move(counters));
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
