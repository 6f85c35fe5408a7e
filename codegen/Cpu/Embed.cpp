// Token embedding: copies each token's row of the table, widened to f32.
#include "codegen/Cpu/Families.h"

namespace elah {

uint64_t emitEmbed(kernel::EmbedOp op, KernelBuilder &k) {
  using Value = mlir::Value;
  Value tokens = k.buffer(0), table = k.buffer(1), output = k.buffer(2);
  int64_t width = rowWidth(op.getTable());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value token) {
    Value source = k.mul(k.loadInteger(tokens, token), k.integer(width));
    Value target = k.mul(token, k.integer(rowStride(op.getOutput())));
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      Value row = k.load(table, k.add(source, i), elementOf(op.getTable()), lanes);
      k.store(row, output, k.add(target, i), k.f32Type());
    });
  });
  return 0;
}

} // namespace elah
