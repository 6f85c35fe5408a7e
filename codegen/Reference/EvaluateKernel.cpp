// The oracle of kernels: what each operation of the kernel dialect means, written as its description says it, one
// element after the other. Nothing is shared with the kernels, and nothing clever: only what costs most is done by all
// processors at once.
#include "codegen/Reference/EvaluateKernel.h"
#include "codegen/Reference/EvaluateBody.h"
#include "codegen/Reference/KernelRows.h"
#include "codegen/Reference/LatentRows.h"
#include "dialects/Exec/Exec.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Parallel.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

using namespace mlir;

namespace elah {
namespace {

/// One row of values that are not stored yet.
struct RowOfValues {
  std::vector<double> values;
  void set(int64_t, int64_t column, double value) { values[static_cast<size_t>(column)] = value; }
};

double silu(double x) { return x / (1 + std::exp(-x)); }

class Evaluation {
public:
  Evaluation(ArrayRef<KernelOperand> operands, const std::array<int64_t, 5> &dims, const EvaluateKernelOptions &options)
      : operands(operands), tokens(dims[0]), logitRows(dims[2]), pagesPerSequence(dims[4]), options(options) {}

  void run(kernel::EmbedOp op) {
    Rows ids(of(op.getTokensMutable())), table(of(op.getTableMutable())), output(of(op.getOutputMutable()));
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < output.width; ++i) {
        output.set(t, i, table.get(ids.integer(t), i));
      }
    }
  }

  void run(kernel::RmsNormOp op) {
    Rows input(of(op.getInputMutable())), weight(of(op.getWeightMutable()));
    std::optional<Rows> rows, copy;
    if (op.getRows()) {
      rows.emplace(*optional(op.getRowsMutable()));
    }
    if (op.getCopy()) {
      copy.emplace(*optional(op.getCopyMutable()));
    }
    Values output(of(op.getOutputMutable()), optional(op.getOutputScalesMutable()));
    double epsilon = op.getEpsilon().convertToDouble();
    for (int64_t t = 0; t < (rows ? logitRows : tokens); ++t) {
      int64_t from = rows ? rows->integer(t) : t;
      std::vector<double> values(static_cast<size_t>(input.width));
      double squares = 0;
      for (int64_t i = 0; i < input.width; ++i) {
        values[i] = input.get(from, i);
        squares += values[i] * values[i];
      }
      double factor = 1 / std::sqrt(squares / static_cast<double>(input.width) + epsilon);
      for (int64_t i = 0; i < input.width; ++i) {
        values[i] *= factor * weight.get(i);
      }
      output.set(t, 0, values);
      for (int64_t i = 0; copy && i < input.width; ++i) {
        copy->set(t, i, values[i]);
      }
    }
  }

