// What is a kernel tried with? Random bytes would do for none of them: offsets must rise, page tables lead into the
// cache, quantized values be numbers. This gives each operand of each operation values that a step could hand to it.
#include "compiler/Verify/RandomOperands.h"
#include "codegen/Reference/EvaluateKernel.h"
#include "codegen/Reference/LatentRows.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <numeric>
#include <random>

using namespace mlir;

namespace elah {
namespace {

using cuda::Operand;

class OperandMaker {
public:
  OperandMaker(exec::KernelOp kernel, const VerifyStep &step, uint64_t seed)
      : kernel(kernel), op(kernel.getKernel()), step(step), random(seed), operands(op->getNumOperands()) {
    unsigned inputs = cast<kernel::KernelOpInterface>(op).getInputCount();
    for (OpOperand &operand : op->getOpOperands()) {
      if (operand.getOperandNumber() < inputs) {
        fillInput(operand);
      } else {
        // Written whole, as far as the step's rows go.
        Operand &output = at(operand);
        output.kind = Operand::Kind::Output;
        output.bytes.resize(bytesOf(operand.get(), step.bucket));
        output.writtenBytes = bytesOf(operand.get(), step.dims);
        if (keepsContents(operand)) {
          keepContents(operand);
        }
      }
    }
    TypeSwitch<Operation *>(op)
        .Case<kernel::EmbedOp, kernel::GenericOp, kernel::RmsNormOp, kernel::QuantizeOp, kernel::DispatchOp,
              kernel::GemmOp, kernel::GroupedGemmOp, kernel::HeadGemmOp, kernel::RouteOp, kernel::ExpertPlanOp,
              kernel::CombineOp, kernel::RopeTableOp, kernel::RopeAppendOp, kernel::AttentionOp, kernel::LatentAppendOp,
              kernel::LatentAttentionOp>([&](auto known) { fill(known); });
  }

  std::vector<Operand> take() { return std::move(operands); }

private:
  //===--- Memory ---===//
  int64_t rowsOf(Value operand, const std::array<int64_t, 5> &dims) const {
    return exec::rowsOf(operand).evaluate(dims);
  }
  size_t bytesOf(Value operand, const std::array<int64_t, 5> &dims) const {
    auto type = cast<MemRefType>(operand.getType());
    int64_t element = std::max<int64_t>(1, type.getElementTypeBitWidth() / 8);
    return static_cast<size_t>(rowsOf(operand, dims) * kernel::pitchOf(type) * element);
  }
  Operand &at(OpOperand &operand) { return operands[operand.getOperandNumber()]; }

