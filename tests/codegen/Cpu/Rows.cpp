// The kernels that work on one row at a time: embedding, RMSNorm, rotary tables, and what is appended to the cache.
#include "KernelHarness.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace elah;
using namespace elah::test;

namespace {

class RowKernels : public testing::TestWithParam<std::string> {};

TEST_P(RowKernels, Embed) {
  Random random(31);
  int64_t vocabulary = 50, width = 83, tokens = 9;
  std::vector<float> values = random.numbers(vocabulary * width);
  std::vector<uint16_t> bf16, f16;
  for (float value : values) {
    bf16.push_back(toBF16(value));
    f16.push_back(toF16(value));
  }
  std::string text;
  for (const char *element : {"f32", "bf16", "f16"}) {
    text +=
        llvm::formatv("exec.kernel @{0}(%t: memref<?xi32>, %e: memref<{1}x{2}x{0}>, %o: memref<?x{2}xf32>) rows "
                      "[#exec.extent<tokens>, #exec.extent<{1}>, #exec.extent<tokens>] {{\nkernel.embed %t, %e to %o "
                      ": memref<?xi32>, memref<{1}x{2}x{0}>, memref<?x{2}xf32>\n}\n",
                      element, vocabulary, width);
  }
  Kernels kernels(GetParam(), "module {\n" + text + "}\n");
  ASSERT_FALSE(HasFailure());
  std::vector<int32_t> tokenIds;
  for (int64_t i = 0; i < tokens; ++i) {
    tokenIds.push_back(static_cast<int32_t>(i == 0 ? vocabulary - 1 : random.below(vocabulary)));
  }
  auto ids = bufferOf(tokenIds), f32Table = bufferOf(values), bf16Table = bufferOf(bf16), f16Table = bufferOf(f16);
  for (auto [element, table] : {std::pair("f32", f32Table.get()), {"bf16", bf16Table.get()}, {"f16", f16Table.get()}}) {
    Buffer output(tokens * width * 4);
    kernels.run(element, {ids->data(), table->data(), output.data()}, {.tokens = tokens}, tokens);
    for (int64_t i = 0; i < tokens * width; ++i) {
      int64_t source = tokenIds[i / width] * width + i % width;
      float expected = element[0] == 'b'   ? fromBF16(bf16[source])
                       : element[1] == '1' ? fromF16(f16[source])
                                           : values[source];
      ASSERT_EQ(output.as<float>()[i], expected) << element;
    }
  }
}

TEST_P(RowKernels, Split) {
  Random random(33);
  int64_t tokens = 5;
  for (int64_t width : {1, 31, 64, 200}) {
    int64_t stride = width + 3;
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @split(%x: memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, %o: memref<?x{2}xbf16>) "
        "rows [#exec.extent<tokens>, #exec.extent<tokens>] {{\nkernel.split %x to %o : memref<?x{0}xf32, "
        "strided<[{1}, 1], offset: ?>>, memref<?x{2}xbf16>\n}\n}\n",
        width, stride, 2 * width);
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    std::vector<float> x = random.numbers(tokens * stride, 3);
    auto input = bufferOf(x);
    Buffer output(tokens * 2 * width * 2);
    kernels.run("split", {input->data(), output.data()}, {.tokens = tokens}, tokens);
    for (int64_t token = 0; token < tokens; ++token) {
      const uint16_t *row = output.as<uint16_t>() + token * 2 * width;
      for (int64_t i = 0; i < width; ++i) {
        float value = x[token * stride + i], high = fromBF16(row[i]);
        EXPECT_EQ(row[i], toBF16(value));
        EXPECT_EQ(row[width + i], toBF16(value - high));
        EXPECT_LE(std::abs(value - (high + fromBF16(row[width + i]))), std::abs(value) * 0x1p-16f);
      }
    }
  }
}

