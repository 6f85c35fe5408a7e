#include "tests/runtime/emulator/mutations/mutation.h"
#include <algorithm>
#include <set>
#include <sstream>

namespace mutation {

std::string MutationOrder::describe() const {
  std::string text = order;
  if (text == "random") {
    text += " " + std::to_string(seed);
  }
  return text + (adversarial ? ", adversarial" : "");
}

std::vector<MutationOrder> everyMutationOrder() {
  return {{"eager"}, {"lazy"}, {"random", 1, true}, {"random", 2, true}};
}

std::optional<std::string> edited(const std::string &source, const Mutation &mutation, std::string &error) {
  const std::string_view find = mutation.find;
  std::vector<size_t> places;
  for (size_t at = source.find(find); at != std::string::npos; at = source.find(find, at + 1)) {
    places.push_back(at);
  }
  const size_t which = mutation.occurrence ? mutation.occurrence - 1 : 0;
  if (which >= places.size() || (mutation.occurrence == 0 && places.size() != 1)) {
    error = "found " + std::to_string(places.size()) + " times in the source, expected " +
            (mutation.occurrence ? "at least " + std::to_string(mutation.occurrence) : std::string("one")) + ": " +
            mutation.find;
    return std::nullopt;
  }
  if (find == mutation.replacement) {
    error = "the replacement is what it replaces: " + std::string(mutation.find);
    return std::nullopt;
  }
  return std::string(source).replace(places[which], find.size(), mutation.replacement);
}

/// "shared-race" of "shared-race in kernel: ...".
static std::string_view kindOf(std::string_view report) { return report.substr(0, report.find(' ')); }

static bool isAsExpected(const Mutation &mutation, const Observation &seen) {
  auto expects = [&](std::string_view kind) {
    return std::find(mutation.expected.begin(), mutation.expected.end(), kind) != mutation.expected.end();
  };
  if (seen.reports.empty() && !seen.wrong.empty() && expects(wrongResult)) {
    return seen.wrong.find(mutation.mentions) != std::string::npos;
  }
  return std::any_of(seen.reports.begin(), seen.reports.end(), [&](const std::string &report) {
    return expects(kindOf(report)) && report.find(mutation.mentions) != std::string::npos;
  });
}

std::string whyNotReported(const Mutation &mutation, const std::string &source, const RunMutated &run) {
  std::string error;
  const std::optional<std::string> mutated = edited(source, mutation, error);
  return mutated ? whyNotReported(mutation, [&](const MutationOrder &order) { return run(*mutated, order); }) : error;
}

std::string whyNotReported(const Mutation &mutation, const RunInOrder &run) {
  std::string complaints;
  for (const MutationOrder &order : mutation.orders) {
    const Observation seen = run(order);
    if (!seen.broken.empty()) {
      return "the mutated kernel does not run: " + seen.broken;
    }
    if (isAsExpected(mutation, seen)) {
      continue;
    }
    complaints += order.describe() + ": expected";
    for (const char *kind : mutation.expected) {
      complaints += std::string(kind == mutation.expected.front() ? " " : " or ") + kind;
    }
    complaints += *mutation.mentions ? std::string(" that mentions ") + mutation.mentions : "";
    complaints += seen.reports.empty() ? ", found no report" : ", found";
    std::set<std::string_view> kinds;
    for (const std::string &report : seen.reports) {
      kinds.insert(kindOf(report));
    }
    for (std::string_view kind : kinds) {
      complaints += " " + std::string(kind);
    }
    complaints += seen.wrong.empty() ? " and right results" : " and wrong results";
    for (const std::string &report : seen.reports) {
      complaints += "\n  " + report;
    }
    complaints += (seen.wrong.empty() ? "" : "\n  " + seen.wrong.substr(0, 400)) + "\n";
  }
  return complaints;
}

static void inlineInto(std::ostream &out, const std::string &source, const FindHeader &find,
                       std::set<std::string> &seen) {
  std::istringstream in(source);
  for (std::string line; std::getline(in, line);) {
    constexpr std::string_view include = "#include \"";
    if (line.starts_with("#pragma once")) {
      continue;
    }
    if (line.starts_with(include)) {
      const std::string name = line.substr(include.size(), line.find('"', include.size()) - include.size());
      if (seen.contains(name)) {
        continue;
      }
      if (const std::optional<std::string> header = find(name)) {
        seen.insert(name);
        inlineInto(out, *header, find, seen);
        continue;
      }
    }
    out << line << '\n';
  }
}

std::string inlineIncludes(const std::string &source, const FindHeader &find) {
  std::ostringstream out;
  std::set<std::string> seen;
  inlineInto(out, source, find, seen);
  return out.str();
}

} // namespace mutation
