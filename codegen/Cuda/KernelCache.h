#ifndef CODEGEN_CUDA_KERNELCACHE_H
#define CODEGEN_CUDA_KERNELCACHE_H

#include "codegen/Cuda/Nvrtc.h"
#include <optional>
#include <string>

namespace elah::cuda {

/// Compiled kernels in a folder, each in a file that is named by all that its content depends on. Files are written
/// under another name and then renamed: any number of processes may share the folder and be killed at any moment. A
/// damaged file is as good as none.
class KernelCache {
public:
  explicit KernelCache(std::string folder) : folder(std::move(folder)) {}
  /// $ELAH_CACHE, else $XDG_CACHE_HOME/elah, else ~/.cache/elah; empty if none of these is set.
  static std::string defaultFolder();

  /// Names what `source` compiles to: hashes it, the device code that it includes, the options, and the compiler's
  /// version.
  static std::string keyOf(const std::string &source, const std::string &compilerVersion, LineInfo lineInfo);

  std::optional<CompiledKernel> find(const std::string &key) const;
  /// Whether the kernel is in the cache now. A cache that cannot be written costs time only.
  bool store(const std::string &key, const CompiledKernel &kernel) const;

  /// Removes what processes that were killed a day ago or earlier have left half written.
  void removeLeftovers() const;

  std::string fileOf(const std::string &key) const;

private:
  std::string folder;
};

} // namespace elah::cuda

#endif
