#include "compiler/Transforms/ExpertBranches.h"
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>
#include <random>

using namespace mlir;

namespace elah {
namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// A product with a matrix for each expert: of one of them, of all, or of those that are gathered.
struct Projection {
  Value input, weight;       ///< The weight is [outputs, inputs], or [experts, outputs, inputs].
  Value chosen;              ///< The experts' indices, where weights are gathered.
  bool isTransposed = false; ///< The stack is [experts, inputs, outputs].
  /// The outputs that are used, where gate and up are one product: `count` of them, every `step`-th; none: all.
  int64_t first = 0, count = 0, step = 1;

  explicit operator bool() const { return static_cast<bool>(weight); }
};

bool isStack(Value value) {
  Operation *op = value.getDefiningOp();
  auto type = typeOf(value);
  return type.getRank() == 3 && type.hasStaticShape() && (!op || isa<r1::WeightOp, r1::ConstantOp>(op));
}

bool isGathered(Value value) {
  while (auto transpose = value.getDefiningOp<r1::TransposeOp>()) {
    value = transpose.getInput();
  }
  return isa_and_nonnull<r1::GatherOp, r1::GatherNdOp>(value.getDefiningOp());
}

Projection projectionOf(Value result) {
  if (auto linear = result.getDefiningOp<r1::LinearOp>()) {
    return linear.getBias() ? Projection() : Projection{linear.getInput(), linear.getWeight(), {}, false};
  }
  // Through the sizes of 1 of a row's own product, and the half of it that is taken.
  TensorView view = TensorView::of(result);
  auto matmul = view.source.getDefiningOp<r1::MatmulOp>();
  if (!matmul) {
    return {};
  }
  bool isLeft = isGathered(matmul.getLhs());
  Projection projection{matmul.getLhs(), matmul.getRhs(), {}, true};
  if (isLeft) {
    projection = Projection{matmul.getRhs(), matmul.getLhs(), {}, false};
  }
  int64_t axis = typeOf(matmul).getRank() - (isLeft ? 2 : 1);
  if (!view.isReshape()) {
    // Of all the outputs one half, or every other one.
    int64_t count = typeOf(result).getShape().back();
    TensorView::Dimension columns = view.dims.back();
    if (columns.size() != 1 || columns[0].axis != axis || columns[0].size != count || columns[0].stride < 1) {
      return {};
    }
    projection.first = view.starts[axis];
    projection.count = count;
    projection.step = columns[0].stride;
    view.starts[axis] = 0;
  }
  if (llvm::any_of(view.starts, [](int64_t start) { return start != 0; })) {
    return {};
  }
  while (Operation *op = projection.weight.getDefiningOp()) {
    if (auto transpose = dyn_cast<r1::TransposeOp>(op)) {
      if (transpose.getPermutation() != ArrayRef<int64_t>{0, 2, 1}) {
        return {};
      }
      projection.isTransposed = !projection.isTransposed;
      projection.weight = transpose.getInput();
    } else if (auto reshape = dyn_cast<r1::ReshapeOp>(op)) {
      // A transpose of vectors.
      ArrayRef<int64_t> from = typeOf(reshape.getInput()).getShape(), to = typeOf(reshape).getShape();
      if (from.size() != 3 || to.size() != 3 || from[0] != to[0] || from[1] != to[2] || from[2] != to[1]) {
        return {};
      }
      projection.isTransposed = !projection.isTransposed;
      projection.weight = reshape.getInput();
    } else if (isa<r1::DequantizeOp, r1::CastOp>(op)) {
      projection.weight = op->getOperand(0);
    } else if (auto gather = dyn_cast<r1::GatherOp>(op); gather && gather.getAxis() == 0 && !projection.chosen) {
      projection.chosen = gather.getIndices();
      projection.weight = gather.getInput();
    } else if (auto gather = dyn_cast<r1::GatherNdOp>(op);
               gather && !projection.chosen && typeOf(gather.getIndices()).getShape().back() == 1) {
      projection.chosen = gather.getIndices();
      projection.weight = gather.getInput();
    } else {
      break;
    }
  }
  return isStack(projection.weight) ? projection : Projection();
}

/// The matrices of a weight, one for each part or each index of its leading dimension, read the other way if asked for.
std::optional<SmallVector<Attribute>> matricesOf(Value weight, bool turned) {
  auto op = weight.getDefiningOp<r1::WeightOp>();
  if (!op) {
    return {};
  }
  SmallVector<Attribute> matrices;
  for (Attribute attribute : op.getParts()) {
    auto part = cast<r1::WeightAttr>(attribute);
    RankedTensorType type = part.getType();
    int64_t count = type.getRank() == 3 ? type.getDimSize(0) : 1;
    if (turned && (type.getEncoding() || part.getPitch() != 0)) {
      return {};
    }
    for (int64_t index = 0; index < count; ++index) {
      r1::WeightAttr matrix = type.getRank() == 3 ? part.matrix(index) : part;
      if (turned) {
        ArrayRef<int64_t> shape = matrix.getType().getShape();
        matrix =
            r1::WeightAttr::get(op.getContext(), matrix.getFile(), matrix.getName(), matrix.getOffset(),
                                matrix.getSize(), RankedTensorType::get({shape[1], shape[0]}, type.getElementType()),
                                r1::WeightAttr(), r1::WeightAttr(), !matrix.getTransposed(), 0);
      }
      matrices.push_back(matrix);
    }
  }
  return matrices;
}

/// Weights of one matrix each, or one stack, as a stack in the order given.
Value stackOf(OpBuilder &builder, ArrayRef<Value> weights, ArrayRef<int64_t> order, bool turned) {
  Location location = weights.front().getLoc();
  bool isWhole = weights.size() == 1 && typeOf(weights.front()).getRank() == 3;
  if (isWhole && !turned) {
    return weights.front();
  }
  SmallVector<Attribute> matrices;
  for (Value weight : weights) {
    std::optional<SmallVector<Attribute>> own = matricesOf(weight, turned);
    if (!own) {
      matrices.clear();
      break;
    }
    matrices.append(*own);
  }
  if (!matrices.empty()) {
    auto first = cast<r1::WeightAttr>(matrices.front()).getType();
    SmallVector<Attribute> parts;
    for (int64_t index : order) {
      parts.push_back(matrices[index]);
      if (cast<r1::WeightAttr>(parts.back()).getType() != first) {
        return {};
      }
    }
    SmallVector<int64_t> shape(first.getShape());
    if (parts.size() > 1) {
      shape.insert(shape.begin(), static_cast<int64_t>(parts.size()));
    }
    auto type = RankedTensorType::get(shape, first.getElementType(), first.getEncoding());
    return r1::WeightOp::create(builder, location, type, builder.getArrayAttr(parts));
  }
  if (isWhole) {
    return r1::TransposeOp::create(builder, location, weights.front(), ArrayRef<int64_t>{0, 2, 1});
  }
  SmallVector<Value> slices;
  for (int64_t index : order) {
    auto type = typeOf(weights[index]);
    if (type != weights.front().getType() || type.getEncoding()) {
      return {};
    }
    slices.push_back(r1::ReshapeOp::create(builder, location, weights[index],
                                           ArrayRef<int64_t>{1, type.getDimSize(0), type.getDimSize(1)}));
  }
  return r1::ConcatOp::create(builder, location, slices, 0);
}

Value constantOf(OpBuilder &builder, Location location, ArrayRef<double> values, ArrayRef<int64_t> shape) {
  SmallVector<float> floats(values);
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  return r1::ConstantOp::create(builder, location,
                                cast<ElementsAttr>(DenseElementsAttr::get(type, ArrayRef<float>(floats))));
}

/// What an expert's stand-in multiplies its input by: exact in f32, and no two sums of a few are alike by chance.
double multipleOf(int64_t expert) { return 1 + static_cast<double>(expert) / 16; }

} // namespace

