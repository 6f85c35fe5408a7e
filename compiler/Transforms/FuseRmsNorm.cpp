// Exporters write a norm as power or product, mean or sum and division, root and quotient or reciprocal root, with
// casts to f32 around it and the weight on either side of the cast back (RMSNorm: arXiv 1910.07467). All are products
// of the input, its reciprocal length and the weight.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSERMSNORMPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// x, if the value is x * x or x ^ 2.
Value squareRootOf(Value value) {
  value = withoutFloatCasts(value);
  if (auto mul = value.getDefiningOp<r1::MulOp>()) {
    return withoutFloatCasts(mul.getLhs()) == withoutFloatCasts(mul.getRhs()) ? mul.getLhs() : Value();
  }
  if (auto pow = value.getDefiningOp<r1::PowOp>()) {
    return numberOf(pow.getRhs()) == 2.0 ? pow.getLhs() : Value();
  }
  return {};
}

/// The length of a vector: sqrt(mean(input^2) + epsilon).
struct Length {
  Value input;
  double epsilon = 0;
  r1::ReduceOp reduce;
};

/// The mean of squares, however it is divided.
std::optional<Length> matchMeanOfSquares(Value value) {
  Product product = productOf(value, [](Value part) { return part.getDefiningOp<r1::ReduceOp>() != nullptr; });
  r1::ReduceOp reduce;
  double scale = 1;
  for (Value factor : product.factors) {
    if (auto found = factor.getDefiningOp<r1::ReduceOp>(); found && !reduce) {
      reduce = found;
    } else if (std::optional<double> number = numberOf(factor)) {
      scale *= *number;
    } else {
      return {};
    }
  }
  for (Value divisor : product.divisors) {
    std::optional<double> number = numberOf(divisor);
    if (!number) {
      return {};
    }
    scale /= *number;
  }
  if (!reduce || !llvm::is_contained({r1::Reduction::Mean, r1::Reduction::Sum}, reduce.getReduction())) {
    return {};
  }
  Value input = squareRootOf(reduce.getInput());
  if (!input) {
    return {};
  }
  int64_t size = typeOf(input).getDimSize(typeOf(input).getRank() - 1);
  double count = reduce.getReduction() == r1::Reduction::Mean ? 1 : static_cast<double>(size);
  if (std::abs(scale * count - 1) > 1e-6) {
    return {};
  }
  return Length{input, 0, reduce};
}

std::optional<Length> matchSquaredLength(Value value) {
  auto add = withoutFloatCasts(value).getDefiningOp<r1::AddOp>();
  std::optional<Length> length;
  if (add) {
    matchEither(add, [&](Value mean, Value epsilon) {
      std::optional<double> number = numberOf(epsilon);
      if (number && (length = matchMeanOfSquares(mean))) {
        length->epsilon = shortestDecimal(*number);
      }
      return length.has_value();
    });
  }
  return length;
}

struct FuseRmsNormPass : impl::FuseRmsNormPassBase<FuseRmsNormPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::RmsNormOp::getOperationName());
    fusion.forEach<r1::MulOp>([&](r1::MulOp root) { std::ignore = fuse(fusion, root); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::MulOp root) {
    // First the length, which names the input; then what the product is made of, with the input as a whole.
    std::optional<Length> length;
    Value reciprocal;
    bool isDivisor = false;
    auto findLength = [&](Value part, bool divides) {
      part = withoutFloatCasts(part);
      if (auto rsqrt = part.getDefiningOp<r1::RsqrtOp>(); rsqrt && !divides) {
        length = matchSquaredLength(rsqrt.getInput());
      } else if (auto sqrt = part.getDefiningOp<r1::SqrtOp>(); sqrt && divides) {
        length = matchSquaredLength(sqrt.getInput());
      } else if (auto pow = part.getDefiningOp<r1::PowOp>()) {
        std::optional<double> exponent = numberOf(pow.getRhs());
        if (exponent == (divides ? 0.5 : -0.5)) {
          length = matchSquaredLength(pow.getLhs());
        }
      }
      reciprocal = part;
      isDivisor = divides;
      return length.has_value();
    };
    Product outer = productOf(root, [](Value) { return false; });
    if (!llvm::any_of(outer.factors, [&](Value part) { return findLength(part, false); }) &&
        !llvm::any_of(outer.divisors, [&](Value part) { return findLength(part, true); })) {
      return failure();
    }
    Value input = withoutFloatCasts(length->input);
    Product product = productOf(root, [&](Value part) { return withoutFloatCasts(part) == input; });
    auto take = [](SmallVector<Value> &values, function_ref<bool(Value)> accepts) {
      auto found = llvm::find_if(values, accepts);
      if (found == values.end()) {
        return Value();
      }
      Value value = *found;
      values.erase(found);
      return value;
    };
    auto isReciprocal = [&](Value part) { return withoutFloatCasts(part) == reciprocal; };
    int64_t rank = typeOf(input).getRank(), size = typeOf(input).getDimSize(rank - 1);
    if (!take(product.factors, [&](Value part) { return withoutFloatCasts(part) == input; }) ||
        !take(isDivisor ? product.divisors : product.factors, isReciprocal)) {
      return failure(); // The length is of something else: this is a product with a norm, not its end.
    }
    if (product.factors.empty() && product.divisors.empty()) {
      return failure(); // The norm without its weight: the product with that is still to come.
    }
    if (length->reduce.getAxes() != ArrayRef<int64_t>(rank - 1)) {
      return fusion.miss(root, "the mean is not taken over the last dimension alone",
                         "transpose the input so that the normalized dimension is the last");
    }
    if (ShapedType::isDynamic(size)) {
      return fusion.miss(root, "the normalized dimension has no known size",
                         "export the model with a static hidden size");
    }
    if (product.factors.size() != 1 || !product.divisors.empty()) {
      return failure(); // A larger product, whose inner part is a norm.
    }
    Value weight = weightVectorOf(product.factors.front(), size);
    if (!weight) {
      return fusion.miss(root, "what scales the norm is not one weight for each element of the last dimension",
                         "export the norm's weight as an initializer of rank 1");
    }
    if (length->epsilon <= 0) {
      return fusion.miss(root, "epsilon is not positive", "add a positive epsilon to the mean of squares");
    }
    OpBuilder builder(root);
    Location location = root.getLoc();
    auto type = typeOf(input).clone(builder.getF32Type());
    if (typeOf(length->input).getElementType().isF32()) {
      input = length->input; // Squared as f32: whoever cast it did so for the norm.
    } else {
      input = r1::CastOp::create(builder, location, input, builder.getF32Type());
    }
    Value result =
        r1::RmsNormOp::create(builder, location, type, input, weight, builder.getF64FloatAttr(length->epsilon));
    if (typeOf(root).getElementType() != type.getElementType()) {
      result = r1::CastOp::create(builder, location, result, typeOf(root).getElementType());
    }
    fusion.replace(root.getResult(), result);
    return success();
  }
};

} // namespace
} // namespace elah
