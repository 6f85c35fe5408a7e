#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include "tests/codegen/Cuda/Values.h"
#include <algorithm>
#include <numeric>

namespace elah::cuda {
namespace {

constexpr int64_t pageTokens = 64;
constexpr uint16_t nan16 = 0x7fc0;
constexpr uint8_t untouched = 0x5a; ///< What output memory holds before a run.
constexpr int32_t nowhere = 2147480000;

} // namespace

LatentAttentionCase::LatentAttentionCase(const LatentAttentionShape &shape, std::vector<SequenceStep> sequences,
                                         const LatentAttentionData &data)
    : shape(shape) {
  std::mt19937_64 random(data.seed);
  std::normal_distribution<double> normal;
  const int64_t width = shape.rank + shape.ropeDim;
  int64_t tokens = 0, longest = 1, usedPages = 0;
  for (const SequenceStep &sequence : sequences) {
    const int64_t length = sequence.cached + sequence.queried;
    tokens += sequence.queried;
    longest = std::max(longest, length);
    usedPages += (length + pageTokens - 1) / pageTokens;
  }
  const int64_t pagesPerSequence = (longest + pageTokens - 1) / pageTokens + 1, pages = usedPages + 2;
  dims = {tokens, static_cast<int64_t>(sequences.size()), 1, pages * pageTokens, pagesPerSequence};
  bucket = dims;
  bucket[0] += data.unusedTokens;

  // Sequences' pages lie anywhere.
  std::vector<int32_t> order(static_cast<size_t>(pages));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<int32_t> table(sequences.size() * static_cast<size_t>(pagesPerSequence), nowhere);
  std::vector<uint16_t> cache(static_cast<size_t>(pages * pageTokens * width), nan16);
  std::vector<uint16_t> queries(static_cast<size_t>(bucket[0] * shape.heads * width), nan16);
  std::vector<int32_t> positions(static_cast<size_t>(bucket[0]), nowhere), tokenSequence(positions);
  std::vector<double> rows, query(static_cast<size_t>(width));
  expected.resize(static_cast<size_t>(tokens * shape.heads * shape.rank));
  bound.resize(expected.size());
  int64_t token = 0, nextPage = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const int64_t length = sequences[s].cached + sequences[s].queried;
    rows.assign(static_cast<size_t>(length * width), 0);
    for (int64_t position = 0; position < length; ++position) {
      int32_t &page = table[s * static_cast<size_t>(pagesPerSequence) + static_cast<size_t>(position / pageTokens)];
      page = page == nowhere ? order[static_cast<size_t>(nextPage++)] : page;
      for (int64_t i = 0; i < width; ++i) {
        // One column in which all queries are one makes scores grow.
        const double value = i == 0 ? data.growth / shape.scale * static_cast<double>(position) / 1000 : normal(random);
        const uint16_t bits = bf16Of(static_cast<float>(value));
        cache[static_cast<size_t>((page * pageTokens + position % pageTokens) * width + i)] = bits;
        rows[static_cast<size_t>(position * width + i)] = valueOfBF16(bits);
      }
    }
    for (int64_t position = sequences[s].cached; position < length; ++position, ++token) {
      positions[static_cast<size_t>(token)] = static_cast<int32_t>(position);
      tokenSequence[static_cast<size_t>(token)] = static_cast<int32_t>(s);
      for (int64_t head = 0; head < shape.heads; ++head) {
        const size_t result = static_cast<size_t>(token * shape.heads + head);
        for (int64_t i = 0; i < width; ++i) {
          const double deviation = data.spread / shape.scale / std::sqrt(static_cast<double>(width));
          const uint16_t bits = bf16Of(static_cast<float>(i == 0 ? 1 : deviation * normal(random)));
          queries[result * static_cast<size_t>(width) + static_cast<size_t>(i)] = bits;
          query[static_cast<size_t>(i)] = valueOfBF16(bits);
        }
        std::vector<double> scores(static_cast<size_t>(position + 1)), sizes(scores.size());
        for (size_t seen = 0; seen < scores.size(); ++seen) {
          for (size_t i = 0; i < static_cast<size_t>(width); ++i) {
            const double product = shape.scale * query[i] * rows[seen * static_cast<size_t>(width) + i];
            scores[seen] += product;
            sizes[seen] += std::abs(product);
          }
        }
        const double largest = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (double &score : scores) {
          score = std::exp(score - largest);
          sum += score;
        }
        const size_t first = result * static_cast<size_t>(shape.rank);
        for (size_t seen = 0; seen < scores.size(); ++seen) {
          const double probability = scores[seen] / sum;
          // Probabilities are rounded to bf16; their exponents are sums in f32.
          const double error = 1.0 / 256 + 1e-6 * (10 + sizes[seen]);
          for (size_t i = 0; i < static_cast<size_t>(shape.rank); ++i) {
            const double value = probability * rows[seen * static_cast<size_t>(width) + i];
            expected[first + i] += value;
            bound[first + i] += std::abs(value) * error;
          }
        }
        for (size_t i = first; i < first + static_cast<size_t>(shape.rank); ++i) {
          bound[i] += std::abs(expected[i]) / 256;
        }
      }
    }
  }
  std::vector<uint8_t> before(static_cast<size_t>(bucket[0] * shape.heads * shape.rank * 2), untouched);
  operands = {Operand::input(queries),       Operand::input(cache), Operand::input(positions),
              Operand::input(tokenSequence), Operand::input(table), Operand::input(before)};
}

