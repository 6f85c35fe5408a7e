#ifndef CODEGEN_CUDA_NVRTC_H
#define CODEGEN_CUDA_NVRTC_H

#include "codegen/Cuda/CompiledKernel.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace elah::cuda {

/// Whether PTX and cubin say which line of the source an instruction comes from.
enum class LineInfo { Without, With };

/// NVIDIA's run-time compiler with the assembler in it, opened at run time. CUDA C++ to PTX and cubin for sm_90a.
class Nvrtc {
public:
  /// Looks for the library where $ELAH_NVRTC says (a file or a folder), and only there if that is set; else in
  /// $CUDA_PATH and $CUDA_HOME, in /usr/local/cuda, where the loader looks, and in the Python package
  /// nvidia-cuda-nvrtc. Null if it is not there: `error` then names every place.
  static std::unique_ptr<Nvrtc> open(std::string &error);
  Nvrtc(const Nvrtc &) = delete;

  const std::string &path() const { return libraryPath; }
  /// Tells this library from others: "13.0, 104857600 bytes". Its output depends on nothing else but `options`.
  const std::string &version() const { return libraryVersion; }

  struct Outcome {
    std::optional<CompiledKernel> kernel;
    std::string log; ///< The compiler's and the assembler's words.
  };
  /// `source` may include the files of kernelSources(). `name` stands in messages.
  Outcome compile(const std::string &source, const std::string &name, LineInfo lineInfo) const;

  static std::vector<std::string> options(LineInfo lineInfo);

private:
  Nvrtc() = default;
  struct Functions;
  std::shared_ptr<const Functions> functions;
  std::string libraryPath, libraryVersion;
};

} // namespace elah::cuda

#endif
