#include "compiler/Transforms/TensorView.h"
#include "compiler/Transforms/Fusion.h"
#include "dialects/R1/R1.h"
#include <numeric>

using namespace mlir;

namespace elah {
namespace {

using Dimension = TensorView::Dimension;

bool isDynamic(int64_t size) { return ShapedType::isDynamic(size); }

/// The factors of the innermost dimension of size `size`, taken off the end of `factors`; false if they do not split
/// so.
bool takeLast(Dimension &factors, int64_t size, Dimension &taken) {
  while (size > 1) {
    if (factors.empty() || isDynamic(factors.back().size)) {
      return false;
    }
    Factor &last = factors.back();
    if (size % last.size == 0) {
      size /= last.size;
      taken.insert(taken.begin(), last);
      factors.pop_back();
      continue;
    }
    if (last.size % size != 0) {
      return false;
    }
    taken.insert(taken.begin(), Factor{last.axis, size, last.stride});
    last.size /= size;
    last.stride *= size;
    size = 1;
  }
  return true;
}

bool takeFirst(Dimension &factors, int64_t size, Dimension &taken) {
  while (size > 1) {
    if (factors.empty() || isDynamic(factors.front().size)) {
      return false;
    }
    Factor &first = factors.front();
    if (size % first.size == 0) {
      size /= first.size;
      taken.push_back(first);
      factors.erase(factors.begin());
      continue;
    }
    if (first.size % size != 0) {
      return false;
    }
    int64_t rest = first.size / size;
    taken.push_back(Factor{first.axis, size, first.stride * rest});
    first.size = rest;
    size = 1;
  }
  return true;
}

/// Deals the factors out to dimensions of other sizes.
bool reshape(TensorView &view, ArrayRef<int64_t> sizes) {
  Dimension factors = view.factors();
  SmallVector<Dimension> dims(sizes.size());
  size_t first = 0, last = sizes.size();
  while (last > 0 && !isDynamic(sizes[last - 1])) {
    --last;
    if (!takeLast(factors, sizes[last], dims[last])) {
      return false;
    }
  }
  while (first < last && !isDynamic(sizes[first])) {
    if (!takeFirst(factors, sizes[first], dims[first])) {
      return false;
    }
    ++first;
  }
  if (first + 1 == last) {
    dims[first] = factors;
  } else if (first < last) {
    // Several unknown sizes: each is one unknown factor, in their order.
    if (factors.size() != last - first) {
      return false;
    }
    for (size_t dim = first; dim < last; ++dim) {
      if (!isDynamic(sizes[dim]) || !isDynamic(factors[dim - first].size)) {
        return false;
      }
      dims[dim] = {factors[dim - first]};
    }
  } else if (!factors.empty()) {
    return false;
  }
  for (Dimension &dim : dims) {
    mergeFactors(dim);
  }
  view.dims = std::move(dims);
  return true;
}

bool slice(TensorView &view, r1::SliceOp op) {
  Dimension &factors = view.dims[op.getAxis()];
  int64_t size = cast<RankedTensorType>(op.getInput().getType()).getDimSize(op.getAxis());
  int64_t result = cast<RankedTensorType>(op.getType()).getDimSize(op.getAxis());
  int64_t start = op.getStart(), step = op.getStep();
  if (isDynamic(size) || isDynamic(result) || result < 1) {
    return false;
  }
  start = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
  if (factors.empty()) {
    return start == 0;
  }
  // A slice within the inner factors of a dimension starts where these do.
  Dimension rest = factors, inner;
  int64_t taken = result;
  if (factors.size() > 1 && step == 1 && takeLast(rest, result, inner) && start % result == 0) {
    int64_t block = start / result;
    for (const Factor &factor : llvm::reverse(rest)) {
      if (!factor.isRepeated()) {
        view.starts[factor.axis] += block % factor.size * factor.stride;
      }
      block /= factor.size;
    }
    factors = inner;
    return true;
  }
  if (factors.size() != 1) {
    // Whole runs of the inner factors.
    int64_t run = 1;
    for (const Factor &factor : llvm::drop_begin(factors)) {
      run *= factor.size;
    }
    if (step != 1 || start % run != 0 || result % run != 0) {
      return false;
    }
    start /= run;
    taken /= run;
  }
  Factor &outer = factors.front();
  if (!outer.isRepeated()) {
    view.starts[outer.axis] += start * outer.stride;
  }
  outer.stride *= step;
  outer.size = taken;
  mergeFactors(factors);
  return true;
}

bool broadcast(TensorView &view, RankedTensorType from, RankedTensorType to) {
  SmallVector<Dimension> dims(to.getRank());
  int64_t added = to.getRank() - from.getRank();
  for (int64_t dim = 0; dim < to.getRank(); ++dim) {
    bool isOne = dim < added || from.getDimSize(dim - added) == 1;
    if (!isOne) {
      dims[dim] = view.dims[dim - added];
    } else if (to.getDimSize(dim) != 1) {
      dims[dim] = {Factor{Factor::repeated, to.getDimSize(dim), 1}};
    }
  }
  view.dims = std::move(dims);
  return true;
}

} // namespace

void mergeFactors(Dimension &factors) {
  Dimension merged;
  for (const Factor &factor : factors) {
    if (factor.size == 1) {
      continue;
    }
    bool runsOn = false;
    if (!merged.empty() && merged.back().axis == factor.axis && !isDynamic(factor.size)) {
      runsOn =
          factor.isRepeated() ? !isDynamic(merged.back().size) : merged.back().stride == factor.stride * factor.size;
    }
    if (!runsOn) {
      merged.push_back(factor);
      continue;
    }
    Factor &last = merged.back();
    last.size = isDynamic(last.size) ? last.size : last.size * factor.size;
    last.stride = factor.stride;
  }
  factors = std::move(merged);
}

bool alignFactors(Dimension &lhs, Dimension &rhs) {
  Dimension left, right;
  while (!lhs.empty() && !rhs.empty()) {
    int64_t size = lhs.back().size;
    if (isDynamic(size) || isDynamic(rhs.back().size)) {
      if (size != rhs.back().size) {
        return false;
      }
      left.insert(left.begin(), lhs.pop_back_val());
      right.insert(right.begin(), rhs.pop_back_val());
      continue;
    }
    size = std::gcd(size, rhs.back().size);
    if (size == 1) {
      return false;
    }
    if (!takeLast(lhs, size, left) || !takeLast(rhs, size, right)) {
      return false;
    }
  }
  bool isDone = lhs.empty() && rhs.empty();
  lhs = std::move(left);
  rhs = std::move(right);
  return isDone;
}

TensorView TensorView::whole(Value value) {
  TensorView view;
  view.source = value;
  auto type = cast<RankedTensorType>(value.getType());
  view.starts.assign(type.getRank(), 0);
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    Dimension &dim = view.dims.emplace_back();
    if (size != 1) {
      dim.push_back({static_cast<int64_t>(axis), size, 1});
    }
  }
  return view;
}

