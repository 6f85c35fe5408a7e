// elah_emulator.h.

#include "driver/driver.h"
#include "driver/memory_map.h"
#include "driver/report_store.h"
#include "driver/reports.h"
#include "include/elah_emulator.h"
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>

using namespace emulator;
using namespace emulator::driver;

size_t elah_emulator_report_count(void) { return ReportStore::instance().reports(); }

static const char *textOrNull(const ReportEntry *entry, std::string ReportEntry::*member) {
  return entry ? (entry->*member).c_str() : nullptr;
}

const char *elah_emulator_report_kind(size_t index) {
  return textOrNull(ReportStore::instance().report(index), &ReportEntry::kind);
}

const char *elah_emulator_report_text(size_t index) {
  return textOrNull(ReportStore::instance().report(index), &ReportEntry::text);
}

const char *elah_emulator_report_json(size_t index) {
  return textOrNull(ReportStore::instance().report(index), &ReportEntry::json);
}

size_t elah_emulator_launch_count(void) { return ReportStore::instance().launches(); }

const char *elah_emulator_launch_text(size_t index) {
  return textOrNull(ReportStore::instance().launch(index), &ReportEntry::text);
}

const char *elah_emulator_launch_json(size_t index) {
  return textOrNull(ReportStore::instance().launch(index), &ReportEntry::json);
}

size_t elah_emulator_allocation_count(void) { return MemoryMap::instance().blocks().size(); }

void elah_emulator_clear(void) {
  clearFindings();
  ReportStore::instance().clear();
}

/// The place of a word among `words`.
static std::optional<size_t> placeOf(const char *word, std::initializer_list<const char *> words) {
  size_t index = 0;
  for (const char *candidate : words) {
    if (std::strcmp(word, candidate) == 0) {
      return index;
    }
    ++index;
  }
  return std::nullopt;
}

static bool setOption(RunOptions &options, const char *name, const char *value) {
  auto flag = [&](bool &to) {
    const std::optional<size_t> which = placeOf(value, {"0", "1"});
    if (which) {
      to = *which == 1;
    }
    return which.has_value();
  };
  auto number = [&](auto &to) {
    char *end = nullptr;
    const unsigned long long parsed = std::strtoull(value, &end, 0);
    const bool valid = *value && *value != '-' && !*end;
    if (valid) {
      to = static_cast<std::remove_reference_t<decltype(to)>>(parsed);
    }
    return valid;
  };
  if (std::strcmp(name, "order") == 0) {
    const std::optional<size_t> which = placeOf(value, {"eager", "lazy", "random"});
    if (which) {
      options.order = static_cast<Order>(*which);
    }
    return which.has_value();
  }
  if (std::strcmp(name, "numerics") == 0) {
    const std::optional<size_t> which = placeOf(value, {"f32", "hardware"});
    if (which) {
      options.numerics = static_cast<Numerics>(*which);
    }
    return which.has_value();
  }
  if (std::strcmp(name, "seed") == 0) {
    return number(options.seed);
  }
  if (std::strcmp(name, "threads") == 0) {
    return number(options.threads);
  }
  if (std::strcmp(name, "patience") == 0) {
    return number(options.patience);
  }
  if (std::strcmp(name, "adversarial") == 0) {
    return flag(options.adversarial);
  }
  if (std::strcmp(name, "check") == 0) {
    return flag(options.check);
  }
  if (std::strcmp(name, "count") == 0) {
    return flag(options.count);
  }
  if (std::strcmp(name, "trace") == 0) {
    options.trace = value;
    return true;
  }
  if (std::strcmp(name, "print") == 0) {
    bool print = true;
    if (!flag(print)) {
      return false;
    }
    ReportStore::instance().setPrinting(print);
    return true;
  }
  return false;
}

int elah_emulator_set_option(const char *name, const char *value) {
  if (!name || !value) {
    return -1;
  }
  CallScope scope;
  Driver::instance().prepare(); // So that cuInit does not read the environment over it.
  return setOption(Driver::instance().options, name, value) ? 0 : -1;
}
