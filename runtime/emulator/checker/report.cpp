#include "checker/report.h"
#include <cstdio>
#include <iterator>

namespace emulator {

namespace {

constexpr std::string_view names[] = {
    "out-of-bounds",
    "misaligned",
    "uninitialised-memory",
    "uninitialised-register",
    "shared-race",
    "global-race",
    "register-in-flight",
    "missing-wgmma-fence",
    "missing-proxy-fence",
    "missing-mbarrier-init-fence",
    "missing-tensormap-fence",
    "wrong-transaction-count",
    "mbarrier-misuse",
    "mbarrier-overwritten",
    "dead-cta",
    "source-in-use",
    "deadlock",
    "leak",
    "fault",
};
static_assert(std::size(names) == static_cast<size_t>(ReportKind::Fault) + 1);

std::string placeText(const AccessPlace &place) {
  std::string text = place.what;
  if (place.ptxLine) {
    text += text.empty() ? "" : " ";
    text += "at PTX line " + std::to_string(place.ptxLine);
    if (!place.sourceLine.empty()) {
      text += " (" + place.sourceLine + ")";
    }
    if (!place.ptxText.empty()) {
      text += " `" + place.ptxText + "`";
    }
  }
  if (place.warp >= 0) {
    text += " by CTA (" + std::to_string(place.cta[0]) + "," + std::to_string(place.cta[1]) + "," +
            std::to_string(place.cta[2]) + ") warp " + std::to_string(place.warp);
    if (place.lane >= 0) {
      text += " lane " + std::to_string(place.lane);
    }
  }
  return text;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      result += escape;
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string placeJson(const AccessPlace &place) {
  return "{\"what\": " + quoted(place.what) + ", \"ptx_line\": " + std::to_string(place.ptxLine) +
         ", \"ptx\": " + quoted(place.ptxText) + ", \"source\": " + quoted(place.sourceLine) + ", \"cta\": [" +
         std::to_string(place.cta[0]) + ", " + std::to_string(place.cta[1]) + ", " + std::to_string(place.cta[2]) +
         "], \"warp\": " + std::to_string(place.warp) + ", \"lane\": " + std::to_string(place.lane) + "}";
}

} // namespace

std::string_view nameOf(ReportKind kind) { return names[static_cast<size_t>(kind)]; }

std::string Report::toText() const {
  std::string result = std::string(nameOf(kind)) + " in " + kernel + ": " + text;
  if (!address.empty()) {
    result += "\n  address: " + address;
  }
  if (std::string where = placeText(place); !where.empty()) {
    result += "\n  " + where;
  }
  if (hasOther) {
    result += "\n  other: " + placeText(other);
  }
  if (count > 1) {
    result += "\n  found " + std::to_string(count) + " times";
  }
  return result + "\n";
}

std::string Report::toJson() const {
  return "{\"kind\": " + quoted(nameOf(kind)) + ", \"kernel\": " + quoted(kernel) + ", \"text\": " + quoted(text) +
         ", \"address\": " + quoted(address) + ", \"place\": " + placeJson(place) +
         (hasOther ? ", \"other\": " + placeJson(other) : std::string()) + ", \"count\": " + std::to_string(count) +
         "}";
}

uint64_t ReportLog::Key::hash() const {
  uint64_t value = kernel;
  for (uint64_t part : {static_cast<uint64_t>(kind), uint64_t{line}, uint64_t{otherLine}}) {
    value = (value ^ part) * 0x9e3779b97f4a7c15;
    value ^= value >> 29;
  }
  return value;
}

bool ReportLog::repeated(const Key &key) {
  std::lock_guard lock(mutex);
  auto found = byKey.find(key.hash());
  if (found == byKey.end()) {
    return false;
  }
  ++reports[found->second].count;
  return true;
}

void ReportLog::add(const Key &key, Report report) {
  std::function<void(const Report &)> tell;
  {
    std::lock_guard lock(mutex);
    auto [at, added] = byKey.emplace(key.hash(), reports.size());
    if (!added) {
      ++reports[at->second].count;
      return;
    }
    reports.push_back(report);
    tell = onReport;
  }
  if (tell) {
    tell(report);
  }
}

void ReportLog::add(Report report) {
  Key key = {report.kind, std::hash<std::string>()(report.kernel + report.text), report.place.ptxLine,
             report.hasOther ? report.other.ptxLine : 0};
  add(key, std::move(report));
}

std::vector<Report> ReportLog::all() const {
  std::lock_guard lock(mutex);
  return reports;
}

size_t ReportLog::size() const {
  std::lock_guard lock(mutex);
  return reports.size();
}

void ReportLog::clear() {
  std::lock_guard lock(mutex);
  reports.clear();
  byKey.clear();
}

std::string ReportLog::toJson() const {
  std::string text = "[";
  for (const Report &report : all()) {
    text += (text.size() > 1 ? ",\n " : "") + report.toJson();
  }
  return text + "]\n";
}

} // namespace emulator
