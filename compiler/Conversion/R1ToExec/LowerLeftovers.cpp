// What stands between composites becomes kernel.generic: a chain of elementwise operations is one kernel, which reads
// rows and vectors once and writes rows once.
#include "compiler/Conversion/R1ToExec/Leftovers.h"
#include "compiler/Conversion/R1ToExec/Lowerings.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {
namespace {

Operation *onlyUser(Value value) { return value.hasOneUse() ? *value.getUsers().begin() : nullptr; }

/// Whether a sum can add `value` to a residual where it is computed.
bool isTerm(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !onlyUser(value)) {
    return false;
  }
  auto sum = dyn_cast<r1::AddOp>(op);
  return isa<r1::LinearOp, r1::ExpertsOp>(op) || (sum && isTerm(sum.getLhs()) && isTerm(sum.getRhs()));
}

bool isArithmetic(Operation *op) {
  return isa<r1::AbsOp, r1::AddOp, r1::CeilOp, r1::DivOp, r1::ErfOp, r1::ExpOp, r1::FloorOp, r1::LogOp, r1::MaxOp,
             r1::MinOp, r1::MulOp, r1::NegOp, r1::RoundOp, r1::RsqrtOp, r1::SigmoidOp, r1::SqrtOp, r1::SubOp,
             r1::TanhOp>(op);
}

/// Whether the rows are changed in place later on: whoever reads them cannot wait.
bool isAddedTo(Value rows) {
  return llvm::any_of(rows.getUsers(), [](Operation *user) {
    auto sum = dyn_cast<r1::AddOp>(user);
    return sum && isResidualSum(sum);
  });
}

/// Whether the operation becomes a part of the kernel of the one that reads it.
bool isPartOfItsReader(Operation *op) {
  Operation *reader = onlyUser(op->getResult(0));
  return reader && isLeftover(reader) && llvm::none_of(op->getOperands(), isAddedTo);
}

/// Whether an operation reads a leftover's rows in f32; products and attention read them in the default type.
bool readsF32(Operation *user) { return isLeftover(user) || isa<r1::AddOp, r1::RmsNormOp, func::ReturnOp>(user); }

/// One kernel in the making: what it reads, and its body.
class Body {
public:
  Body(Operation &root, ProgramBuilder &program)
      : root(root), program(program), type(cast<RankedTensorType>(root.getResult(0).getType())),
        isOfLogits(becomesLogits(root.getResult(0))) {}

  LogicalResult findInputs() { return findInputs(root); }

