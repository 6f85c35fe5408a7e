#ifndef RUNTIME_EMULATOR_DRIVER_REPORT_STORE_H
#define RUNTIME_EMULATOR_DRIVER_REPORT_STORE_H

// Keeps reports and counters for elah_emulator.h, and prints them as they come.

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

namespace emulator::driver {

struct ReportEntry {
  std::string kind, text, json;
};

class ReportStore {
public:
  static ReportStore &instance();

  void add(ReportEntry report);
  void addLaunch(ReportEntry launch);
  /// Null where there is none; stays until `clear`.
  const ReportEntry *report(size_t index);
  const ReportEntry *launch(size_t index);
  size_t reports();
  size_t launches();
  void clear();
  void setPrinting(bool print);

private:
  ReportStore();
  std::mutex mutex;
  std::deque<ReportEntry> reported, launched;
  std::string file;     ///< ELAH_EMULATOR_REPORT: JSON lines go there; empty: text to stderr
  std::string counters; ///< ELAH_EMULATOR_COUNTERS: likewise; "stderr": text to it; empty: kept only
  bool printing = true;
};

/// A string as JSON has it, quotes included.
std::string quoted(const std::string &text);

} // namespace emulator::driver

#endif
