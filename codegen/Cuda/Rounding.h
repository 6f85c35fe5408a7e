#ifndef CODEGEN_CUDA_ROUNDING_H
#define CODEGEN_CUDA_ROUNDING_H

#include <cstdint>

namespace elah::cuda {

// Of positive numbers. Counterparts: kernels/dims.cuh.
constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

} // namespace elah::cuda

#endif
