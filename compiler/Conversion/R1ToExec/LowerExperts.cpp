// Mixture of experts: the router's choice, then (token, expert) pairs sorted by expert, so that
// each expert is one product over its rows, whatever the batch.
#include "compiler/Conversion/R1ToExec/Lowerings.h"

using namespace mlir;

namespace elah {

LogicalResult lower(r1::RouteOp op, ProgramBuilder &program) {
  Location loc = op.getLoc();
  OpBuilder &builder = program.builder;
  Value bias;
  if (op.getBias()) {
    FailureOr<SmallVector<r1::WeightAttr>> parts = matricesOf(op, op.getBias());
    if (failed(parts)) {
      return failure();
    }
    bias = program.weights.vector(loc, *parts);
    program.countBytes(cast<MemRefType>(bias.getType()).getNumElements() * 4);
  }
  int64_t topK = op.getRouting().getTopK();
  Value experts = program.alloc(loc, program.tokens(), topK, builder.getI32Type());
  Value weights = program.alloc(loc, program.tokens(), topK, builder.getF32Type());
  kernel::RouteOp::create(builder, loc, program.f32(op.getLogits()), bias, experts, weights, op.getRouting());
  program.bind(op.getExperts(), experts);
  program.bind(op.getWeights(), weights);
  return success();
}

LogicalResult lower(r1::ExpertsOp op, ProgramBuilder &program) {
  if (!op.getResult().hasOneUse() || !isa<r1::AddOp>(*op.getResult().getUsers().begin())) {
    return op.emitOpError() << "expected an r1.add as the only use of the experts' sum";
  }
  program.terms[op.getResult()].push_back(op);
  return success();
}

LogicalResult addExperts(r1::ExpertsOp op, Value residual, ProgramBuilder &program) {
  FailureOr<SmallVector<r1::WeightAttr>> gates = matricesOf(op, op.getGate()), ups = matricesOf(op, op.getUp()),
                                         downs = matricesOf(op, op.getDown());
  if (failed(gates) || failed(ups) || failed(downs)) {
    return failure();
  }
  Location loc = op.getLoc();
  OpBuilder &builder = program.builder;
  int64_t count = static_cast<int64_t>(gates->size());
  int64_t hidden = downs->front().getType().getDimSize(0), inner = downs->front().getType().getDimSize(1);
  Value experts = program.f32(op.getExperts()), weights = program.f32(op.getWeights());
  int64_t topK = cast<MemRefType>(experts.getType()).getDimSize(1);

  auto offsets = program.alloc(loc, exec::ExtentAttr::get(builder.getContext(), count + 1), 0, builder.getI32Type());
  Value gather = program.alloc(loc, program.tokens(topK), 0, builder.getI32Type());
  Value slots = program.alloc(loc, program.tokens(), topK, builder.getI32Type());
  kernel::ExpertPlanOp::create(builder, loc, experts, offsets, gather, slots);

  SmallVector<r1::WeightAttr> gateUps;
  for (auto [gate, up] : llvm::zip_equal(*gates, *ups)) {
    gateUps.append({gate, up});
  }
  kernel::Compute compute = program.precision.computeOf(op);
  PackedWeight gateUp = program.weights.panels(loc, gateUps, count, compute, /*swiglu=*/true);
  program.count(gateUp, topK);
  kernel::Compute downCompute =
      program.precision.prefersBF16(op.getDown()) ? kernel::Compute::BF16 : kernel::Compute::F32;
  Value activated = program.alloc(loc, program.tokens(topK), inner, program.elementOf(downCompute));
  kernel::GroupedGemmOp::create(builder, loc, program.as(compute, op.getInput()), gateUp.bytes, gateUp.scales, offsets,
                                gather, activated, gateUp.packing, compute, kernel::Activation::Swiglu);

  PackedWeight down = program.weights.panels(loc, *downs, count, downCompute, /*swiglu=*/false);
  program.count(down, topK);
  Value rows = program.alloc(loc, program.tokens(topK), hidden, builder.getF32Type());
  kernel::GroupedGemmOp::create(builder, loc, activated, down.bytes, down.scales, offsets, Value(), rows, down.packing,
                                downCompute, kernel::Activation::None);
  kernel::CombineOp::create(builder, loc, rows, weights, slots, residual);
  return success();
}

} // namespace elah
