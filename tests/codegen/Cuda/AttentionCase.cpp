#include "tests/codegen/Cuda/AttentionCase.h"
#include "tests/codegen/Cuda/LatentRows.h"
#include <algorithm>
#include <numeric>

namespace elah::cuda {
namespace {

constexpr int64_t pageTokens = 64;
constexpr uint16_t nan16 = 0x7fc0;
constexpr uint8_t untouched = 0x5a; ///< What output memory holds before a run.
constexpr int32_t nowhere = 2147480000;

} // namespace

AttentionCase::AttentionCase(const AttentionProblem &problem, const std::vector<SequenceStep> &sequences,
                             const AttentionData &data)
    : problem(problem) {
  std::mt19937_64 random(data.seed);
  std::normal_distribution<double> normal;
  const int64_t width = problem.keyDim, keyWidth = problem.kvHeads * width,
                valueWidth = problem.kvHeads * problem.valueDim, group = problem.heads / problem.kvHeads;
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
  std::vector<uint16_t> keyCache(static_cast<size_t>(dims[3] * keyWidth), nan16),
      valueCache(static_cast<size_t>(dims[3] * valueWidth), nan16);
  const kernel::Fp8LatentRow latentRow{problem.valueDim, problem.keyDim - problem.valueDim};
  std::vector<uint8_t> fp8Cache(problem.isFp8 ? static_cast<size_t>(dims[3] * latentRow.bytes()) : 0, 0xff);
  std::vector<uint16_t> queries(static_cast<size_t>(bucket[0] * problem.heads * width), nan16);
  std::vector<int32_t> positions(static_cast<size_t>(bucket[0]), nowhere), tokenSequence(positions);
  expected.resize(static_cast<size_t>(tokens * problem.heads * problem.valueDim));
  bound.resize(expected.size());
  int64_t token = 0, nextPage = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const int64_t length = sequences[s].cached + sequences[s].queried;
    std::vector<double> keys(static_cast<size_t>(length * keyWidth)), values(static_cast<size_t>(length * valueWidth));
    for (int64_t position = 0; position < length; ++position) {
      int32_t &page = table[s * static_cast<size_t>(pagesPerSequence) + static_cast<size_t>(position / pageTokens)];
      page = page == nowhere ? order[static_cast<size_t>(nextPage++)] : page;
      const int64_t row = page * pageTokens + position % pageTokens;
      for (int64_t i = 0; i < keyWidth; ++i) {
        // One column in which all queries are one makes scores grow.
        const bool isFirst = i % width == 0;
        const double value =
            isFirst ? data.growth / problem.scale * static_cast<double>(position) / 1000 : normal(random);
        const uint16_t bits = bf16Of(static_cast<float>(value));
        keyCache[static_cast<size_t>(row * keyWidth + i)] = bits;
        keys[static_cast<size_t>(position * keyWidth + i)] = valueOfBF16(bits);
      }
      if (problem.isFp8) {
        // Blocks of one row are of different sizes, too.
        std::vector<double> latent(&keys[static_cast<size_t>(position * keyWidth)],
                                   &keys[static_cast<size_t>(position * keyWidth)] + keyWidth);
        for (int64_t i = 1; i < latentRow.rank; ++i) {
          latent[static_cast<size_t>(i)] *= std::ldexp(1, static_cast<int>((position + 3 * (i / 128)) % 4) - 2);
        }
        uint8_t *const bytes = &fp8Cache[static_cast<size_t>(row * latentRow.bytes())];
        storeLatentRow(latentRow, latent, bytes);
        for (int64_t i = 0; i < keyWidth; ++i) {
          keys[static_cast<size_t>(position * keyWidth + i)] = valueInLatentRow(latentRow, bytes, i);
        }
      }
      for (int64_t i = 0; i < valueWidth; ++i) {
        double &value = values[static_cast<size_t>(position * valueWidth + i)];
        if (problem.valuesAreInKeys) {
          value = keys[static_cast<size_t>(position * keyWidth + i)];
          continue;
        }
        const uint16_t bits = bf16Of(static_cast<float>(normal(random)));
        valueCache[static_cast<size_t>(row * valueWidth + i)] = bits;
        value = valueOfBF16(bits);
      }
    }
    for (int64_t position = sequences[s].cached; position < length; ++position, ++token) {
      positions[static_cast<size_t>(token)] = static_cast<int32_t>(position);
      tokenSequence[static_cast<size_t>(token)] = static_cast<int32_t>(s);
      for (int64_t head = 0; head < problem.heads; ++head) {
        const size_t result = static_cast<size_t>(token * problem.heads + head);
        std::vector<double> query(static_cast<size_t>(width));
        for (int64_t i = 0; i < width; ++i) {
          const double deviation = data.spread / problem.scale / std::sqrt(static_cast<double>(width));
          const uint16_t bits = bf16Of(static_cast<float>(i == 0 ? 1 : deviation * normal(random)));
          queries[result * static_cast<size_t>(width) + static_cast<size_t>(i)] = bits;
          query[static_cast<size_t>(i)] = valueOfBF16(bits);
        }
        std::vector<double> scores(static_cast<size_t>(position + 1)), sizes(scores.size());
        for (size_t seen = 0; seen < scores.size(); ++seen) {
          const double *key = &keys[seen * static_cast<size_t>(keyWidth) + static_cast<size_t>(head / group * width)];
          for (size_t i = 0; i < static_cast<size_t>(width); ++i) {
            const double product = problem.scale * query[i] * key[i];
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
        const size_t columns = static_cast<size_t>(problem.valueDim), first = result * columns;
        for (size_t seen = 0; seen < scores.size(); ++seen) {
          const double *value =
              &values[seen * static_cast<size_t>(valueWidth) + static_cast<size_t>(head / group) * columns];
          const double probability = scores[seen] / sum;
          // Probabilities are rounded to bf16; their exponents are sums in f32.
          const double error = 1.0 / 256 + 1e-6 * (10 + sizes[seen]);
          for (size_t i = 0; i < columns; ++i) {
            expected[first + i] += probability * value[i];
            bound[first + i] += std::abs(probability * value[i]) * error;
          }
        }
        for (size_t i = first; i < first + columns; ++i) {
          bound[i] += std::abs(expected[i]) / 256;
        }
      }
    }
  }
  std::vector<uint8_t> before(static_cast<size_t>(bucket[0] * problem.heads * problem.valueDim * 2), untouched);
  operands = {Operand::input(queries), problem.isFp8 ? Operand::input(fp8Cache) : Operand::input(keyCache)};
  if (!problem.valuesAreInKeys) {
    operands.push_back(Operand::input(valueCache));
  }
  for (const std::vector<int32_t> &numbers : {positions, tokenSequence, table}) {
    operands.push_back(Operand::input(numbers));
  }
  operands.push_back(Operand::input(before));
}

std::string AttentionCase::compare(const std::vector<Operand> &ran) const {
  const std::vector<uint16_t> output = ran.back().as<uint16_t>();
  std::vector<double> found(expected.size());
  for (size_t i = 0; i < output.size(); ++i) {
    const std::string place =
        "token " + std::to_string(i / static_cast<size_t>(problem.heads * problem.valueDim)) + ", head " +
        std::to_string(i / static_cast<size_t>(problem.valueDim) % static_cast<size_t>(problem.heads)) + ", column " +
        std::to_string(i % static_cast<size_t>(problem.valueDim));
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

std::string AttentionCase::run(std::span<const KernelSpec> kernels, const RunOrder &order) {
  RunOutcome outcome;
  std::string wrong = run(kernels, order, outcome);
  return outcome.clean() ? wrong : outcome.describe();
}

std::string AttentionCase::run(std::span<const KernelSpec> kernels, const RunOrder &order, RunOutcome &outcome) {
  std::vector<Operand> ran = operands;
  outcome = runKernels(kernels, ran, bucket, dims, order);
  lastCounters = outcome.counters;
  lastOutput = ran.back().bytes;
  return outcome.error.empty() ? compare(ran) : outcome.error;
}

std::string AttentionCase::runCompiled(KernelRunner &runner, std::span<const RunnableKernel> kernels,
                                       const RunOrder &order, RunOutcome &outcome) {
  std::vector<Operand> ran = operands;
  outcome = runner.run(kernels, ran, bucket, dims, order);
  return outcome.error.empty() ? compare(ran) : outcome.error;
}

std::string AttentionCase::check(std::span<const KernelSpec> kernels, const std::vector<RunOrder> &orders) {
  return checkInOrders(kernels, orders, [&](const RunOrder &order) { return run(kernels, order); });
}

} // namespace elah::cuda
