// f32 rows as sums of two bf16, for products that are formed in bf16 and lose nothing that shows (bf16x2).
#include "codegen/Cpu/Families.h"

namespace elah {

uint64_t emitSplit(kernel::SplitOp op, KernelBuilder &k) {
  using Value = mlir::Value;
  Value input = k.buffer(0), output = k.buffer(1);
  int64_t width = rowWidth(op.getInput());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value row) {
    Value source = k.mul(row, k.integer(rowStride(op.getInput())));
    Value target = k.mul(row, k.integer(rowStride(op.getOutput())));
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      Value x = k.load(input, k.add(source, i), k.f32Type(), lanes);
      k.store(x, output, k.add(target, i), elementOf(op.getOutput()), lowOffset(op.getOutput(), width));
    });
  });
  return 0;
}

} // namespace elah
