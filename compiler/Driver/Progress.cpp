// Progress is drawn by a thread of its own: a stage need not call in to be seen alive, and one that calls in a thousand
// times a second costs nothing.
#include "compiler/Driver/Progress.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <unistd.h>

namespace elah {

std::string formatBytes(uint64_t bytes) {
  const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) {
    value /= 1024;
  }
  return unit == 0 ? llvm::formatv("{0} B", bytes).str() : llvm::formatv("{0:f1} {1}", value, units[unit]).str();
}

namespace {

std::string formatSeconds(double seconds) {
  uint64_t whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 60) {
    return llvm::formatv("{0} s", whole);
  }
  if (whole < 3600) {
    return llvm::formatv("{0}:{1,0+2} min", whole / 60, whole % 60);
  }
  return llvm::formatv("{0}:{1,0+2} h", whole / 3600, whole % 3600 / 60);
}

} // namespace

Progress::Progress() : isTerminal(::isatty(STDERR_FILENO)) {
  ticker = std::thread([this] {
    std::unique_lock<std::mutex> lock(mutex);
    auto last = std::chrono::steady_clock::now();
    auto period = isTerminal ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
    while (!isOver) {
      wake.wait_for(lock, std::chrono::milliseconds(200));
      auto now = std::chrono::steady_clock::now();
      if (isRunning && now - last >= period && now - start >= period) {
        last = now;
        draw();
      }
    }
  });
}

Progress::~Progress() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    clear();
    isOver = true;
  }
  wake.notify_one();
  ticker.join();
}

void Progress::begin(std::string stage) {
  std::lock_guard<std::mutex> lock(mutex);
  what = std::move(stage);
  done = total = 0;
  start = std::chrono::steady_clock::now();
  isRunning = true;
}

void Progress::update(uint64_t bytes, uint64_t ofBytes) {
  std::lock_guard<std::mutex> lock(mutex);
  done = bytes;
  total = ofBytes;
}

double Progress::end() {
  std::lock_guard<std::mutex> lock(mutex);
  clear();
  isRunning = false;
  return seconds();
}

void Progress::print(llvm::StringRef line) {
  std::lock_guard<std::mutex> lock(mutex);
  clear();
  llvm::errs() << line << "\n";
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Progress::clear() {
  if (isDrawn) {
    llvm::errs() << "\r\033[K";
  }
  isDrawn = false;
}

void Progress::draw() {
  double elapsed = seconds();
  std::string line = what;
  if (total && done) {
    double rate = static_cast<double>(done) / elapsed;
    line += llvm::formatv(": {0}%, {1} of {2}, {3}/s, {4} left", done * 100 / total, formatBytes(done),
                          formatBytes(total), formatBytes(static_cast<uint64_t>(rate)),
                          formatSeconds(static_cast<double>(total - std::min(done, total)) / rate))
                .str();
  } else {
    line += " (" + formatSeconds(elapsed) + ")";
  }
  if (isTerminal) {
    llvm::errs() << "\r\033[K" << line;
    isDrawn = true;
  } else {
    llvm::errs() << line << "\n";
  }
}

} // namespace elah
