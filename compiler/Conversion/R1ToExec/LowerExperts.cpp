// Mixture of experts: the router's choice, then (token, expert) pairs sorted by expert, so that
// each expert is one product over its rows, whatever the batch.
#include "compiler/Conversion/R1ToExec/Lowerings.h"

using namespace mlir;

namespace elah {
namespace {

/// Whether a matrix is one tensor with the shape, format and blocks of each of `experts`' matrices.
bool isAlike(Value matrix, Value experts) {
  auto weight = matrix.getDefiningOp<r1::WeightOp>();
  auto one = cast<RankedTensorType>(matrix.getType()), all = cast<RankedTensorType>(experts.getType());
  return weight && weight.getParts().size() == 1 && one.getElementType() == all.getElementType() &&
         one.getEncoding() == all.getEncoding() && one.getShape() == all.getShape().drop_front();
}

/// The r1.add that is the only use of a value, if it adds two different values.
r1::AddOp onlySum(Value value) {
  auto sum = value.hasOneUse() ? dyn_cast<r1::AddOp>(*value.getUsers().begin()) : r1::AddOp();
  return sum && sum.getLhs() != sum.getRhs() ? sum : r1::AddOp();
}

} // namespace

std::optional<SharedExpert> sharedExpertOf(r1::ExpertsOp experts) {
  r1::AddOp sum = onlySum(experts.getResult());
  // The weights of the routed experts are widened: nothing else may read them.
  if (!sum || !onlySum(sum.getResult()) || !experts.getExperts().hasOneUse() || !experts.getWeights().hasOneUse()) {
    return std::nullopt;
  }
  SharedExpert shared;
  shared.down = (sum.getLhs() == experts.getResult() ? sum.getRhs() : sum.getLhs()).getDefiningOp<r1::LinearOp>();
  shared.activation = shared.down ? shared.down.getInput().getDefiningOp<r1::SwigluOp>() : r1::SwigluOp();
  if (!shared.activation || !shared.activation.getResult().hasOneUse() || roleOf(shared.down) != LinearRole::Residual) {
    return std::nullopt;
  }
  shared.gate = shared.activation.getGate().getDefiningOp<r1::LinearOp>();
  shared.up = shared.activation.getUp().getDefiningOp<r1::LinearOp>();
  if (!shared.gate || !shared.up || shared.gate == shared.up) {
    return std::nullopt;
  }
  bool isExpert = llvm::all_of(ArrayRef<r1::LinearOp>{shared.gate, shared.up}, [&](r1::LinearOp linear) {
    return linear.getInput() == experts.getInput() && roleOf(linear) == LinearRole::GateOrUp;
  });
  bool hasBias = shared.gate.getBias() || shared.up.getBias() || shared.down.getBias();
  bool fits = isExpert && !hasBias && isAlike(shared.gate.getWeight(), experts.getGate()) &&
              isAlike(shared.up.getWeight(), experts.getUp()) && isAlike(shared.down.getWeight(), experts.getDown());
  return fits ? std::optional(shared) : std::nullopt;
}

bool isOfSharedExpert(r1::LinearOp down) {
  r1::AddOp sum = onlySum(down.getResult());
  if (!sum) {
    return false;
  }
  Value other = sum.getLhs() == down.getResult() ? sum.getRhs() : sum.getLhs();
  auto experts = other.getDefiningOp<r1::ExpertsOp>();
  std::optional<SharedExpert> shared = experts ? sharedExpertOf(experts) : std::nullopt;
  return shared && shared->down == down;
}

bool isOfSharedExpert(r1::SwigluOp op) {
  auto down = op.getResult().hasOneUse() ? dyn_cast<r1::LinearOp>(*op.getResult().getUsers().begin()) : r1::LinearOp();
  return down && down.getInput() == op.getResult() && isOfSharedExpert(down);
}

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
  int64_t shared = 0;
  if (op.getExperts().hasOneUse()) {
    auto reader = dyn_cast<r1::ExpertsOp>(*op.getExperts().getUsers().begin());
    shared = reader && sharedExpertOf(reader) ? 1 : 0;
  }
  int64_t chosen = op.getRouting().getTopK() + shared;
  Value experts = program.alloc(loc, program.tokens(), chosen, builder.getI32Type());
  Value weights = program.alloc(loc, program.tokens(), chosen, builder.getF32Type());
  kernel::RouteOp::create(builder, loc, program.f32(op.getLogits()), bias, experts, weights, op.getRouting(), shared);
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
  auto route = op.getExperts().getDefiningOp<r1::RouteOp>();
  if (!route || op.getWeights() != route.getWeights() ||
      cast<RankedTensorType>(route.getLogits().getType()).getDimSize(1) != static_cast<int64_t>(gates->size())) {
    return op.emitOpError() << "expected experts and weights of one r1.route among " << gates->size() << " experts";
  }
  if (std::optional<SharedExpert> shared = sharedExpertOf(op)) {
    for (auto [matrices, linear] : {std::pair(&*gates, shared->gate), {&*ups, shared->up}, {&*downs, shared->down}}) {
      FailureOr<SmallVector<r1::WeightAttr>> matrix = matricesOf(linear, linear.getWeight());
      if (failed(matrix)) {
        return failure();
      }
      matrices->append(*matrix);
    }
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
  kernel::Compute downCompute = program.precision.computeOf(op.getDown());
  Value activated = program.allocFor(downCompute, loc, program.tokens(topK), inner);
  Value input = program.as(compute, op.getInput());
  if (program.target.isCuda) { // A tensor map has no list of rows.
    Value dispatched = program.allocFor(compute, loc, program.tokens(topK), gateUp.packing.getK());
    kernel::DispatchOp::create(builder, loc, input, program.scalesOf(input), gather, dispatched,
                               program.scalesOf(dispatched));
    input = dispatched;
    gather = {};
  }
  kernel::GroupedGemmOp::create(builder, loc, input, program.scalesOf(input), gateUp.bytes, gateUp.scales, offsets,
                                gather, activated, program.scalesOf(activated), gateUp.packing, compute,
                                kernel::Activation::Swiglu);

  PackedWeight down = program.weights.panels(loc, *downs, count, downCompute, /*swiglu=*/false);
  program.count(down, topK);
  Value rows = program.allocRows(loc, program.tokens(topK), hidden);
  kernel::GroupedGemmOp::create(builder, loc, activated, program.scalesOf(activated), down.bytes, down.scales, offsets,
                                Value(), rows, Value(), down.packing, downCompute, kernel::Activation::None);
  kernel::CombineOp::create(builder, loc, rows, weights, slots, residual);
  return success();
}

} // namespace elah
