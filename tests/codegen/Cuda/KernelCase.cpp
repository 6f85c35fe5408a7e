#include "tests/codegen/Cuda/KernelCase.h"
#include "codegen/Cuda/Rounding.h"
#include <algorithm>

namespace elah::cuda {
namespace {

constexpr uint8_t unwritten = 0x5a;

template <typename T> T elementOf(const std::vector<uint8_t> &bytes, size_t index) {
  T value;
  std::memcpy(&value, &bytes[index * sizeof(T)], sizeof(T));
  return value;
}

double valueOf(Memory memory, const std::vector<uint8_t> &bytes, size_t index) {
  return memory == Memory::F32    ? static_cast<double>(elementOf<float>(bytes, index))
         : memory == Memory::BF16 ? valueOfBF16(elementOf<uint16_t>(bytes, index))
                                  : elementOf<int32_t>(bytes, index);
}

/// `name` of `part`, of a launch's counters as JSON.
int64_t counterOf(const std::string &json, const std::string &part, const std::string &name) {
  const size_t begin = json.find("\"" + part + "\":{"), at = json.find("\"" + name + "\":", begin);
  return begin == std::string::npos || at == std::string::npos ? -1 : std::stoll(json.substr(at + name.size() + 3));
}

bool isUnchanged(const Operand &before, const Operand &after, size_t byte, size_t count) {
  return std::memcmp(&before.bytes[byte], &after.bytes[byte], count) == 0;
}

} // namespace

std::vector<double> rowsOfBucket(std::vector<double> values, int64_t width, int64_t bucketRows) {
  values.resize(static_cast<size_t>(width * bucketRows), untouched);
  return values;
}

KernelCase &KernelCase::output(Memory memory, std::vector<double> expected, Bound bound,
                               const std::vector<float> &before) {
  std::vector<uint8_t> bytes(expected.size() * (memory == Memory::BF16 ? 2 : 4), unwritten);
  if (!before.empty()) {
    std::memcpy(bytes.data(), before.data(), bytes.size());
  }
  expectations.push_back({operands.size(), memory, std::move(expected), bound});
  return add(Operand::input(bytes));
}

KernelCase &KernelCase::quantizedOutput(const std::vector<double> &expected, int64_t width, int64_t bucketRows,
                                        double error) {
  const int64_t pitch = roundUp(width, 16), scales = roundUp((width + 127) / 128, 4);
  quantized.push_back({operands.size(), expected, width, error});
  add(Operand::input(std::vector<uint8_t>(static_cast<size_t>(bucketRows * pitch), unwritten)));
  return add(Operand::input(std::vector<uint8_t>(static_cast<size_t>(bucketRows * scales * 4), unwritten)));
}

KernelCase &KernelCase::checkedOutput(size_t bytes, Check check) {
  checks.emplace_back(operands.size(), std::move(check));
  return add(Operand::input(std::vector<uint8_t>(bytes, unwritten)));
}

std::string KernelCase::compare(const std::vector<Operand> &ran, const Expectation &expected) const {
  const Operand &before = operands[expected.operand], &after = ran[expected.operand];
  const size_t size = expected.memory == Memory::BF16 ? 2 : 4;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const std::string place = "element " + std::to_string(i) + " of operand " + std::to_string(expected.operand);
    if (std::isnan(expected.values[i])) {
      if (!isUnchanged(before, after, i * size, size)) {
        return "wrote " + place;
      }
      continue;
    }
    const double found = valueOf(expected.memory, after.bytes, i);
    const double bound = std::abs(expected.values[i]) * expected.bound.relative + expected.bound.absolute;
    if (!(std::abs(found - expected.values[i]) <= bound)) {
      return place + ": found " + std::to_string(found) + ", expected " + std::to_string(expected.values[i]);
    }
  }
  return "";
}

