#include "tests/codegen/Cuda/GemmCase.h"
#include "codegen/Cuda/Rounding.h"
#include "tests/codegen/Cuda/Values.h"
#include <algorithm>
#include <cmath>
#include <random>

namespace elah::cuda {
namespace {

constexpr uint8_t untouched = 0x5a; ///< What output memory holds before a run.

int64_t blocksOf(int64_t elements) { return (elements + 127) / 128; }

/// A matrix as kernels see it, and its values.
struct Matrix {
  std::vector<uint8_t> bytes;
  std::vector<float> scales;
  std::vector<float> values; ///< [rows][columns], without padding.
};

/// Values about one in size.
void fill(Matrix &matrix, size_t byte, int64_t index, GemmElement element, std::mt19937_64 &random) {
  std::normal_distribution<float> normal;
  if (element == GemmElement::F8) {
    uint8_t bits = static_cast<uint8_t>(random());
    bits = (bits & 0x7f) == 0x7f ? 0x38 : bits; // No NaN.
    matrix.bytes[byte] = bits;
    matrix.values[index] = static_cast<float>(valueOfE4M3(bits));
  } else {
    uint16_t bits = bf16Of(normal(random));
    std::memcpy(&matrix.bytes[byte], &bits, 2);
    matrix.values[index] = static_cast<float>(valueOfBF16(bits));
  }
}

float randomScale(std::mt19937_64 &random) { return std::uniform_real_distribution<float>(0.002f, 0.02f)(random); }

double silu(double x) { return x / (1 + std::exp(-x)); }

} // namespace

GemmCase::GemmCase(const GemmProblem &problem, int64_t tokens, int64_t bucketTokens, uint64_t seed)
    : problem(problem), dims{tokens, 1, tokens, 64, 1}, bucket{bucketTokens, 1, bucketTokens, 64, 1} {
  std::mt19937_64 random(seed);
  const bool isF8 = problem.element == GemmElement::F8, hasExperts = problem.batch == GemmBatch::Experts;
  const int64_t elementBytes = problem.elementBytes(), depth = problem.depth, columns = problem.columns;
  const int64_t heads = problem.batch == GemmBatch::Heads ? problem.batches : 1;
  const int64_t weightRows = columns * problem.halves();
  stepRows = hasExperts ? tokens * problem.rowsOfToken : tokens;
  bucketRows = hasExperts ? bucketTokens * problem.rowsOfToken : bucketTokens;

  // The input, NaN where the step holds nothing.
  Matrix input;
  input.bytes.assign(static_cast<size_t>(bucketRows * problem.inputPitch * elementBytes), 0xff);
  input.values.resize(static_cast<size_t>(heads * stepRows * depth));
  const int64_t scalePitch = roundUp(blocksOf(depth), 4);
  input.scales.assign(static_cast<size_t>(bucketRows * scalePitch), std::nanf(""));
  for (int64_t row = 0; row < stepRows; ++row) {
    for (int64_t block = 0; block < blocksOf(depth); ++block) {
      input.scales[row * scalePitch + block] = randomScale(random);
    }
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t k = 0; k < depth; ++k) {
        int64_t element = row * problem.inputPitch + head * problem.inputStride + problem.inputOffset + k;
        fill(input, static_cast<size_t>(element * elementBytes), (head * stepRows + row) * depth + k, problem.element,
             random);
      }
    }
  }

  // The weights.
  Matrix weight;
  const int64_t blocksOfHalf = blocksOf(columns);
  weight.bytes.assign(static_cast<size_t>(problem.batches * weightRows * problem.weightPitch() * elementBytes), 0xff);
  weight.values.resize(static_cast<size_t>(problem.batches * weightRows * depth));
  for (int64_t i = 0; i < problem.batches * problem.halves() * blocksOfHalf * blocksOf(depth); ++i) {
    weight.scales.push_back(randomScale(random));
  }
  for (int64_t row = 0; row < problem.batches * weightRows; ++row) {
    for (int64_t k = 0; k < depth; ++k) {
      fill(weight, static_cast<size_t>((row * problem.weightPitch() + k) * elementBytes), row * depth + k,
           problem.element, random);
    }
  }
  std::vector<float> bias;
  if (problem.hasBias) {
    for (int64_t i = 0; i < weightRows; ++i) {
      bias.push_back(std::normal_distribution<float>()(random));
    }
  }
  // Experts: some rows each, every fourth none.
  std::vector<int32_t> offsets = {0};
  for (int64_t expert = 0; hasExperts && expert < problem.batches; ++expert) {
    int64_t left = stepRows - offsets.back(), share = 2 * stepRows / problem.batches + 1;
    int64_t mine = expert % 4 == 1 ? 0 : static_cast<int64_t>(random() % static_cast<uint64_t>(share + 1));
    mine = expert + 1 == problem.batches ? left : std::min(left, mine);
    offsets.push_back(static_cast<int32_t>(offsets.back() + mine));
  }

  operands = {Operand::input(input.bytes)};
  if (isF8) {
    operands.push_back(Operand::input(input.scales));
  }
  operands.push_back(Operand::weight(weight.bytes));
  if (isF8) {
    operands.push_back(Operand::weight(weight.scales));
  }
  if (problem.hasBias) {
    operands.push_back(Operand::weight(bias));
  }
  if (hasExperts) {
    operands.push_back(Operand::input(offsets));
  }
  outputOperand = operands.size();
  const bool isF32 = problem.output == GemmOutput::F32 || problem.output == GemmOutput::F32Add;
  const int64_t outputBytes = isF32 ? 4 : problem.output == GemmOutput::SwigluF8 ? 1 : 2;
  std::vector<uint8_t> before(static_cast<size_t>(bucketRows * problem.outputPitch * outputBytes), untouched);
  std::vector<float> residual(before.size() / 4);
  if (problem.output == GemmOutput::F32Add) {
    for (float &value : residual) {
      value = std::normal_distribution<float>()(random);
    }
    std::memcpy(before.data(), residual.data(), before.size());
  }
  operands.push_back(Operand::input(before));
  if (problem.output == GemmOutput::SwigluF8) {
    std::vector<float> scales(static_cast<size_t>(bucketRows * roundUp(blocksOf(columns), 4)));
    std::memset(scales.data(), untouched, scales.size() * 4);
    operands.push_back(Operand::input(scales));
  }

  expected.resize(static_cast<size_t>(heads * stepRows * columns));
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t row = 0; row < stepRows; ++row) {
      int64_t matrix = head;
      if (hasExperts) {
        matrix = std::upper_bound(offsets.begin(), offsets.end(), row) - offsets.begin() - 1;
      }
      for (int64_t column = 0; column < columns; ++column) {
        double sums[2] = {0, 0};
        for (int64_t half = 0; half < problem.halves(); ++half) {
          const int64_t weightRow = matrix * weightRows + half * columns + column;
          for (int64_t block = 0; block < blocksOf(depth); ++block) {
            double sum = 0;
            for (int64_t k = block * 128; k < std::min(depth, block * 128 + 128); ++k) {
              sum += static_cast<double>(input.values[(head * stepRows + row) * depth + k]) *
                     weight.values[weightRow * depth + k];
            }
            if (isF8) {
              int64_t scaleRow = (matrix * problem.halves() + half) * blocksOfHalf + column / 128;
              sum *= static_cast<double>(input.scales[row * scalePitch + block]) *
                     weight.scales[scaleRow * blocksOf(depth) + block];
            }
            sums[half] += sum;
          }
          sums[half] += bias.empty() ? 0 : bias[half * columns + column];
        }
        double result = problem.isSwiglu() ? silu(sums[0]) * sums[1] : sums[0];
        if (problem.output == GemmOutput::F32Add) {
          result += residual[row * problem.outputPitch + column];
        }
        expected[(head * stepRows + row) * columns + column] = result;
      }
    }
  }
}