TEST_P(RowKernels, GenericFunctions) {
  struct Function {
    const char *name;
    double (*expected)(double);
    bool isOfPositive;
  };
  const std::vector<Function> functions = {
      {"absf", std::fabs, false}, {"ceil", std::ceil, false},           {"erf", std::erf, false},
      {"exp", std::exp, false},   {"floor", std::floor, false},         {"log", std::log, true},
      {"sqrt", std::sqrt, true},  {"roundeven", std::nearbyint, false}, {"tanh", std::tanh, false}};
  int64_t tokens = 3, width = 83;
  std::string text;
  for (const Function &function : functions) {
    text += llvm::formatv("exec.kernel @{0}(%x: memref<?x{1}xf32>, %o: memref<?x{1}xf32>) rows [#exec.extent<tokens>, "
                          "#exec.extent<tokens>] {{\nkernel.generic %x to %o : memref<?x{1}xf32>, memref<?x{1}xf32> "
                          "{{\n^bb0(%a: f32):\n%y = math.{0} %a : f32\nkernel.yield %y : f32\n}\n}\n",
                          function.name, width);
  }
  Kernels kernels(GetParam(), "module {\n" + text + "}\n");
  ASSERT_FALSE(HasFailure());
  std::vector<float> x = Random(34).numbers(tokens * width, 6);
  x[0] = 0, x[1] = 2.5f, x[2] = -0.5f, x[3] = 1e-3f, x[4] = -60, x[5] = 60;
  for (const Function &function : functions) {
    std::vector<float> arguments = x;
    for (float &value : arguments) {
      value = function.isOfPositive ? std::fabs(value) : value;
    }
    auto input = bufferOf(arguments);
    Buffer output(tokens * width * 4);
    kernels.run(function.name, {input->data(), output.data()}, {.tokens = tokens}, tokens);
    for (int64_t i = 0; i < tokens * width; ++i) {
      double expected = function.expected(static_cast<double>(arguments[i])), found = output.as<float>()[i];
      ASSERT_TRUE(found == expected || std::fabs(found - expected) <= 1e-6 * std::fabs(expected) + 1e-37)
          << function.name << "(" << arguments[i] << ") = " << found << ", expected " << expected;
    }
  }
}

TEST_P(RowKernels, GenericOperands) {
  // Rows longer than they are wide, rows of bf16, and a vector; NaN stays NaN.
  int64_t tokens = 4, width = 45, stride = 50;
  std::string text = llvm::formatv(
      "module {{\nexec.kernel @mix(%x: memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, %h: memref<?x{0}xbf16>, %v: "
      "memref<{0}xf32>, %o: memref<?x{0}xf32>) rows [#exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<{0}>, "
      "#exec.extent<tokens>] {{\nkernel.generic %x, %h, %v to %o : memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, "
      "memref<?x{0}xbf16>, memref<{0}xf32>, memref<?x{0}xf32> {{\n^bb0(%a: f32, %b: f32, %c: f32):\n%half = "
      "arith.constant 0.5 : f32\n%0 = arith.mulf %b, %c : f32\n%1 = arith.subf %a, %0 : f32\n%2 = arith.maximumf %1, "
      "%half : f32\nkernel.yield %2 : f32\n}\n}\n}\n",
      width, stride);
  Kernels kernels(GetParam(), text);
  ASSERT_FALSE(HasFailure());
  Random random(35);
  std::vector<float> x = random.numbers(tokens * stride), factors = random.numbers(width);
  std::vector<uint16_t> halves;
  for (float value : random.numbers(tokens * width)) {
    halves.push_back(toBF16(value));
  }
  x[7] = std::nanf("");
  auto rows = bufferOf(x), others = bufferOf(halves), vector = bufferOf(factors);
  Buffer output(tokens * width * 4);
  kernels.run("mix", {rows->data(), others->data(), vector->data(), output.data()}, {.tokens = tokens}, tokens);
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t i = 0; i < width; ++i) {
      float found = output.as<float>()[token * width + i];
      float expected = x[token * stride + i] - fromBF16(halves[token * width + i]) * factors[i];
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found));
      } else {
        ASSERT_NEAR(found, std::max(expected, 0.5f), 1e-6);
      }
    }
  }
}

