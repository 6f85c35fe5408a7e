// The CPU's kernels, one function a family: each writes the body of a kernel operation and returns the bytes of scratch
// memory that a thread needs for it.
#ifndef CODEGEN_CPU_FAMILIES_H
#define CODEGEN_CPU_FAMILIES_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

uint64_t emitAttention(kernel::AttentionOp op, KernelBuilder &kernel);
uint64_t emitCombine(kernel::CombineOp op, KernelBuilder &kernel);
uint64_t emitEmbed(kernel::EmbedOp op, KernelBuilder &kernel);
uint64_t emitExpertPlan(kernel::ExpertPlanOp op, KernelBuilder &kernel);
uint64_t emitGemm(kernel::GemmOp op, KernelBuilder &kernel);
uint64_t emitGeneric(kernel::GenericOp op, KernelBuilder &kernel);
uint64_t emitGroupedGemm(kernel::GroupedGemmOp op, KernelBuilder &kernel);
uint64_t emitHeadGemm(kernel::HeadGemmOp op, KernelBuilder &kernel);
uint64_t emitLatentAppend(kernel::LatentAppendOp op, KernelBuilder &kernel);
uint64_t emitLatentAttention(kernel::LatentAttentionOp op, KernelBuilder &kernel);
uint64_t emitRmsNorm(kernel::RmsNormOp op, KernelBuilder &kernel);
uint64_t emitRopeAppend(kernel::RopeAppendOp op, KernelBuilder &kernel);
uint64_t emitRopeTable(kernel::RopeTableOp op, KernelBuilder &kernel);
uint64_t emitRoute(kernel::RouteOp op, KernelBuilder &kernel);
uint64_t emitSplit(kernel::SplitOp op, KernelBuilder &kernel);

/// Elements from one row of a rank-2 buffer to the next.
int64_t rowStride(mlir::Value rows);
/// Elements of one row.
int64_t rowWidth(mlir::Value rows);
mlir::Type elementOf(mlir::Value buffer);
/// Elements from the high part of a value to its low part in rows of `count` values; 0 if they are not split.
int64_t lowOffset(mlir::Value rows, int64_t count);

} // namespace elah

#endif
