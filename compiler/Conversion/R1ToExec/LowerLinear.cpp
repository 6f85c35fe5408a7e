// Embedding, norms, linear maps and the sums between them. The hidden state of a decoder is a chain
// of sums; here it is one buffer, to which the last product of each block adds.
#include "compiler/Conversion/R1ToExec/Lowerings.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

namespace elah {
namespace {

int64_t widthOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); }

/// The one part of a vector or matrix weight.
FailureOr<r1::WeightAttr> singleOf(Operation *user, Value weight) {
  FailureOr<SmallVector<r1::WeightAttr>> parts = matricesOf(user, weight);
  if (failed(parts)) {
    return failure();
  }
  if (parts->size() != 1) {
    return user->emitOpError() << "expected a weight of one part, found " << parts->size();
  }
  return parts->front();
}

/// A linear map's matrix and bias.
struct LinearWeights {
  r1::WeightAttr matrix, bias;
};

FailureOr<LinearWeights> weightsOf(r1::LinearOp op) {
  FailureOr<r1::WeightAttr> matrix = singleOf(op, op.getWeight());
  if (failed(matrix)) {
    return failure();
  }
  LinearWeights weights{*matrix, {}};
  if (op.getBias()) {
    FailureOr<r1::WeightAttr> bias = singleOf(op, op.getBias());
    if (failed(bias)) {
      return failure();
    }
    weights.bias = *bias;
  }
  return weights;
}

/// Computes linear maps that are wanted side by side, in one product where their formats allow it.
LogicalResult lowerSiblings(MutableArrayRef<r1::LinearOp> siblings, ProgramBuilder &program) {
  int64_t width = 0;
  for (r1::LinearOp sibling : siblings) {
    width += widthOf(sibling.getResult());
  }
  Location loc = siblings.front().getLoc();
  // A router's scores are compared: they are f32 everywhere.
  Value buffer = roleOf(siblings.front()) == LinearRole::RouterLogits
                     ? program.alloc(loc, program.tokens(), width, program.builder.getF32Type())
                     : program.allocRows(loc, program.tokens(), width);
  int64_t column = 0;
  for (size_t begin = 0, end; begin < siblings.size(); begin = end) {
    r1::LinearOp first = siblings[begin];
    kernel::Compute compute = program.precision.computeOf(first);
    SmallVector<r1::WeightAttr> matrices, biases;
    int64_t firstColumn = column;
    for (end = begin; end < siblings.size(); ++end) {
      r1::LinearOp next = siblings[end];
      FailureOr<LinearWeights> weights = weightsOf(next);
      if (failed(weights)) {
        return failure();
      }
      if (end > begin &&
          (program.precision.computeOf(next) != compute || static_cast<bool>(weights->bias) == biases.empty() ||
           !program.weights.canStack(matrices, weights->matrix))) {
        break;
      }
      matrices.push_back(weights->matrix);
      if (weights->bias) {
        biases.push_back(weights->bias);
      }
      column += widthOf(next.getResult());
    }
    Value output = program.columns(first.getLoc(), buffer, firstColumn, column - firstColumn);
    program.gemm(first.getLoc(), compute, program.as(compute, first.getInput()), matrices, biases, output);
  }
  column = 0;
  for (r1::LinearOp sibling : siblings) {
    int64_t count = widthOf(sibling.getResult());
    program.bind(sibling.getResult(), program.columns(sibling.getLoc(), buffer, column, count));
    column += count;
  }
  return success();
}

} // namespace

LogicalResult lower(r1::EmbeddingOp op, ProgramBuilder &program) {
  if (op.getTokens() != program.state.tokens) {
    return op.emitOpError() << "expected the function's tokens";
  }
  FailureOr<r1::WeightAttr> table = singleOf(op, op.getTable());
  if (failed(table)) {
    return failure();
  }
  RankedTensorType type = table->getType();
  Value hidden = program.alloc(op.getLoc(), program.tokens(), type.getDimSize(1), program.builder.getF32Type());
  kernel::EmbedOp::create(program.builder, op.getLoc(), program.input(exec::Input::TokenIds),
                          program.weights.table(op.getLoc(), *table), hidden);
  program.bind(op.getResult(), hidden);
  program.countBytes(type.getDimSize(1) * type.getElementTypeBitWidth() / 8);
  return success();
}

