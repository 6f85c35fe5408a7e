// The products of a mixture of experts: a block is one panel of one expert's weight for that
// expert's rows. Experts without rows are passed over before their weights are touched.
//
// Blocks are numbered panel by panel, all experts of a panel behind each other: of a token's few experts, every chunk
// of a launch then holds as much as any other. (Expert by expert, a chunk would hold whole experts, busy ones or none.)
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/PanelProduct.h"

using namespace mlir;

namespace elah {

uint64_t emitGroupedGemm(kernel::GroupedGemmOp op, KernelBuilder &k) {
  unsigned next = 0;
  PanelProduct product;
  kernel::PackingAttr packing = product.packing = op.getPacking();
  product.compute = op.getCompute();
  product.swiglu = op.getActivation() == kernel::Activation::Swiglu;
  product.input = k.buffer(next++);
  product.inputElement = elementOf(op.getInput());
  product.inputStride = op.getGather() ? 0 : rowStride(op.getInput());
  Value weights = k.buffer(next++);
  Value scales = op.getScales() ? k.buffer(next++) : Value();
  Value offsets = k.buffer(next++);
  Value gather = op.getGather() ? k.buffer(next++) : Value();
  product.output = k.buffer(next++);
  product.outputElement = elementOf(op.getOutput());
  product.inputLow = product.compute == kernel::Compute::BF16X2 ? packing.getK() : 0;
  product.outputLow = lowOffset(op.getOutput(), packing.getColumns());
  Value one = k.integer(1), experts = k.integer(packing.getBatch());
  k.loop(k.integer(0), experts, one, [&](Value expert) {
    // The panels p with blockBegin <= p * experts + expert < blockEnd.
    Value before = k.sub(k.integer(packing.getBatch() - 1), expert);
    Value firstPanel = k.div(k.add(k.blockBegin, before), experts);
    Value endPanel = k.div(k.add(k.blockEnd, before), experts);
    Value begin = k.loadInteger(offsets, expert), end = k.loadInteger(offsets, k.add(expert, one));
    product.rows = k.sub(end, begin);
    product.inputIndex = [&](Value row) {
      Value source = k.add(begin, row);
      return k.mul(gather ? k.loadInteger(gather, source) : source, k.integer(rowStride(op.getInput())));
    };
    product.outputIndex = [&](Value row) { return k.mul(k.add(begin, row), k.integer(rowStride(op.getOutput()))); };
    product.weight = k.address(weights, k.mul(expert, k.integer(packing.getMatrixBytes())), k.builder.getI8Type());
    if (scales) {
      int64_t count = packing.getScaleCount() / packing.getBatch();
      product.scales = k.address(scales, k.mul(expert, k.integer(count)), k.f32Type());
    }
    emitPanelProducts(k, product, firstPanel, endPanel);
  });
  return panelProductScratch(k.target, packing, product.compute);
}

} // namespace elah