  void run(kernel::QuantizeOp op) {
    Rows input(of(op.getInputMutable()));
    Values output(of(op.getOutputMutable()), &of(op.getOutputScalesMutable()));
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> values;
      for (int64_t i = 0; i < input.width; ++i) {
        values.push_back(input.get(t, i));
      }
      output.set(t, 0, values);
    }
  }

  void run(kernel::GenericOp op) {
    SmallVector<Rows> inputs;
    for (OpOperand &input : op.getInputsMutable()) {
      inputs.emplace_back(of(input));
    }
    Rows output(of(op.getOutputMutable()));
    bool ofLogits = exec::hasLogitRows(op.getOutput());
    SmallVector<double> elements(inputs.size());
    for (int64_t t = 0; t < (ofLogits ? logitRows : tokens); ++t) {
      for (int64_t i = 0; i < output.width; ++i) {
        for (auto [element, input, value] : llvm::zip_equal(elements, inputs, op.getInputs())) {
          bool isVector = cast<MemRefType>(value.getType()).getRank() == 1;
          element = isVector ? input.get(i) : input.get(t, i);
        }
        output.set(t, i, evaluateBody(op.getBody().front(), elements));
      }
    }
  }

  void run(kernel::DispatchOp op) {
    Rows gather(of(op.getGatherMutable()));
    int64_t count = tokens * exec::rowsOf(op.getGather()).getCoefficient(exec::Dim::Tokens);
    copyRows(of(op.getInputMutable()), of(op.getOutputMutable()), gather, count);
    if (op.getInputScales()) {
      copyRows(*optional(op.getInputScalesMutable()), *optional(op.getOutputScalesMutable()), gather, count);
    }
  }

  void run(kernel::GemmOp op) {
    Values input(of(op.getInputMutable()), optional(op.getInputScalesMutable()));
    Weights weights(op.getPacking(), of(op.getWeightMutable()), optional(op.getScalesMutable()));
    std::optional<Rows> bias;
    if (op.getBias()) {
      bias.emplace(*optional(op.getBiasMutable()));
    }
    bool ofLogits = exec::hasLogitRows(op.getInput());
    product(op.getPacking(), input, weights, 0, 0, ofLogits ? logitRows : tokens,
            {of(op.getOutputMutable()), optional(op.getOutputScalesMutable())}, bias, op.getAccumulate());
  }

  void run(kernel::GroupedGemmOp op) {
    Values input(of(op.getInputMutable()), optional(op.getInputScalesMutable()));
    Weights weights(op.getPacking(), of(op.getWeightMutable()), optional(op.getScalesMutable()));
    Rows offsets(of(op.getOffsetsMutable()));
    assert(!op.getGather() && "rows are dispatched before products of weights in rows");
    for (int64_t expert = 0; expert < op.getPacking().getBatch(); ++expert) {
      product(op.getPacking(), input, weights, expert, offsets.integer(expert), offsets.integer(expert + 1),
              {of(op.getOutputMutable()), optional(op.getOutputScalesMutable())}, std::nullopt, false);
    }
  }

  void run(kernel::HeadGemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    Rows input(of(op.getInputMutable())), output(of(op.getOutputMutable()));
    Weights weights(packing, of(op.getWeightMutable()), nullptr);
    int64_t inputStride = op.getInputStride(), inputOffset = op.getInputOffset(), outputStride = op.getOutputStride(),
            outputOffset = op.getOutputOffset();
    llvm::parallelFor(0, static_cast<size_t>(packing.getBatch()), [&](size_t index) {
      int64_t head = static_cast<int64_t>(index);
      std::vector<std::vector<double>> rows;
      for (int64_t t = 0; t < tokens; ++t) {
        rows.push_back(input.part(t, head * inputStride + inputOffset, packing.getK()));
      }
      for (int64_t n = 0; n < packing.getN(); ++n) {
        std::vector<double> weight = weights.row(head, n);
        for (int64_t t = 0; t < tokens; ++t) {
          output.set(t, head * outputStride + outputOffset + n, dot(rows[t], weight));
        }
      }
    });
  }

  void run(kernel::RouteOp op) {
    Rows logits(of(op.getLogitsMutable())), chosen(of(op.getExpertsMutable())), weights(of(op.getWeightsMutable()));
    std::optional<Rows> bias;
    if (op.getBias()) {
      bias.emplace(*optional(op.getBiasMutable()));
    }
    r1::RoutingAttr routing = op.getRouting();
    int64_t experts = logits.width, groups = routing.getGroups(), size = experts / groups, topK = routing.getTopK();
    constexpr double lowest = -std::numeric_limits<double>::infinity();
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> scores(static_cast<size_t>(experts));
      double largest = lowest, total = 0;
      for (int64_t e = 0; e < experts; ++e) {
        largest = std::max(largest, logits.get(t, e));
      }
      bool isSigmoid = routing.getScoring() == r1::Scoring::Sigmoid;
      for (int64_t e = 0; e < experts; ++e) {
        scores[e] = isSigmoid ? 1 / (1 + std::exp(-logits.get(t, e))) : std::exp(logits.get(t, e) - largest);
        total += scores[e];
      }
      std::vector<double> biased = scores;
      for (int64_t e = 0; e < experts; ++e) {
        scores[e] /= isSigmoid ? 1 : total;
        biased[e] = scores[e] + (bias ? bias->get(e) : 0);
      }
      if (groups > 1) {
        std::vector<double> ranks;
        for (int64_t g = 0; g < groups; ++g) {
          std::vector<double> group(biased.begin() + g * size, biased.begin() + (g + 1) * size);
          llvm::sort(group, std::greater<>());
          bool isTop2 = routing.getGroupScore() == r1::GroupScore::Top2 && size > 1;
          ranks.push_back(group[0] + (isTop2 ? group[1] : 0));
        }
        std::vector<int64_t> order(static_cast<size_t>(groups));
        std::iota(order.begin(), order.end(), 0);
        llvm::stable_sort(order, [&](int64_t a, int64_t b) { return ranks[a] > ranks[b]; });
        for (int64_t g : llvm::drop_begin(order, routing.getTopGroups())) {
          std::fill(biased.begin() + g * size, biased.begin() + (g + 1) * size, lowest);
        }
      }
      std::vector<int64_t> order(static_cast<size_t>(experts));
      std::iota(order.begin(), order.end(), 0);
      llvm::stable_sort(order, [&](int64_t a, int64_t b) { return biased[a] > biased[b]; });
      double sum = 1e-20;
      for (int64_t i = 0; i < topK; ++i) {
        sum += scores[order[i]];
      }
      double factor = routing.getScale().getValueAsDouble() / (routing.getNormalize() ? sum : 1);
      for (int64_t i = 0; i < topK; ++i) {
        chosen.set(t, i, static_cast<double>(order[i]));
        weights.set(t, i, scores[order[i]] * factor);
      }
      for (int64_t i = 0; i < static_cast<int64_t>(op.getShared()); ++i) {
        chosen.set(t, topK + i, static_cast<double>(experts + i));
        weights.set(t, topK + i, 1);
      }
    }
  }

  void run(kernel::ExpertPlanOp op) {
    Rows experts(of(op.getExpertsMutable())), offsets(of(op.getOffsetsMutable())), gather(of(op.getGatherMutable())),
        slots(of(op.getSlotsMutable()));
    int64_t count = operands[op.getOffsetsMutable().getOperandNumber()].type.getDimSize(0) - 1, next = 0;
    for (int64_t expert = 0; expert < count; ++expert) {
      offsets.set(expert, 0, static_cast<double>(next));
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t i = 0; i < experts.width; ++i) {
          if (experts.integer(t, i) == expert) {
            gather.set(next, 0, static_cast<double>(t));
            slots.set(t, i, static_cast<double>(next++));
          }
        }
      }
    }
    offsets.set(count, 0, static_cast<double>(next));
  }

  void run(kernel::CombineOp op) {
    Rows rows(of(op.getRowsMutable())), weights(of(op.getWeightsMutable())), slots(of(op.getSlotsMutable())),
        output(of(op.getOutputMutable()));
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < output.width; ++i) {
        double sum = output.get(t, i);
        for (int64_t k = 0; k < slots.width; ++k) {
          sum += weights.get(t, k) * rows.get(slots.integer(t, k), i);
        }
        output.set(t, i, sum);
      }
    }
  }

  void run(kernel::RopeTableOp op) {
    Rows positions(of(op.getPositionsMutable())), table(of(op.getTableMutable()));
    ArrayRef<double> frequencies = op.getRope().getFrequencies().asArrayRef();
    double scale = op.getRope().getScale().getValueAsDouble();
    int64_t pairs = static_cast<int64_t>(frequencies.size());
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < pairs; ++i) {
        float angle = static_cast<float>(positions.get(t)) * static_cast<float>(frequencies[i]);
        table.set(t, i, scale * std::cos(static_cast<double>(angle)));
        table.set(t, pairs + i, scale * std::sin(static_cast<double>(angle)));
      }
    }
  }

  void run(kernel::RopeAppendOp op) {
    Rows qkv(of(op.getQkvMutable())), cacheRows(of(op.getCacheRowsMutable())), query(of(op.getQueryMutable())),
        keys(of(op.getKeyCacheMutable())), values(of(op.getValueCacheMutable()));
    std::optional<Rows> table;
    if (op.getTable()) {
      table.emplace(*optional(op.getTableMutable()));
    }
    int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), headDim = op.getHeadDim(), valueDim = op.getValueDim();
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t row = cacheRows.integer(t);
      for (int64_t head = 0; head < heads + kvHeads; ++head) {
        bool isKey = head >= heads;
        const Rows &target = isKey ? keys : query;
        int64_t to = (isKey ? head - heads : head) * headDim;
        copyRotated(op.getRopeAttr(), table, t, qkv, head * headDim, headDim, target, isKey ? row : t, to);
      }
      for (int64_t i = 0; i < kvHeads * valueDim; ++i) {
        values.set(row, i, qkv.get(t, (heads + kvHeads) * headDim + i));
      }
    }
  }

  void run(kernel::LatentAppendOp op) {
    Rows query(of(op.getQueryMutable())), latent(of(op.getLatentMutable())), weight(of(op.getNormWeightMutable())),
        cacheRows(of(op.getCacheRowsMutable())), absorbed(of(op.getAbsorbedMutable()));
    LatentCache cache(of(op.getCacheMutable()), op.getFp8Row());
    std::optional<Rows> table(std::in_place, of(op.getTableMutable()));
    int64_t heads = op.getHeads(), nope = op.getNopeDim(), rope = op.getRopeDim(), rank = op.getRank();
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t head = 0; head < heads; ++head) {
        copyRotated(op.getRope(), table, t, query, head * (nope + rope) + nope, rope, absorbed, t,
                    head * (rank + rope) + rank);
      }
      RowOfValues row{std::vector<double>(static_cast<size_t>(rank + rope))};
      double squares = 0;
      for (int64_t i = 0; i < rank; ++i) {
        squares += latent.get(t, i) * latent.get(t, i);
      }
      double factor = 1 / std::sqrt(squares / static_cast<double>(rank) + op.getEpsilon().convertToDouble());
      for (int64_t i = 0; i < rank; ++i) {
        row.set(0, i, latent.get(t, i) * factor * weight.get(i));
      }
      copyRotated(op.getRope(), table, t, latent, rank, rope, row, 0, rank);
      cache.set(cacheRows.integer(t), row.values);
    }
  }

  void run(kernel::AttentionOp op) {
    Rows query(of(op.getQueryMutable())), keys(of(op.getKeyCacheMutable())), values(of(op.getValueCacheMutable())),
        output(of(op.getOutputMutable()));
    int64_t heads = op.getHeads(), group = heads / op.getKvHeads(), headDim = op.getHeadDim(),
            valueDim = op.getValueDim();
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<int64_t> rows = seenBy(op, t);
      llvm::parallelFor(0, static_cast<size_t>(heads), [&](size_t index) {
        int64_t head = static_cast<int64_t>(index);
        attend(query, t, head * headDim, headDim, keys, head / group * headDim, values, head / group * valueDim,
               valueDim, rows, op.getScale().convertToDouble(), output, head * valueDim);
      });
    }
  }

  void run(kernel::LatentAttentionOp op) {
    Rows query(of(op.getQueryMutable())), output(of(op.getOutputMutable()));
    LatentCache cache(of(op.getCacheMutable()), op.getFp8Row());
    int64_t rank = op.getRank(), width = rank + op.getRopeDim();
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<int64_t> rows = seenBy(op, t);
      cache.read(rows);
      llvm::parallelFor(0, op.getHeads(), [&](size_t index) {
        int64_t head = static_cast<int64_t>(index);
        attend(query, t, head * width, width, cache, 0, cache, 0, rank, rows, op.getScale().convertToDouble(), output,
               head * rank);
      });
    }
  }