LogicalResult lower(r1::RmsNormOp op, ProgramBuilder &program) {
  FailureOr<r1::WeightAttr> scale = singleOf(op, op.getWeight());
  if (failed(scale)) {
    return failure();
  }
  // Which of the results is read: of all tokens or of those whose logits are wanted, and in which products.
  SmallVector<kernel::Compute, 2> reads[2];
  for (OpOperand &use : op.getResult().getUses()) {
    auto linear = dyn_cast<r1::LinearOp>(use.getOwner());
    bool ofLogits = linear && roleOf(linear) == LinearRole::Logits;
    kernel::Compute compute = program.precision.computeOf(use);
    if (!llvm::is_contained(reads[ofLogits], compute)) {
      reads[ofLogits].push_back(compute);
    }
  }
  int64_t width = widthOf(op.getResult());
  for (bool ofLogits : {false, true}) {
    SmallVector<Value, 2> outputs;
    // f32 first, but quantized rows before bf16.
    llvm::sort(reads[ofLogits], [&](kernel::Compute a, kernel::Compute b) {
      return std::pair(a != kernel::Compute::F8, a) < std::pair(b != kernel::Compute::F8, b);
    });
    for (kernel::Compute compute : reads[ofLogits]) {
      exec::ExtentAttr rows = ofLogits ? program.logitRows() : program.tokens();
      outputs.push_back(program.allocFor(compute, op.getLoc(), rows, width));
    }
    if (outputs.empty()) {
      continue;
    }
    Value rows = ofLogits ? program.input(exec::Input::LogitTokens) : Value();
    Value copy = outputs.size() > 1 ? outputs[1] : Value();
    kernel::RmsNormOp::create(program.builder, op.getLoc(), program.rows(op.getInput()),
                              program.weights.vector(op.getLoc(), *scale), rows, outputs[0],
                              program.scalesOf(outputs[0]), copy, op.getEpsilon());
    for (Value output : outputs) {
      if (ofLogits) {
        program.bindLogitRows(op.getResult(), output);
      } else {
        program.bind(op.getResult(), output);
      }
    }
  }
  program.countBytes(width * 4);
  return success();
}

LogicalResult lower(r1::LinearOp op, ProgramBuilder &program) {
  LinearRole role = roleOf(op);
  switch (role) {
  case LinearRole::Residual:
    program.terms[op.getResult()].push_back(op);
    return success();
  case LinearRole::GateOrUp:
    return success(); // The swiglu computes both.
  case LinearRole::RouterLogits:
    return lowerSiblings(op, program);
  case LinearRole::Logits: {
    kernel::Compute compute = program.precision.computeOf(op);
    Value input = program.logitRowsOf(op.getInput(), compute);
    if (!input) {
      return op.emitOpError() << "expected logits of an r1.rms_norm, found an input from "
                              << (op.getInput().getDefiningOp()
                                      ? op.getInput().getDefiningOp()->getName().getStringRef()
                                      : StringRef("an argument"));
    }
    FailureOr<LinearWeights> weights = weightsOf(op);
    if (failed(weights)) {
      return failure();
    }
    Value logits =
        program.alloc(op.getLoc(), program.logitRows(), widthOf(op.getResult()), program.builder.getF32Type());
    SmallVector<r1::WeightAttr> bias;
    if (weights->bias) {
      bias.push_back(weights->bias);
    }
    program.gemm(op.getLoc(), compute, input, weights->matrix, bias, logits);
    program.bindLogitRows(op.getResult(), logits);
    return success();
  }
  case LinearRole::Plain:
    break;
  }
  if (program.isBound(op.getResult())) {
    return success(); // Computed with an earlier sibling.
  }
  SmallVector<r1::LinearOp> siblings;
  for (Operation *user : op.getInput().getUsers()) {
    auto sibling = dyn_cast<r1::LinearOp>(user);
    if (sibling && !sibling.use_empty() && roleOf(sibling) == LinearRole::Plain &&
        sibling.getInput() == op.getInput()) {
      siblings.push_back(sibling);
    }
  }
  llvm::sort(siblings, [](r1::LinearOp a, r1::LinearOp b) { return a->isBeforeInBlock(b); });
  return lowerSiblings(siblings, program);
}