std::optional<TensorView> TensorView::through(Value inner, double *scale) const {
  TensorView other = of(inner, scale), result;
  result.source = other.source;
  result.starts = other.starts;
  for (auto [axis, start] : llvm::enumerate(starts)) {
    if (start == 0) {
      continue;
    }
    // An index along an axis of several factors has a digit for each.
    int64_t rest = start;
    for (const Factor &factor : llvm::reverse(other.dims[axis])) {
      int64_t digit = isDynamic(factor.size) ? rest : rest % factor.size;
      rest = isDynamic(factor.size) ? 0 : rest / factor.size;
      if (!factor.isRepeated()) {
        result.starts[factor.axis] += digit * factor.stride;
      }
    }
    if (rest != 0) {
      return {};
    }
  }
  for (const Dimension &dim : dims) {
    Dimension &composed = result.dims.emplace_back();
    for (const Factor &factor : dim) {
      if (factor.isRepeated()) {
        composed.push_back(factor);
        continue;
      }
      Dimension inside = other.dims[factor.axis], skipped, taken;
      bool isWhole = factor.stride == 1 && factor.size == sourceType().getDimSize(factor.axis);
      if (isWhole) {
        taken = inside;
      } else if (isDynamic(factor.size) || !takeLast(inside, factor.stride, skipped)) {
        return {};
      } else if (inside.size() == 1 && !isDynamic(inside.front().size) && inside.front().size > factor.size) {
        taken = {Factor{inside.front().axis, factor.size, inside.front().stride}};
      } else if (!takeLast(inside, factor.size, taken)) {
        return {};
      }
      composed.append(taken.begin(), taken.end());
    }
    mergeFactors(composed);
  }
  return result;
}

std::vector<TensorView> TensorView::parts(int64_t dim) const {
  auto concat = source.getDefiningOp<r1::ConcatOp>();
  if (!concat) {
    return {*this};
  }
  int64_t axis = concat.getAxis(), begin = starts[axis], end = begin + 1, elements = 1;
  for (const Factor &factor : factors()) {
    if (factor.axis == axis) {
      if (isDynamic(factor.size)) {
        return {*this};
      }
      end += (factor.size - 1) * factor.stride;
    }
  }
  bool isSplit = dims[dim].size() == 1 && dims[dim].front().axis == axis && dims[dim].front().stride == 1;
  elements = isSplit ? dims[dim].front().size : 0;
  std::vector<TensorView> views;
  int64_t first = 0;
  for (Value input : concat.getInputs()) {
    int64_t size = cast<RankedTensorType>(input.getType()).getDimSize(axis);
    if (isDynamic(size)) {
      return {*this};
    }
    int64_t last = first + size;
    TensorView part = *this;
    if (begin >= first && end <= last) {
      part.starts[axis] -= first;
    } else if (isSplit && begin <= first && last <= begin + elements) {
      part.starts[axis] = 0;
      part.dims[dim] = size == 1 ? Dimension() : Dimension{{axis, size, 1}};
    } else if (last <= begin || first >= end) {
      first = last;
      continue;
    } else {
      return {*this};
    }
    first = last;
    // As a view of a tensor of the input's own shape.
    part.source = input;
    std::optional<TensorView> composed = part.through(input);
    if (!composed) {
      return {*this};
    }
    views.push_back(*composed);
  }
  return views;
}

