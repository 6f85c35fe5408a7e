// The harness itself: edits apply or say why not; a verdict counts only the expected report.

#include "tests/runtime/emulator/mutations/mutation.h"
#include <gtest/gtest.h>

namespace mutation {
namespace {

const char *const source = "sync();\nx[i] = 1;\nsync();\n";

std::string errorOf(const Mutation &mutation) {
  std::string error;
  EXPECT_FALSE(edited(source, mutation, error));
  return error;
}

TEST(Mutation, EditsOnePlace) {
  std::string error;
  EXPECT_EQ(edited(source, {.name = "", .program = "", .find = "[i]", .replacement = "[i + 1]"}, error),
            "sync();\nx[i + 1] = 1;\nsync();\n");
  EXPECT_EQ(edited(source, {.name = "", .program = "", .find = "sync();\n", .replacement = "", .occurrence = 2}, error),
            "sync();\nx[i] = 1;\n");
}

TEST(Mutation, EditsThatDoNotApplyAreErrors) {
  EXPECT_EQ(errorOf({.name = "", .program = "", .find = "sync", .replacement = ""}),
            "found 2 times in the source, expected one: sync");
  EXPECT_EQ(errorOf({.name = "", .program = "", .find = "gone", .replacement = ""}),
            "found 0 times in the source, expected one: gone");
  EXPECT_EQ(errorOf({.name = "", .program = "", .find = "sync", .replacement = "", .occurrence = 3}),
            "found 2 times in the source, expected at least 3: sync");
  EXPECT_EQ(errorOf({.name = "", .program = "", .find = "x[i]", .replacement = "x[i]"}),
            "the replacement is what it replaces: x[i]");
}

std::string verdict(std::vector<const char *> expected, const Observation &seen, const char *mentions = "") {
  return whyNotReported({.name = "",
                         .program = "",
                         .find = "x[i]",
                         .replacement = "",
                         .expected = std::move(expected),
                         .mentions = mentions,
                         .orders = {{"lazy"}}},
                        source, [&](const std::string &, const MutationOrder &) { return seen; });
}

TEST(Mutation, OnlyTheExpectedReportCounts) {
  const Observation race = {.reports = {"shared-race in k: write after a read\n  address: shared tile+0x4"}};
  EXPECT_EQ(verdict({"shared-race"}, race), "");
  EXPECT_EQ(verdict({"deadlock", "shared-race"}, race), "");
  EXPECT_EQ(verdict({"shared-race"}, race, "shared tile"), "");
  EXPECT_EQ(verdict({"deadlock"}, race).substr(0, 59), "lazy: expected deadlock, found shared-race and right result");
  EXPECT_NE(verdict({"shared-race"}, race, "shared other"), "");
  // A hazard is not found by its wrong results, nor an arithmetic error by a report.
  EXPECT_NE(verdict({"shared-race"}, {.wrong = "3 is not 4"}), "");
  EXPECT_EQ(verdict({wrongResult}, {.wrong = "3 is not 4"}), "");
  EXPECT_NE(verdict({wrongResult}, race), "");
  EXPECT_NE(verdict({wrongResult}, {}), "");
  EXPECT_EQ(verdict({wrongResult}, {.broken = "line 3: expected a ;", .wrong = "nothing ran"}),
            "the mutated kernel does not run: line 3: expected a ;");
}

TEST(Mutation, HeadersAreInlinedOnce) {
  struct Header {
    const char *name, *text;
  };
  const std::vector<Header> headers = {{"a.cuh", "#pragma once\n#include \"b.cuh\"\na\n"}, {"b.cuh", "b\n"}};
  EXPECT_EQ(inlineIncludes("#include \"a.cuh\"\n#include \"b.cuh\"\n#include \"other.h\"\n#include <cuda.h>\nend\n",
                           headersOf(headers)),
            "b\na\n#include \"other.h\"\n#include <cuda.h>\nend\n");
}

} // namespace
} // namespace mutation
