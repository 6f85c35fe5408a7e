#ifndef CODEGEN_ARTIFACT_OUTPUTFILE_H
#define CODEGEN_ARTIFACT_OUTPUTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace elah {

/// A file that appears whole or not at all. Bytes go to a temporary file in the same folder,
/// `.NAME.partial-PID-N`; `commit` makes them durable and renames it over the path. Until then an
/// older file at the path stays as it was, and destruction removes the temporary. What a killed
/// process left behind, the next output at the same path removes. Errors carry the path and what
/// the system said.
class OutputFile {
public:
  /// The path of a link is where the link leads.
  static llvm::Expected<OutputFile> create(llvm::StringRef path);
  OutputFile(OutputFile &&other);
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();

  /// Writes all of `bytes` at `offset`, where nothing was written before. Threads may write disjoint ranges at the same
  /// time.
  llvm::Error write(uint64_t offset, llvm::ArrayRef<char> bytes);
  /// Reads back exactly `bytes.size()` bytes that were written before.
  llvm::Error read(uint64_t offset, llvm::MutableArrayRef<char> bytes) const;
  /// Makes the file `size` zero bytes long and reserves their place on the disk, so that a full
  /// disk shows before the work and not after it. A limit on file sizes (RLIMIT_FSIZE) is an error
  /// here only if the process ignores SIGXFSZ.
  llvm::Error reserve(uint64_t size);
  /// Marks the file as a program.
  llvm::Error makeExecutable();
  llvm::Error commit();

private:
  OutputFile(int descriptor, std::string path, std::string temporary);

  int descriptor;
  uint64_t reserved = 0;
  std::string path;
  std::string temporary;
};

/// Removes the temporary files of this process's unfinished outputs; safe to call from a signal
/// handler.
void removeUnfinishedOutputs();

} // namespace elah

#endif
