// The matrix families against plain double loops, over ragged shapes.
#include "KernelHarness.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace elah;
using namespace elah::test;

namespace {

/// Split: rows of values that are sums of two bf16, kernel.split's.
enum class Format { F32, BF16, F16, F8, U4, U8, Split };
const char *nameOf(Format format) {
  switch (format) {
  case Format::F32:
    return "f32";
  case Format::BF16:
  case Format::Split:
    return "bf16";
  case Format::F16:
    return "f16";
  case Format::F8:
    return "f8";
  case Format::U4:
    return "u4";
  case Format::U8:
    return "u8";
  }
}

int64_t bitsOf(Format format) {
  return format == Format::F32 ? 32 : format == Format::U4 ? 4 : format == Format::F8 || format == Format::U8 ? 8 : 16;
}
int64_t bytesOf(Format format) { return bitsOf(format) / 8; }

/// Random weights, as numbers and packed as kernel.packing says.
struct Weight {
  Format format;
  int64_t n, k, panel, step, batch;
  bool swiglu;
  int64_t blockN = 0, blockK = 0;
  bool zeros = false;
  std::vector<double> values; ///< [batch, n, k], scaled.
  std::vector<char> bytes;
  std::vector<float> scales;

  int64_t half() const { return swiglu ? n / 2 : n; }

  void fill(Random &random) {
    int64_t bits = bitsOf(format), size = bits / 8, width = swiglu ? panel / 2 : panel;
    int64_t panels = (half() + width - 1) / width, steps = (k + step - 1) / step;
    int64_t panelBytes = steps * step * panel * bits / 8, matrix = (panels * panelBytes + 63) / 64 * 64;
    int64_t halves = swiglu ? 2 : 1;
    bytes.assign(batch * matrix, 0);
    values.resize(batch * n * k);
    int64_t blockRows = 0, blockColumns = 0;
    if (blockN > 0) {
      blockRows = (half() + blockN - 1) / blockN;
      blockColumns = (k + blockK - 1) / blockK;
      bool isOfColumns = blockN == 1;
      scales.resize(batch * (isOfColumns ? panels * panel * (zeros ? 2 : 1) : halves * blockRows) * blockColumns);
      for (auto [index, scale] : llvm::enumerate(scales)) {
        bool isZeroPoint = zeros && index / panel % 2 == 1;
        scale = isZeroPoint ? static_cast<float>(random.below(1 << bits)) : std::exp(random.number()) / 16;
      }
    }
    // The scale of a column's block of k, and behind it the zero point.
    auto scaleAt = [&](int64_t b, int64_t side, int64_t column, int64_t block) -> const float * {
      if (blockN != 1) {
        return &scales[((b * halves + side) * blockRows + column / blockN) * blockColumns + block];
      }
      int64_t first = ((b * panels + column / width) * blockColumns + block) * panel * (zeros ? 2 : 1);
      return &scales[first + side * width + column % width];
    };
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t row = 0; row < n; ++row) {
        int64_t side = row / half(), column = row % half();
        char *place = &bytes[b * matrix + column / width * panelBytes];
        for (int64_t i = 0; i < k; ++i) {
          char *element = place + ((i / step * panel + side * width + column % width) * step + i % step) * size;
          double value;
          float number = random.number();
          switch (format) {
          case Format::F32:
            std::memcpy(element, &number, 4);
            value = number;
            break;
          case Format::BF16: {
            uint16_t bits = toBF16(number);
            std::memcpy(element, &bits, 2);
            value = fromBF16(bits);
            break;
          }
          case Format::F16: {
            uint16_t bits = toF16(number);
            std::memcpy(element, &bits, 2);
            value = fromF16(bits);
            break;
          }
          case Format::Split:
            FAIL() << "weights are not split";
          case Format::F8: {
            auto bits = static_cast<uint8_t>(random.below(256));
            bits = (bits & 0x7f) == 0x7f ? 0 : bits; // not a number
            std::memcpy(element, &bits, 1);
            value = fromE4M3(bits);
            if (blockN > 0) {
              value *= *scaleAt(b, side, column, i / blockK);
            }
            break;
          }
          case Format::U4:
          case Format::U8: {
            uint64_t bits = random.below(format == Format::U4 ? 16 : 256);
            if (format == Format::U8) {
              *element = static_cast<char>(bits);
            } else { // Words of a quarter of the panel's columns, two values of k in their halves.
              int64_t index = side * width + column % width, quarter = index / (panel / 4);
              char *word = place + (i / 2 * (panel / 4) + index % (panel / 4)) * 4;
              word[i % 2 * 2 + quarter / 2] |= static_cast<char>(bits << (quarter % 2 * 4));
            }
            const float *scale = scaleAt(b, side, column, i / blockK);
            double zero = zeros ? scale[panel] : format == Format::U4 ? 8 : 128;
            value = (static_cast<double>(bits) - zero) * *scale;
            break;
          }
          }
          values[(b * n + row) * k + i] = value;
        }
      }
    }
  }

  std::string packing() const {
    return llvm::formatv("#kernel.packing<{0}, n = {1}, k = {2}, panel = {3}, step = {4}, batch = "
                         "{5}, swiglu = {6}, "
                         "blocks = {7} x {8}{9}>",
                         nameOf(format), n, k, panel, step, batch, swiglu ? "true" : "false", blockN, blockK,
                         zeros ? ", zeros = true" : "");
  }
  int64_t blocks() const {
    int64_t width = swiglu ? panel / 2 : panel;
    return batch * ((half() + width - 1) / width);
  }
};

