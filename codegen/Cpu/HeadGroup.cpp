// Where the rows of queries, of the cache and of the output lie.
#include "codegen/Cpu/HeadGroup.h"

using namespace mlir;

namespace elah {

Value HeadGroup::queryIndex(KernelBuilder &k, Value token, Value head) const {
  Value row = k.add(k.mul(token, k.integer(queryRow)), queryOffset);
  return k.add(row, k.mul(head, k.integer(keyDim)));
}

Value HeadGroup::outputIndex(KernelBuilder &k, Value token, Value head) const {
  Value row = k.add(k.mul(token, k.integer(outputRow)), outputOffset);
  return k.add(row, k.mul(head, k.integer(valueDim)));
}

Value TokenRun::cacheRow(KernelBuilder &k, const HeadGroup &heads, Value position) const {
  Value pageTokens = k.integer(heads.pageTokens);
  Value page = k.loadInteger(heads.pageTable, k.add(pageRow, k.div(position, pageTokens)));
  return k.add(k.mul(page, pageTokens), k.rem(position, pageTokens));
}

} // namespace elah
