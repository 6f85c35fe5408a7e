#ifndef COMPILER_TOOLS_VERIFY_KERNELS_H
#define COMPILER_TOOLS_VERIFY_KERNELS_H

#include <string>

struct VerifyKernelsArguments {
  bool full = false, json = false;
  bool steps = false;     ///< Only steps of the program, whatever its size: launch by launch, and whole.
  bool unchecked = false; ///< Steps without the emulator's checker.
  std::string filter;     ///< Only kernels with this in their names; all if empty.
};

/// Verifies the kernels of an intact artifact on the emulator, prints a line for each, and gives the exit status.
int verifyKernelsOf(const std::string &file, const VerifyKernelsArguments &arguments);

#endif