/// In what a product with rows of that format is computed, and its step.
const char *computeOf(Format input) {
  return input == Format::Split ? "bf16x2" : input == Format::BF16 ? "bf16" : "f32";
}
int64_t stepOf(Format input, Format weight) { return input == Format::F32 && weight != Format::U4 ? 1 : 2; }

/// Rows of numbers as an element type stores them; `gap` elements lie between them.
struct Rows {
  Format format;
  int64_t count, width, stride;
  std::unique_ptr<Buffer> buffer;

  Rows(Format format, int64_t count, int64_t width, int64_t gap = 0)
      : format(format), count(count), width(width), stride(cells() + gap),
        buffer(std::make_unique<Buffer>(std::max<int64_t>(1, count) * stride * bytesOf(format))) {}
  int64_t cells() const { return format == Format::Split ? 2 * width : width; }
  void fill(Random &random) {
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t i = 0; i < width; ++i) {
        set(row, i, random.number());
      }
    }
  }
  void set(int64_t row, int64_t i, float value) {
    int64_t index = row * stride + i;
    switch (format) {
    case Format::F32:
      buffer->as<float>()[index] = value;
      return;
    case Format::BF16:
      buffer->as<uint16_t>()[index] = toBF16(value);
      return;
    case Format::Split: {
      uint16_t high = toBF16(value);
      buffer->as<uint16_t>()[index] = high;
      buffer->as<uint16_t>()[index + width] = toBF16(value - fromBF16(high));
      return;
    }
    default:
      buffer->as<uint16_t>()[index] = toF16(value);
    }
  }
  double get(int64_t row, int64_t i) const {
    int64_t index = row * stride + i;
    switch (format) {
    case Format::F32:
      return buffer->as<float>()[index];
    case Format::BF16:
      return fromBF16(buffer->as<uint16_t>()[index]);
    case Format::Split:
      return static_cast<double>(fromBF16(buffer->as<uint16_t>()[index])) +
             fromBF16(buffer->as<uint16_t>()[index + width]);
    default:
      return fromF16(buffer->as<uint16_t>()[index]);
    }
  }
  /// Whether what lies between the rows is as it was.
  bool hasWhole() const {
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t i = cells() * bytesOf(format); i < stride * bytesOf(format); ++i) {
        if (buffer->as<uint8_t>()[row * stride * bytesOf(format) + i] != 0xff) {
          return false;
        }
      }
    }
    return true;
  }
  std::string type() const {
    if (stride == cells()) {
      return llvm::formatv("memref<?x{0}x{1}>", cells(), nameOf(format));
    }
    return llvm::formatv("memref<?x{0}x{1}, strided<[{2}, 1], offset: ?>>", cells(), nameOf(format), stride);
  }
};

