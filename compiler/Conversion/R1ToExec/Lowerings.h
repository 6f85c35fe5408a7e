// What each r1 operation becomes. Every function adds to the program, or emits an error at the
// operation and fails.
#ifndef COMPILER_CONVERSION_R1TOEXEC_LOWERINGS_H
#define COMPILER_CONVERSION_R1TOEXEC_LOWERINGS_H

#include "compiler/Conversion/R1ToExec/ProgramBuilder.h"
#include <optional>

namespace elah {

//===--- LowerLinear.cpp ---===//
mlir::LogicalResult lower(r1::EmbeddingOp op, ProgramBuilder &program);
mlir::LogicalResult lower(r1::RmsNormOp op, ProgramBuilder &program);
/// Linear maps of one input become one product where the first of them stands.
mlir::LogicalResult lower(r1::LinearOp op, ProgramBuilder &program);
mlir::LogicalResult lower(r1::SwigluOp op, ProgramBuilder &program);
/// Columns of rows: a part of a buffer, such as the queries of a product that makes queries, keys and values.
mlir::LogicalResult lower(r1::SliceOp op, ProgramBuilder &program);
/// Adds the terms that have waited for this sum to the residual, in place.
mlir::LogicalResult lower(r1::AddOp op, ProgramBuilder &program);

//===--- LowerAttention.cpp ---===//
mlir::LogicalResult lower(r1::AttentionOp op, ProgramBuilder &program);
mlir::LogicalResult lower(r1::LatentAttentionOp op, ProgramBuilder &program);

//===--- LowerExperts.cpp ---===//
mlir::LogicalResult lower(r1::RouteOp op, ProgramBuilder &program);
/// A shared expert of the same shape as the routed ones is computed with them, as one that every token chooses.
struct SharedExpert {
  r1::LinearOp gate, up, down;
  r1::SwigluOp activation;
};
/// The shared expert whose sum with `experts` is one more term, if there is one.
std::optional<SharedExpert> sharedExpertOf(r1::ExpertsOp experts);
/// Whether `op` is a part of a shared expert that is computed with routed ones.
bool isOfSharedExpert(r1::SwigluOp op);
bool isOfSharedExpert(r1::LinearOp down);
/// The experts wait for the sum that reads them.
mlir::LogicalResult lower(r1::ExpertsOp op, ProgramBuilder &program);
/// Adds the experts' weighted sum to `residual`.
mlir::LogicalResult addExperts(r1::ExpertsOp op, mlir::Value residual, ProgramBuilder &program);

//===--- LowerLeftovers.cpp ---===//
/// Elementwise operations for which isLeftover holds: one kernel for a chain of them.
mlir::LogicalResult lowerLeftover(mlir::Operation &op, ProgramBuilder &program);

} // namespace elah

#endif
