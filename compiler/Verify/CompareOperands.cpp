// What makes an output right: values as near as their type allows, whole numbers that are equal, and not a byte changed
// where the operation writes none.
#include "compiler/Verify/CompareOperands.h"
#include "codegen/Reference/LatentRows.h"
#include "codegen/Reference/RelativeDifference.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace elah {
namespace {

/// How far an output of that type may be from the reference, which rounds the same value to it: a fraction of the
/// elements is rounded the other way.
double boundOf(Type element) { return isa<Float8E4M3FNType>(element) ? 1e-4 : element.isF32() ? 1e-6 : 1e-5; }

class Comparison {
public:
  Comparison(exec::KernelOp kernel, const EvaluateKernelOptions &options, const ComparedOperands &operands,
             KernelVerdict &verdict, const std::string &where)
      : op(kernel.getKernel()), options(options), initial(operands.initial), expected(operands.expected),
        actual(operands.actual), verdict(verdict), where(where) {
    for (unsigned i = cast<kernel::KernelOpInterface>(op).getInputCount(); i < op->getNumOperands(); ++i) {
      auto type = cast<MemRefType>(op->getOperand(i).getType());
      auto append = dyn_cast<kernel::LatentAppendOp>(op);
      if (append && i == append.getCacheMutable().getOperandNumber() && append.getFp8Row()) {
        compareLatents(i, *append.getFp8Row());
        continue;
      }
      bool isQuantized = isa<Float8E4M3FNType>(type.getElementType());
      compare(i, type, isQuantized ? std::optional<unsigned>(i + 1) : std::nullopt);
      if (isQuantized) {
        ++i; // Scales are compared as part of what they scale.
      }
    }
  }

private:
  void compare(unsigned operand, MemRefType type, std::optional<unsigned> scales) {
    Type element = type.getElementType();
    const int64_t width = kernel::widthOf(type), pitch = kernel::pitchOf(type);
    const int64_t size = element.getIntOrFloatBitWidth() / 8;
    const int64_t elements =
        static_cast<int64_t>(actual[operand].writtenBytes.value_or(actual[operand].bytes.size())) / size;
    const bool keeps = actual[operand].kind != cuda::Operand::Kind::Output;
    const bool isProduct = op->hasAttr("packing") && !isa<kernel::HeadGemmOp>(op);
    RelativeDifference vectors;
    for (int64_t i = 0; i < elements; ++i) {
      int64_t row = i / pitch, column = i % pitch;
      bool isUntouched = keeps && equal(initial[operand], expected[operand], i, size);
      if (isProduct && column < width && !isComputed(column, width, options)) {
        continue;
      }
      double x = value(expected[operand], scales, expected, element, row, column, i);
      double y = value(actual[operand], scales, actual, element, row, column, i);
      bool isEqual = equal(expected[operand], actual[operand], i, size);
      if (element.isInteger() && !isEqual) {
        fail(operand, row, column, x, y);
        return;
      }
      if (isUntouched && !isEqual && std::fabs(x - y) > 0.02 * std::fabs(x)) {
        verdict.errors.push_back(place(operand, row, column) + " was overwritten with " +
                                 llvm::formatv("{0}", y).str());
        return;
      }
      if (std::isnan(y) != std::isnan(x)) {
        fail(operand, row, column, x, y);
        return;
      }
      if (!isUntouched && !std::isnan(x)) {
        vectors.add(x, y);
      }
    }
    judge(operand, vectors, boundOf(element));
  }

  /// Rows of an FP8 cache.
  void compareLatents(unsigned operand, const kernel::Fp8LatentRow &layout) {
    const size_t size = static_cast<size_t>(layout.bytes());
    RelativeDifference vectors;
    for (int64_t row = 0; row < static_cast<int64_t>(actual[operand].bytes.size() / size); ++row) {
      auto bytesOf = [&](ArrayRef<cuda::Operand> operands) {
        return std::span<const uint8_t>(operands[operand].bytes).subspan(static_cast<size_t>(row) * size, size);
      };
      const std::span<const uint8_t> wanted = bytesOf(expected), found = bytesOf(actual);
      if (llvm::equal(wanted, bytesOf(initial))) {
        if (!llvm::equal(wanted, found)) {
          verdict.errors.push_back(place(operand, row, 0) + " was overwritten");
          return;
        }
        continue;
      }
      for (int64_t column = 0; column < layout.rank + layout.ropeDim; ++column) {
        double x = loadFromLatentRow(layout, wanted, column), y = loadFromLatentRow(layout, found, column);
        if (std::isnan(x) != std::isnan(y)) {
          fail(operand, row, column, x, y);
          return;
        }
        vectors.add(x, y);
      }
    }
    judge(operand, vectors, 1e-4); // As other e4m3.
  }

  void judge(unsigned operand, const RelativeDifference &vectors, double bound) {
    double difference = vectors.value();
    if (difference / bound >= verdict.difference / std::max(verdict.bound, 1e-30) || verdict.bound == 0) {
      verdict.difference = difference;
      verdict.bound = bound;
    }
    if (difference > bound) {
      verdict.errors.push_back(llvm::formatv("{0}: operand {1} differs from the reference by {2:e}, allowed is {3:e}",
                                             where, operand, difference, bound)
                                   .str());
    }
  }

  static bool equal(const cuda::Operand &a, const cuda::Operand &b, int64_t i, int64_t size) {
    return std::memcmp(a.bytes.data() + i * size, b.bytes.data() + i * size, static_cast<size_t>(size)) == 0;
  }
  double value(const cuda::Operand &operand, std::optional<unsigned> scales, ArrayRef<cuda::Operand> of, Type element,
               int64_t row, int64_t column, int64_t index) const {
    std::span<const uint8_t> bytes(operand.bytes);
    double scale = 1;
    if (scales) {
      auto type = cast<MemRefType>(op->getOperand(*scales).getType());
      scale = loadElement(type.getElementType(), std::span<const uint8_t>(of[*scales].bytes),
                          row * type.getDimSize(1) + column / 128);
    }
    return loadElement(element, bytes, index) * scale;
  }
  std::string place(unsigned operand, int64_t row, int64_t column) const {
    return llvm::formatv("{0}: operand {1}, row {2}, column {3}", where, operand, row, column).str();
  }
  void fail(unsigned operand, int64_t row, int64_t column, double expected, double found) {
    verdict.errors.push_back(place(operand, row, column) +
                             llvm::formatv(" should be {0}, found {1}", expected, found).str());
  }

  Operation *op;
  const EvaluateKernelOptions &options;
  ArrayRef<cuda::Operand> initial, expected, actual;
  KernelVerdict &verdict;
  const std::string &where;
};

} // namespace

void compareOperands(exec::KernelOp kernel, const EvaluateKernelOptions &options, const ComparedOperands &operands,
                     const std::string &where, KernelVerdict &verdict) {
  Comparison(kernel, options, operands, verdict, where);
}

} // namespace elah
