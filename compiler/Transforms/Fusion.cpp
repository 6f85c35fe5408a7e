#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include <charconv>

using namespace mlir;

namespace elah {

std::string nodeName(Location location) {
  std::string name;
  location->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      name = named.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

int64_t Fusion::eraseDead(Operation *root) {
  int64_t count = 0;
  SmallVector<Operation *> worklist = {root};
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (erased.contains(op) || !isOpTriviallyDead(op)) {
      continue;
    }
    for (Value operand : op->getOperands()) {
      if (Operation *definition = operand.getDefiningOp()) {
        worklist.push_back(definition);
      }
    }
    count += !isa<r1::ConstantOp, r1::WeightOp>(op);
    erased.insert(op);
    op->erase();
  }
  return count;
}

void Fusion::replace(ArrayRef<std::pair<Value, Value>> values) {
  Location location = values.front().first.getLoc();
  SmallVector<Operation *> roots;
  for (auto [root, value] : values) {
    roots.push_back(root.getDefiningOp());
    root.replaceAllUsesWith(value);
  }
  int64_t operations = 0;
  for (Operation *root : roots) {
    operations += eraseDead(root);
  }
  remark::passed(location, remark::RemarkOpts::name(composite).category("fusion").function(function.getName()))
      << remark::add("{0} operations became {1}", operations, composite)
      << remark::detail::Remark::Arg("Node", nodeName(location))
      << remark::detail::Remark::Arg("Operations", operations);
}

LogicalResult Fusion::miss(Operation *op, const Twine &rule, const Twine &fix) {
  if (isQuiet) {
    return failure();
  }
  remark::missed(op->getLoc(), remark::RemarkOpts::name(composite).category("fusion").function(function.getName()))
      << remark::detail::Remark::Arg("Node", nodeName(op->getLoc()))
      << remark::detail::Remark::Arg("Reason", rule.str()) << remark::detail::Remark::Arg("Suggestion", fix.str());
  return failure();
}

namespace {

/// A scalar that is the same for steps of any size, such as the root of a static dimension.
std::optional<double> computedNumber(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  Operation *op = value.getDefiningOp();
  if (!type || !type.hasStaticShape() || type.getNumElements() != 1 || !op ||
      !isa<r1::SqrtOp, r1::RsqrtOp, r1::PowOp, r1::MulOp, r1::DivOp, r1::AddOp, r1::SubOp, r1::NegOp, r1::DimOp,
           r1::ReshapeOp, r1::GatherOp, r1::SliceOp>(op)) {
    return {};
  }
  std::optional<double> number;
  for (auto [tokens, past] : {std::pair<int64_t, int64_t>(1, 0), {3, 2}}) {
    std::optional<SmallVector<HostTensor>> values = Probe(tokens, past).evaluate(value);
    if (!values) {
      return {};
    }
    const HostTensor &tensor = values->front();
    double found = tensor.isFloat() ? tensor.floats().front() : static_cast<double>(tensor.integers().front());
    if (number && *number != found) {
      return {};
    }
    number = found;
  }
  return number;
}

} // namespace

std::optional<double> numberOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<r1::CastOp, r1::ReshapeOp, r1::BroadcastToOp>(op)) {
      value = op->getOperand(0);
    } else {
      break;
    }
  }
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements))) {
    return computedNumber(value);
  }
  if (!elements.isSplat()) {
    return {};
  }
  if (isa<FloatType>(elements.getElementType())) {
    return elements.getSplatValue<APFloat>().convertToDouble();
  }
  return static_cast<double>(elements.getSplatValue<APInt>().getSExtValue());
}

double shortestDecimal(double value) {
  float narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value) {
    return value;
  }
  char digits[64];
  std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), narrow);
  double result = value;
  std::from_chars(digits, end.ptr, result);
  return result;
}

