#ifndef RUNTIME_EMULATOR_MACHINE_ACCEPTANCE_H
#define RUNTIME_EMULATOR_MACHINE_ACCEPTANCE_H

#include <string>

namespace emulator {

/// Why the emulator would not run a module: an unknown opcode or modifier anywhere in it, say, with its line. Empty if
/// it would. For programs that write PTX and want to know before anybody runs it.
std::string refusalOf(const std::string &ptx);

} // namespace emulator

#endif
