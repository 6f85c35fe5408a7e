// The router's choice against a plain one, exactly: ties go to the lower index, and a NaN is never chosen while there
// are numbers. Then the experts' plan and the sum of their rows.
#include "KernelHarness.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>
#include <set>

using namespace elah;
using namespace elah::test;

namespace {

struct Routing {
  const char *scoring;
  int64_t experts, topK, groups, topGroups;
  const char *groupScore;
  bool normalizes, biased;
  double scale;
  int64_t shared = 0;
};

class Route : public testing::TestWithParam<std::string> {};

int64_t best(const std::vector<double> &values, int64_t begin, int64_t end) {
  int64_t index = begin;
  double largest = -INFINITY;
  for (int64_t i = begin; i < end; ++i) {
    if (values[i] > largest) {
      largest = values[i];
      index = i;
    }
  }
  return index;
}

void choose(const Routing &r, const float *logits, const float *bias, std::vector<int32_t> &experts,
            std::vector<double> &weights) {
  std::vector<double> scores(r.experts), biased(r.experts);
  double largest = -INFINITY, total = 0;
  for (int64_t i = 0; i < r.experts; ++i) {
    largest = std::max<double>(largest, logits[i]);
  }
  for (int64_t i = 0; i < r.experts; ++i) {
    scores[i] = std::string(r.scoring) == "sigmoid" ? 1 / (1 + std::exp(-static_cast<double>(logits[i])))
                                                    : std::exp(logits[i] - largest);
    total += scores[i];
  }
  for (int64_t i = 0; i < r.experts; ++i) {
    scores[i] /= std::string(r.scoring) == "sigmoid" ? 1 : total;
    biased[i] = scores[i] + (bias ? bias[i] : 0);
  }
  int64_t size = r.experts / r.groups;
  if (r.groups > 1) {
    std::vector<double> ranks;
    for (int64_t g = 0; g < r.groups; ++g) {
      int64_t first = best(biased, g * size, (g + 1) * size);
      double rank = biased[first];
      if (std::string(r.groupScore) == "top2" && size > 1) {
        std::vector<double> rest = biased;
        rest[first] = -INFINITY;
        rank += rest[best(rest, g * size, (g + 1) * size)];
      }
      ranks.push_back(rank);
    }
    std::set<int64_t> taken;
    for (int64_t i = 0; i < r.topGroups; ++i) {
      int64_t g = best(ranks, 0, r.groups);
      ranks[g] = -INFINITY;
      taken.insert(g);
    }
    for (int64_t i = 0; i < r.experts; ++i) {
      biased[i] = taken.count(i / size) ? biased[i] : -INFINITY;
    }
  }
  double sum = 0;
  std::vector<double> chosen;
  for (int64_t i = 0; i < r.topK; ++i) {
    int64_t expert = best(biased, 0, r.experts);
    biased[expert] = -INFINITY;
    experts.push_back(static_cast<int32_t>(expert));
    chosen.push_back(scores[expert]);
    sum += scores[expert];
  }
  for (double weight : chosen) {
    weights.push_back(weight * r.scale / (r.normalizes ? sum + 1e-20 : 1));
  }
  for (int64_t i = 0; i < r.shared; ++i) {
    experts.push_back(static_cast<int32_t>(r.experts + i));
    weights.push_back(1);
  }
}

std::string textOf(const Routing &r) {
  return llvm::formatv(
      "module {{\nexec.kernel @route(%l: memref<?x{0}xf32>{1}, %e: memref<?x{2}xi32>, %w: memref<?x{2}xf32>) rows "
      "[#exec.extent<tokens>{3}, #exec.extent<tokens>, #exec.extent<tokens>] {{\nkernel.route %l{4} to %e, %w "
      "{{shared = {12}, routing = #r1.routing<{5}, top_k = {13}, groups = {6}, top_groups = {7}, group_score = {8}, "
      "normalize = {9}, scale = "
      "{10:F6} : f64>} : memref<?x{0}xf32>{11}, memref<?x{2}xi32>, memref<?x{2}xf32>\n}\n}\n",
      r.experts, r.biased ? llvm::formatv(", %b: memref<{0}xf32>", r.experts).str() : "", r.topK + r.shared,
      r.biased ? llvm::formatv(", #exec.extent<{0}>", r.experts).str() : "", r.biased ? " bias %b" : "", r.scoring,
      r.groups, r.topGroups, r.groupScore, r.normalizes ? "true" : "false", r.scale,
      r.biased ? llvm::formatv(", memref<{0}xf32>", r.experts).str() : "", r.shared, r.topK);
}

TEST_P(Route, ChoosesAsDefined) {
  Random random(21);
  for (Routing r :
       {Routing{"sigmoid", 256, 8, 8, 4, "top2", true, true, 2.5, 1},
        Routing{"softmax", 64, 6, 1, 1, "max", false, false, 1},
        Routing{"softmax", 160, 6, 8, 3, "max", false, false, 16, 2},
        Routing{"sigmoid", 16, 3, 4, 2, "top2", true, true, 1}, Routing{"sigmoid", 10, 2, 5, 2, "max", true, false, 1},
        Routing{"sigmoid", 4, 2, 4, 2, "top2", true, true, 1}}) {
    Kernels kernels(GetParam(), textOf(r));
    ASSERT_FALSE(HasFailure());
    int64_t tokens = 20;
    std::vector<float> logits = random.numbers(tokens * r.experts, 5), biasValues = random.numbers(r.experts, 0.1f);
    // Ties: a token whose logits are all equal, and one with few different ones. Without a bias they stay ties.
    for (int64_t i = 0; i < r.experts; ++i) {
      logits[i] = 0.25f;
      logits[r.experts + i] = static_cast<float>(i % 3);
    }
    auto input = bufferOf(logits), bias = bufferOf(biasValues);
    int64_t width = r.topK + r.shared;
    Buffer experts(tokens * width * 4), weights(tokens * width * 4);
    std::vector<void *> buffers = {input->data()};
    if (r.biased) {
      buffers.push_back(bias->data());
    }
    buffers.insert(buffers.end(), {experts.data(), weights.data()});
    kernels.run("route", buffers, {.tokens = tokens}, tokens);
    std::vector<int32_t> chosen;
    std::vector<double> expected, found;
    for (int64_t token = 0; token < tokens; ++token) {
      choose(r, &logits[token * r.experts], r.biased ? biasValues.data() : nullptr, chosen, expected);
    }
    for (int64_t i = 0; i < tokens * width; ++i) {
      EXPECT_EQ(experts.as<int32_t>()[i], chosen[i]) << "token " << i / width << ", choice " << i % width;
      found.push_back(weights.as<float>()[i]);
    }
    EXPECT_LT(difference(expected, found), 1e-11) << r.scoring << " over " << r.experts;
  }
}

// Whatever the logits are, what comes out may be used as an index.
TEST_P(Route, StaysInRange) {
  Routing r{"sigmoid", 32, 4, 4, 2, "top2", true, true, 1};
  Kernels kernels(GetParam(), textOf(r));
  ASSERT_FALSE(HasFailure());
  int64_t tokens = 4;
  std::vector<float> logits(tokens * r.experts, NAN), biasValues(r.experts, 0.0f);
  for (int64_t i = 0; i < r.experts; ++i) {
    logits[r.experts + i] = i % 2 ? NAN : static_cast<float>(i);
    logits[2 * r.experts + i] = INFINITY;
    logits[3 * r.experts + i] = -INFINITY;
  }
  auto input = bufferOf(logits), bias = bufferOf(biasValues);
  Buffer experts(tokens * r.topK * 4), weights(tokens * r.topK * 4);
  kernels.run("route", {input->data(), bias->data(), experts.data(), weights.data()}, {.tokens = tokens}, tokens);
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t i = 0; i < r.topK; ++i) {
      int32_t expert = experts.as<int32_t>()[token * r.topK + i];
      EXPECT_GE(expert, 0);
      EXPECT_LT(expert, r.experts);
      if (token == 1) {
        EXPECT_EQ(expert % 2, 0) << "a NaN was chosen";
      }
    }
  }
}

