#include "commands/signals.h"
#include <csignal>
#include <unistd.h>

namespace {

volatile std::sig_atomic_t received = 0;

void remember(int signal) { received = signal; }

void tellOfTruncation(int) {
  static const char message[] = "error: the artifact's file was cut off while it was in use\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, message, sizeof(message) - 1);
  ::_exit(74);
}

} // namespace

void catchSignals() {
  struct sigaction action = {};
  action.sa_flags = static_cast<int>(SA_RESETHAND); // and no SA_RESTART: waiting for input ends, too
  action.sa_handler = remember;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = tellOfTruncation;
  ::sigaction(SIGBUS, &action, nullptr);
}

int interruption() { return received ? 128 + received : 0; }