private:
  const KernelOperand &of(OpOperand &operand) const { return operands[operand.getOperandNumber()]; }
  const KernelOperand *optional(MutableOperandRange range) const {
    return range.empty() ? nullptr : &operands[range[0].getOperandNumber()];
  }

  static void copyRows(const KernelOperand &from, const KernelOperand &to, const Rows &gather, int64_t count) {
    Rows source(from), target(to);
    int64_t size = source.read.bytes();
    for (int64_t r = 0; r < count; ++r) {
      std::memcpy(target.bytes.data() + r * target.stride * size,
                  source.bytes.data() + gather.integer(r) * source.stride * size,
                  static_cast<size_t>(source.width * size));
    }
  }

  struct Output {
    const KernelOperand &rows;
    const KernelOperand *scales;
  };

  /// Rows [first, end) of a product with one matrix.
  void product(kernel::PackingAttr packing, const Values &input, const Weights &weights, int64_t batch, int64_t first,
               int64_t end, Output output, const std::optional<Rows> &bias, bool accumulates) const {
    Values result(output.rows, output.scales);
    int64_t columns = packing.getColumns(), k = packing.getK();
    if (first == end) {
      return;
    }
    std::vector<std::vector<double>> rows;
    for (int64_t t = first; t < end; ++t) {
      std::vector<double> &row = rows.emplace_back();
      for (int64_t i = 0; i < k; ++i) {
        row.push_back(input.get(t, i));
      }
    }
    auto column = [&](int64_t n) {
      std::vector<double> weight = weights.row(batch, n), sums;
      for (const std::vector<double> &row : rows) {
        sums.push_back((bias ? bias->get(n) : 0) + dot(row, weight));
      }
      return sums;
    };
    // Blocks have no byte in common: each is a scale's.
    llvm::parallelFor(0, llvm::divideCeil(static_cast<uint64_t>(columns), 128), [&](size_t index) {
      int64_t block = static_cast<int64_t>(index) * 128, count = std::min<int64_t>(128, columns - block);
      if (!isComputed(block, columns, options)) {
        return;
      }
      std::vector<std::vector<double>> values(rows.size());
      for (int64_t n = block; n < block + count; ++n) {
        std::vector<double> sums = column(n);
        if (packing.getSwiglu()) {
          std::vector<double> ups = column(columns + n);
          for (auto [gate, up] : llvm::zip_equal(sums, ups)) {
            gate = silu(gate) * up;
          }
        }
        for (auto [row, sum] : llvm::zip_equal(values, sums)) {
          row.push_back(sum);
        }
      }
      for (auto [t, row] : llvm::enumerate(values)) {
        int64_t at = first + static_cast<int64_t>(t);
        for (int64_t n = 0; accumulates && n < count; ++n) {
          row[n] += result.get(at, block + n);
        }
        result.set(at, block, row);
      }
    });
  }

  /// `count` values of a row, of which the first rope.getDim() are rotated.
  template <typename To>
  static void copyRotated(r1::RopeAttr rope, const std::optional<Rows> &table, int64_t token, const Rows &from,
                          int64_t first, int64_t count, To &to, int64_t row, int64_t column) {
    int64_t rotated = table ? rope.getDim() : 0, pairs = rotated / 2;
    for (int64_t i = 0; i < pairs; ++i) {
      bool isHalf = rope.getLayout() == r1::RopeLayout::Half;
      int64_t a = isHalf ? i : 2 * i, b = isHalf ? i + pairs : 2 * i + 1;
      double x = from.get(token, first + a), y = from.get(token, first + b);
      double cosine = table->get(token, i), sine = table->get(token, pairs + i);
      to.set(row, column + a, x * cosine - y * sine);
      to.set(row, column + b, y * cosine + x * sine);
    }
    for (int64_t i = rotated; i < count; ++i) {
      to.set(row, column + i, from.get(token, first + i));
    }
  }

  /// The cache rows that token t sees, in order.
  template <typename Attention> std::vector<int64_t> seenBy(Attention op, int64_t t) const {
    Rows positions(of(op.getPositionsMutable())), sequences(of(op.getTokenSequenceMutable())),
        pages(of(op.getPageTableMutable()));
    int64_t pageTokens = op.getPageTokens(), sequence = sequences.integer(t);
    std::vector<int64_t> rows;
    for (int64_t j = 0; j <= positions.integer(t); ++j) {
      rows.push_back(pages.integer(sequence * pagesPerSequence + j / pageTokens) * pageTokens + j % pageTokens);
    }
    return rows;
  }

  template <typename Cache>
  static void attend(const Rows &query, int64_t token, int64_t first, int64_t width, const Cache &keys,
                     int64_t keyFirst, const Cache &values, int64_t valueFirst, int64_t valueWidth,
                     ArrayRef<int64_t> rows, double scale, const Rows &output, int64_t outputFirst) {
    std::vector<double> scores, q = query.part(token, first, width), sums(static_cast<size_t>(valueWidth));
    double largest = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t row : rows) {
      scores.push_back(scale * dot(q, keys.part(row, keyFirst, width)));
      largest = std::max(largest, scores.back());
    }
    for (auto [row, score] : llvm::zip_equal(rows, scores)) {
      double weight = std::exp(score - largest);
      total += weight;
      for (auto [sum, value] : llvm::zip_equal(sums, values.part(row, valueFirst, valueWidth))) {
        sum += weight * value;
      }
    }
    for (int64_t i = 0; i < valueWidth; ++i) {
      output.set(token, outputFirst + i, sums[i] / total);
    }
  }

  ArrayRef<KernelOperand> operands;
  int64_t tokens, logitRows, pagesPerSequence;
  EvaluateKernelOptions options;
};

} // namespace

