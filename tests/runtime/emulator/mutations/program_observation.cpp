#include "tests/runtime/emulator/mutations/program_observation.h"
#include <gtest/gtest-spi.h>

namespace mutation {

using emulator::cuda::Program;
using emulator::cuda::ProgramRun;

/// Milliseconds of polling that make a deadlock here.
static constexpr unsigned patience = 200;

static const Program *find(const std::string &name) {
  static const std::vector<Program> all = emulator::cuda::allPrograms();
  for (const Program &program : all) {
    if (program.name == name) {
      return &program;
    }
  }
  return nullptr;
}

Observation observe(const std::string &name, const MutationOrder &order, const emulator::cuda::ProgramEdits &edits) {
  const Program *program = find(name);
  if (!program) {
    return {.broken = "there is no program " + name, .reports = {}, .wrong = ""};
  }
  Observation seen;
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter keep(testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS,
                                                   &results);
    ProgramRun run({.order = order.order, .seed = order.seed, .adversarial = order.adversarial, .patience = patience},
                   edits);
    program->run(run);
    const emulator::cuda::CUresult finished = run.finish();
    seen.broken = run.compilerLog();
    seen.reports = ProgramRun::reports();
    if (finished != emulator::cuda::CUDA_SUCCESS) {
      seen.wrong = "error " + std::to_string(finished);
    }
  }
  if (seen.wrong.empty() && results.size() != 0) {
    seen.wrong = results.GetTestPartResult(0).message();
  }
  return seen;
}

} // namespace mutation
