// The products of a mixture of experts: a block is one panel of one expert's weight for that
// expert's rows. Experts without rows are passed over before their weights are touched.
//
// Every chunk of a launch should hold as much as any other, whichever experts are busy. While no expert has more rows
// than stream its weights once, all busy ones take as long: a chunk of blocks stands for that part of the busy experts'
// panels, expert by expert, so that each thread reads few long runs of memory. With more rows blocks are numbered panel
// by panel, all experts of a panel behind each other. (Expert by expert, a chunk would hold experts with many rows, or
// few.)
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
  Value none = k.integer(0), one = k.integer(1), experts = k.integer(packing.getBatch());
  Value panels = k.integer(packing.getPanels());
  auto rowsOf = [&](Value expert) {
    return k.sub(k.loadInteger(offsets, k.add(expert, one)), k.loadInteger(offsets, expert));
  };
  KernelBuilder::Values found = k.loop(none, experts, one, {none, none}, [&](Value expert, ArrayRef<Value> so) {
    Value rows = rowsOf(expert);
    return KernelBuilder::Values{k.add(so[0], k.min(rows, one)), k.max(so[1], rows)};
  });
  Value busyExperts = found[0], mostRows = found[1];
  Value isStreamed = k.less(mostRows, k.integer(mostStreamedRows(k.target, packing, product.compute) + 1));
  // Of all busy experts' panels, this call's.
  Value streamBegin = k.div(k.mul(k.blockBegin, busyExperts), experts);
  Value streamEnd = k.div(k.mul(k.blockEnd, busyExperts), experts);
  k.loop(none, experts, one, {none}, [&](Value expert, ArrayRef<Value> so) {
    Value begin = k.loadInteger(offsets, expert), busyBefore = so[0];
    product.rows = rowsOf(expert);
    // Those of this expert; or the panels p with blockBegin <= p * experts + expert < blockEnd.
    Value before = k.sub(k.integer(packing.getBatch() - 1), expert);
    auto panelAt = [&](Value stream, Value block) {
      Value ofExpert = k.min(k.max(k.sub(stream, k.mul(busyBefore, panels)), none), panels);
      return k.select(isStreamed, ofExpert, k.div(k.add(block, before), experts));
    };
    Value firstPanel = panelAt(streamBegin, k.blockBegin), endPanel = panelAt(streamEnd, k.blockEnd);
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
    return KernelBuilder::Values{k.add(busyBefore, k.min(product.rows, one))};
  });
  return panelProductScratch(k.target, packing, product.compute);
}

} // namespace elah
