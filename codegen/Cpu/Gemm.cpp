// A matrix product: a block is one panel of columns for all rows.
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/PanelProduct.h"

using namespace mlir;

namespace elah {

uint64_t emitGemm(kernel::GemmOp op, KernelBuilder &k) {
  unsigned next = 0;
  PanelProduct product;
  product.packing = op.getPacking();
  product.compute = op.getCompute();
  product.swiglu = op.getActivation() == kernel::Activation::Swiglu;
  product.accumulate = op.getAccumulate();
  product.input = k.buffer(next++);
  product.inputElement = elementOf(op.getInput());
  product.inputStride = rowStride(op.getInput());
  product.weight = k.buffer(next++);
  product.scales = op.getScales() ? k.buffer(next++) : Value();
  product.bias = op.getBias() ? k.buffer(next++) : Value();
  product.output = k.buffer(next++);
  product.outputElement = elementOf(op.getOutput());
  product.inputLow = product.compute == kernel::Compute::BF16X2 ? product.packing.getK() : 0;
  product.outputLow = lowOffset(op.getOutput(), product.packing.getColumns());
  product.rows = k.rows(op.getOutput());
  product.inputIndex = [&](Value row) { return k.mul(row, k.integer(rowStride(op.getInput()))); };
  product.outputIndex = [&](Value row) { return k.mul(row, k.integer(rowStride(op.getOutput()))); };
  emitPanelProducts(k, product, k.blockBegin, k.blockEnd);
  return panelProductScratch(k.target, product.packing, product.compute);
}

} // namespace elah