std::string KernelCase::compare(const std::vector<Operand> &ran, const Quantized &expected) const {
  const Operand &beforeBytes = operands[expected.operand], &bytes = ran[expected.operand],
                &beforeScales = operands[expected.operand + 1], &scales = ran[expected.operand + 1];
  const int64_t width = expected.width, pitch = roundUp(width, 16), blocks = (width + 127) / 128,
                scalePitch = roundUp(blocks, 4), rows = static_cast<int64_t>(expected.values.size()) / width;
  for (int64_t row = 0; row < rows; ++row) {
    const double *values = &expected.values[row * width];
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t end = std::min(width, block * 128 + 128);
      double largest = 1e-4;
      for (int64_t i = block * 128; i < end; ++i) {
        largest = std::max(largest, std::abs(values[i]));
      }
      const double scale = elementOf<float>(scales.bytes, static_cast<size_t>(row * scalePitch + block));
      const std::string place = " of row " + std::to_string(row);
      if (!(std::abs(scale * 448 / largest - 1) <= expected.error + 2e-7)) {
        return "scale " + std::to_string(block) + place + ": found " + std::to_string(scale * 448) +
               " / 448, expected " + std::to_string(largest) + " / 448";
      }
      for (int64_t i = block * 128; i < end; ++i) {
        const double found = scale * valueOfE4M3(bytes.bytes[row * pitch + i]);
        // Half a step of 3 bits of mantissa, or of the smallest numbers.
        const double bound = std::abs(values[i]) * (1.0001 / 16 + expected.error) + scale * std::ldexp(1.0001, -10);
        if (!(std::abs(found - values[i]) <= bound)) {
          return "column " + std::to_string(i) + place + ": found " + std::to_string(found) + ", expected " +
                 std::to_string(values[i]);
        }
      }
    }
  }
  const auto end = static_cast<size_t>(rows * pitch), scalesEnd = static_cast<size_t>(rows * scalePitch * 4);
  if ((end < bytes.bytes.size() && !isUnchanged(beforeBytes, bytes, end, bytes.bytes.size() - end)) ||
      (scalesEnd < scales.bytes.size() &&
       !isUnchanged(beforeScales, scales, scalesEnd, scales.bytes.size() - scalesEnd))) {
    return "wrote rows behind the step's";
  }
  return "";
}

RunOutcome KernelCase::run(const KernelSpec &spec, const RunOrder &order, std::string &wrong) const {
  std::vector<Operand> ran = operands;
  RunOutcome outcome = runKernels({&spec, 1}, ran, bucket, dims, order);
  wrong = outcome.error;
  for (size_t i = 0; i < expectations.size() && wrong.empty(); ++i) {
    wrong = compare(ran, expectations[i]);
  }
  for (size_t i = 0; i < quantized.size() && wrong.empty(); ++i) {
    wrong = compare(ran, quantized[i]);
  }
  for (size_t i = 0; i < checks.size() && wrong.empty(); ++i) {
    const auto &[operand, check] = checks[i];
    wrong = check(operands[operand].bytes, ran[operand].bytes);
  }
  return outcome;
}

std::string KernelCase::check(const KernelSpec &spec, const std::vector<RunOrder> &orders) const {
  return checkInOrders({&spec, 1}, orders, [&](const RunOrder &order) {
    std::string wrong;
    const RunOutcome outcome = run(spec, order, wrong);
    return outcome.clean() ? wrong : outcome.describe() + wrong;
  });
}

std::string KernelCase::checkTraffic(const KernelSpec &spec, int64_t bytes) const {
  std::string wrong;
  const RunOutcome outcome = run(spec, {.check = false, .count = true}, wrong);
  if (!wrong.empty() || outcome.counters.empty()) {
    return "no counters: " + outcome.describe() + wrong;
  }
  const std::string &json = outcome.counters.back();
  const int64_t sectors = counterOf(json, "globalLoads", "sectors") + counterOf(json, "globalStores", "sectors"),
                most = bytes * 11 / 10 / 32;
  if (sectors < bytes / 32 || sectors > most) {
    return spec.symbol + ": found " + std::to_string(sectors) + " sectors, expected " + std::to_string(bytes / 32) +
           ", or as many as " + std::to_string(most);
  }
  return "";
}

std::string KernelCase::checkMutations(const KernelSpec &spec, const std::vector<mutation::Mutation> &mutations) const {
  std::string complaints;
  for (mutation::Mutation known : mutations) {
    known.orders = {{"lazy"}, {"random", 1, true}};
    std::string complaint =
        whyNotReported(known, {spec}, 0, [&](auto kernels, const RunOrder &order, RunOutcome &outcome) {
          std::string wrong;
          outcome = run(kernels[0], order, wrong);
          return wrong;
        });
    complaints += complaint.empty() ? "" : std::string(known.name) + ": " + complaint + "\n";
  }
  return complaints;
}

std::string KernelCase::check(const KernelSpec &spec) const {
  std::vector<RunOrder> orders = testOrders(1);
  orders.push_back({.order = "eager"});
  return check(spec, orders);
}

} // namespace elah::cuda