Value withoutFloatCasts(Value value) {
  while (auto cast_ = value.getDefiningOp<r1::CastOp>()) {
    auto from = cast<RankedTensorType>(cast_.getInput().getType()).getElementType();
    if (!isa<FloatType>(from) || !isa<FloatType>(cast_.getTo())) {
      break;
    }
    value = cast_.getInput();
  }
  return value;
}

namespace {

/// Whether a value is known before the program runs: a weight, a constant, or an argument of a static shape.
bool isWeight(Value value) {
  Operation *op = value.getDefiningOp();
  return op ? isa<r1::WeightOp, r1::ConstantOp>(op) : cast<RankedTensorType>(value.getType()).hasStaticShape();
}

/// Makes a weight that is stored with sizes of 1 around its elements a view of a vector. Gives the vector; the value
/// itself if it is no such weight.
Value withoutUnitSizes(Value value) {
  auto weight = value.getDefiningOp<r1::WeightOp>();
  auto type = cast<RankedTensorType>(value.getType());
  if (!weight || type.getRank() < 2 || weight.getParts().size() != 1 || type.getEncoding() ||
      llvm::count_if(type.getShape(), [](int64_t size) { return size != 1; }) > 1) {
    return value;
  }
  auto flat = RankedTensorType::get(type.getNumElements(), type.getElementType());
  auto part = cast<r1::WeightAttr>(weight.getParts()[0]);
  Attribute vector = r1::WeightAttr::get(weight.getContext(), part.getFile(), part.getName(), part.getOffset(),
                                         part.getSize(), flat, r1::WeightAttr());
  ElementsAttr known;
  if (auto elements = dyn_cast_or_null<DenseElementsAttr>(weight.getValueAttr())) {
    known = elements.reshape(flat);
  }
  OpBuilder builder(weight);
  Value result = r1::WeightOp::create(builder, weight.getLoc(), flat, builder.getArrayAttr(vector), known);
  value.replaceAllUsesWith(r1::ReshapeOp::create(builder, weight.getLoc(), result, type.getShape()));
  return result;
}

} // namespace

Value weightVectorOf(Value value, int64_t size) {
  while (true) {
    value = withoutUnitSizes(value);
    TensorView view = TensorView::of(value);
    if (view.source == value) {
      if (auto cast_ = value.getDefiningOp<r1::CastOp>()) {
        value = withoutFloatCasts(value);
        if (value != cast_.getResult()) {
          continue;
        }
      }
      break;
    }
    if (view.sourceType().getRank() != 1 || !view.isReshape()) {
      return {};
    }
    value = view.source;
  }
  auto type = dyn_cast<RankedTensorType>(value.getType());
  bool fits = type && type.getRank() == 1 && type.getDimSize(0) == size && isWeight(value) &&
              (type.getElementType().isF32() || type.getElementType().isF16() || type.getElementType().isBF16());
  return fits ? value : Value();
}

Product productOf(Value value, llvm::function_ref<bool(Value)> isLeaf) {
  Product product;
  // No composite is a deeper product, or one of more.
  constexpr int maxDepth = 24;
  constexpr size_t maxParts = 64;
  auto gather = [&](auto &self, Value part, bool divides, int depth) -> void {
    auto &same = divides ? product.divisors : product.factors;
    if (isLeaf(part) || depth == maxDepth || product.factors.size() + product.divisors.size() >= maxParts) {
      same.push_back(part);
      return;
    }
    Value uncast = withoutFloatCasts(part);
    if (uncast != part) {
      return self(self, uncast, divides, depth + 1);
    }
    if (auto mul = part.getDefiningOp<r1::MulOp>()) {
      self(self, mul.getLhs(), divides, depth + 1);
      self(self, mul.getRhs(), divides, depth + 1);
    } else if (auto div = part.getDefiningOp<r1::DivOp>()) {
      if (numberOf(div.getLhs()) != 1.0) {
        self(self, div.getLhs(), divides, depth + 1);
      }
      self(self, div.getRhs(), !divides, depth + 1);
    } else {
      same.push_back(part);
    }
  };
  gather(gather, value, false, 0);
  return product;
}

} // namespace elah
