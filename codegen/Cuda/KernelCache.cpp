// A file of the cache: magic, then the fields of CompiledKernel, numbers as 8 bytes and strings behind their length,
// then the XXH3-64 of all that, so that a torn or damaged file is noticed.
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/KernelSources.h"
#define XXH_INLINE_ALL
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string_view>
#include <unistd.h>
#include <xxhash.h>

namespace elah::cuda {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view magic = "elah kernel 1\n\0\0";

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

std::string contentOf(const CompiledKernel &kernel) {
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

std::optional<CompiledKernel> parse(std::string_view bytes) {
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

/// Adds the device code that `text` includes, and what that includes, by name.
void closeOver(std::string_view text, std::set<std::string_view> &names) {
  for (const KernelSource &source : kernelSources()) {
    std::string quoted = "\"" + std::string(source.name) + "\"";
    if (text.find(quoted) != std::string_view::npos && names.insert(source.name).second) {
      closeOver(source.text, names);
    }
  }
}

} // namespace

std::string KernelCache::defaultFolder() {
  auto variable = [](const char *name) {
    const char *value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (std::string chosen = variable("ELAH_CACHE"); !chosen.empty()) {
    return chosen;
  }
  if (std::string caches = variable("XDG_CACHE_HOME"); !caches.empty()) {
    return caches + "/elah";
  }
  std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/elah";
}

std::string KernelCache::keyOf(const std::string &source, const std::string &compilerVersion, LineInfo lineInfo) {
  std::set<std::string_view> names;
  closeOver(source, names);
  std::string all;
  put(all, source);
  put(all, compilerVersion);
  for (const std::string &option : Nvrtc::options(lineInfo)) {
    put(all, option);
  }
  for (const KernelSource &header : kernelSources()) {
    if (names.contains(header.name)) {
      put(all, std::string_view(header.name));
      put(all, std::string_view(header.text));
    }
  }
  XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

std::string KernelCache::fileOf(const std::string &key) const { return folder + "/" + key + ".kernel"; }

std::optional<CompiledKernel> KernelCache::find(const std::string &key) const {
  std::FILE *file = folder.empty() ? nullptr : std::fopen(fileOf(key).c_str(), "rbe");
  if (!file) {
    return std::nullopt;
  }
  std::string bytes;
  char buffer[65536];
  while (size_t count = std::fread(buffer, 1, sizeof(buffer), file)) {
    bytes.append(buffer, count);
  }
  std::fclose(file);
  return parse(bytes);
}

bool KernelCache::store(const std::string &key, const CompiledKernel &kernel) const {
  std::error_code error;
  if (folder.empty() || (fs::create_directories(folder, error), error)) {
    return false;
  }
  std::string name = folder + "/." + key + ".XXXXXX";
  int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  std::string bytes = contentOf(kernel);
  bool good = true;
  for (size_t done = 0; good && done < bytes.size();) {
    ssize_t count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    good = count > 0;
    done += good ? static_cast<size_t>(count) : 0;
  }
  // Without fsync a system that goes down may leave a short file under the final name; its checksum tells.
  good = ::close(descriptor) == 0 && good;
  if (!good || ::rename(name.c_str(), fileOf(key).c_str()) != 0) {
    ::unlink(name.c_str());
    return false;
  }
  return true;
}

} // namespace elah::cuda