LogicalResult lower(r1::SwigluOp op, ProgramBuilder &program) {
  if (isOfSharedExpert(op)) {
    return success(); // Computed with the routed experts.
  }
  auto gate = op.getGate().getDefiningOp<r1::LinearOp>(), up = op.getUp().getDefiningOp<r1::LinearOp>();
  bool isPair = gate && up && gate != up && gate.getInput() == up.getInput() && roleOf(gate) == LinearRole::GateOrUp &&
                roleOf(up) == LinearRole::GateOrUp &&
                static_cast<bool>(gate.getBias()) == static_cast<bool>(up.getBias());
  if (!isPair) {
    return op.emitOpError() << "expected gate and up to be linear maps of one input, used only here and both with a "
                               "bias or both without";
  }
  FailureOr<LinearWeights> gateWeights = weightsOf(gate), upWeights = weightsOf(up);
  if (failed(gateWeights) || failed(upWeights)) {
    return failure();
  }
  SmallVector<r1::WeightAttr> bias;
  if (gateWeights->bias) {
    bias = {gateWeights->bias, upWeights->bias};
  }
  Value output = program.allocFor(program.precision.storageOf(op.getResult()), op.getLoc(), program.tokens(),
                                  widthOf(op.getResult()));
  kernel::Compute compute = program.precision.computeOf(gate);
  program.gemm(gate.getLoc(), compute, program.as(compute, gate.getInput()), {gateWeights->matrix, upWeights->matrix},
               bias, output, kernel::Activation::Swiglu);
  program.bind(op.getResult(), output);
  return success();
}

LogicalResult lower(r1::SliceOp op, ProgramBuilder &program) {
  bool isRead = llvm::all_of(op->getUsers(), llvm::IsaPred<r1::AttentionOp, r1::LatentAttentionOp, r1::SliceOp>);
  int64_t first = static_cast<int64_t>(op.getStart());
  if (op.getAxis() != 1 || op.getStep() != 1 || first < 0 || !isRead) {
    return op.emitOpError() << "expected columns of rows, read by attention alone";
  }
  program.bind(op.getResult(),
               program.columns(op.getLoc(), program.rows(op.getInput()), first, widthOf(op.getResult())));
  return success();
}

LogicalResult lower(r1::AddOp op, ProgramBuilder &program) {
  SmallVector<Operation *> terms;
  Value residual;
  for (Value operand : op->getOperands()) {
    auto waiting = program.terms.find(operand);
    if (waiting != program.terms.end()) {
      terms.append(waiting->second);
    } else {
      assert(!residual && "a sum without terms is no residual sum");
      residual = operand;
    }
  }
  // A sum of terms that is itself a term: the routed and the shared experts.
  Operation *user = op.getResult().hasOneUse() ? *op.getResult().getUsers().begin() : nullptr;
  if (!residual && isa_and_nonnull<r1::AddOp>(user)) {
    program.terms[op.getResult()] = terms;
    return success();
  }
  Value buffer;
  if (residual) {
    for (Operation *reader : residual.getUsers()) {
      if (reader != op && (op->isBeforeInBlock(reader) || llvm::is_contained(terms, reader))) {
        InFlightDiagnostic error = op.emitOpError()
                                   << "expected this sum to be the last to read the residual that it adds to";
        error.attachNote(reader->getLoc()) << "also read here";
        return failure();
      }
    }
    buffer = program.f32(residual);
  } else {
    // A product sets what the others add to.
    auto first = llvm::find_if(terms, [](Operation *term) {
      auto linear = dyn_cast<r1::LinearOp>(term);
      return linear && !isOfSharedExpert(linear);
    });
    if (first == terms.end()) {
      return op.emitOpError() << "expected a residual or a linear map as one operand";
    }
    std::rotate(terms.begin(), first, first + 1);
    buffer = program.alloc(op.getLoc(), program.tokens(), widthOf(op.getResult()), program.builder.getF32Type());
  }
  bool accumulates = static_cast<bool>(residual);
  for (Operation *term : terms) {
    if (auto experts = dyn_cast<r1::ExpertsOp>(term)) {
      if (failed(addExperts(experts, buffer, program))) {
        return failure();
      }
      continue;
    }
    auto linear = cast<r1::LinearOp>(term);
    if (isOfSharedExpert(linear)) {
      continue; // Computed with the routed experts.
    }
    FailureOr<LinearWeights> weights = weightsOf(linear);
    if (failed(weights)) {
      return failure();
    }
    SmallVector<r1::WeightAttr> bias;
    if (weights->bias) {
      bias.push_back(weights->bias);
    }
    kernel::Compute compute = program.precision.computeOf(linear);
    Value input = program.as(compute, linear.getInput());
    program.gemm(linear.getLoc(), compute, input, weights->matrix, bias, buffer, kernel::Activation::None, accumulates);
    accumulates = true;
  }
  program.bind(op.getResult(), buffer);
  return success();
}

} // namespace elah
