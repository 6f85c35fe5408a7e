// Bookkeeping of the conversion: buffers, and what holds which value of the model.
#include "compiler/Conversion/R1ToExec/ProgramBuilder.h"

using namespace mlir;

namespace elah {
namespace {

unsigned bitWidth(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementTypeBitWidth(); }

/// How wide the elements are that a product reads.
unsigned bitWidth(kernel::Compute compute) {
  return compute == kernel::Compute::F32 ? 32 : compute == kernel::Compute::F8 ? 8 : 16;
}

} // namespace

ProgramBuilder::ProgramBuilder(exec::ProgramOp program, StepState state, const LoweringTarget &target,
                               const Precision &precision, Type cacheElement, int64_t pageTokens)
    : builder(OpBuilder::atBlockEnd(&program.getBody().front())), state(state), target(target), precision(precision),
      cacheElement(cacheElement), pageTokens(pageTokens),
      weights(program->getParentOfType<ModuleOp>(), builder, target) {}

exec::ExtentAttr ProgramBuilder::tokens(int64_t factor) const {
  return exec::ExtentAttr::get(builder.getContext(), exec::Dim::Tokens).times(factor);
}

exec::ExtentAttr ProgramBuilder::logitRows() const {
  return exec::ExtentAttr::get(builder.getContext(), exec::Dim::LogitRows);
}

Value ProgramBuilder::alloc(Location loc, exec::ExtentAttr rows, int64_t columns, Type element) {
  bool isStatic = rows.getCoefficients().empty();
  SmallVector<int64_t> shape = {isStatic ? rows.getConstant() : ShapedType::kDynamic};
  if (columns > 0) {
    shape.push_back(columns);
  }
  return exec::AllocOp::create(builder, loc, MemRefType::get(shape, element), rows, IntegerAttr());
}

Value ProgramBuilder::columns(Location loc, Value buffer, int64_t first, int64_t count) {
  if (first == 0 && cast<MemRefType>(buffer.getType()).getDimSize(1) == count) {
    return buffer;
  }
  if (auto view = buffer.getDefiningOp<exec::ViewOp>()) {
    return columns(loc, view.getSource(), static_cast<int64_t>(view.getColumn()) + first, count);
  }
  return exec::ViewOp::create(builder, loc, buffer, first, count);
}

Value ProgramBuilder::input(exec::Input input) {
  Value &buffer = inputs[input];
  if (!buffer) {
    auto type = MemRefType::get({ShapedType::kDynamic}, builder.getI32Type());
    buffer = exec::InputOp::create(builder, builder.getUnknownLoc(), type, input);
  }
  return buffer;
}

Value ProgramBuilder::cache(Location loc, int64_t pool, int64_t layer, int64_t width) {
  auto type = MemRefType::get({ShapedType::kDynamic, width}, cacheElement);
  return exec::CacheOp::create(builder, loc, type, pool, layer);
}

Value ProgramBuilder::ropeTable(Location loc, r1::RopeAttr rope) {
  Value &table = tables[rope];
  if (!table) {
    table = alloc(loc, tokens(), rope.getDim(), builder.getF32Type());
    kernel::RopeTableOp::create(builder, loc, input(exec::Input::Positions), table, rope);
  }
  return table;
}

void ProgramBuilder::bind(Value activation, Value buffer) { bound[{activation, bitWidth(buffer)}] = buffer; }

void ProgramBuilder::bindLogitRows(Value activation, Value buffer) {
  boundLogitRows[{activation, bitWidth(buffer)}] = buffer;
}

bool ProgramBuilder::isBound(Value activation) const {
  return bound.contains({activation, 32}) || bound.contains({activation, 16});
}

Value ProgramBuilder::rows(Value activation) const {
  Value buffer = bound.lookup({activation, 32});
  return buffer ? buffer : as(kernel::Compute::BF16, activation);
}

Value ProgramBuilder::f32(Value activation) const { return as(kernel::Compute::F32, activation); }

Value ProgramBuilder::as(kernel::Compute compute, Value activation) const {
  Value buffer = bound.lookup({activation, bitWidth(compute)});
  assert(buffer && "whoever makes a value asks Precision in which types it is read");
  return buffer;
}

Value ProgramBuilder::logitRowsOf(Value activation, kernel::Compute compute) const {
  return boundLogitRows.lookup({activation, bitWidth(compute)});
}

Value ProgramBuilder::allocFor(kernel::Compute compute, Location loc, exec::ExtentAttr rows, int64_t width) {
  if (compute == kernel::Compute::F8) {
    Value quantized = alloc(loc, rows, width, Float8E4M3FNType::get(builder.getContext()));
    scales[quantized] = alloc(loc, rows, kernel::scalesOfRow(width), builder.getF32Type());
    return quantized;
  }
  Type element = compute == kernel::Compute::F32 ? Type(builder.getF32Type()) : Type(builder.getBF16Type());
  int64_t count = compute == kernel::Compute::BF16X2 ? 2 * width : width, stride = count;
  if (target.hasAmxBF16 && compute != kernel::Compute::F32) {
    // AMX loads 16 rows at a time. An odd number of cache lines from one to the next, they lie in different sets.
    constexpr int64_t lineValues = 32;
    stride = (llvm::divideCeil(count, lineValues) | 1) * lineValues;
  }
  return columns(loc, alloc(loc, rows, stride, element), 0, count);
}

Value ProgramBuilder::convertFor(kernel::Compute compute, Location loc, Value rows) {
  if (compute != kernel::Compute::BF16X2 && compute != kernel::Compute::F8) {
    return rows;
  }
  Value output = allocFor(compute, loc, exec::rowsOf(rows), cast<MemRefType>(rows.getType()).getDimSize(1));
  if (compute == kernel::Compute::F8) {
    kernel::QuantizeOp::create(builder, loc, rows, output, scalesOf(output));
  } else {
    kernel::SplitOp::create(builder, loc, rows, output);
  }
  return output;
}

void ProgramBuilder::gemm(Location loc, kernel::Compute compute, Value input, ArrayRef<r1::WeightAttr> matrices,
                          ArrayRef<r1::WeightAttr> bias, Value output, kernel::Activation activation, bool accumulate) {
  PackedWeight weight = weights.panels(loc, matrices, /*batch=*/1, compute, activation == kernel::Activation::Swiglu);
  count(weight, 1);
  Value biasVector;
  if (!bias.empty()) {
    biasVector = weights.vector(loc, bias);
    countBytes(weight.packing.getN() * 4);
  }
  kernel::GemmOp::create(builder, loc, input, scalesOf(input), weight.bytes, weight.scales, biasVector, output,
                         scalesOf(output), weight.packing, compute, activation, accumulate);
}

void ProgramBuilder::count(const PackedWeight &weight, int64_t share) {
  kernel::PackingAttr packing = weight.packing;
  int64_t scaleBytes = packing.isScaled() ? packing.getScaleCount() / packing.getBatch() * 4 : 0;
  activeBytes += share * (packing.getMatrixBytes() + scaleBytes);
  flops += share * 2 * packing.getN() * packing.getK();
}

} // namespace elah
