// Any bytes as the header of a safetensors file: it is refused with a message, or its entries cover the data exactly.
// The input's first two bytes are the size of the data, the rest is the header.
#include "frontends/HuggingFace/Safetensors.h"
#include "llvm/ADT/StringSet.h"
#include <cstdlib>

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) {
    return 0;
  }
  uint64_t dataSize = data[0] | data[1] << 8;
  llvm::StringRef header(reinterpret_cast<const char *>(data) + 2, size - 2);
  uint64_t fileSize = 8 + header.size() + dataSize;
  auto entries = elah::parseSafetensorsHeader(header, fileSize, "input");
  if (!entries) {
    require(llvm::toString(entries.takeError()).size() < 10'000);
    return 0;
  }
  llvm::StringSet<> names;
  uint64_t end = 8 + header.size();
  for (const elah::TensorEntry &entry : *entries) {
    require(names.insert(entry.name).second);
    require(!entry.dtype.empty() && entry.offset == end);
    end += entry.size;
  }
  require(end == fileSize);
  return 0;
}