struct Case {
  Format weight, input, output;
  int64_t n, k;
  bool swiglu = false, bias = false, accumulate = false;
  int64_t blockN = 0, blockK = 0;
  int64_t inputGap = 0, outputGap = 0; ///< Elements between rows.
  bool zeros = false;
};

double silu(double x) { return x / (1 + std::exp(-x)); }

std::string gemmText(const std::string &name, const Case &c, const Weight &weight, const Rows &input,
                     const Rows &output) {
  std::string arguments = llvm::formatv("%a: {0}, %w: memref<{1}xi8>", input.type(), weight.bytes.size());
  std::string rows = llvm::formatv("#exec.extent<tokens>, #exec.extent<{0}>", weight.bytes.size());
  std::string operands = "%a, %w", types = llvm::formatv("{0}, memref<{1}xi8>", input.type(), weight.bytes.size());
  auto vector = [&](const char *word, const char *value, int64_t size) {
    arguments += llvm::formatv(", {0}: memref<{1}xf32>", value, size);
    rows += llvm::formatv(", #exec.extent<{0}>", size);
    operands += llvm::formatv(" {0} {1}", word, value);
    types += llvm::formatv(", memref<{0}xf32>", size);
  };
  if (!weight.scales.empty()) {
    vector("scales", "%s", weight.scales.size());
  }
  if (c.bias) {
    vector("bias", "%b", c.n);
  }
  return llvm::formatv("exec.kernel @{0}({1}, %c: {2}) rows [{3}, #exec.extent<tokens>] {{\n kernel.gemm {4} to %c "
                       "{{packing = {5}, compute "
                       "= #kernel<compute {6}>, activation = #kernel<activation {7}>{8}} : {9}, {2}\n}\n",
                       name, arguments, output.type(), rows, operands, weight.packing(), computeOf(c.input),
                       c.swiglu ? "swiglu" : "none", c.accumulate ? ", accumulate" : "", types);
}

class Products : public testing::TestWithParam<std::string> {};

