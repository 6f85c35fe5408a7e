#ifndef CODEGEN_CUDA_EMBED_H
#define CODEGEN_CUDA_EMBED_H

#include "codegen/Cuda/RowElement.h"
#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.embed. Operands: tokens i32[T], table [V, width], output f32[T, width].
struct EmbedShape {
  RowElement table = RowElement::BF16;
  int64_t width = 0;

  int64_t units() const { return (width + 3) / 4; }
};

KernelSpec specializeEmbed(const EmbedShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
