#ifndef CODEGEN_CUDA_COMPILEDKERNEL_H
#define CODEGEN_CUDA_COMPILEDKERNEL_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elah::cuda {

/// What the compiler made of a KernelSpec's source, and what the assembler says of it.
struct CompiledKernel {
  std::string ptx;
  std::string cubin;
  uint32_t registers = 0; ///< Of a thread.
  uint32_t staticSharedBytes = 0;
  uint32_t stackBytes = 0;
  uint32_t spillBytes = 0; ///< Stored and loaded, in all functions.
  /// The assembler's performance remarks, "(C7510) Potential Performance Loss: wgmma.mma_async ...".
  std::vector<std::string> remarks;

  bool operator==(const CompiledKernel &) const = default;
};

/// A kernel as bytes, for files and for other processes; with a checksum, so that bytes which are torn or damaged are
/// noticed: they give no kernel.
std::string serialize(const CompiledKernel &kernel);
std::optional<CompiledKernel> deserialize(std::string_view bytes);

} // namespace elah::cuda

#endif
