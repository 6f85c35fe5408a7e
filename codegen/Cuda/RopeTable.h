#ifndef CODEGEN_CUDA_ROPETABLE_H
#define CODEGEN_CUDA_ROPETABLE_H

#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.rope_table. Operands: positions i32[T], table f32[T, 2 * frequencies].
struct RopeTableShape {
  std::vector<double> frequencies;
  double scale = 1;
};

KernelSpec specializeRopeTable(const RopeTableShape &shape);

} // namespace elah::cuda

#endif