TEST_P(RowKernels, RmsNorm) {
  Random random(32);
  int64_t tokens = 7, picked = 3;
  double epsilon = 1e-6;
  for (int64_t width : {1, 15, 16, 100, 1536}) {
    int64_t stride = width + 5;
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @all(%x: memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, %w: memref<{0}xf32>, %o: "
        "memref<?x{0}xbf16>) rows [#exec.extent<tokens>, #exec.extent<{0}>, #exec.extent<tokens>] {{\nkernel.rms_norm "
        "%x, "
        "%w to %o {{epsilon = 1.0e-6} : memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, memref<{0}xf32>, "
        "memref<?x{0}xbf16>\n}\n"
        "exec.kernel @picked(%x: memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, %w: memref<{0}xf32>, %r: "
        "memref<?xi32>, %o: memref<?x{0}xf32>, %c: memref<?x{2}xbf16>) rows [#exec.extent<tokens>, #exec.extent<{0}>, "
        "#exec.extent<logit_rows>, #exec.extent<logit_rows>, #exec.extent<logit_rows>] {{\nkernel.rms_norm %x, %w rows "
        "%r to %o and %c {{epsilon = 1.0e-6} : memref<?x{0}xf32, strided<[{1}, 1], offset: ?>>, memref<{0}xf32>, "
        "memref<?xi32>, memref<?x{0}xf32>, memref<?x{2}xbf16>\n}\n}\n",
        width, stride, 2 * width);
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    std::vector<float> x = random.numbers(tokens * stride, 3), w = random.numbers(width);
    std::vector<int32_t> rows = {6, 0, 3};
    auto input = bufferOf(x), weight = bufferOf(w), rowBuffer = bufferOf(rows);
    auto expected = [&](int64_t token) {
      double squares = 0;
      std::vector<double> result;
      for (int64_t i = 0; i < width; ++i) {
        squares += static_cast<double>(x[token * stride + i]) * x[token * stride + i];
      }
      for (int64_t i = 0; i < width; ++i) {
        result.push_back(x[token * stride + i] / std::sqrt(squares / static_cast<double>(width) + epsilon) * w[i]);
      }
      return result;
    };
    Buffer all(tokens * width * 2), few(picked * width * 4), copy(picked * 2 * width * 2);
    kernels.run("all", {input->data(), weight->data(), all.data()}, {.tokens = tokens}, tokens);
    kernels.run("picked", {input->data(), weight->data(), rowBuffer->data(), few.data(), copy.data()},
                {.tokens = tokens, .logitRows = picked}, picked);
    for (int64_t token = 0; token < tokens; ++token) {
      std::vector<double> values = expected(token), found;
      for (int64_t i = 0; i < width; ++i) {
        found.push_back(fromBF16(all.as<uint16_t>()[token * width + i]));
      }
      EXPECT_LT(difference(values, found), 1e-5) << width;
    }
    for (int64_t row = 0; row < picked; ++row) {
      std::vector<double> values = expected(rows[row]), found;
      for (int64_t i = 0; i < width; ++i) {
        found.push_back(few.as<float>()[row * width + i]);
      }
      EXPECT_LT(difference(values, found), 1e-12) << width;
      found.clear();
      for (int64_t i = 0; i < width; ++i) {
        const uint16_t *split = copy.as<uint16_t>() + row * 2 * width + i;
        found.push_back(fromBF16(split[0]) + fromBF16(split[width]));
      }
      EXPECT_LT(difference(values, found), 1e-9) << width;
    }
  }
}

std::vector<float> frequencies(int64_t pairs) {
  std::vector<float> result;
  for (int64_t i = 0; i < pairs; ++i) {
    result.push_back(static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(pairs))));
  }
  return result;
}

std::string ropeText(const std::string &layout, int64_t pairs) {
  std::string numbers;
  for (float frequency : frequencies(pairs)) {
    numbers += llvm::formatv("{0}{1:E16}", numbers.empty() ? "" : ", ", static_cast<double>(frequency));
  }
  return llvm::formatv("#r1.rope<{0}, [{1}], scale = 1.5 : f64>", layout, numbers);
}

// Cosine and sine at every magnitude of position that R1's context of 163840 tokens has.
TEST_P(RowKernels, RopeTable) {
  for (int64_t pairs : {1, 5, 8, 32}) {
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @table(%p: memref<?xi32>, %t: memref<?x{0}xf32>) rows [#exec.extent<tokens>, "
        "#exec.extent<tokens>] {{\nkernel.rope_table %p to %t {{rope = {1}} : memref<?xi32>, memref<?x{0}xf32>\n}\n}\n",
        2 * pairs, ropeText("half", pairs));
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    std::vector<int32_t> positions = {0, 1, 2, 3, 163839, 163840};
    for (int32_t position = 5; position < 163840; position = position * 9 / 8 + 1) {
      positions.push_back(position);
    }
    int64_t tokens = static_cast<int64_t>(positions.size());
    auto input = bufferOf(positions);
    Buffer table(tokens * 2 * pairs * 4);
    kernels.run("table", {input->data(), table.data()}, {.tokens = tokens}, tokens);
    std::vector<float> steps = frequencies(pairs);
    for (int64_t token = 0; token < tokens; ++token) {
      for (int64_t i = 0; i < pairs; ++i) {
        float angle = static_cast<float>(positions[token]) * steps[i];
        const float *row = &table.as<float>()[token * 2 * pairs];
        EXPECT_NEAR(row[i], 1.5 * std::cos(static_cast<double>(angle)), 2e-7) << positions[token];
        EXPECT_NEAR(row[pairs + i], 1.5 * std::sin(static_cast<double>(angle)), 2e-7) << positions[token];
      }
    }
  }
}

