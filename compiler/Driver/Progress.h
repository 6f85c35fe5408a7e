#ifndef COMPILER_DRIVER_PROGRESS_H
#define COMPILER_DRIVER_PROGRESS_H

#include "llvm/ADT/StringRef.h"
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace elah {

/// Tells the user on stderr what takes so long: on a terminal one line that changes, with rate and time left; elsewhere
/// a plain line every ten seconds, so that a log stays readable. Threads may call everything but `begin` and `end`.
class Progress {
public:
  Progress();
  ~Progress();

  /// A stage begins: "writing weights".
  void begin(std::string what);
  /// So many of the stage's bytes are done.
  void update(uint64_t done, uint64_t total);
  /// The stage is over. Returns the seconds that it took.
  double end();
  /// Prints a line of text with the progress line out of its way.
  void print(llvm::StringRef line);

private:
  void draw();
  void clear();
  double seconds() const;

  std::mutex mutex;
  std::condition_variable wake;
  bool isTerminal, isDrawn = false, isRunning = false, isOver = false;
  std::string what;
  uint64_t done = 0, total = 0;
  std::chrono::steady_clock::time_point start;
  std::thread ticker;
};

/// "1.3 GiB".
std::string formatBytes(uint64_t bytes);

} // namespace elah

#endif