ExpertBranches::ExpertBranches(func::FuncOp function, r1::RouteOp route) : function(function), route(route) {
  findBranches();
}

void ExpertBranches::findBranches() {
  // What the choice reaches, up to the next projection or norm outside of the experts.
  llvm::DenseSet<Value> reached;
  SmallVector<Value> worklist(route->getResults());
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!reached.insert(value).second) {
      continue;
    }
    for (Operation *user : value.getUsers()) {
      if (!isa<r1::DecomposableOpInterface>(user) || isa<r1::LinearOp, r1::SwigluOp>(user)) {
        llvm::append_range(worklist, user->getResults());
      }
    }
  }
  // An expert's result, or the tokens it gets, depend on the choice; a shared expert's result is only added to them.
  auto isRouted = [&](Value input, Value result) {
    if (reached.contains(input)) {
      return true;
    }
    SmallVector<Value> results = {result};
    while (!results.empty()) {
      Value next = results.pop_back_val();
      for (Operation *user : next.getUsers()) {
        if (isa<r1::ReshapeOp, r1::TransposeOp, r1::CastOp, r1::ConcatOp, r1::BroadcastToOp>(user)) {
          results.push_back(user->getResult(0));
        } else if (!isa<r1::AddOp>(user) && llvm::any_of(user->getOperands(), [&](Value operand) {
                     return operand != next && reached.contains(operand);
                   })) {
          return true;
        }
      }
    }
    return false;
  };
  function.walk([&](r1::SwigluOp swiglu) {
    Projection gate = projectionOf(swiglu.getGate()), up = projectionOf(swiglu.getUp());
    if (!gate || !up || gate.input != up.input || gate.chosen != up.chosen || gate.isTransposed != up.isTransposed ||
        !swiglu->hasOneUse()) {
      return;
    }
    Operation *user = *swiglu->getUsers().begin();
    while (isa<r1::ReshapeOp>(user) && user->hasOneUse()) {
      user = *user->getUsers().begin();
    }
    Projection down = user->getNumResults() == 1 ? projectionOf(user->getResult(0)) : Projection();
    TensorView between = down ? TensorView::of(down.input) : TensorView();
    if (!down || between.source != swiglu.getResult() || !between.isReshape() || down.chosen != gate.chosen ||
        (gate.count != 0 && gate.isTransposed) || down.count != 0 || gate.count != up.count || gate.step != up.step ||
        down.isTransposed != gate.isTransposed || typeOf(down.weight).getRank() != typeOf(gate.weight).getRank()) {
      return;
    }
    Branch branch{gate.input,
                  user->getResult(0),
                  gate.weight,
                  up.weight,
                  down.weight,
                  gate.isTransposed,
                  typeOf(gate.weight).getRank() == 3,
                  gate.chosen,
                  gate.first,
                  up.first,
                  gate.count,
                  gate.step};
    if (!isRouted(branch.input, branch.result)) {
      return;
    }
    // The rows that all branches read: themselves, or tokens picked from them.
    Value source = TensorView::of(branch.input).source;
    while (Operation *op = source.getDefiningOp()) {
      if (!isa<r1::GatherOp, r1::CastOp, r1::GatherElementsOp>(op)) {
        break;
      }
      source = TensorView::of(op->getOperand(0)).source;
    }
    if (typeOf(source).getRank() != 2 || (rows && rows != source)) {
      return;
    }
    rows = source;
    branches.push_back(branch);
  });
}

