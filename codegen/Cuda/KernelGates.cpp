// The assembler never refuses a slow kernel; these gates do, on a machine that could not measure it.
#include "codegen/Cuda/KernelGates.h"
#include "machine/acceptance.h"

namespace elah::cuda {

std::vector<std::string> gateFindings(const KernelSpec &spec, const CompiledKernel &kernel, const CudaTarget &target) {
  std::vector<std::string> findings;
  auto bounded = [&](const char *what, uint64_t found, uint64_t expected) {
    if (found > expected) {
      findings.push_back("found " + std::to_string(found) + " " + what + ", expected at most " +
                         std::to_string(expected));
    }
  };
  bounded("bytes of spills", kernel.spillBytes, 0);
  for (const std::string &remark : kernel.remarks) {
    findings.push_back("the assembler remarks " + remark);
  }
  bounded("threads in a block", spec.threads, target.threadsPerBlock);
  if (spec.maxRegisters) {
    bounded("registers", kernel.registers, spec.maxRegisters);
  }
  uint64_t shared = uint64_t(spec.sharedBytes) + kernel.staticSharedBytes;
  bounded("bytes of shared memory", shared, target.sharedPerBlock);
  if (findings.empty()) {
    unsigned blocks = target.occupancy(spec.threads, kernel.registers, static_cast<unsigned>(shared));
    if (blocks < spec.blocksPerMultiprocessor) {
      findings.push_back("found " + std::to_string(kernel.registers) + " registers of " + std::to_string(spec.threads) +
                         " threads and " + std::to_string(shared) + " bytes of shared memory, with which a " +
                         "multiprocessor holds " + std::to_string(blocks) + " blocks, expected room for " +
                         std::to_string(spec.blocksPerMultiprocessor));
    }
  }
  if (kernel.ptx.find(".entry " + spec.symbol + "(") == std::string::npos) {
    findings.push_back("found no entry of the kernel's name in its PTX");
  }
  if (std::string refusal = emulator::refusalOf(kernel.ptx); !refusal.empty()) {
    findings.push_back("the emulator does not run its PTX: " + refusal);
  }
  return findings;
}

} // namespace elah::cuda
