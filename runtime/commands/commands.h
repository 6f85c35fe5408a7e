/* The verbs on finished artifacts, shared by `elah-run` and `elah`. Each takes the arguments behind its verb (argv[0]
 * is the name to show in help) and returns the exit status: 0 ok, 1 failure, 2 usage, 65 bad data, 66 missing input, 69
 * not possible on this machine, 74 I/O, 130 interrupted. Results go to stdout, everything else to stderr. */
#ifndef RUNTIME_COMMANDS_COMMANDS_H
#define RUNTIME_COMMANDS_COMMANDS_H

int elahRunCommand(int argc, char **argv);
int elahInspectCommand(int argc, char **argv);
int elahTokenizeCommand(int argc, char **argv);
int elahVerifyCommand(int argc, char **argv);
int elahBenchCommand(int argc, char **argv);
int elahSelftestCommand(int argc, char **argv);

#endif
