// Composites without attention, each against plain loops over random tensors: what the decomposition means is worked
// out here a second time, another way.
#include "tests/codegen/Reference/RunR1.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>

using llvm::formatv;

namespace elah {
namespace {

constexpr double bound = 1e-6; // Constants such as epsilon are f32.

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Composites, Embedding) {
  Random random(1);
  Floats table = random.values(5 * 3);
  auto result = runR1(R"(func.func @f(%t: tensor<?xi32>, %w: tensor<5x3xf32>) -> tensor<?x3xf32> {
    %0 = r1.embedding %t, %w : (tensor<?xi32>, tensor<5x3xf32>) -> tensor<?x3xf32>
    return %0 : tensor<?x3xf32>
  })",
                      {integers({2}, {4, 1}), floats({5, 3}, table)});
  expectFloats(result[0], {2, 3}, {table[12], table[13], table[14], table[3], table[4], table[5]});
}

TEST(Composites, LinearAndSoftmaxAndNormAndSwiglu) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    Random random(seed);
    int64_t tokens = random.size(1, 5), in = random.size(1, 7), out = random.size(1, 7);
    Floats x = random.values(tokens * in), w = random.values(out * in), b = random.values(out), n = random.values(in);
    std::string text = formatv(R"(
      func.func @f(%x: tensor<?x{0}xf32>, %w: tensor<{1}x{0}xf32>, %b: tensor<{1}xf32>, %n: tensor<{0}xf32>)
          -> (tensor<?x{1}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>) {{
        %0 = r1.linear %x, %w bias %b
            : (tensor<?x{0}xf32>, tensor<{1}x{0}xf32>, tensor<{1}xf32>) -> tensor<?x{1}xf32>
        %1 = r1.rms_norm %x, %n {{epsilon = 0.25} : (tensor<?x{0}xf32>, tensor<{0}xf32>) -> tensor<?x{0}xf32>
        %2 = r1.softmax %x axis 1 : tensor<?x{0}xf32>
        %3 = r1.softmax %x axis 0 : tensor<?x{0}xf32>
        %4 = r1.swiglu %x, %1 : tensor<?x{0}xf32>
        return %0, %1, %2, %3, %4
            : tensor<?x{1}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>, tensor<?x{0}xf32>
      })",
                               in, out);
    auto results = runR1(text, {floats({tokens, in}, x), floats({out, in}, w), floats({out}, b), floats({in}, n)});
    ASSERT_EQ(results.size(), 5u);
    Floats product(tokens * out), norm(tokens * in), alongRow(tokens * in), alongColumn(tokens * in), act(tokens * in);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t o = 0; o < out; ++o) {
        product[t * out + o] = b[o];
        for (int64_t i = 0; i < in; ++i) {
          product[t * out + o] += x[t * in + i] * w[o * in + i];
        }
      }
      double squares = 0, powers = 0;
      for (int64_t i = 0; i < in; ++i) {
        squares += x[t * in + i] * x[t * in + i];
        powers += std::exp(x[t * in + i]);
      }
      for (int64_t i = 0; i < in; ++i) {
        double value = x[t * in + i], column = 0;
        for (int64_t other = 0; other < tokens; ++other) {
          column += std::exp(x[other * in + i]);
        }
        norm[t * in + i] = value / std::sqrt(squares / static_cast<double>(in) + 0.25) * n[i];
        alongRow[t * in + i] = std::exp(value) / powers;
        alongColumn[t * in + i] = std::exp(value) / column;
        act[t * in + i] = value * sigmoid(value) * norm[t * in + i];
      }
    }
    expectFloats(results[0], {tokens, out}, product, bound);
    expectFloats(results[1], {tokens, in}, norm, bound);
    expectFloats(results[2], {tokens, in}, alongRow, bound);
    expectFloats(results[3], {tokens, in}, alongColumn, bound);
    expectFloats(results[4], {tokens, in}, act, bound);
  }
}

/// A folder with one file, gone when the test is.
class WeightFile {
public:
  explicit WeightFile(llvm::StringRef bytes) {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("elah-reference", folder));
    std::error_code code;
    llvm::raw_fd_ostream file(folder.str().str() + "/w.bin", code);
    EXPECT_FALSE(code);
    file << bytes;
  }
  ~WeightFile() { llvm::sys::fs::remove_directories(folder); }

  InterpretOptions options() const {
    InterpretOptions options;
    options.weightFolder = folder.str().str();
    return options;
  }

private:
  llvm::SmallString<128> folder;
};

std::string bytesOf(llvm::ArrayRef<float> values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
}