int64_t ExpertBranches::count() const {
  int64_t count = 0;
  for (const Branch &branch : branches) {
    count += branch.isStack ? typeOf(branch.gate).getDimSize(0) : 1;
  }
  return count;
}

SmallVector<Value> ExpertBranches::candidates() {
  // Everything behind the branches' results that does not need more than these, the choice and the rows.
  llvm::DenseSet<Value> known = {rows, route.getLogits()};
  known.insert_range(route->getResults());
  for (const Branch &branch : branches) {
    known.insert(branch.result);
  }
  SmallVector<Value> ends;
  function.walk([&](Operation *op) {
    if (!isa_and_nonnull<r1::R1Dialect>(op->getDialect()) || op->getNumResults() == 0 ||
        known.contains(op->getResult(0))) {
      return;
    }
    bool isKnown = !isa<r1::WeightOp>(op) && !isa<r1::DecomposableOpInterface>(op) &&
                   llvm::all_of(op->getOperands(), [&](Value operand) { return known.contains(operand); });
    if (!isKnown) {
      return;
    }
    known.insert_range(op->getResults());
    Value value = op->getResult(0);
    auto type = dyn_cast<RankedTensorType>(value.getType());
    bool isRows = type && type.getRank() >= 2 && type.getShape().back() == typeOf(rows).getShape().back() &&
                  isa<r1::AddOp, r1::ReduceOp, r1::ScatterElementsOp, r1::ReshapeOp, r1::SelectOp>(op) &&
                  llvm::all_of(type.getShape().drop_back(2), [](int64_t size) { return size == 1; });
    if (isRows || (type && op->getName().getStringRef().starts_with("r1.scatter"))) {
      ends.push_back(value);
    }
  });
  return ends;
}

