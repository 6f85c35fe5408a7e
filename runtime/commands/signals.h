#ifndef RUNTIME_COMMANDS_SIGNALS_H
#define RUNTIME_COMMANDS_SIGNALS_H

/// Takes over SIGINT and SIGTERM, to be asked for with `interruption()`; a second one ends the program at once. SIGBUS,
/// which comes when an artifact's file is cut off while it is mapped, ends it with a message and status 74.
void catchSignals();

/// 0, or the exit status for the signal that came: 130 for SIGINT, 143 for SIGTERM.
int interruption();

#endif