  /// Writes the kernel that makes these rows.
  void create(Value output) {
    OpBuilder &builder = program.builder;
    auto generic =
        kernel::GenericOp::create(builder, root.getLoc(), llvm::to_vector(llvm::make_second_range(inputs)), output);
    OpBuilder::InsertionGuard guard(builder);
    Block &block = generic.getBody().emplaceBlock();
    builder.setInsertionPointToStart(&block);
    values.clear();
    for (auto [value, buffer] : inputs) {
      values[value] = block.addArgument(builder.getF32Type(), root.getLoc());
    }
    kernel::YieldOp::create(builder, root.getLoc(), scalar(root.getResult(0)));
  }

private:
  LogicalResult findInputs(Operation &op) {
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (auto constant = dyn_cast_or_null<r1::ConstantOp>(producer)) {
        if (!cast<DenseElementsAttr>(constant.getValue()).isSplat()) {
          return op.emitOpError() << "expected one number for all elements, found a constant of " << constant.getType()
                                  << " with several";
        }
      } else if (producer && isLeftover(producer) && isPartOfItsReader(producer)) {
        if (failed(findInputs(*producer))) {
          return failure();
        }
      } else if (!inputs.contains(operand)) {
        FailureOr<Value> buffer = bufferOf(op, operand);
        if (failed(buffer)) {
          return failure();
        }
        inputs[operand] = *buffer;
      }
    }
    return success();
  }

  FailureOr<Value> bufferOf(Operation &op, Value operand) {
    auto operandType = cast<RankedTensorType>(operand.getType());
    if (operand.getDefiningOp<r1::WeightOp>()) {
      FailureOr<SmallVector<r1::WeightAttr>> parts = matricesOf(&op, operand);
      if (failed(parts)) {
        return failure();
      }
      if (operandType.getRank() != 1 || operandType.getDimSize(0) != type.getDimSize(1) || parts->size() != 1) {
        return op.emitOpError() << "expected a weight with one number for each of " << type.getDimSize(1)
                                << " columns, found " << operandType;
      }
      program.countBytes(type.getDimSize(1) * 4);
      return program.weights.vector(op.getLoc(), *parts);
    }
    if (operandType != type) {
      return op.emitOpError() << "expected rows of " << type << ", found " << operandType;
    }
    Value buffer = isOfLogits                 ? program.logitRowsOf(operand, kernel::Compute::F32)
                   : program.isBound(operand) ? program.rows(operand)
                                              : Value();
    if (!buffer) {
      return op.emitOpError()
             << "reads a value that no kernel leaves in memory: expected rows of an embedding, a norm, "
                "a linear map, attention or a sum";
    }
    return buffer;
  }

  /// The element that `value` has in the body.
  Value scalar(Value value) {
    if (Value known = values.lookup(value)) {
      return known;
    }
    Operation *op = value.getDefiningOp();
    OpBuilder &b = program.builder;
    Location loc = op->getLoc();
    Type f32 = b.getF32Type();
    if (auto constant = dyn_cast<r1::ConstantOp>(op)) {
      auto number = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<APFloat>();
      return arith::ConstantOp::create(b, loc, b.getFloatAttr(f32, number.convertToDouble()));
    }
    SmallVector<Value> x;
    for (Value operand : op->getOperands()) {
      x.push_back(scalar(operand));
    }
    auto one = [&]() -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1)); };
    Value result =
        llvm::TypeSwitch<Operation *, Value>(op)
            .Case([&](r1::AbsOp) { return math::AbsFOp::create(b, loc, x[0]); })
            .Case([&](r1::AddOp) { return arith::AddFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::CeilOp) { return math::CeilOp::create(b, loc, x[0]); })
            .Case([&](r1::DivOp) { return arith::DivFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::ErfOp) { return math::ErfOp::create(b, loc, x[0]); })
            .Case([&](r1::ExpOp) { return math::ExpOp::create(b, loc, x[0]); })
            .Case([&](r1::FloorOp) { return math::FloorOp::create(b, loc, x[0]); })
            .Case([&](r1::LogOp) { return math::LogOp::create(b, loc, x[0]); })
            .Case([&](r1::MaxOp) { return arith::MaximumFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::MinOp) { return arith::MinimumFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::MulOp) { return arith::MulFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::NegOp) { return arith::NegFOp::create(b, loc, x[0]); })
            .Case([&](r1::RoundOp) { return math::RoundEvenOp::create(b, loc, x[0]); })
            .Case([&](r1::RsqrtOp) { return arith::DivFOp::create(b, loc, one(), math::SqrtOp::create(b, loc, x[0])); })
            .Case([&](r1::SigmoidOp) {
              Value power = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, x[0]));
              return arith::DivFOp::create(b, loc, one(), arith::AddFOp::create(b, loc, one(), power));
            })
            .Case([&](r1::SqrtOp) { return math::SqrtOp::create(b, loc, x[0]); })
            .Case([&](r1::SubOp) { return arith::SubFOp::create(b, loc, x[0], x[1]); })
            .Case([&](r1::TanhOp) { return math::TanhOp::create(b, loc, x[0]); });
    values[value] = result;
    return result;
  }

  Operation &root;
  ProgramBuilder &program;
  RankedTensorType type;
  bool isOfLogits;
  llvm::MapVector<Value, Value> inputs; ///< The model's values, and the buffers that hold them.
  llvm::DenseMap<Value, Value> values;
};

} // namespace

bool isResidualSum(r1::AddOp op) {
  return op.getLhs().getType() == op.getType() && op.getRhs().getType() == op.getType() &&
         (isTerm(op.getLhs()) || isTerm(op.getRhs()));
}

bool isLeftover(Operation *op) {
  if (!isArithmetic(op)) {
    return false;
  }
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  auto sum = dyn_cast<r1::AddOp>(op);
  return type && type.getRank() == 2 && !type.isDynamicDim(1) && type.getElementType().isF32() &&
         !(sum && isResidualSum(sum));
}

bool becomesLogits(Value rows) {
  Operation *user = onlyUser(rows);
  return user && (isa<func::ReturnOp>(user) || (isLeftover(user) && becomesLogits(user->getResult(0))));
}

LogicalResult lowerLeftover(Operation &op, ProgramBuilder &program) {
  if (isPartOfItsReader(&op)) {
    return success();
  }
  Body body(op, program);
  if (failed(body.findInputs())) {
    return failure();
  }
  Value result = op.getResult(0);
  int64_t width = cast<RankedTensorType>(result.getType()).getDimSize(1);
  Type f32 = program.builder.getF32Type();
  if (becomesLogits(result)) {
    Value output = program.alloc(op.getLoc(), program.logitRows(), width, f32);
    body.create(output);
    program.bindLogitRows(result, output);
    return success();
  }
  auto write = [&](Value output) {
    body.create(output);
    program.bind(result, output);
  };
  bool isDefaultF32 = program.precision.byDefault() == kernel::Compute::F32;
  if (isDefaultF32 || llvm::any_of(result.getUsers(), readsF32)) {
    write(program.alloc(op.getLoc(), program.tokens(), width, f32));
  }
  if (!isDefaultF32 && !llvm::all_of(result.getUsers(), readsF32)) {
    write(program.allocRows(op.getLoc(), program.tokens(), width));
  }
  return success();
}

} // namespace elah