bool ExpertBranches::isReached(Value end, SmallVectorImpl<size_t> &found) const {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist = {end};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    auto branch = llvm::find_if(branches, [&](const Branch &b) { return b.result == value; });
    if (branch != branches.end()) {
      found.push_back(branch - branches.begin());
    } else if (Operation *op = value.getDefiningOp(); op && value != rows && op != route) {
      llvm::append_range(worklist, op->getOperands());
    }
  }
  return found.size() == branches.size();
}

std::optional<SmallVector<int64_t>> ExpertBranches::orderAt(Value end) {
  SmallVector<size_t> found;
  if (!isReached(end, found)) {
    return {};
  }
  // Each branch becomes a multiple of its input while the end is computed.
  SmallVector<Operation *> made;
  struct Listener : OpBuilder::Listener {
    explicit Listener(SmallVectorImpl<Operation *> &made) : made(made) {}
    void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override { made.push_back(op); }
    SmallVectorImpl<Operation *> &made;
  } listener(made);
  OpBuilder builder(function.getContext(), &listener);
  SmallVector<std::pair<Value, Value>> standIns;
  SmallVector<double> multiples;
  for (int64_t expert = 0; expert < count(); ++expert) {
    multiples.push_back(multipleOf(expert));
  }
  for (auto [index, branch] : llvm::enumerate(branches)) {
    builder.setInsertionPointAfter(branch.result.getDefiningOp());
    Location location = branch.result.getLoc();
    Value multiple, result;
    if (branch.chosen) {
      Value table = constantOf(builder, location, multiples, {count()});
      multiple = r1::GatherOp::create(builder, location, table, branch.chosen, 0);
      multiple = r1::ReshapeOp::create(builder, location, multiple, ArrayRef<int64_t>{-1, 1, 1});
    } else if (branch.isStack) {
      multiple = constantOf(builder, location, multiples, {count(), 1, 1});
    } else {
      multiple = constantOf(builder, location, multiples[index], {});
    }
    result = r1::MulOp::create(builder, location, branch.input, multiple);
    Value old = branch.result;
    old.replaceAllUsesExcept(result, result.getDefiningOp());
    standIns.push_back({result, old});
  }

  int64_t experts = count(), topK = typeOf(Value(route->getResult(0))).getDimSize(1);
  auto identity = llvm::to_vector(llvm::seq<int64_t>(0, experts));
  std::mt19937 engine(1);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  // Each expert is chosen by some token.
  int64_t tokens = std::max<int64_t>(3, (experts + topK - 1) / topK);
  SmallVector<int64_t> chosen;
  SmallVector<double> weights;
  for (int64_t index = 0; index < tokens * topK; ++index) {
    chosen.push_back(index % experts);
    weights.push_back(uniform(engine));
  }
  std::optional<Floats> sums = sumsFor(end, tokens, chosen, weights);
  std::optional<SmallVector<int64_t>> order;
  auto isSum = [&](ArrayRef<int64_t> branchOf) {
    for (int64_t token = 0; token < tokens; ++token) {
      double expected = 0;
      for (int64_t slot = 0; slot < topK; ++slot) {
        expected += weights[token * topK + slot] * multipleOf(branchOf[chosen[token * topK + slot]]);
      }
      if (!(std::abs((*sums)[token] - expected) < 1e-6 * expected)) {
        return false;
      }
    }
    return true;
  };
  if (sums && isSum(identity)) {
    order = identity;
  } else if (sums && branches.size() > 1) {
    // The loop is in another order: each token asks for one expert alone.
    SmallVector<int64_t> asked, branchOf;
    SmallVector<double> alone;
    for (int64_t expert = 0; expert < experts; ++expert) {
      for (int64_t slot = 0; slot < topK; ++slot) {
        asked.push_back((expert + slot) % experts);
        alone.push_back(slot == 0 ? 1 : 0);
      }
    }
    if (std::optional<Floats> found = sumsFor(end, experts, asked, alone)) {
      for (double sum : *found) {
        int64_t branch = std::llround((sum - 1) * 16);
        branchOf.push_back(std::clamp<int64_t>(branch, 0, experts - 1));
      }
      if (isSum(branchOf)) {
        order = branchOf;
      }
    }
  }
  for (auto [result, old] : standIns) {
    result.replaceAllUsesWith(old);
  }
  for (Operation *op : llvm::reverse(made)) {
    op->erase();
  }
  return order;
}

