#ifndef COMPILER_TOOLS_VERIFY_COMMAND_H
#define COMPILER_TOOLS_VERIFY_COMMAND_H

/// `elah verify`: as that of elah-run, and with `--device emulator` kernel by kernel. Arguments and status as of
/// elahCompileCommand.
int elahVerifyDeviceCommand(int argc, char **argv);

#endif
