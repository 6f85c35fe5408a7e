// Products of matrices.
#include "frontends/Onnx/Linear.h"
#include "frontends/Onnx/Operators.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace elah::onnx_import {

Value multiplied(const Node &n, Value lhs, Value rhs) {
  n.expect(Node::rank(lhs) > 0 && Node::rank(rhs) > 0, "operands must not be scalars");
  bool isRow = Node::rank(lhs) == 1, isColumn = Node::rank(rhs) == 1;
  lhs = isRow ? n.unsqueeze(lhs, {0}) : lhs;
  rhs = isColumn ? n.unsqueeze(rhs, {1}) : rhs;
  Value product = n.make<r1::MatmulOp>(lhs, rhs);
  int64_t rank = Node::rank(product);
  Ints dropped;
  if (isRow) {
    dropped.push_back(rank - 2);
  }
  if (isColumn) {
    dropped.push_back(rank - 1);
  }
  return dropped.empty() ? product : n.squeeze(product, dropped);
}

namespace {

void matMul(const Node &n) { n.output(multiplied(n, n.input(0), n.input(1))); }

void gemm(const Node &n) {
  Value a = n.input(0), b = n.input(1);
  n.expect(Node::rank(a) == 2 && Node::rank(b) == 2, "A and B must be matrices");
  Type element = Node::element(a);
  Value product = multiplied(n, n.integer("transA", 0) != 0 ? n.transpose(a, {1, 0}) : a,
                             n.integer("transB", 0) != 0 ? n.transpose(b, {1, 0}) : b);
  double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  product = alpha == 1 ? product : n.mul(product, n.scalar(element, alpha));
  if (n.has(2) && beta != 0) {
    Value c = n.input(2);
    product = n.add(product, beta == 1 ? c : n.mul(c, n.scalar(element, beta)));
  }
  n.output(product);
}

/// An operand of an einsum: its letters, one for each dimension.
struct Term {
  std::string letters;
  Value value;
};

/// Letters once each: the diagonal where one stands twice.
Term diagonalOf(const Node &n, Term term) {
  for (size_t first = 0; first < term.letters.size(); ++first) {
    size_t second = term.letters.find(term.letters[first], first + 1);
    if (second == std::string::npos) {
      continue;
    }
    Size size = n.sizeOf(term.value, static_cast<int64_t>(first));
    Ints sizes(Node::rank(term.value) - static_cast<int64_t>(second), 1);
    sizes[0] = -1;
    Value column = n.iota(size);
    // Element i of the later dimension is picked at i of the first one, and the later one goes.
    Ints ofIndices(Node::rank(term.value), 1);
    ofIndices[first] = -1;
    Value indices = n.make<r1::ReshapeOp>(column, Value(), n.builder.getDenseI64ArrayAttr(ofIndices));
    Sizes target = n.sizesOf(term.value);
    target[second] = Size(1);
    Value picked = n.make<r1::GatherElementsOp>(term.value, n.broadcast(indices, target), second);
    term.value = n.squeeze(picked, {static_cast<int64_t>(second)});
    term.letters.erase(second, 1);
    return diagonalOf(n, term);
  }
  return term;
}

/// Without the letters that nothing else asks for: they are summed.
Term reduced(const Node &n, Term term, StringRef needed) {
  Ints axes;
  std::string left;
  for (auto [axis, letter] : llvm::enumerate(term.letters)) {
    if (needed.contains(letter)) {
      left.push_back(letter);
    } else {
      axes.push_back(static_cast<int64_t>(axis));
    }
  }
  return axes.empty() ? term : Term{left, n.reduce(r1::Reduction::Sum, term.value, axes, /*keepDims=*/false)};
}

Value inOrder(const Node &n, const Term &term, StringRef letters) {
  Ints permutation;
  for (char letter : letters) {
    permutation.push_back(static_cast<int64_t>(term.letters.find(letter)));
  }
  bool isSame = term.letters == letters;
  return isSame ? term.value : n.transpose(term.value, permutation);
}

/// Two operands as one product of stacks of matrices.
Term contracted(const Node &n, Term lhs, Term rhs, StringRef needed) {
  lhs = reduced(n, std::move(lhs), (needed + rhs.letters).str());
  rhs = reduced(n, std::move(rhs), (needed + lhs.letters).str());
  std::string batch, rows, inner, columns;
  for (char letter : lhs.letters) {
    bool isShared = rhs.letters.find(letter) != std::string::npos;
    (!isShared ? rows : needed.contains(letter) ? batch : inner).push_back(letter);
  }
  for (char letter : rhs.letters) {
    if (lhs.letters.find(letter) == std::string::npos) {
      columns.push_back(letter);
    }
  }
  Value left = inOrder(n, lhs, batch + rows + inner), right = inOrder(n, rhs, batch + inner + columns);
  Sizes ofLeft = n.sizesOf(left), ofRight = n.sizesOf(right);
  ArrayRef<Size> leftSizes = ofLeft, rightSizes = ofRight;
  // A size of 1 on one side stands for the other's.
  Sizes batchSizes, leftMatrix, rightMatrix;
  for (size_t axis = 0; axis < batch.size(); ++axis) {
    bool isOne = !leftSizes[axis].computed && leftSizes[axis].known == 1;
    batchSizes.push_back(isOne ? rightSizes[axis] : leftSizes[axis]);
  }
  llvm::append_range(leftMatrix, leftSizes.take_front(batch.size()));
  leftMatrix.push_back(n.product(leftSizes.slice(batch.size(), rows.size())));
  leftMatrix.push_back(n.product(leftSizes.take_back(inner.size())));
  llvm::append_range(rightMatrix, rightSizes.take_front(batch.size()));
  rightMatrix.push_back(n.product(rightSizes.slice(batch.size(), inner.size())));
  rightMatrix.push_back(n.product(rightSizes.take_back(columns.size())));
  Value product = n.make<r1::MatmulOp>(n.reshape(left, leftMatrix), n.reshape(right, rightMatrix));
  Sizes result = batchSizes;
  llvm::append_range(result, leftSizes.slice(batch.size(), rows.size()));
  llvm::append_range(result, rightSizes.take_back(columns.size()));
  return {batch + rows + columns, n.reshape(product, result)};
}

void einsum(const Node &n) {
  std::string equation = n.text("equation");
  llvm::erase(equation, ' ');
  auto [left, right] = StringRef(equation).split("->");
  bool hasResult = StringRef(equation).contains("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  n.expect(parts.size() == n.inputCount(),
           "the equation must have a term for each of " + Twine(n.inputCount()) + " inputs, found '" + equation + "'");
  // The dimensions that an ellipsis stands for are the same in all terms, counted from the last: digits here.
  int64_t most = 0;
  std::vector<Term> terms;
  for (auto [index, part] : llvm::enumerate(parts)) {
    Value value = n.input(index);
    auto [before, after] = part.split("...");
    int64_t named = static_cast<int64_t>(before.size() + after.size()), rest = Node::rank(value) - named;
    bool hasEllipsis = part.contains("...");
    n.expect(hasEllipsis ? rest >= 0 && rest < 10 : rest == 0,
             "term '" + part + "' does not fit an input of " + Twine(Node::rank(value)) + " dimensions");
    n.expect(llvm::all_of(before, llvm::isAlpha) && llvm::all_of(after, llvm::isAlpha),
             "terms must be letters, found '" + part + "'");
    std::string ellipsis;
    for (int64_t digit = rest; digit-- > 0 && hasEllipsis;) {
      ellipsis.push_back(static_cast<char>('0' + digit));
    }
    most = std::max(most, hasEllipsis ? rest : 0);
    terms.push_back(diagonalOf(n, {(before + ellipsis + after).str(), value}));
  }
  std::string all;
  for (int64_t digit = most; digit-- > 0;) {
    all.push_back(static_cast<char>('0' + digit));
  }
  std::string result;
  if (hasResult) {
    auto [before, after] = right.split("...");
    result = (before + (right.contains("...") ? all : "") + after).str();
  } else { // Letters that stand once, in alphabetical order.
    result = all;
    for (char letter : llvm::concat<const char>(llvm::to_vector(llvm::seq_inclusive('A', 'Z')),
                                                llvm::to_vector(llvm::seq_inclusive('a', 'z')))) {
      if (left.count(letter) == 1) {
        result.push_back(letter);
      }
    }
  }
  Term total = terms.front();
  for (size_t index = 1; index < terms.size(); ++index) {
    std::string needed = result;
    for (size_t later = index + 1; later < terms.size(); ++later) {
      needed += terms[later].letters;
    }
    total = contracted(n, total, terms[index], needed);
  }
  total = reduced(n, total, result);
  for (char letter : result) {
    n.expect(StringRef(total.letters).count(letter) == 1 && StringRef(result).count(letter) == 1,
             "the result must name letters of the terms once, found '" + result + "'");
  }
  n.output(inOrder(n, total, result));
}

constexpr Operator operators[] = {{"Einsum", 12, einsum}, {"Gemm", 1, gemm}, {"MatMul", 1, matMul}};

} // namespace

llvm::ArrayRef<Operator> linearOperators() { return operators; }

} // namespace elah::onnx_import
