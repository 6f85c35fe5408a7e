// The kernel dialect: which kernel, with which schedule (one operation per kernel family, on buffers).
#ifndef DIALECTS_KERNEL_KERNEL_H
#define DIALECTS_KERNEL_KERNEL_H

#include "dialects/Kernel/LatentRow.h"
#include "dialects/R1/R1.h"

#include "dialects/Kernel/KernelDialect.h.inc"
#include "dialects/Kernel/KernelEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.h.inc"
#include "dialects/Kernel/KernelInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.h.inc"

namespace elah::kernel {

/// Whether rows that stand for `count` values hold each as the sum of two bf16: 2 * count wide, high parts before low
/// ones.
bool isSplit(mlir::Value rows, int64_t count);

/// Elements from one row of a strided buffer to the next, and elements of a row; a vector has rows of one.
int64_t pitchOf(mlir::MemRefType rows);
int64_t widthOf(mlir::MemRefType rows);

/// Scales that stand beside a quantized row of `count` values.
int64_t scalesOfRow(int64_t count);

} // namespace elah::kernel

#endif