/// The vector `x` rotated by the angles in a row of the table.
std::vector<double> rotate(const std::string &layout, const float *x, const float *table, int64_t pairs) {
  std::vector<double> result(2 * pairs);
  for (int64_t i = 0; i < pairs; ++i) {
    int64_t first = layout == "half" ? i : 2 * i, second = layout == "half" ? i + pairs : 2 * i + 1;
    double cosine = table[i], sine = table[pairs + i];
    result[first] = x[first] * cosine - x[second] * sine;
    result[second] = x[second] * cosine + x[first] * sine;
  }
  return result;
}

void expectNear(const std::vector<double> &expected, const float *found, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], found[i], tolerance) << i;
  }
}
void expectNear(const std::vector<double> &expected, const uint16_t *found) {
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], fromBF16(found[i]), 1e-6 + std::abs(expected[i]) / 250) << i;
  }
}

TEST_P(RowKernels, RopeAppend) {
  struct Shape {
    const char *layout;
    int64_t heads, kvHeads, headDim, valueDim, pairs;
  };
  Random random(33);
  for (Shape s :
       {Shape{"half", 4, 2, 64, 64, 32}, Shape{"interleaved", 3, 1, 20, 12, 7}, Shape{"half", 2, 2, 10, 6, 0}}) {
    int64_t width = s.heads * s.headDim + s.kvHeads * (s.headDim + s.valueDim), tokens = 5, cacheRows = 12;
    bool rotates = s.pairs > 0;
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @append(%x: memref<?x{0}xf32>{1}, %r: memref<?xi32>, %q: memref<?x{2}xf32>, %k: "
        "memref<?x{3}xbf16>, %v: memref<?x{4}xbf16>) rows [#exec.extent<tokens>{5}, #exec.extent<tokens>, "
        "#exec.extent<tokens>, #exec.extent<cache_rows>, #exec.extent<cache_rows>] {{\nkernel.rope_append %x{6} rows "
        "%r "
        "to %q, %k, %v {{heads = {7}, kv_heads = {8}, head_dim = {9}, value_dim = {10}{11}} : memref<?x{0}xf32>{12}, "
        "memref<?xi32>, memref<?x{2}xf32>, memref<?x{3}xbf16>, memref<?x{4}xbf16>\n}\n}\n",
        width, rotates ? llvm::formatv(", %t: memref<?x{0}xf32>", 2 * s.pairs).str() : "", s.heads * s.headDim,
        s.kvHeads * s.headDim, s.kvHeads * s.valueDim, rotates ? ", #exec.extent<tokens>" : "",
        rotates ? " table %t" : "", s.heads, s.kvHeads, s.headDim, s.valueDim,
        rotates ? ", rope = " + ropeText(s.layout, s.pairs) : "",
        rotates ? llvm::formatv(", memref<?x{0}xf32>", 2 * s.pairs).str() : "");
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    std::vector<float> x = random.numbers(tokens * width), angles = random.numbers(tokens * 2 * s.pairs);
    std::vector<int32_t> rows = {3, 11, 0, 7, 8};
    auto input = bufferOf(x), table = bufferOf(angles), rowBuffer = bufferOf(rows);
    Buffer query(tokens * s.heads * s.headDim * 4), keys(cacheRows * s.kvHeads * s.headDim * 2),
        values(cacheRows * s.kvHeads * s.valueDim * 2);
    std::vector<void *> buffers = {input->data()};
    if (rotates) {
      buffers.push_back(table->data());
    }
    buffers.insert(buffers.end(), {rowBuffer->data(), query.data(), keys.data(), values.data()});
    kernels.run("append", buffers, {.tokens = tokens, .cacheRows = cacheRows}, tokens);
    for (int64_t token = 0; token < tokens; ++token) {
      auto rotated = [&](int64_t first) {
        const float *source = &x[token * width + first];
        std::vector<double> result(source, source + s.headDim);
        if (rotates) {
          std::vector<double> part = rotate(s.layout, source, &angles[token * 2 * s.pairs], s.pairs);
          std::copy(part.begin(), part.end(), result.begin());
        }
        return result;
      };
      for (int64_t head = 0; head < s.heads; ++head) {
        expectNear(rotated(head * s.headDim), &query.as<float>()[(token * s.heads + head) * s.headDim], 1e-6);
      }
      for (int64_t head = 0; head < s.kvHeads; ++head) {
        expectNear(rotated((s.heads + head) * s.headDim),
                   &keys.as<uint16_t>()[(rows[token] * s.kvHeads + head) * s.headDim]);
        const float *value = &x[token * width + (s.heads + s.kvHeads) * s.headDim + head * s.valueDim];
        expectNear(std::vector<double>(value, value + s.valueDim),
                   &values.as<uint16_t>()[(rows[token] * s.kvHeads + head) * s.valueDim]);
      }
    }
    for (int64_t i = 0; i < s.kvHeads * s.headDim; ++i) { // Rows that no token has stay as they were.
      EXPECT_EQ(keys.as<uint16_t>()[s.kvHeads * s.headDim + i], 0xffff);
    }
  }
}