TEST_P(Products, Gemm) {
  CpuTarget target = testTarget(GetParam());
  int64_t panel = target.panel();
  std::vector<Case> cases;
  auto add = [&](Case c) {
    bool isPackable = c.input == Format::F32 || c.weight != Format::F32; // A step has at most four bytes of a column.
    if (isPackable && (c.input == Format::F32 || target.hasBF16Dot)) {
      cases.push_back(c);
    }
  };
  using enum Format;
  for (Format input : {F32, BF16, Split}) {
    Format narrow = input == Split ? Split : BF16;
    add({.weight = F32, .input = F32, .output = F32, .n = panel, .k = 40});
    add({.weight = BF16, .input = input, .output = F32, .n = panel * 2 + 5, .k = 70});
    add({.weight = BF16, .input = input, .output = narrow, .n = panel + 17, .k = 1301, .inputGap = 6, .outputGap = 3});
    add({.weight = BF16, .input = input, .output = F32, .n = panel * 3, .k = 1024, .bias = true, .accumulate = true});
    add({.weight = BF16, .input = input, .output = narrow, .n = panel * 2 + 14, .k = 96, .swiglu = true, .bias = true});
    add({.weight = BF16, .input = input, .output = F32, .n = panel * 14 + 3, .k = 66}); // More panels than share rows.
    add({.weight = F8, .input = input, .output = F32, .n = 2 * panel, .k = 256, .blockN = 128, .blockK = 128});
    add({.weight = F8, .input = input, .output = F32, .n = 300, .k = 333, .bias = true, .blockN = 128, .blockK = 128});
    add({.weight = F8,
         .input = input,
         .output = narrow,
         .n = 2 * 150,
         .k = 200,
         .swiglu = true,
         .blockN = 128,
         .blockK = 128});
    add({.weight = F8,
         .input = input,
         .output = F32,
         .n = 77,
         .k = 1500,
         .blockN = panel,
         .blockK = 20,
         .inputGap = 10});
    add({.weight = F8,
         .input = input,
         .output = F32,
         .n = 100,
         .k = 2100,
         .accumulate = true,
         .blockN = 2 * panel,
         .blockK = 2100});
    add({.weight = F8, .input = input, .output = F32, .n = panel, .k = 64});
    // A scale for each column.
    add({.weight = F8, .input = input, .output = F32, .n = 2 * panel + 9, .k = 100, .blockN = 1, .blockK = 32});
    for (Format weight : {U4, U8}) {
      bool zeros = weight == U4; // The next case has them the other way round.
      add({.weight = weight,
           .input = input,
           .output = narrow,
           .n = 2 * panel + 21,
           .k = 69,
           .bias = true,
           .blockN = 1,
           .blockK = 16,
           .inputGap = 2,
           .outputGap = 4,
           .zeros = zeros});
      add({.weight = weight,
           .input = input,
           .output = narrow,
           .n = 2 * (panel + 11),
           .k = 300,
           .swiglu = true,
           .blockN = 1,
           .blockK = 64,
           .zeros = !zeros});
      add({.weight = weight,
           .input = input,
           .output = F32,
           .n = 77,
           .k = 1100,
           .accumulate = true,
           .blockN = 1,
           .blockK = 256,
           .zeros = zeros});
    }
    add({.weight = F16, .input = input, .output = F32, .n = panel + 1, .k = 65});
    add({.weight = F32, .input = input, .output = BF16, .n = 2 * panel - 1, .k = 33});
  }
  add({.weight = F32, .input = F32, .output = F32, .n = 1, .k = 1});

  Random random(1);
  std::vector<Weight> weights;
  std::string text;
  for (auto [index, c] : llvm::enumerate(cases)) {
    Weight weight{c.weight, c.n, c.k, panel, stepOf(c.input, c.weight), 1, c.swiglu, c.blockN, c.blockK,
                  c.zeros,  {},  {},  {}};
    weight.fill(random);
    int64_t columns = c.swiglu ? c.n / 2 : c.n;
    Rows input(c.input, 1, c.k, c.inputGap), output(c.output, 1, columns, c.outputGap);
    text += gemmText("gemm" + std::to_string(index), c, weight, input, output);
    weights.push_back(std::move(weight));
  }
  Kernels kernels(GetParam(), "module {\n" + text + "}\n");
  ASSERT_FALSE(HasFailure());

  for (auto [index, c] : llvm::enumerate(cases)) {
    const Weight &weight = weights[index];
    auto packed = bufferOf(weight.bytes), scales = bufferOf(weight.scales);
    std::vector<float> biasValues = random.numbers(c.n);
    auto bias = bufferOf(biasValues);
    int64_t columns = c.swiglu ? c.n / 2 : c.n;
    for (int64_t rows : {1, 2, 3, 5, 6, 7, 13, 16, 17, 50, 261}) {
      Rows input(c.input, rows, c.k, c.inputGap), output(c.output, rows, columns, c.outputGap);
      input.fill(random);
      std::vector<double> inputs, expected, found;
      for (int64_t i = 0; i < rows * c.k; ++i) {
        inputs.push_back(input.get(i / c.k, i % c.k));
      }
      if (c.accumulate) {
        output.fill(random);
      }
      for (int64_t row = 0; row < rows; ++row) {
        auto product = [&](int64_t column) {
          double sum = c.bias ? biasValues[column] : 0;
          for (int64_t i = 0; i < c.k; ++i) {
            sum += inputs[row * c.k + i] * weight.values[column * c.k + i];
          }
          return sum;
        };
        for (int64_t column = 0; column < columns; ++column) {
          double value = c.swiglu ? silu(product(column)) * product(columns + column) : product(column);
          expected.push_back(value + (c.accumulate ? output.get(row, column) : 0));
        }
      }
      std::vector<void *> buffers = {input.buffer->data(), packed->data()};
      if (!weight.scales.empty()) {
        buffers.push_back(scales->data());
      }
      if (c.bias) {
        buffers.push_back(bias->data());
      }
      buffers.push_back(output.buffer->data());
      kernels.run("gemm" + std::to_string(index), buffers, {.tokens = rows}, weight.blocks());
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
          found.push_back(output.get(row, column));
        }
      }
      // f16 weights are rounded where products are formed in bf16.
      bool isRounded = c.output == BF16 || (c.input != F32 && c.weight == F16);
      EXPECT_LT(difference(expected, found), isRounded ? 2e-5 : 1e-10)
          << "case " << index << ", " << weight.packing() << ", " << rows << " rows in " << computeOf(c.input);
      EXPECT_TRUE(output.hasWhole());
    }
  }
}

