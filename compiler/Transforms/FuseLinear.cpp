// A product with a weight is the one operation that has a kernel for every weight format: it is found first, so that
// what stands around it is seen as what reads or writes a projection.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSELINEARPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// A matrix that is known before the program runs, as it lies on disk or transposed.
struct Matrix {
  Value weight;
  bool isTransposed = false;
};

Matrix weightMatrixOf(Value value) {
  Matrix matrix{value};
  while (Operation *op = matrix.weight.getDefiningOp()) {
    if (auto transpose = dyn_cast<r1::TransposeOp>(op)) {
      matrix.isTransposed ^= transpose.getPermutation() == ArrayRef<int64_t>{1, 0};
      matrix.weight = transpose.getInput();
    } else if (isa<r1::DequantizeOp>(op)) {
      matrix.weight = op->getOperand(0);
    } else if (Value uncast = withoutFloatCasts(matrix.weight); uncast != matrix.weight) {
      matrix.weight = uncast;
    } else {
      break;
    }
  }
  Operation *op = matrix.weight.getDefiningOp();
  auto type = cast<RankedTensorType>(matrix.weight.getType());
  bool isKnown = op ? isa<r1::WeightOp, r1::ConstantOp>(op) : type.hasStaticShape();
  return isKnown && type.getRank() == 2 ? matrix : Matrix();
}

/// The matrix as r1.linear takes it, [outputs, inputs]. Bytes on disk stay where they are: an r1.weight says that it
/// reads them the other way.
Value asLinearWeight(OpBuilder &builder, const Matrix &matrix) {
  if (matrix.isTransposed) {
    return matrix.weight;
  }
  auto type = cast<RankedTensorType>(matrix.weight.getType());
  auto flipped = RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  if (auto weight = matrix.weight.getDefiningOp<r1::WeightOp>()) {
    auto lying = cast<r1::WeightAttr>(weight.getParts()[0]);
    Attribute turned =
        r1::WeightAttr::get(builder.getContext(), lying.getFile(), lying.getName(), lying.getOffset(), lying.getSize(),
                            flipped, r1::WeightAttr(), r1::WeightAttr(), !lying.getTransposed(), 0);
    return r1::WeightOp::create(builder, weight.getLoc(), flipped, builder.getArrayAttr(turned));
  }
  return r1::TransposeOp::create(builder, matrix.weight.getLoc(), matrix.weight, ArrayRef<int64_t>{1, 0});
}

struct FuseLinearPass : impl::FuseLinearPassBase<FuseLinearPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::LinearOp::getOperationName());
    fusion.forEach<r1::MatmulOp>([&](r1::MatmulOp matmul) { std::ignore = fuse(fusion, matmul); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::MatmulOp matmul) {
    Matrix matrix = weightMatrixOf(matmul.getRhs());
    if (!matrix.weight) {
      return failure(); // A product of activations.
    }
    auto type = cast<RankedTensorType>(matmul.getType());
    auto inputType = cast<RankedTensorType>(matmul.getLhs().getType());
    auto weightType = cast<RankedTensorType>(matrix.weight.getType());
    if (weightType.getEncoding() && !matrix.isTransposed) {
      return fusion.miss(matmul, "a weight in blocks is multiplied as it lies, [inputs, outputs]",
                         "store the weight as [outputs, inputs]");
    }
    if (ShapedType::isDynamic(inputType.getDimSize(inputType.getRank() - 1))) {
      return fusion.miss(matmul, "the input's last dimension is unknown",
                         "run canonicalize and r1-infer-shapes before");
    }
    int64_t outputs = type.getDimSize(type.getRank() - 1);

    // The bias is part of it if nothing else reads the bare product.
    Value root = matmul, bias;
    if (matmul->hasOneUse()) {
      if (auto add = dyn_cast<r1::AddOp>(*matmul->getUsers().begin()); add && add.getType() == type) {
        bias = weightVectorOf(add.getLhs() == root ? add.getRhs() : add.getLhs(), outputs);
        root = bias ? add.getResult() : root;
      }
    }
    OpBuilder builder(root.getDefiningOp());
    Location location = matmul.getLoc();
    Value input = matmul.getLhs();
    if (!type.getElementType().isF32()) {
      input = r1::CastOp::create(builder, location, input, builder.getF32Type());
    }
    Value rows = asRows(builder, location, input);
    auto rowsType = cast<RankedTensorType>(rows.getType());
    auto resultType = RankedTensorType::get({rowsType.getDimSize(0), outputs}, builder.getF32Type());
    Value result = r1::LinearOp::create(builder, location, resultType, rows, asLinearWeight(builder, matrix), bias);
    result = reshapeTo(builder, location, result, type.clone(builder.getF32Type()), input);
    if (!type.getElementType().isF32()) {
      result = r1::CastOp::create(builder, location, result, type.getElementType());
    }
    fusion.replace(root, result);
    return success();
  }
};

} // namespace
} // namespace elah
