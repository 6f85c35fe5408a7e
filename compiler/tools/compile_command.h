#ifndef COMPILER_TOOLS_COMPILE_COMMAND_H
#define COMPILER_TOOLS_COMPILE_COMMAND_H

/// `elah compile`. Takes the arguments behind the verb (argv[0] is the name to show in help) and returns the exit
/// status, as the verbs on artifacts do (runtime/commands/commands.h).
int elahCompileCommand(int argc, char **argv);

#endif
