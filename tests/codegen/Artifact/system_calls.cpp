#include "system_calls.h"
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

struct Record {
  std::mutex mutex;
  bool isWatching = false;
  std::vector<std::string> names;
  int failIndex = -1, failIndexCode = 0;
  std::string failName;
  int failNameCode = 0;
};

Record &record() {
  static Record *record = new Record; // outlives every caller
  return *record;
}

/// Notes the call; says whether it shall fail, with errno set.
bool fails(const char *name) {
  Record &calls = record();
  std::lock_guard<std::mutex> lock(calls.mutex);
  if (!calls.isWatching) {
    return false;
  }
  calls.names.push_back(name);
  if (static_cast<int>(calls.names.size()) == calls.failIndex + 1) {
    errno = calls.failIndexCode;
    return true;
  }
  if (calls.failName == name) {
    errno = calls.failNameCode;
    return true;
  }
  return false;
}

} // namespace

extern "C" {
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  return fails("fallocate") ? -1 : static_cast<int>(::syscall(SYS_fallocate, descriptor, mode, offset, size));
}
int ftruncate(int descriptor, off_t size) noexcept {
  return fails("ftruncate") ? -1 : static_cast<int>(::syscall(SYS_ftruncate, descriptor, size));
}
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
  return fails("pwrite") ? -1 : ::syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}
int fsync(int descriptor) { return fails("fsync") ? -1 : static_cast<int>(::syscall(SYS_fsync, descriptor)); }
int rename(const char *from, const char *to) noexcept {
  return fails("rename") ? -1 : static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
}

namespace elah {

SystemCalls::SystemCalls() {
  record().names.clear();
  record().failIndex = -1;
  record().failName.clear();
  record().isWatching = true;
}

SystemCalls::~SystemCalls() { record().isWatching = false; }

void SystemCalls::failAt(unsigned index, int code) {
  record().failIndex = static_cast<int>(index);
  record().failIndexCode = code;
}

void SystemCalls::failAll(const std::string &name, int code) {
  record().failName = name;
  record().failNameCode = code;
}

std::vector<std::string> SystemCalls::order() const {
  std::vector<std::string> names;
  for (const std::string &name : record().names) {
    if (names.empty() || names.back() != name) {
      names.push_back(name);
    }
  }
  return names;
}

unsigned SystemCalls::count() const { return static_cast<unsigned>(record().names.size()); }

} // namespace elah
