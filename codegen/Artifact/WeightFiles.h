#ifndef CODEGEN_ARTIFACT_WEIGHTFILES_H
#define CODEGEN_ARTIFACT_WEIGHTFILES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <mutex>
#include <string>

namespace elah {

/// The shards of a model folder, opened when first read and kept open. Threads may read at the same time.
class WeightFiles {
public:
  explicit WeightFiles(llvm::StringRef modelFolder) : folder(modelFolder.str()) {}
  WeightFiles(const WeightFiles &) = delete;
  ~WeightFiles();

  /// Fills `bytes` from `offset` of `file` (named relative to the folder). A file that has become shorter since its
  /// header was read is an error that names file, offset and size.
  llvm::Error read(llvm::StringRef file, uint64_t offset, llvm::MutableArrayRef<char> bytes);

private:
  llvm::Expected<int> descriptorOf(llvm::StringRef file);

  std::string folder;
  std::mutex mutex;
  llvm::StringMap<int> descriptors;
};

} // namespace elah

#endif