  //===--- Values ---===//
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(std::max<int64_t>(1, bound)));
  }
  double uniform(double from, double to) {
    return from + (to - from) * (static_cast<double>(random() >> 11) * 0x1p-53);
  }
  /// Near enough to a normal distribution of deviation one: four uniform numbers' sum.
  double normal() { return (uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1)) * std::sqrt(0.75); }
  /// e4m3 of 2^-3 .. 2^2 and either sign: no NaN, no subnormal numbers.
  uint8_t quantized() { return static_cast<uint8_t>((random() & 0x87) | ((4 + below(5)) << 3)); }

  void fillValues(OpOperand &operand, double deviation) {
    auto type = cast<MemRefType>(operand.get().getType());
    Operand &values = at(operand);
    values.bytes.resize(bytesOf(operand.get(), step.bucket));
    Type element = type.getElementType();
    int64_t count = static_cast<int64_t>(values.bytes.size()) / std::max(1u, element.getIntOrFloatBitWidth() / 8);
    for (int64_t i = 0; i < count; ++i) {
      if (isa<Float8E4M3FNType>(element)) {
        values.bytes[static_cast<size_t>(i)] = quantized();
      } else {
        storeElement(element, values.bytes, i, normal() * deviation);
      }
    }
  }
  void fillPositive(OpOperand &operand, double from, double to) {
    Operand &values = at(operand);
    values.bytes.resize(bytesOf(operand.get(), step.bucket));
    for (size_t i = 0; i < values.bytes.size() / sizeof(float); ++i) {
      float value = static_cast<float>(uniform(from, to));
      std::memcpy(values.bytes.data() + i * sizeof(float), &value, sizeof(float));
    }
  }
  /// Multiples of 1/64, so that equal values are frequent and different ones never nearly equal.
  void fillCoarse(OpOperand &operand, int64_t levels) {
    Operand &values = at(operand);
    values.bytes.resize(bytesOf(operand.get(), step.bucket));
    for (size_t i = 0; i < values.bytes.size() / sizeof(float); ++i) {
      float value = static_cast<float>(below(2 * levels + 1) - levels) / 64;
      std::memcpy(values.bytes.data() + i * sizeof(float), &value, sizeof(float));
    }
  }
  void fillInput(OpOperand &operand) {
    if (!cast<MemRefType>(operand.get().getType()).getElementType().isInteger()) {
      fillValues(operand, 1);
    }
  }
  void isWeight(OpOperand &operand) { at(operand).kind = Operand::Kind::Weight; }
  /// The operation writes only some of it, or adds to it.
  void keepContents(OpOperand &operand) {
    at(operand).kind = Operand::Kind::Input;
    at(operand).writtenBytes = std::nullopt;
    if (cast<MemRefType>(operand.get().getType()).getElementType().isInteger()) {
      at(operand).bytes.resize(bytesOf(operand.get(), step.bucket));
    } else {
      fillValues(operand, 1);
    }
  }
  void setIntegers(OpOperand &operand, ArrayRef<int32_t> values) {
    Operand &integers = at(operand);
    integers.bytes.assign(bytesOf(operand.get(), step.bucket), 0);
    assert(values.size() * sizeof(int32_t) <= integers.bytes.size() && "no more than the bucket holds");
    std::memcpy(integers.bytes.data(), values.data(), values.size() * sizeof(int32_t));
  }
  std::vector<int32_t> randomIntegers(int64_t count, int64_t bound) {
    std::vector<int32_t> values;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<int32_t>(below(bound)));
    }
    return values;
  }
  template <typename T> void shuffle(std::vector<T> &values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
    }
  }
  int64_t tokens() const { return step.dims[0]; }

  //===--- Products ---===//
  static OpOperand *optional(MutableOperandRange range) { return range.empty() ? nullptr : &range[0]; }

  /// Weights of a deviation that leaves products around one.
  void fillWeights(OpOperand &operand, OpOperand *scales, kernel::PackingAttr packing) {
    Operand &weights = at(operand);
    weights.kind = Operand::Kind::Weight;
    weights.bytes.resize(bytesOf(operand.get(), step.bucket));
    double deviation = 1 / std::sqrt(static_cast<double>(packing.getK()));
    if (packing.getFormat() == kernel::Format::F8) {
      for (uint8_t &byte : weights.bytes) {
        byte = quantized();
      }
    } else if (packing.isInteger()) {
      for (uint8_t &byte : weights.bytes) {
        byte = static_cast<uint8_t>(below(256));
      }
      deviation /= packing.getFormat() == kernel::Format::U4 ? 4.6 : 74; // Of integers that are all as likely.
    } else {
      MLIRContext *context = op->getContext();
      Type element = packing.getFormat() == kernel::Format::BF16  ? Type(BFloat16Type::get(context))
                     : packing.getFormat() == kernel::Format::F16 ? Type(Float16Type::get(context))
                                                                  : Type(Float32Type::get(context));
      int64_t count = static_cast<int64_t>(weights.bytes.size()) / (element.getIntOrFloatBitWidth() / 8);
      for (int64_t i = 0; i < count; ++i) {
        storeElement(element, weights.bytes, i, normal() * deviation);
      }
    }
    if (scales) {
      fillPositive(*scales, deviation / 2, deviation);
      isWeight(*scales);
      if (packing.getZeros()) { // Behind the scales of each block.
        Operand &values = at(*scales);
        int64_t columns = packing.getPanel(), count = packing.getScaleCount();
        Type f32 = Float32Type::get(op->getContext());
        for (int64_t i = 0; i < count; ++i) {
          if (i / columns % 2 == 1) {
            storeElement(f32, values.bytes, i, static_cast<double>(below(1 << packing.getElementBits())));
          }
        }
      }
    }
  }
  void fillInputScales(MutableOperandRange scales) {
    if (OpOperand *operand = optional(scales)) {
      fillPositive(*operand, 0.25, 1);
    }
  }

  //===--- Operations ---===//
  void fill(kernel::EmbedOp embed) {
    int64_t vocabulary = cast<MemRefType>(embed.getTable().getType()).getDimSize(0);
    setIntegers(embed.getTokensMutable(), randomIntegers(tokens(), vocabulary));
    isWeight(embed.getTableMutable());
  }
  void fill(kernel::RmsNormOp norm) {
    fillPositive(norm.getWeightMutable(), 0.5, 1.5);
    isWeight(norm.getWeightMutable());
    if (OpOperand *rows = optional(norm.getRowsMutable())) {
      setIntegers(*rows, randomIntegers(step.dims[2], tokens()));
    }
  }
  void fill(kernel::GenericOp generic) {
    for (OpOperand &input : generic.getInputsMutable()) {
      if (cast<MemRefType>(input.get().getType()).getRank() == 1) {
        isWeight(input);
      }
    }
  }
  void fill(kernel::QuantizeOp) {}
  void fill(kernel::DispatchOp dispatch) {
    fillInputScales(dispatch.getInputScalesMutable());
    int64_t rows = rowsOf(dispatch.getGather(), step.dims);
    std::vector<int32_t> gather;
    for (int64_t row = 0; row < rows; ++row) {
      gather.push_back(static_cast<int32_t>(row % tokens()));
    }
    shuffle(gather);
    setIntegers(dispatch.getGatherMutable(), gather);
  }
  void fill(kernel::GemmOp gemm) {
    fillInputScales(gemm.getInputScalesMutable());
    fillWeights(gemm.getWeightMutable(), optional(gemm.getScalesMutable()), gemm.getPacking());
    if (OpOperand *bias = optional(gemm.getBiasMutable())) {
      isWeight(*bias);
    }
  }
  void fill(kernel::GroupedGemmOp gemm) {
    fillInputScales(gemm.getInputScalesMutable());
    fillWeights(gemm.getWeightMutable(), optional(gemm.getScalesMutable()), gemm.getPacking());
    // Some experts have no rows, others many.
    int64_t experts = gemm.getPacking().getBatch(), rows = rowsOf(gemm.getInput(), step.dims);
    std::vector<int32_t> offsets(static_cast<size_t>(experts) + 1, 0);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t expert = row % 4 == 0 ? below(std::min<int64_t>(experts, 3)) : below(experts);
      ++offsets[static_cast<size_t>(expert) + 1];
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    setIntegers(gemm.getOffsetsMutable(), offsets);
  }
  void fill(kernel::HeadGemmOp gemm) { fillWeights(gemm.getWeightMutable(), nullptr, gemm.getPacking()); }
  void fill(kernel::RouteOp route) {
    fillCoarse(route.getLogitsMutable(), 256);
    if (OpOperand *bias = optional(route.getBiasMutable())) {
      fillCoarse(*bias, 8);
      isWeight(*bias);
    }
  }
  void fill(kernel::ExpertPlanOp plan) {
    int64_t experts = cast<MemRefType>(plan.getOffsets().getType()).getDimSize(0) - 1;
    int64_t chosen = cast<MemRefType>(plan.getExperts().getType()).getDimSize(1);
    std::vector<int32_t> order(static_cast<size_t>(experts)), choices;
    std::iota(order.begin(), order.end(), 0);
    for (int64_t token = 0; token < tokens(); ++token) {
      shuffle(order);
      choices.insert(choices.end(), order.begin(), order.begin() + chosen);
    }
    setIntegers(plan.getExpertsMutable(), choices);
  }
  void fill(kernel::CombineOp combine) {
    fillPositive(combine.getWeightsMutable(), 0, 1);
    std::vector<int32_t> slots(static_cast<size_t>(rowsOf(combine.getRows(), step.dims)));
    std::iota(slots.begin(), slots.end(), 0);
    shuffle(slots);
    setIntegers(combine.getSlotsMutable(), slots);
  }
  void fill(kernel::RopeTableOp table) {
    setIntegers(table.getPositionsMutable(), randomIntegers(tokens(), step.maxPosition + 1));
  }
  void fill(kernel::RopeAppendOp append) {
    if (OpOperand *table = optional(append.getTableMutable())) {
      fillRotations(*table);
    }
    setIntegers(append.getCacheRowsMutable(), someCacheRows());
  }
  void fill(kernel::LatentAppendOp append) {
    fillPositive(append.getNormWeightMutable(), 0.5, 1.5);
    isWeight(append.getNormWeightMutable());
    fillRotations(append.getTableMutable());
    setIntegers(append.getCacheRowsMutable(), someCacheRows());
    fillLatents(append.getCacheMutable(), append.getFp8Row());
  }
  void fill(kernel::AttentionOp attention) {
    fillSequences(attention.getPositionsMutable(), attention.getTokenSequenceMutable(),
                  attention.getPageTableMutable());
  }
  void fill(kernel::LatentAttentionOp attention) {
    fillLatents(attention.getCacheMutable(), attention.getFp8Row());
    fillSequences(attention.getPositionsMutable(), attention.getTokenSequenceMutable(),
                  attention.getPageTableMutable());
  }

  /// Rows of an FP8 cache, if it is one.
  void fillLatents(OpOperand &operand, std::optional<kernel::Fp8LatentRow> layout) {
    if (!layout) {
      return;
    }
    Operand &cache = at(operand);
    cache.bytes.assign(bytesOf(operand.get(), step.bucket), 0);
    for (size_t at = 0; at < cache.bytes.size(); at += static_cast<size_t>(layout->bytes())) {
      std::vector<double> values;
      for (int64_t i = 0; i < layout->rank + layout->ropeDim; ++i) {
        values.push_back(normal());
      }
      storeLatentRow(*layout, std::span<uint8_t>(cache.bytes).subspan(at, static_cast<size_t>(layout->bytes())),
                     values);
    }
  }

  /// Cosines, and behind them sines, of any angles.
  void fillRotations(OpOperand &operand) {
    auto type = cast<MemRefType>(operand.get().getType());
    Operand &table = at(operand);
    table.bytes.resize(bytesOf(operand.get(), step.bucket));
    int64_t half = type.getDimSize(1) / 2;
    for (int64_t row = 0; row < rowsOf(operand.get(), step.bucket); ++row) {
      for (int64_t i = 0; i < half; ++i) {
        double angle = uniform(0, 6.28);
        storeElement(type.getElementType(), table.bytes, row * 2 * half + i, std::cos(angle));
        storeElement(type.getElementType(), table.bytes, row * 2 * half + half + i, std::sin(angle));
      }
    }
  }
  /// Different rows for all tokens.
  std::vector<int32_t> someCacheRows() {
    std::vector<int32_t> rows(static_cast<size_t>(step.dims[3]));
    std::iota(rows.begin(), rows.end(), 0);
    shuffle(rows);
    rows.resize(static_cast<size_t>(tokens()));
    return rows;
  }
  /// Sequences of unequal lengths, the first few tokens in chunks, then one token each, and the pages that they lie in.
  void fillSequences(OpOperand &positions, OpOperand &tokenSequence, OpOperand &pageTable) {
    int64_t sequences = step.dims[1], pagesPerSequence = step.dims[4], pages = step.dims[3] / step.pageTokens;
    std::vector<int64_t> lengths(static_cast<size_t>(sequences), 1);
    for (int64_t token = sequences; token < tokens(); ++token) {
      ++lengths[static_cast<size_t>(below(std::min<int64_t>(sequences, 3)))];
    }
    std::vector<int32_t> tokenPositions, of, table(static_cast<size_t>(sequences * pagesPerSequence), 0);
    std::vector<int32_t> free(static_cast<size_t>(pages));
    std::iota(free.begin(), free.end(), 0);
    shuffle(free);
    size_t next = 0;
    for (int64_t sequence = 0; sequence < sequences; ++sequence) {
      int64_t length = lengths[static_cast<size_t>(sequence)];
      int64_t first = below(std::max<int64_t>(1, step.maxPosition + 2 - length));
      for (int64_t i = 0; i < length; ++i) {
        tokenPositions.push_back(static_cast<int32_t>(first + i));
        of.push_back(static_cast<int32_t>(sequence));
      }
      for (int64_t page = 0; page * step.pageTokens < first + length; ++page) {
        // Where the cache is too small for all of them, sequences share pages, as those with one prompt could.
        table[static_cast<size_t>(sequence * pagesPerSequence + page)] = free[next++ % free.size()];
      }
    }
    setIntegers(positions, tokenPositions);
    setIntegers(tokenSequence, of);
    // Its rows are sequences, whose width is not in its type.
    table.resize(static_cast<size_t>(step.bucket[1] * pagesPerSequence), 0);
    at(pageTable).bytes.resize(table.size() * sizeof(int32_t));
    std::memcpy(at(pageTable).bytes.data(), table.data(), at(pageTable).bytes.size());
  }

  exec::KernelOp kernel;
  Operation *op;
  const VerifyStep &step;
  std::mt19937_64 random;
  std::vector<Operand> operands;
};

} // namespace

