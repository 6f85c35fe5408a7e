// From an operation of the kernel dialect to the shape that a kernel family takes: what memrefs and attributes say
// becomes numbers, and the family chooses the schedule for the target and the bucket.
#include "codegen/Cuda/Specialize.h"
#include "dialects/Kernel/Kernel.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {
namespace {

using Specs = llvm::Expected<std::vector<cuda::KernelSpec>>;

class Specializer {
public:
  Specializer(const CudaTarget &target, int64_t tokens) : target(target), tokens(tokens) {}

  Specs specialize(Operation *op) {
    return TypeSwitch<Operation *, Specs>(op).Default([](Operation *unknown) -> Specs {
      return llvm::createStringError("no CUDA kernel does what %s says",
                                     unknown->getName().getStringRef().str().c_str());
    });
  }

private:
  const CudaTarget &target;
  int64_t tokens;
};

} // namespace

llvm::Expected<std::vector<cuda::KernelSpec>> specializeForCuda(Operation *op, const CudaTarget &target,
                                                                int64_t tokens) {
  return Specializer(target, tokens).specialize(op);
}

} // namespace elah