bool isComputed(int64_t column, int64_t columns, const EvaluateKernelOptions &options) {
  int64_t block = column / 128, last = (columns - 1) / 128;
  return block % options.columnBlockStep == 0 || block == last;
}

llvm::Error evaluateKernel(Operation *op, ArrayRef<KernelOperand> operands, const std::array<int64_t, 5> &dims,
                           const EvaluateKernelOptions &options) {
  assert(op->getNumOperands() == operands.size() && "an operand each");
  if (auto packing = op->getAttrOfType<kernel::PackingAttr>("packing"); packing && !packing.isRows()) {
    return llvm::createStringError("only kernels whose weights lie in rows are evaluated");
  }
  Evaluation evaluation(operands, dims, options);
  return TypeSwitch<Operation *, llvm::Error>(op)
      .Case<kernel::AttentionOp, kernel::CombineOp, kernel::DispatchOp, kernel::EmbedOp, kernel::ExpertPlanOp,
            kernel::GemmOp, kernel::GenericOp, kernel::GroupedGemmOp, kernel::HeadGemmOp, kernel::LatentAppendOp,
            kernel::LatentAttentionOp, kernel::QuantizeOp, kernel::RmsNormOp, kernel::RopeAppendOp, kernel::RopeTableOp,
            kernel::RouteOp>([&](auto known) {
        evaluation.run(known);
        return llvm::Error::success();
      })
      .Default([](Operation *unknown) {
        return llvm::createStringError("no reference for " + unknown->getName().getStringRef());
      });
}

} // namespace elah