std::optional<Floats> ExpertBranches::sumsFor(Value end, int64_t tokens, ArrayRef<int64_t> chosen,
                                              ArrayRef<double> weights) {
  Probe probe(tokens, 0);
  std::optional<RankedTensorType> type = probe.typeOf(rows);
  if (!type || type->getDimSize(0) != tokens) {
    return {};
  }
  // All elements of a token are alike, since experts are multiples: each token has another number.
  int64_t width = type->getDimSize(1);
  Floats inputs(tokens * width);
  for (int64_t index = 0; index < tokens * width; ++index) {
    inputs[index] = 1 + static_cast<double>(index / width) / 8 + static_cast<double>(index % width % 7) / 64;
  }
  int64_t topK = static_cast<int64_t>(chosen.size()) / tokens;
  probe.bind(rows, HostTensor({tokens, width}, inputs));
  // Zeros of a shape may be made from the logits.
  int64_t experts = typeOf(route.getLogits()).getDimSize(1);
  probe.bind(route.getLogits(), HostTensor({tokens, experts}, Floats(tokens * experts, 0.5)));
  probe.bind(route->getResult(0), HostTensor({tokens, topK}, Integers(chosen.begin(), chosen.end())));
  probe.bind(route->getResult(1), HostTensor({tokens, topK}, Floats(weights.begin(), weights.end())));
  std::optional<SmallVector<HostTensor>> values = probe.evaluate(end);
  if (!values || values->front().size() != tokens * width) {
    return {};
  }
  Floats sums(tokens);
  for (int64_t token = 0; token < tokens; ++token) {
    sums[token] = values->front().floats()[token * width] / inputs[token * width];
    for (int64_t column = 0; column < width; ++column) {
      double ratio = values->front().floats()[token * width + column] / inputs[token * width + column];
      if (!(std::abs(ratio - sums[token]) <= 1e-6 * std::abs(sums[token]))) {
        return {};
      }
    }
  }
  return sums;
}

namespace {

/// Every `step`-th row from `first` on, `count` in all, of each matrix of a stack; null if its blocks do not allow
/// that.
Value sliceStack(OpBuilder &builder, Value stack, int64_t first, int64_t count, int64_t step) {
  auto type = typeOf(stack);
  auto blocks = dyn_cast_or_null<r1::BlocksAttr>(type.getEncoding());
  std::optional<SmallVector<Attribute>> matrices = matricesOf(stack, /*turned=*/false);
  bool isSliced = matrices && (!blocks || blocks.getRows() == 1) && llvm::none_of(*matrices, [](Attribute matrix) {
                    return cast<r1::WeightAttr>(matrix).getTransposed();
                  });
  if (!isSliced) {
    return blocks ? Value()
                  : r1::SliceOp::create(
                        builder, stack.getLoc(), stack, builder.getI64IntegerAttr(1), builder.getI64IntegerAttr(first),
                        builder.getI64IntegerAttr(first + (count - 1) * step + 1), builder.getI64IntegerAttr(step));
  }
  SmallVector<Attribute> parts;
  for (Attribute matrix : *matrices) {
    parts.push_back(cast<r1::WeightAttr>(matrix).rows(first, count, step));
  }
  SmallVector<int64_t> shape = {type.getDimSize(0), count, type.getDimSize(2)};
  if (parts.size() == 1) {
    shape.erase(shape.begin());
  }
  auto sliced = RankedTensorType::get(shape, type.getElementType(), type.getEncoding());
  return r1::WeightOp::create(builder, stack.getLoc(), sliced, builder.getArrayAttr(parts), ElementsAttr());
}

} // namespace

ExpertBranches::Weights ExpertBranches::stack(OpBuilder &builder, ArrayRef<int64_t> order) const {
  auto collect = [&](Value Branch::*weight) {
    SmallVector<Value> values;
    for (const Branch &branch : branches) {
      values.push_back(branch.*weight);
    }
    bool turned = branches.front().isStack && branches.front().isTransposed;
    return stackOf(builder, values, order, turned);
  };
  Weights weights = {collect(&Branch::gate), collect(&Branch::up), collect(&Branch::down)};
  if (const Branch &first = branches.front(); first.count != 0 && weights.gate) {
    weights.gate = sliceStack(builder, weights.gate, first.gateFirst, first.count, first.step);
    weights.up = sliceStack(builder, weights.up, first.upFirst, first.count, first.step);
  }
  return weights;
}

} // namespace elah
