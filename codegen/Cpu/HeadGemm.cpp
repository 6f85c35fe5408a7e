// One product per head on slices of the rows, as latent attention needs to absorb its up
// projections: a block is one panel of one head's matrix for all rows.
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/PanelProduct.h"

using namespace mlir;

namespace elah {

uint64_t emitHeadGemm(kernel::HeadGemmOp op, KernelBuilder &k) {
  PanelProduct product;
  kernel::PackingAttr packing = product.packing = op.getPacking();
  product.compute = op.getCompute();
  product.input = k.buffer(0);
  product.inputElement = elementOf(op.getInput());
  product.inputStride = rowStride(op.getInput());
  Value weights = k.buffer(1);
  product.output = k.buffer(2);
  product.outputElement = elementOf(op.getOutput());
  bool isSplit = product.compute == kernel::Compute::BF16X2;
  product.inputLow = isSplit ? packing.getBatch() * static_cast<int64_t>(op.getInputStride()) : 0;
  product.outputLow = lowOffset(op.getOutput(), packing.getBatch() * static_cast<int64_t>(op.getOutputStride()));
  product.rows = k.rows(op.getOutput());
  auto sliceOf = [&](Value head, Value row, Value buffer, int64_t stride, int64_t offset) {
    Value column = k.add(k.mul(head, k.integer(stride)), k.integer(offset));
    return k.add(k.mul(row, k.integer(rowStride(buffer))), column);
  };
  forEachMatrix(k, packing, [&](Value head, Value firstPanel, Value endPanel) {
    product.inputIndex = [&, head](Value row) {
      return sliceOf(head, row, op.getInput(), op.getInputStride(), op.getInputOffset());
    };
    product.outputIndex = [&, head](Value row) {
      return sliceOf(head, row, op.getOutput(), op.getOutputStride(), op.getOutputOffset());
    };
    product.weight = k.address(weights, k.mul(head, k.integer(packing.getMatrixBytes())), k.builder.getI8Type());
    emitPanelProducts(k, product, firstPanel, endPanel);
  });
  return panelProductScratch(k.target, packing, product.compute);
}

} // namespace elah