TensorView TensorView::of(Value value, double *scale, int maxDepth) {
  Operation *op = value.getDefiningOp();
  if (maxDepth == 0) {
    return whole(value);
  }
  if (scale && op && isa<r1::MulOp, r1::DivOp>(op)) {
    for (int64_t index : {0, 1}) {
      Value other = op->getOperand(1 - index);
      std::optional<double> number =
          other.getType() == value.getType() ? numberOf(op->getOperand(index)) : std::nullopt;
      bool divides = isa<r1::DivOp>(op);
      if (number && (!divides || index == 1)) {
        *scale *= divides ? 1 / *number : *number;
        return of(other, scale, maxDepth - 1);
      }
    }
  }
  if (!op || op->getNumOperands() == 0 || !isa<r1::ReshapeOp, r1::TransposeOp, r1::SliceOp, r1::BroadcastToOp>(op)) {
    return whole(value);
  }
  TensorView view = of(op->getOperand(0), scale, maxDepth - 1);
  auto type = cast<RankedTensorType>(value.getType());
  bool isView = false;
  if (isa<r1::ReshapeOp>(op)) {
    isView = reshape(view, type.getShape());
  } else if (auto transpose = dyn_cast<r1::TransposeOp>(op)) {
    SmallVector<Dimension> dims;
    for (int64_t from : transpose.getPermutation()) {
      dims.push_back(view.dims[from]);
    }
    view.dims = std::move(dims);
    isView = true;
  } else if (auto sliced = dyn_cast<r1::SliceOp>(op)) {
    isView = slice(view, sliced);
  } else {
    isView = broadcast(view, cast<RankedTensorType>(op->getOperand(0).getType()), type);
  }
  return isView ? view : whole(value);
}

Dimension TensorView::factors() const {
  Dimension all;
  for (const Dimension &dim : dims) {
    all.append(dim.begin(), dim.end());
  }
  return all;
}

bool TensorView::isReshape() const {
  Dimension found = factors(), expected = whole(source).factors();
  mergeFactors(found);
  return llvm::all_of(starts, [](int64_t start) { return start == 0; }) && found == expected;
}

bool TensorView::isWholeAxis(int64_t dim, int64_t axis) const {
  int64_t size = sourceType().getDimSize(axis);
  if (starts[axis] != 0) {
    return false;
  }
  return size == 1 ? dims[dim].empty() : dims[dim] == Dimension{{axis, size, 1}};
}

Value asRows(OpBuilder &builder, Location location, Value value, int64_t trailing) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t columns = 1;
  for (int64_t size : type.getShape().take_back(trailing)) {
    assert(!isDynamic(size) && "columns have a known size");
    columns *= size;
  }
  TensorView view = TensorView::of(value);
  if (view.sourceType().getRank() == 2 && view.sourceType().getDimSize(1) == columns && view.isReshape()) {
    return view.source;
  }
  if (type.getRank() == 2 && trailing == 1) {
    return value;
  }
  return r1::ReshapeOp::create(builder, location, value, ArrayRef<int64_t>{-1, columns});
}

bool hasOneUnknownSize(RankedTensorType type) { return llvm::count_if(type.getShape(), ShapedType::isDynamic) <= 1; }

Value reshapeTo(OpBuilder &builder, Location location, Value value, RankedTensorType type, Value like) {
  if (value.getType() == type) {
    return value;
  }
  if (hasOneUnknownSize(type)) {
    SmallVector<int64_t> sizes = llvm::map_to_vector(type.getShape(), [](int64_t s) { return isDynamic(s) ? -1 : s; });
    return r1::ReshapeOp::create(builder, location, type, value, Value(), builder.getDenseI64ArrayAttr(sizes));
  }
  auto one = RankedTensorType::get({1}, builder.getI64Type());
  SmallVector<Value> sizes;
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    if (isDynamic(size)) {
      Value dim = r1::DimOp::create(builder, location, like, static_cast<int64_t>(axis));
      sizes.push_back(r1::ReshapeOp::create(builder, location, dim, ArrayRef<int64_t>{1}));
    } else {
      auto constant = cast<ElementsAttr>(DenseElementsAttr::get(one, ArrayRef<int64_t>(size)));
      sizes.push_back(r1::ConstantOp::create(builder, location, constant));
    }
  }
  Value shape = r1::ConcatOp::create(builder, location, sizes, 0);
  return r1::ReshapeOp::create(builder, location, type, value, shape, DenseI64ArrayAttr());
}

} // namespace elah
