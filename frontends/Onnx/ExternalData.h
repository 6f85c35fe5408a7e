#ifndef FRONTENDS_ONNX_EXTERNALDATA_H
#define FRONTENDS_ONNX_EXTERNALDATA_H

#include "frontends/Onnx/ModelFile.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <memory>
#include <string>

namespace llvm {
class MemoryBuffer;
} // namespace llvm

namespace elah::onnx_import {

/// The files beside a model that its tensors name.
class ExternalData {
public:
  /// Without a folder, no tensor may have its data outside of the model.
  explicit ExternalData(llvm::StringRef folder) : folder(folder.str()) {}

  /// Checks that `size` bytes at `offset` of the file `location` are there; throws a Failure if not.
  Span check(llvm::StringRef location, uint64_t offset, uint64_t size);

  /// These bytes.
  std::string read(llvm::StringRef location, Span span);

private:
  /// A file that was opened and is what it should be.
  class File {
  public:
    File(int descriptor, uint64_t size) : descriptor(descriptor), size(size) {}
    ~File();
    int descriptor;
    uint64_t size;
  };

  /// The one function that opens a file that a model names.
  std::shared_ptr<File> open(llvm::StringRef location);

  std::string folder;
  llvm::StringMap<std::shared_ptr<File>> files;
};

} // namespace elah::onnx_import

#endif