TEST_P(Route, PlanAndCombine) {
  constexpr int64_t experts = 7, topK = 3, width = 37, tokens = 23;
  std::string text = llvm::formatv(
      "module {{\nexec.kernel @plan(%e: memref<?x{0}xi32>, %o: memref<{1}xi32>, %g: memref<?xi32>, %s: "
      "memref<?x{0}xi32>) rows [#exec.extent<tokens>, #exec.extent<{1}>, #exec.extent<{0} * tokens>, "
      "#exec.extent<tokens>] {{\nkernel.expert_plan %e to %o, %g, %s : memref<?x{0}xi32>, memref<{1}xi32>, "
      "memref<?xi32>, "
      "memref<?x{0}xi32>\n}\n"
      "exec.kernel @combine(%r: memref<?x{2}xf32>, %w: memref<?x{0}xf32>, %s: memref<?x{0}xi32>, %o: "
      "memref<?x{2}xf32>) "
      "rows [#exec.extent<{0} * tokens>, #exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>] "
      "{{\nkernel.combine %r, %w, %s to %o : memref<?x{2}xf32>, memref<?x{0}xf32>, memref<?x{0}xi32>, "
      "memref<?x{2}xf32>\n}\n}\n",
      topK, experts + 1, width);
  Kernels kernels(GetParam(), text);
  ASSERT_FALSE(HasFailure());
  Random random(22);
  std::vector<int32_t> chosen;
  for (int64_t token = 0; token < tokens; ++token) { // Expert 3 gets nothing.
    int64_t first = random.below(experts);
    for (int64_t i = 0; i < topK; ++i) {
      int64_t expert = (first + 2 * i) % experts;
      chosen.push_back(static_cast<int32_t>(expert == 3 ? 6 : expert));
    }
  }
  auto input = bufferOf(chosen);
  Buffer offsets((experts + 1) * 4), gather(tokens * topK * 4), slots(tokens * topK * 4);
  kernels.run("plan", {input->data(), offsets.data(), gather.data(), slots.data()}, {.tokens = tokens}, 1);
  int32_t row = 0;
  for (int64_t expert = 0; expert < experts; ++expert) {
    EXPECT_EQ(offsets.as<int32_t>()[expert], row);
    for (int64_t pair = 0; pair < tokens * topK; ++pair) {
      if (chosen[pair] == expert) {
        EXPECT_EQ(gather.as<int32_t>()[row], pair / topK);
        EXPECT_EQ(slots.as<int32_t>()[pair], row);
        ++row;
      }
    }
  }
  EXPECT_EQ(offsets.as<int32_t>()[experts], tokens * topK);

  std::vector<float> rows = random.numbers(tokens * topK * width), weights = random.numbers(tokens * topK),
                     before = random.numbers(tokens * width);
  auto rowBuffer = bufferOf(rows), weightBuffer = bufferOf(weights), output = bufferOf(before);
  kernels.run("combine", {rowBuffer->data(), weightBuffer->data(), slots.data(), output->data()}, {.tokens = tokens},
              tokens);
  std::vector<double> expected, found;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t i = 0; i < width; ++i) {
      double sum = before[token * width + i];
      for (int64_t part = 0; part < topK; ++part) {
        sum += static_cast<double>(weights[token * topK + part]) *
               rows[slots.as<int32_t>()[token * topK + part] * width + i];
      }
      expected.push_back(sum);
      found.push_back(output->as<float>()[token * width + i]);
    }
  }
  EXPECT_LT(difference(expected, found), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Targets, Route, testing::ValuesIn(runnableTargets()), nameOfTarget);

} // namespace