TEST_P(Products, GroupedGemm) {
  CpuTarget target = testTarget(GetParam());
  using enum Format;
  struct GroupedCase {
    Format weight, input, output;
    int64_t n, k;
    bool swiglu, gathers;
    int64_t blockN, blockK;
    bool zeros = false;
  };
  std::vector<GroupedCase> cases;
  for (Format input : {F32, BF16, Split}) {
    if (input != F32 && !target.hasBF16Dot) {
      continue;
    }
    cases.push_back({F8, input, input, 2 * 72, 144, true, true, 128, 128});
    cases.push_back({F8, input, F32, 100, 72, false, false, 128, 128});
    cases.push_back({BF16, input, F32, 64, 50, false, true, 0, 0});
    cases.push_back({BF16, input, input, 2 * 72, 160, true, true, 0, 0});
    cases.push_back({BF16, input, F32, 100, 64, false, false, 0, 0});
    cases.push_back({U4, input, input, 2 * 72, 144, true, true, 1, 32, true});
    cases.push_back({U8, input, F32, 100, 72, false, false, 1, 16});
  }
  // Rows of each expert: none, one, as many as a tile, more.
  std::vector<int32_t> counts = {0, 1, 0, 6, 5, 19, 0};
  int64_t experts = static_cast<int64_t>(counts.size()), tokens = 11, total = 31, topK = 3;
  Random random(2);
  std::vector<Weight> weights;
  std::string text;
  for (auto [index, c] : llvm::enumerate(cases)) {
    Weight weight{c.weight, c.n,      c.k,      target.panel(), stepOf(c.input, c.weight),
                  experts,  c.swiglu, c.blockN, c.blockK,       c.zeros,
                  {},       {},       {}};
    weight.fill(random);
    int64_t columns = c.swiglu ? c.n / 2 : c.n;
    Rows input(c.input, 1, c.k), output(c.output, 1, columns);
    std::string scaleArgument, scaleOperand, scaleType, scaleRows;
    if (c.blockN > 0) {
      scaleType = llvm::formatv(", memref<{0}xf32>", weight.scales.size());
      scaleArgument = llvm::formatv(", %s: memref<{0}xf32>", weight.scales.size());
      scaleRows = llvm::formatv(", #exec.extent<{0}>", weight.scales.size());
      scaleOperand = " scales %s";
    }
    std::string type = llvm::formatv("memref<{0}xi8>", weight.bytes.size());
    text += llvm::formatv(
        "exec.kernel @grouped{0}(%a: {1}, %w: {2}{3}, %o: memref<{4}xi32>{5}, %c: {6}) rows [#exec.extent<{7}tokens>, "
        "#exec.extent<{8}>{9}, #exec.extent<{4}>{10}, #exec.extent<{11} * tokens>] {{\n kernel.grouped_gemm %a, %w{12} "
        "offsets %o{13} to %c {{packing = {14}, compute = #kernel<compute {15}>, activation = #kernel<activation "
        "{16}>} "
        ": {1}, {2}{17}, memref<{4}xi32>{18}, {6}\n}\n",
        index, input.type(), type, scaleArgument, experts + 1, c.gathers ? ", %g: memref<?xi32>" : "", output.type(),
        c.gathers ? "" : "3 * ", weight.bytes.size(), scaleRows, c.gathers ? ", #exec.extent<3 * tokens>" : "", topK,
        scaleOperand, c.gathers ? " gather %g" : "", weight.packing(), computeOf(c.input), c.swiglu ? "swiglu" : "none",
        scaleType, c.gathers ? ", memref<?xi32>" : "");
    weights.push_back(std::move(weight));
  }
  Kernels kernels(GetParam(), "module {\n" + text + "}\n");
  ASSERT_FALSE(HasFailure());

  std::vector<int32_t> offsets = {0};
  for (int32_t count : counts) {
    offsets.push_back(offsets.back() + count);
  }
  ASSERT_EQ(offsets.back(), total);
  std::vector<int32_t> gather(topK * tokens);
  for (int32_t &token : gather) {
    token = static_cast<int32_t>(random.below(tokens));
  }
  auto offsetBuffer = bufferOf(offsets), gatherBuffer = bufferOf(gather);
  for (auto [index, c] : llvm::enumerate(cases)) {
    const Weight &weight = weights[index];
    auto packed = bufferOf(weight.bytes), scales = bufferOf(weight.scales);
    int64_t columns = c.swiglu ? c.n / 2 : c.n;
    Rows input(c.input, c.gathers ? tokens : total, c.k), output(c.output, total, columns);
    input.fill(random);
    std::vector<void *> buffers = {input.buffer->data(), packed->data()};
    if (c.blockN > 0) {
      buffers.push_back(scales->data());
    }
    buffers.push_back(offsetBuffer->data());
    if (c.gathers) {
      buffers.push_back(gatherBuffer->data());
    }
    buffers.push_back(output.buffer->data());
    kernels.run("grouped" + std::to_string(index), buffers, {.tokens = tokens}, weight.blocks());
    std::vector<double> expected, found;
    for (int64_t expert = 0; expert < experts; ++expert) {
      for (int64_t row = offsets[expert]; row < offsets[expert + 1]; ++row) {
        int64_t source = c.gathers ? gather[row] : row;
        auto product = [&](int64_t column) {
          double sum = 0;
          for (int64_t i = 0; i < c.k; ++i) {
            sum += input.get(source, i) * weight.values[(expert * c.n + column) * c.k + i];
          }
          return sum;
        };
        for (int64_t column = 0; column < columns; ++column) {
          expected.push_back(c.swiglu ? silu(product(column)) * product(columns + column) : product(column));
          found.push_back(output.get(row, column));
        }
      }
    }
    EXPECT_LT(difference(expected, found), c.output == BF16 ? 2e-5 : 1e-10) << weight.packing();
  }
}

