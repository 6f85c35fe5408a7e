// RMSNorm (Zhang and Sennrich 2019): two passes over a row that fits the first-level cache, the sum of squares in as
// many partial sums as a register has lanes.
#include "codegen/Cpu/Families.h"

namespace elah {

uint64_t emitRmsNorm(kernel::RmsNormOp op, KernelBuilder &k) {
  using Value = mlir::Value;
  Value input = k.buffer(0), weight = k.buffer(1), output = k.buffer(op.getRows() ? 3 : 2);
  Value rows = op.getRows() ? k.buffer(2) : Value();
  Value copy = op.getCopy() ? k.buffer(op.getRows() ? 4 : 3) : Value();
  int64_t width = rowWidth(op.getInput());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value row) {
    Value sourceRow = rows ? k.loadInteger(rows, row) : row;
    Value source = k.mul(sourceRow, k.integer(rowStride(op.getInput())));
    Value target = k.mul(row, k.integer(rowStride(op.getOutput())));
    Value squares = k.sumOfPieces(width, [&](Value i, int64_t lanes) {
      Value x = k.load(input, k.add(source, i), k.f32Type(), lanes);
      return k.mul(x, x);
    });
    Value mean = k.mul(squares, k.number(1.0 / static_cast<double>(width)));
    Value factor = k.div(k.number(1), k.sqrt(k.add(mean, k.number(op.getEpsilon().convertToDouble()))));
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      Value x = k.load(input, k.add(source, i), k.f32Type(), lanes);
      Value y = k.mul(k.mul(x, factor), k.load(weight, i, k.f32Type(), lanes));
      k.store(y, output, k.add(target, i), elementOf(op.getOutput()), lowOffset(op.getOutput(), width));
      if (copy) {
        Value place = k.add(k.mul(row, k.integer(rowStride(op.getCopy()))), i);
        k.store(y, copy, place, elementOf(op.getCopy()), lowOffset(op.getCopy(), width));
      }
    });
  });
  return 0;
}

} // namespace elah
