#ifndef FRONTENDS_HUGGINGFACE_SAFETENSORS_H
#define FRONTENDS_HUGGINGFACE_SAFETENSORS_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace elah {

/// One entry of a safetensors header.
struct TensorEntry {
  std::string name;
  llvm::StringRef dtype; ///< As the format spells it: "BF16", "F8_E4M3".
  llvm::SmallVector<int64_t, 2> shape;
  uint64_t offset = 0; ///< From the first byte of the file.
  uint64_t size = 0;   ///< Bytes.
};

/// Parses the header of a safetensors file of `fileSize` bytes. `header` holds the JSON text, without the eight bytes
/// of its length. `file` is for messages only. Entries come back in the order of their offsets.
///
/// Every rule of the format is checked: the text begins with `{` and is strict JSON in UTF-8; no key twice; metadata
/// maps strings to strings; known element types; sizes that fit shape and type; offsets that cover the rest of the file
/// without hole or overlap. Two rules are Elah's own: at most 64 dimensions, and names of at most 1024
/// bytes without control characters.
llvm::Expected<std::vector<TensorEntry>> parseSafetensorsHeader(llvm::StringRef header, uint64_t fileSize,
                                                                llvm::StringRef file);

/// Reads the header of the file at `path`, and nothing else of it.
llvm::Expected<std::vector<TensorEntry>> readSafetensorsHeader(const std::string &path);

} // namespace elah

#endif