std::string LatentAttentionCase::compare(const std::vector<Operand> &ran) const {
  const std::vector<uint16_t> output = ran[5].as<uint16_t>();
  std::vector<double> found(expected.size());
  for (size_t i = 0; i < output.size(); ++i) {
    const std::string place = "token " + std::to_string(i / static_cast<size_t>(shape.heads * shape.rank)) + ", head " +
                              std::to_string(i / static_cast<size_t>(shape.rank) % static_cast<size_t>(shape.heads)) +
                              ", column " + std::to_string(i % static_cast<size_t>(shape.rank));
    if (i >= expected.size()) {
      if (output[i] != untouched * 0x101) {
        return place + ": written, though the step has no such token";
      }
      continue;
    }
    found[i] = valueOfBF16(output[i]);
    if (!(std::abs(found[i] - expected[i]) <= bound[i])) {
      return place + ": found " + std::to_string(found[i]) + ", expected " + std::to_string(expected[i]) + " +- " +
             std::to_string(bound[i]);
    }
  }
  const double difference = relativeDifference(found, expected);
  return difference < 5e-6 ? "" : "relative difference " + std::to_string(difference * 1e6) + "e-6";
}

std::string LatentAttentionCase::run(std::span<const KernelSpec> kernels, const RunOrder &order) {
  std::vector<Operand> ran = operands;
  RunOutcome outcome = runKernels(kernels, ran, bucket, dims, order);
  lastCounters = outcome.counters;
  if (!outcome.clean()) {
    return outcome.describe();
  }
  lastOutput = ran[5].bytes;
  return compare(ran);
}

std::string LatentAttentionCase::runCompiled(KernelRunner &runner, std::span<const RunnableKernel> kernels,
                                             const RunOrder &order, RunOutcome &outcome) {
  std::vector<Operand> ran = operands;
  outcome = runner.run(kernels, ran, bucket, dims, order);
  return outcome.error.empty() ? compare(ran) : outcome.error;
}

std::string checkLatentAttention(LatentAttentionCase &attention, const LatentAttentionShape &shape,
                                 const LatentAttentionSchedule &schedule, const std::vector<RunOrder> &orders) {
  std::string complaints;
  const std::vector<KernelSpec> kernels = specializeLatentAttention(shape, schedule);
  for (const KernelSpec &spec : kernels) {
    std::string error;
    std::optional<CompiledKernel> compiled = compileForTest(spec, error);
    if (!compiled) {
      return error;
    }
    complaints += complaintsOf(spec, *compiled);
  }
  for (const RunOrder &order : orders) {
    std::string wrong = attention.run(kernels, order);
    if (!wrong.empty()) {
      complaints += kernels[0].symbol + " (" + kernels[0].schedule + "), " + order.describe() + ": " + wrong + "\n";
      break;
    }
  }
  return complaints;
}

} // namespace elah::cuda
