#ifndef TESTS_CODEGEN_ARTIFACT_SYSTEM_CALLS_H
#define TESTS_CODEGEN_ARTIFACT_SYSTEM_CALLS_H

#include <string>
#include <vector>

namespace elah {

/// Watches this program's calls of fallocate, ftruncate, pwrite, fsync and rename, which it defines itself, and makes
/// them fail.
class SystemCalls {
public:
  SystemCalls();
  ~SystemCalls();

  /// Call number `index` (from 0) fails with `code`.
  void failAt(unsigned index, int code);
  /// Each call of that name fails with `code`.
  void failAll(const std::string &name, int code);
  /// The names of the calls since construction; a run of equal ones is one.
  std::vector<std::string> order() const;
  unsigned count() const;
};

} // namespace elah

#endif
