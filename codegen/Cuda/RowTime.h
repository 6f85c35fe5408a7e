#ifndef CODEGEN_CUDA_ROWTIME_H
#define CODEGEN_CUDA_ROWTIME_H

#include "codegen/Target/CudaTarget.h"

namespace elah::cuda {

/// Seconds that the model predicts for a kernel that does nothing but move so many bytes, in and out.
double predictRowSeconds(double bytes, const CudaTarget &target);

} // namespace elah::cuda

#endif