bool keepsContents(OpOperand &output) {
  Operation *op = output.getOwner();
  const unsigned number = output.getOperandNumber();
  auto type = cast<MemRefType>(output.get().getType());
  if (kernel::pitchOf(type) != kernel::widthOf(type)) {
    return true;
  }
  auto elementOf = [&](unsigned operand) {
    return cast<MemRefType>(op->getOperand(operand).getType()).getElementType();
  };
  // Of quantized rows: padding behind a row's blocks need not be written.
  if (number > cast<kernel::KernelOpInterface>(op).getInputCount() && isa<Float8E4M3FNType>(elementOf(number - 1)) &&
      elementOf(number).isF32()) {
    return true;
  }
  return TypeSwitch<Operation *, bool>(op)
      .Case([](kernel::GemmOp gemm) { return gemm.getAccumulate(); })
      .Case([](kernel::HeadGemmOp gemm) {
        return gemm.getPacking().getN() != static_cast<int64_t>(gemm.getOutputStride());
      })
      .Case([&](kernel::RopeAppendOp append) { return number != append.getQueryMutable().getOperandNumber(); })
      .Case<kernel::CombineOp, kernel::LatentAppendOp>([](Operation *) { return true; })
      .Default([](Operation *) { return false; });
}

std::vector<Operand> randomOperands(exec::KernelOp kernel, const VerifyStep &step, uint64_t seed) {
  return OperandMaker(kernel, step, seed).take();
}

} // namespace elah