std::string GemmCase::compare(const std::vector<Operand> &ran) const {
  const std::vector<uint8_t> &bytes = ran[outputOperand].bytes, &before = operands[outputOperand].bytes;
  const int64_t heads = problem.batch == GemmBatch::Heads ? problem.batches : 1, columns = problem.columns;
  const bool isF32 = problem.output == GemmOutput::F32 || problem.output == GemmOutput::F32Add;
  const bool isF8 = problem.output == GemmOutput::SwigluF8;
  const size_t outputBytes = isF32 ? 4 : isF8 ? 1 : 2;
  std::vector<bool> isMine(bytes.size() / outputBytes);
  std::vector<double> found(expected.size());
  double largest = 0;
  for (double value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  std::vector<float> scales;
  const int64_t scalePitch = roundUp(blocksOf(columns), 4);
  if (isF8) {
    scales = ran[outputOperand + 1].as<float>();
  }
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t row = 0; row < stepRows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        const size_t element = static_cast<size_t>(row * problem.outputPitch + head * problem.outputStride +
                                                   problem.outputOffset + column);
        const size_t index = static_cast<size_t>((head * stepRows + row) * columns + column);
        isMine[element] = true;
        double bound;
        if (isF32) {
          float value;
          std::memcpy(&value, &bytes[element * 4], 4);
          found[index] = value;
          bound = 2e-6 * largest;
        } else if (isF8) {
          const double scale = scales[row * scalePitch + column / 128];
          found[index] = valueOfE4M3(bytes[element]) * scale;
          // Half a step of 3 bits of mantissa, or of the smallest numbers.
          bound = std::abs(expected[index]) / 16 * 1.001 + scale * std::ldexp(1, -10) + 2e-6 * largest;
        } else {
          uint16_t value;
          std::memcpy(&value, &bytes[element * 2], 2);
          found[index] = valueOfBF16(value);
          bound = std::abs(expected[index]) / 256 * 1.001 + 2e-6 * largest;
        }
        if (!(std::abs(found[index] - expected[index]) <= bound)) {
          return "row " + std::to_string(row) + ", column " + std::to_string(column) + ", head " +
                 std::to_string(head) + ": found " + std::to_string(found[index]) + ", expected " +
                 std::to_string(expected[index]);
        }
      }
    }
  }
  double difference = relativeDifference(found, expected);
  if (!(difference < (isF32 ? 1e-11 : isF8 ? 1e-3 : 5e-6))) {
    return "relative difference " + std::to_string(difference * 1e6) + "e-6";
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (!isMine[i / outputBytes] && bytes[i] != before[i]) {
      return "wrote element " + std::to_string(i / outputBytes) + " of row " +
             std::to_string(i / outputBytes / static_cast<size_t>(problem.outputPitch)) + ", which is not its own";
    }
  }
  if (!isF8) {
    return "";
  }
  // Scales: the largest of a row's 128 columns over 448.
  for (int64_t row = 0; row < bucketRows; ++row) {
    for (int64_t block = 0; block < scalePitch; ++block) {
      const float scale = scales[row * scalePitch + block];
      if (row >= stepRows || block >= blocksOf(columns)) {
        uint32_t bits;
        std::memcpy(&bits, &scale, 4);
        if (bits != untouched * 0x01010101u) {
          return "wrote scale " + std::to_string(block) + " of row " + std::to_string(row) + ", which is not its own";
        }
        continue;
      }
      double most = 1e-4;
      for (int64_t column = block * 128; column < std::min(columns, block * 128 + 128); ++column) {
        most = std::max(most, std::abs(expected[row * columns + column]));
      }
      if (!(std::abs(scale - most / 448) <= 1e-5 * most / 448 + 2e-6 * largest / 448)) {
        return "scale " + std::to_string(block) + " of row " + std::to_string(row) + ": found " +
               std::to_string(scale) + ", expected " + std::to_string(most / 448);
      }
    }
  }
  return "";
}

GemmCase::Observed GemmCase::observe(const KernelSpec &spec, const RunOrder &order) {
  std::vector<Operand> ran = operands;
  Observed observed{runKernels({&spec, 1}, ran, bucket, dims, order), ""};
  lastCounters = observed.outcome.counters;
  lastOutput = ran[outputOperand].bytes;
  if (observed.outcome.error.empty()) {
    observed.wrong = compare(ran);
  }
  return observed;
}

std::string GemmCase::run(const KernelSpec &spec, const RunOrder &order) {
  const Observed observed = observe(spec, order);
  return observed.outcome.clean() ? observed.wrong : observed.outcome.describe();
}

std::string checkGemm(GemmCase &gemm, const KernelSpec &spec, const std::vector<RunOrder> &orders) {
  return checkInOrders({&spec, 1}, orders, [&](const RunOrder &order) { return gemm.run(spec, order); });
}

} // namespace elah::cuda
