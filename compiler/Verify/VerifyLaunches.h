#ifndef COMPILER_VERIFY_VERIFYLAUNCHES_H
#define COMPILER_VERIFY_VERIFYLAUNCHES_H

#include "compiler/Verify/ReferenceProgram.h"
#include "compiler/Verify/VerifyKernels.h"

namespace elah {

/// Runs one launch's kernels on the emulator, on the operands that the reference has at that place of the step, and
/// compares them with the operation, which is evaluated. Weights stay where they are.
llvm::Expected<KernelVerdict> verifyLaunch(const ArtifactFile &artifact, cuda::KernelRunner &runner,
                                           const cuda::RunOrder &order, const ReferenceProgram &program,
                                           const ReferenceProgram::Launch &launch);

} // namespace elah

#endif
