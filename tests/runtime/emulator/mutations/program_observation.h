#ifndef TESTS_RUNTIME_EMULATOR_MUTATIONS_PROGRAM_OBSERVATION_H
#define TESTS_RUNTIME_EMULATOR_MUTATIONS_PROGRAM_OBSERVATION_H

#include "tests/runtime/emulator/mutations/mutation.h"
#include "tests/runtime/emulator/programs/program_run.h"

namespace mutation {

/// Runs a program, by its name, with something changed; its failed expectations are the observation, not the test's.
Observation observe(const std::string &program, const MutationOrder &order, const emulator::cuda::ProgramEdits &edits);

} // namespace mutation

#endif
