// Magic, then the fields of CompiledKernel, numbers as 8 bytes and strings behind their length, then the XXH3-64 of all
// that.
#include "codegen/Cuda/CompiledKernel.h"
#define XXH_INLINE_ALL
#include <cstring>
#include <xxhash.h>

namespace elah::cuda {
namespace {

constexpr std::string_view magic = "elah kernel 1\n";

void put(std::string &bytes, uint64_t value) { bytes.append(reinterpret_cast<const char *>(&value), sizeof(value)); }
void put(std::string &bytes, std::string_view text) {
  put(bytes, static_cast<uint64_t>(text.size()));
  bytes.append(text);
}

/// Reads what `put` wrote; `good` turns false at the first thing that does not fit.
struct Reader {
  std::string_view bytes;
  bool good = true;

  uint64_t number() {
    uint64_t value = 0;
    good = good && bytes.size() >= sizeof(value);
    if (good) {
      std::memcpy(&value, bytes.data(), sizeof(value));
      bytes.remove_prefix(sizeof(value));
    }
    return value;
  }
  std::string text() {
    uint64_t size = number();
    good = good && size <= bytes.size();
    std::string value(good ? bytes.substr(0, size) : "");
    bytes.remove_prefix(good ? size : 0);
    return value;
  }
};

} // namespace

std::string serialize(const CompiledKernel &kernel) {
  std::string bytes(magic);
  put(bytes, kernel.registers);
  put(bytes, kernel.staticSharedBytes);
  put(bytes, kernel.stackBytes);
  put(bytes, kernel.spillBytes);
  put(bytes, static_cast<uint64_t>(kernel.remarks.size()));
  for (const std::string &remark : kernel.remarks) {
    put(bytes, remark);
  }
  put(bytes, kernel.ptx);
  put(bytes, kernel.cubin);
  put(bytes, static_cast<uint64_t>(XXH3_64bits(bytes.data(), bytes.size())));
  return bytes;
}

std::optional<CompiledKernel> deserialize(std::string_view bytes) {
  if (bytes.size() < magic.size() + 8 || !bytes.starts_with(magic)) {
    return std::nullopt;
  }
  uint64_t checksum = 0;
  std::memcpy(&checksum, bytes.data() + bytes.size() - 8, 8);
  if (checksum != XXH3_64bits(bytes.data(), bytes.size() - 8)) {
    return std::nullopt;
  }
  Reader reader{bytes.substr(magic.size(), bytes.size() - magic.size() - 8)};
  CompiledKernel kernel;
  kernel.registers = static_cast<uint32_t>(reader.number());
  kernel.staticSharedBytes = static_cast<uint32_t>(reader.number());
  kernel.stackBytes = static_cast<uint32_t>(reader.number());
  kernel.spillBytes = static_cast<uint32_t>(reader.number());
  for (uint64_t remarks = reader.number(); reader.good && remarks > 0; --remarks) {
    kernel.remarks.push_back(reader.text());
  }
  kernel.ptx = reader.text();
  kernel.cubin = reader.text();
  return reader.good && reader.bytes.empty() ? std::optional(kernel) : std::nullopt;
}

} // namespace elah::cuda
