// Whether a machine computes what another one, known to be right, has computed: golden digests of every operation's
// result travel in the artifact, and the first operation that is off is named.
#ifndef RUNTIME_SRC_SELF_TEST_H
#define RUNTIME_SRC_SELF_TEST_H

#include "src/session.h"
#include <string>

namespace elah {

/// Checks what a manifest says of probes: each leads to rows of the arena.
Status checkProbes(const proto::Manifest &manifest);

struct SelfTestReport {
  size_t compared = 0;        ///< Results.
  double largest = 0;         ///< Difference, of those that are not off.
  size_t otherExperts = 0;    ///< Rows whose choice of experts was nearly a tie, and went the other way.
  std::string operation = ""; ///< The first that is off; empty if none is.
  std::string kernels = "";   ///< Those that it runs.
  size_t tokens = 0;          ///< Of the step in which it is.
  double difference = 0;
};

/// Runs the fixed steps and gives their digests, as the artifact's section holds them.
Result<std::string> recordSelfTest(Session &session);
/// Runs the same steps, and compares.
Result<SelfTestReport> runSelfTest(Session &session);

/// Beyond which a result is off, of a row's length. Values that nearly are between two of f8's go either way, and these
/// are up to an eighth apart: a few such in a narrow row are much of it.
constexpr double selfTestTolerance = 0.03, selfTestF8Tolerance = 0.25;

} // namespace elah

#endif
