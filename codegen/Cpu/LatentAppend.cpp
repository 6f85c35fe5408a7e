// What MLA keeps of a token: its latent after RMSNorm and the one rotated key part that all heads share. The rotated
// query parts go where the absorbed query is assembled; the other part of it comes from a product per head.
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/Rotation.h"

using namespace mlir;

namespace elah {

uint64_t emitLatentAppend(kernel::LatentAppendOp op, KernelBuilder &k) {
  Value query = k.buffer(0), latent = k.buffer(1), weight = k.buffer(2), table = k.buffer(3), cacheRows = k.buffer(4),
        absorbed = k.buffer(5), cache = k.buffer(6);
  int64_t heads = op.getHeads(), nope = op.getNopeDim(), rotated = op.getRopeDim(), rank = op.getRank();
  Type cacheElement = elementOf(op.getCache());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value token) {
    Value angles = k.mul(token, k.integer(rotated));
    Value queryRow = k.mul(token, k.integer(rowStride(op.getQuery())));
    Value absorbedRow = k.mul(token, k.integer(rowStride(op.getAbsorbed())));
    k.loop(k.integer(0), k.integer(heads), k.integer(1), [&](Value head) {
      Value from = k.add(queryRow, k.add(k.mul(head, k.integer(nope + rotated)), k.integer(nope)));
      Value to = k.add(absorbedRow, k.add(k.mul(head, k.integer(rank + rotated)), k.integer(rank)));
      emitRotation(k, op.getRope(), query, from, table, angles, absorbed, to, k.f32Type());
    });
    Value source = k.mul(token, k.integer(rowStride(op.getLatent())));
    Value row = k.mul(k.loadInteger(cacheRows, token), k.integer(rank + rotated));
    Value squares = k.sumOfPieces(rank, [&](Value i, int64_t lanes) {
      Value x = k.load(latent, k.add(source, i), k.f32Type(), lanes);
      return k.mul(x, x);
    });
    Value mean = k.mul(squares, k.number(1.0 / static_cast<double>(rank)));
    Value factor = k.div(k.number(1), k.sqrt(k.add(mean, k.number(op.getEpsilon().convertToDouble()))));
    k.forEachPiece(rank, [&](Value i, int64_t lanes) {
      Value x = k.load(latent, k.add(source, i), k.f32Type(), lanes);
      Value y = k.mul(k.mul(x, factor), k.load(weight, i, k.f32Type(), lanes));
      k.store(y, cache, k.add(row, i), cacheElement);
    });
    emitRotation(k, op.getRope(), latent, k.add(source, k.integer(rank)), table, angles, cache,
                 k.add(row, k.integer(rank)), cacheElement);
  });
  return 0;
}

} // namespace elah