// Blocks of 2 x 2 over 3 x 3: the last row and column of blocks is cut.
TEST(Composites, LinearTakesFp8BlocksAsTheyLie) {
  std::string bytes = bytesOf({2, 0.5f, 4, 0.25f});
  // e4m3: 0x38 is 1, 0x40 2, 0xb8 -1, 0x44 3, 0x30 0.5, 0x00 0, 0x01 2^-9, 0x7e 448
  bytes += std::string("\x38\x40\xb8\x44\x30\x00\x01\x7e\x38", 9);
  WeightFile file(bytes);
  auto results = runR1(R"(
    #s = #r1.weight<"s" in "w.bin" at 0 size 16 : tensor<2x2xf32>>
    #w = #r1.weight<"w" in "w.bin" at 16 size 9 : tensor<3x3xf8E4M3FN, #r1.blocks<2, 2>> scaled_by #s>
    func.func @f(%x: tensor<3x3xf32>) -> tensor<3x3xf32> {
      %w = r1.weight [#w] : tensor<3x3xf8E4M3FN, #r1.blocks<2, 2>>
      %0 = r1.linear %x, %w : (tensor<3x3xf32>, tensor<3x3xf8E4M3FN, #r1.blocks<2, 2>>) -> tensor<3x3xf32>
      return %0 : tensor<3x3xf32>
    })",
                       {floats({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1})}, file.options());
  // The weight, transposed.
  expectFloats(results[0], {3, 3}, {2, 6, 4.0 / 512, 4, 1, 4 * 448, -0.5, 0, 0.25});
}

TEST(Composites, WeightsOfEveryFormatAndStacksOfThem) {
  std::string bytes = bytesOf({1.5f, -2});
  bytes += std::string("\x80\x3f\x00\xc0", 4); // bf16 1 and -2
  bytes += std::string("\x00\x3c\x01\x00", 4); // f16 1 and 2^-24
  bytes += bytesOf({4, 8});
  WeightFile file(bytes);
  auto results = runR1(R"(
    #a = #r1.weight<"a" in "w.bin" at 0 size 8 : tensor<2xf32>>
    #b = #r1.weight<"b" in "w.bin" at 8 size 4 : tensor<2xbf16>>
    #c = #r1.weight<"c" in "w.bin" at 12 size 4 : tensor<2xf16>>
    #d = #r1.weight<"d" in "w.bin" at 16 size 8 : tensor<2xf32>>
    func.func @f() -> (tensor<2x2xf32>, tensor<2xbf16>, tensor<2xf16>) {
      %0 = r1.weight [#d, #a] : tensor<2x2xf32>
      %1 = r1.weight [#b] : tensor<2xbf16>
      %2 = r1.weight [#c] : tensor<2xf16>
      return %0, %1, %2 : tensor<2x2xf32>, tensor<2xbf16>, tensor<2xf16>
    })",
                       {}, file.options());
  expectFloats(results[0], {2, 2}, {4, 8, 1.5, -2});
  expectFloats(results[1], {2}, {1, -2});
  expectFloats(results[2], {2}, {1, std::ldexp(1, -24)});

  auto message = [&](const std::string &weight) {
    std::string error;
    runR1("func.func @f() -> tensor<2xf32> {\n  %0 = r1.weight [" + weight +
              "] : tensor<2xf32>\n  return %0 : tensor<2xf32>\n}\n",
          {}, file.options(), &error);
    return error;
  };
  EXPECT_NE(message(R"(#r1.weight<"a" in "missing" at 0 size 8 : tensor<2xf32>>)").find("cannot read"),
            std::string::npos);
  EXPECT_NE(message(R"(#r1.weight<"a" in "w.bin" at 20 size 8 : tensor<2xf32>>)")
                .find("must have 8 bytes at offset 20 for \"a\", found a file of 24"),
            std::string::npos);
}

struct Routing {
  const char *scoring;
  int64_t topK, groups, topGroups;
  const char *groupScore;
  bool normalize;
  double scale;
};

/// The rule of `#r1.routing` for one token: sorts nothing, but asks for the best one again and again.
void routeToken(const Routing &routing, const double *logits, const double *bias, int64_t experts, int64_t *chosen,
                double *weights) {
  std::vector<double> scores(experts), biased(experts);
  double powers = 0;
  for (int64_t e = 0; e < experts; ++e) {
    powers += std::exp(logits[e]);
  }
  bool isSigmoid = std::string(routing.scoring) == "sigmoid";
  for (int64_t e = 0; e < experts; ++e) {
    scores[e] = isSigmoid ? sigmoid(logits[e]) : std::exp(logits[e]) / powers;
    biased[e] = scores[e] + bias[e];
  }
  int64_t size = experts / routing.groups;
  std::vector<bool> isOpen(experts, routing.groups == 1), isTaken(routing.groups, false);
  for (int64_t round = 0; round < routing.topGroups && routing.groups > 1; ++round) {
    int64_t best = -1;
    double bestScore = 0;
    for (int64_t g = 0; g < routing.groups; ++g) {
      std::vector<double> members(biased.begin() + g * size, biased.begin() + (g + 1) * size);
      std::sort(members.rbegin(), members.rend());
      double score = members[0] + (std::string(routing.groupScore) == "top2" && size > 1 ? members[1] : 0);
      if (!isTaken[g] && (best < 0 || score > bestScore)) {
        best = g;
        bestScore = score;
      }
    }
    isTaken[best] = true;
    std::fill(isOpen.begin() + best * size, isOpen.begin() + (best + 1) * size, true);
  }
  double sum = 0;
  for (int64_t rank = 0; rank < routing.topK; ++rank) {
    int64_t best = -1;
    for (int64_t e = 0; e < experts; ++e) {
      if (isOpen[e] && (best < 0 || biased[e] > biased[best])) {
        best = e;
      }
    }
    isOpen[best] = false;
    chosen[rank] = best;
    weights[rank] = scores[best];
    sum += scores[best];
  }
  for (int64_t rank = 0; rank < routing.topK; ++rank) {
    weights[rank] = weights[rank] / (routing.normalize ? sum + 1e-20 : 1) * routing.scale;
  }
}

TEST(Composites, Route) {
  const Routing variants[] = {{"sigmoid", 3, 4, 2, "top2", true, 2.5}, {"softmax", 2, 1, 1, "max", false, 1},
                              {"softmax", 3, 4, 3, "max", false, 16},  {"sigmoid", 4, 8, 4, "top2", true, 1.5},
                              {"sigmoid", 8, 2, 2, "top2", true, 1},   {"sigmoid", 1, 4, 1, "max", false, 1},
                              {"softmax", 5, 4, 4, "max", true, 1}};
  constexpr int64_t experts = 8, tokens = 40;
  unsigned seed = 0;
  for (const Routing &routing : variants) {
    Random random(++seed);
    Floats logits = random.values(tokens * experts), bias = random.values(experts, 0.1);
    // Equal logits and no bias for some tokens: the lower index wins.
    if (seed % 2 == 0) {
      bias.assign(experts, 0);
      for (double &value : logits) {
        value = std::round(value);
      }
    }
    std::string text = formatv(R"(
      func.func @f(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> (tensor<?x{1}xi32>, tensor<?x{1}xf32>) {{
        %0:2 = r1.route %l bias %b {{routing = #r1.routing<{0}, top_k = {1}, groups = {2}, top_groups = {3},
            group_score = {4}, normalize = {5}, scale = {6}>}
            : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x{1}xi32>, tensor<?x{1}xf32>)
        return %0#0, %0#1 : tensor<?x{1}xi32>, tensor<?x{1}xf32>
      })",
                               routing.scoring, routing.topK, routing.groups, routing.topGroups, routing.groupScore,
                               routing.normalize, formatv("{0:f3}", routing.scale));
    auto results = runR1(text, {floats({tokens, experts}, logits), floats({experts}, bias)});
    ASSERT_EQ(results.size(), 2u);
    Integers chosen(tokens * routing.topK);
    Floats weights(tokens * routing.topK);
    for (int64_t t = 0; t < tokens; ++t) {
      routeToken(routing, &logits[t * experts], bias.data(), experts, &chosen[t * routing.topK],
                 &weights[t * routing.topK]);
    }
    expectIntegers(results[0], {tokens, routing.topK}, chosen);
    expectFloats(results[1], {tokens, routing.topK}, weights, bound);
  }
}

TEST(Composites, Experts) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    Random random(seed);
    int64_t tokens = random.size(1, 6), hidden = random.size(1, 5), inner = random.size(1, 5),
            experts = random.size(2, 6), k = random.size(1, 3);
    Floats x = random.values(tokens * hidden), shares = random.values(tokens * k),
           gate = random.values(experts * inner * hidden), up = random.values(experts * inner * hidden),
           down = random.values(experts * hidden * inner);
    // An expert may be named twice; it counts twice.
    Integers chosen = random.indices(tokens * k, experts);
    std::string text = formatv(R"(
      func.func @f(%x: tensor<?x{0}xf32>, %e: tensor<?x{3}xi32>, %s: tensor<?x{3}xf32>, %g: tensor<{2}x{1}x{0}xf32>,
                   %u: tensor<{2}x{1}x{0}xf32>, %d: tensor<{2}x{0}x{1}xf32>) -> tensor<?x{0}xf32> {{
        %0 = r1.experts %x to %e, %s gate %g up %u down %d
            : (tensor<?x{0}xf32>, tensor<?x{3}xi32>, tensor<?x{3}xf32>, tensor<{2}x{1}x{0}xf32>,
               tensor<{2}x{1}x{0}xf32>, tensor<{2}x{0}x{1}xf32>) -> tensor<?x{0}xf32>
        return %0 : tensor<?x{0}xf32>
      })",
                               hidden, inner, experts, k);
    auto results = runR1(text, {floats({tokens, hidden}, x), integers({tokens, k}, chosen), floats({tokens, k}, shares),
                                floats({experts, inner, hidden}, gate), floats({experts, inner, hidden}, up),
                                floats({experts, hidden, inner}, down)});
    ASSERT_EQ(results.size(), 1u);
    Floats expected(tokens * hidden);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t rank = 0; rank < k; ++rank) {
        int64_t e = chosen[t * k + rank];
        for (int64_t i = 0; i < inner; ++i) {
          double g = 0, u = 0;
          for (int64_t h = 0; h < hidden; ++h) {
            g += gate[(e * inner + i) * hidden + h] * x[t * hidden + h];
            u += up[(e * inner + i) * hidden + h] * x[t * hidden + h];
          }
          for (int64_t h = 0; h < hidden; ++h) {
            expected[t * hidden + h] += shares[t * k + rank] * down[(e * hidden + h) * inner + i] * g * sigmoid(g) * u;
          }
        }
      }
    }
    expectFloats(results[0], {tokens, hidden}, expected, bound);
  }
}

