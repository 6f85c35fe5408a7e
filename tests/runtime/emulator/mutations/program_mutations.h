#ifndef TESTS_RUNTIME_EMULATOR_MUTATIONS_PROGRAM_MUTATIONS_H
#define TESTS_RUNTIME_EMULATOR_MUTATIONS_PROGRAM_MUTATIONS_H

// Bugs for the programs of tests/runtime/emulator/programs.

#include "tests/runtime/emulator/mutations/mutation.h"

namespace mutation {

std::vector<Mutation> scalarMutations();
std::vector<Mutation> matrixMutations();
std::vector<Mutation> asynchronousMutations();

} // namespace mutation

#endif