TEST_P(Products, HeadGemm) {
  CpuTarget target = testTarget(GetParam());
  using enum Format;
  int64_t heads = 3, n = 70, inputStride = 60, inputOffset = 7, outputStride = 90, outputOffset = 13;
  Random random(3);
  for (auto [input, k] : {std::pair(F32, 45), {BF16, 45}, {Split, 45}, {BF16, 32}, {Split, 32}}) {
    if (input != F32 && !target.hasBF16Dot) {
      continue;
    }
    Weight weight{BF16, n, k, target.panel(), stepOf(input, BF16), heads, false, 0, 0, false, {}, {}, {}};
    weight.fill(random);
    auto packed = bufferOf(weight.bytes);
    int64_t rows = 9, inputWidth = heads * inputStride, outputWidth = heads * outputStride;
    Rows a(input, rows, inputWidth), c(input == Split ? Split : F32, rows, outputWidth);
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @heads(%a: {0}, %w: memref<{1}xi8>, %c: {2}) rows [#exec.extent<tokens>, "
        "#exec.extent<{1}>, #exec.extent<tokens>] {{\n kernel.head_gemm %a, %w to %c {{packing = {3}, compute = "
        "#kernel<compute {4}>, input_stride = {5}, input_offset = {6}, output_stride = {7}, output_offset = {8}} : "
        "{0}, "
        "memref<{1}xi8>, {2}\n}\n}\n",
        a.type(), weight.bytes.size(), c.type(), weight.packing(), computeOf(input), inputStride, inputOffset,
        outputStride, outputOffset);
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    a.fill(random);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < outputWidth; ++i) {
        c.set(row, i, -77); // What no head owns must stay.
      }
    }
    kernels.run("heads", {a.buffer->data(), packed->data(), c.buffer->data()}, {.tokens = rows}, weight.blocks());
    std::vector<double> expected, found;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < outputWidth; ++i) {
        int64_t head = i / outputStride, column = i % outputStride - outputOffset;
        if (column < 0 || column >= n) {
          EXPECT_EQ(c.get(row, i), -77);
          continue;
        }
        double sum = 0;
        for (int64_t j = 0; j < k; ++j) {
          sum += a.get(row, head * inputStride + inputOffset + j) * weight.values[(head * n + column) * k + j];
        }
        expected.push_back(sum);
        found.push_back(c.get(row, i));
      }
    }
    EXPECT_LT(difference(expected, found), 1e-10);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Products, testing::ValuesIn(runnableTargets()), nameOfTarget);

} // namespace