// An expert that was not chosen does not count, whatever it comes to.
TEST(Composites, ExpertsThatWereNotChosenDoNotCount) {
  auto results = runR1(R"(
    func.func @f(%x: tensor<1x1xf32>, %e: tensor<1x1xi32>, %s: tensor<1x1xf32>, %w: tensor<2x1x1xf32>) -> tensor<1x1xf32> {
      %0 = r1.experts %x to %e, %s gate %w up %w down %w : (tensor<1x1xf32>, tensor<1x1xi32>, tensor<1x1xf32>,
          tensor<2x1x1xf32>, tensor<2x1x1xf32>, tensor<2x1x1xf32>) -> tensor<1x1xf32>
      return %0 : tensor<1x1xf32>
    })",
                       {floats({1, 1}, {1}), integers({1, 1}, {0}), floats({1, 1}, {0.5}),
                        floats({2, 1, 1}, {1, std::numeric_limits<double>::infinity()})});
  expectFloats(results[0], {1, 1}, {0.5 * sigmoid(1)}, bound);
}

TEST(Composites, NextTokenBlock) {
  Random random(3);
  constexpr int64_t tokens = 3, width = 4;
  Floats hidden = random.values(tokens * width), embedded = random.values(tokens * width),
         hiddenNorm = random.values(width), embeddingNorm = random.values(width),
         projection = random.values(2 * width * width);
  Integers positions = {0, 1, 2};
  auto results =
      runR1(R"(
    func.func @f(%h: tensor<?x4xf32>, %e: tensor<?x4xf32>, %p: tensor<?xi32>, %hn: tensor<4xf32>, %en: tensor<4xf32>,
                 %w: tensor<4x8xf32>) -> tensor<?x4xf32> {
      %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 0.5}
          : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>)
          -> tensor<?x4xf32>
      return %0 : tensor<?x4xf32>
    })",
            {floats({tokens, width}, hidden), floats({tokens, width}, embedded), integers({tokens}, positions),
             floats({width}, hiddenNorm), floats({width}, embeddingNorm), floats({width, 2 * width}, projection)});
  Floats expected(tokens * width);
  for (int64_t t = 0; t < tokens; ++t) {
    double both[2 * width];
    for (int64_t half = 0; half < 2; ++half) {
      const double *row = half == 0 ? &embedded[t * width] : &hidden[t * width];
      double factor = half == 0 && positions[t] == 0 ? 0 : 1, squares = 0;
      for (int64_t i = 0; i < width; ++i) {
        squares += factor * row[i] * row[i];
      }
      for (int64_t i = 0; i < width; ++i) {
        both[half * width + i] =
            factor * row[i] / std::sqrt(squares / width + 0.5) * (half == 0 ? embeddingNorm : hiddenNorm)[i];
      }
    }
    for (int64_t o = 0; o < width; ++o) {
      for (int64_t i = 0; i < 2 * width; ++i) {
        expected[t * width + o] += projection[o * 2 * width + i] * both[i];
      }
    }
  }
  expectFloats(results[0], {tokens, width}, expected, bound);
}

TEST(Composites, AFunctionThatIsNotThereIsAnError) {
  std::string error;
  auto results = runR1(R"(func.func @g() {
    return
  })",
                       {}, {}, &error);
  EXPECT_TRUE(results.empty());
  EXPECT_NE(error.find("expected a function @f of one block"), std::string::npos) << error;
}

} // namespace
} // namespace elah