TEST_P(RowKernels, LatentAppend) {
  int64_t heads = 3, nope = 18, rotated = 8, rank = 36, tokens = 4, cacheRows = 9, row = rank + rotated;
  Random random(34);
  std::string text = llvm::formatv(
      "module {{\nexec.kernel @append(%q: memref<?x{0}xf32>, %l: memref<?x{1}xf32>, %w: memref<{2}xf32>, %t: "
      "memref<?x{3}xf32>, %r: memref<?xi32>, %a: memref<?x{4}xf32>, %c: memref<?x{1}xbf16>) rows "
      "[#exec.extent<tokens>, "
      "#exec.extent<tokens>, #exec.extent<{2}>, #exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>, "
      "#exec.extent<cache_rows>] {{\nkernel.latent_append %q, %l norm %w table %t rows %r to %a, %c {{heads = {5}, "
      "nope_dim = {6}, rope_dim = {3}, rank = {2}, epsilon = 1.0e-6, rope = {7}} : memref<?x{0}xf32>, "
      "memref<?x{1}xf32>, "
      "memref<{2}xf32>, memref<?x{3}xf32>, memref<?xi32>, memref<?x{4}xf32>, memref<?x{1}xbf16>\n}\n}\n",
      heads * (nope + rotated), row, rank, rotated, heads * row, heads, nope, ropeText("interleaved", rotated / 2));
  Kernels kernels(GetParam(), text);
  ASSERT_FALSE(HasFailure());
  std::vector<float> q = random.numbers(tokens * heads * (nope + rotated)), l = random.numbers(tokens * row),
                     w = random.numbers(rank), angles = random.numbers(tokens * rotated);
  std::vector<int32_t> rows = {8, 2, 5, 0};
  auto query = bufferOf(q), latent = bufferOf(l), weight = bufferOf(w), table = bufferOf(angles),
       rowBuffer = bufferOf(rows);
  Buffer absorbed(tokens * heads * row * 4), cache(cacheRows * row * 2);
  kernels.run(
      "append",
      {query->data(), latent->data(), weight->data(), table->data(), rowBuffer->data(), absorbed.data(), cache.data()},
      {.tokens = tokens, .cacheRows = cacheRows}, tokens);
  for (int64_t token = 0; token < tokens; ++token) {
    const float *angle = &angles[token * rotated];
    for (int64_t head = 0; head < heads; ++head) {
      expectNear(rotate("interleaved", &q[(token * heads + head) * (nope + rotated) + nope], angle, rotated / 2),
                 &absorbed.as<float>()[(token * heads + head) * row + rank], 1e-6);
      // The rest of an absorbed query comes from another kernel.
      EXPECT_TRUE(std::isnan(absorbed.as<float>()[(token * heads + head) * row + rank - 1]));
    }
    double squares = 0;
    for (int64_t i = 0; i < rank; ++i) {
      squares += static_cast<double>(l[token * row + i]) * l[token * row + i];
    }
    std::vector<double> expected;
    for (int64_t i = 0; i < rank; ++i) {
      expected.push_back(l[token * row + i] / std::sqrt(squares / static_cast<double>(rank) + 1e-6) * w[i]);
    }
    expectNear(expected, &cache.as<uint16_t>()[rows[token] * row]);
    expectNear(rotate("interleaved", &l[token * row + rank], angle, rotated / 2),
               &cache.as<uint16_t>()[rows[token] * row + rank]);
  }
  for (int64_t i = 0; i < row; ++i) {
    EXPECT_EQ(cache.as<uint16_t>()[row + i], 0xffff);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, RowKernels, testing::ValuesIn(runnableTargets()), nameOfTarget);

} // namespace
