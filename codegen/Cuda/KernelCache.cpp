// A file of the cache is a serialized kernel. No lock is needed: what has a name never changes, and its name appears
// when it is whole.
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/KernelSources.h"
#define XXH_INLINE_ALL
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string_view>
#include <unistd.h>
#include <xxhash.h>

namespace elah::cuda {
namespace fs = std::filesystem;
namespace {

/// Adds a text to what is hashed, so that no two lists of texts look alike.
void put(std::string &all, std::string_view text) {
  all += std::to_string(text.size()) + ":";
  all += text;
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
      put(all, header.name);
      put(all, header.text);
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
  return deserialize(bytes);
}

void KernelCache::removeLeftovers() const {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    auto age = fs::file_time_type::clock::now() - entry.last_write_time(error);
    if (entry.path().filename().string().starts_with(".") && !error && age > std::chrono::hours(24)) {
      fs::remove(entry.path(), error);
    }
  }
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
  std::string bytes = serialize(kernel);
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
