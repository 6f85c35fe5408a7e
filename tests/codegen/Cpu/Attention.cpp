// Attention against plain double loops: several sequences at different positions, whose pages lie scattered in the
// pool, for grouped-query, multi-head and absorbed latent attention. Steps mix single tokens and runs of them that fill
// a tile of rows or not, before and after the edges of tiles of keys.
#include "KernelHarness.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace elah;
using namespace elah::test;

namespace {

/// The tokens of one step, and where what they see lies in the cache.
struct Step {
  int64_t pageTokens, pages, pagesPerSequence;
  std::vector<int32_t> positions, sequence, table;
  Dims dims;

  /// Sequence s has `contexts[s]` tokens, of which the last `steps[s]` are in this step.
  Step(Random &random, int64_t pageTokens, const std::vector<int64_t> &contexts, const std::vector<int64_t> &steps)
      : pageTokens(pageTokens), pages(1), pagesPerSequence(0) {
    for (int64_t context : contexts) {
      pagesPerSequence = std::max(pagesPerSequence, (context + pageTokens - 1) / pageTokens);
      pages += (context + pageTokens - 1) / pageTokens;
    }
    std::vector<int32_t> order(pages);
    for (int64_t i = 0; i < pages; ++i) {
      order[i] = static_cast<int32_t>(i);
    }
    for (int64_t i = pages - 1; i > 0; --i) {
      std::swap(order[i], order[random.below(i + 1)]);
    }
    table.assign(contexts.size() * pagesPerSequence, -1);
    size_t next = 0;
    for (size_t s = 0; s < contexts.size(); ++s) {
      for (int64_t page = 0; page * pageTokens < contexts[s]; ++page) {
        table[s * pagesPerSequence + page] = order[next++];
      }
      for (int64_t i = contexts[s] - steps[s]; i < contexts[s]; ++i) {
        positions.push_back(static_cast<int32_t>(i));
        sequence.push_back(static_cast<int32_t>(s));
      }
    }
    dims.tokens = static_cast<int64_t>(positions.size());
    dims.sequences = static_cast<int64_t>(contexts.size());
    dims.cacheRows = pages * pageTokens;
    dims.pagesPerSequence = pagesPerSequence;
  }
  int64_t rowOf(int64_t token, int64_t key) const {
    return table[sequence[token] * pagesPerSequence + key / pageTokens] * pageTokens + key % pageTokens;
  }
};

struct Cache {
  std::string element;
  std::vector<float> values;
  std::unique_ptr<Buffer> buffer;

  Cache(Random &random, const std::string &element, int64_t count) : element(element), values(random.numbers(count)) {
    if (element == "f32") {
      buffer = bufferOf(values);
      return;
    }
    std::vector<uint16_t> bits;
    for (float &value : values) {
      bits.push_back(element == "bf16" ? toBF16(value) : toF16(value));
      value = element == "bf16" ? fromBF16(bits.back()) : fromF16(bits.back());
    }
    buffer = bufferOf(bits);
  }
};

/// softmax(scale * query . keys) . values, in double.
std::vector<double> attend(const Step &step, int64_t token, const float *query, int64_t keyDim, const Cache &keys,
                           int64_t keyRow, int64_t keyOffset, const Cache &values, int64_t valueRow,
                           int64_t valueOffset, int64_t valueDim, double scale) {
  std::vector<double> scores, output(valueDim);
  double largest = -INFINITY, total = 0;
  for (int64_t key = 0; key <= step.positions[token]; ++key) {
    const float *row = &keys.values[step.rowOf(token, key) * keyRow + keyOffset];
    double score = 0;
    for (int64_t i = 0; i < keyDim; ++i) {
      score += static_cast<double>(query[i]) * row[i];
    }
    scores.push_back(score * scale);
    largest = std::max(largest, scores.back());
  }
  for (double &score : scores) {
    score = std::exp(score - largest);
    total += score;
  }
  for (size_t key = 0; key < scores.size(); ++key) {
    const float *row = &values.values[step.rowOf(token, key) * valueRow + valueOffset];
    for (int64_t i = 0; i < valueDim; ++i) {
      output[i] += scores[key] / total * row[i];
    }
  }
  return output;
}

std::vector<Step> steps(Random &random, int64_t pageTokens) {
  std::vector<Step> result;
  result.emplace_back(random, pageTokens, std::vector<int64_t>{1}, std::vector<int64_t>{1});
  result.emplace_back(random, pageTokens, std::vector<int64_t>{64, 65, 200, 7}, std::vector<int64_t>{1, 1, 1, 1});
  result.emplace_back(random, pageTokens, std::vector<int64_t>{37, 150, 129}, std::vector<int64_t>{37, 3, 40});
  result.emplace_back(random, pageTokens, std::vector<int64_t>{300, 70, 97, 1}, std::vector<int64_t>{1, 70, 33, 1});
  result.emplace_back(random, pageTokens, std::vector<int64_t>{290}, std::vector<int64_t>{290});
  result.emplace_back(random, pageTokens, std::vector<int64_t>{600, 514}, std::vector<int64_t>{5, 2});
  return result;
}

/// Besides the type of the output: what may be lost where products may be rounded.
double boundOf(const std::string &compute, bool isOutputBF16 = false) {
  return compute == "bf16" ? 1e-4 : isOutputBF16 ? 1e-5 : compute == "bf16x2" ? 1e-9 : 1e-10;
}

class Attention : public testing::TestWithParam<std::string> {};

TEST_P(Attention, GroupedQuery) {
  struct Shape {
    int64_t heads, kvHeads, headDim, valueDim, pageTokens;
    const char *cache, *output, *compute;
  };
  Random random(11);
  for (Shape s : {Shape{4, 2, 64, 64, 16, "f32", "f32", "f32"}, Shape{6, 6, 40, 24, 5, "f16", "f32", "f32"},
                  Shape{12, 1, 128, 128, 32, "bf16", "bf16", "f32"}, Shape{2, 1, 5, 3, 1, "bf16", "f32", "f32"},
                  Shape{12, 2, 128, 128, 64, "bf16", "bf16", "bf16"}, Shape{6, 3, 40, 24, 5, "bf16", "f32", "bf16x2"},
                  Shape{4, 2, 64, 96, 16, "f32", "f32", "bf16x2"}, Shape{6, 1, 20, 37, 3, "f32", "f32", "bf16x2"}}) {
    double scale = 1 / std::sqrt(static_cast<double>(s.headDim));
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @attention(%q: memref<?x{0}xf32>, %k: memref<?x{1}x{4}>, %v: memref<?x{2}x{4}>, %p: "
        "memref<?xi32>, %s: memref<?xi32>, %t: memref<?xi32>, %o: memref<?x{3}x{5}>) rows [#exec.extent<tokens>, "
        "#exec.extent<cache_rows>, #exec.extent<cache_rows>, #exec.extent<tokens>, #exec.extent<tokens>, "
        "#exec.extent<sequences>, #exec.extent<tokens>] {{\nkernel.attention %q, %k, %v at %p, %s, %t to %o {{heads = "
        "{6}, kv_heads = {7}, head_dim = {8}, value_dim = {9}, scale = {10:F17}, page_tokens = {11}, compute = "
        "#kernel<compute {12}>} : "
        "memref<?x{0}xf32>, memref<?x{1}x{4}>, memref<?x{2}x{4}>, memref<?xi32>, memref<?xi32>, memref<?xi32>, "
        "memref<?x{3}x{5}>\n}\n}\n",
        s.heads * s.headDim, s.kvHeads * s.headDim, s.kvHeads * s.valueDim, s.heads * s.valueDim, s.cache, s.output,
        s.heads, s.kvHeads, s.headDim, s.valueDim, scale, s.pageTokens, s.compute);
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    for (const Step &step : steps(random, s.pageTokens)) {
      Cache keys(random, s.cache, step.dims.cacheRows * s.kvHeads * s.headDim);
      Cache values(random, s.cache, step.dims.cacheRows * s.kvHeads * s.valueDim);
      std::vector<float> queries = random.numbers(step.dims.tokens * s.heads * s.headDim, 4);
      auto query = bufferOf(queries), positions = bufferOf(step.positions), sequence = bufferOf(step.sequence),
           table = bufferOf(step.table);
      int64_t width = s.heads * s.valueDim;
      bool isBF16 = std::string(s.output) == "bf16";
      Buffer output(step.dims.tokens * width * (isBF16 ? 2 : 4));
      kernels.run("attention",
                  {query->data(), keys.buffer->data(), values.buffer->data(), positions->data(), sequence->data(),
                   table->data(), output.data()},
                  step.dims, step.dims.tokens * s.kvHeads);
      std::vector<double> expected, found;
      for (int64_t token = 0; token < step.dims.tokens; ++token) {
        for (int64_t head = 0; head < s.heads; ++head) {
          int64_t kvHead = head / (s.heads / s.kvHeads);
          std::vector<double> part = attend(step, token, &queries[(token * s.heads + head) * s.headDim], s.headDim,
                                            keys, s.kvHeads * s.headDim, kvHead * s.headDim, values,
                                            s.kvHeads * s.valueDim, kvHead * s.valueDim, s.valueDim, scale);
          expected.insert(expected.end(), part.begin(), part.end());
        }
        for (int64_t i = 0; i < width; ++i) {
          found.push_back(isBF16 ? fromBF16(output.as<uint16_t>()[token * width + i])
                                 : output.as<float>()[token * width + i]);
        }
      }
      EXPECT_LT(difference(expected, found), boundOf(s.compute, isBF16))
          << s.heads << " heads, " << s.headDim << " wide, " << step.dims.tokens << " tokens";
    }
  }
}

TEST_P(Attention, Latent) {
  struct Shape {
    int64_t heads, rank, ropeDim, groups, pageTokens;
    const char *cache, *compute;
  };
  Random random(12);
  for (Shape s : {Shape{4, 32, 8, 1, 16, "f32", "f32"}, Shape{16, 128, 64, 2, 64, "bf16", "f32"},
                  Shape{3, 20, 6, 3, 7, "f32", "f32"}, Shape{16, 128, 64, 4, 64, "bf16", "bf16"},
                  Shape{8, 64, 32, 2, 16, "bf16", "bf16x2"}, Shape{16, 128, 64, 1, 64, "f32", "bf16x2"},
                  Shape{5, 20, 6, 1, 7, "f32", "bf16x2"}}) {
    int64_t row = s.rank + s.ropeDim;
    double scale = 1 / std::sqrt(static_cast<double>(row));
    std::string text = llvm::formatv(
        "module {{\nexec.kernel @attention(%q: memref<?x{0}xf32>, %c: memref<?x{1}x{3}>, %p: memref<?xi32>, %s: "
        "memref<?xi32>, %t: memref<?xi32>, %o: memref<?x{2}xf32>) rows [#exec.extent<tokens>, "
        "#exec.extent<cache_rows>, "
        "#exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<sequences>, #exec.extent<tokens>] "
        "{{\nkernel.latent_attention %q, %c at %p, %s, %t to %o {{heads = {4}, rank = {5}, rope_dim = {6}, head_groups "
        "= "
        "{7}, scale = {8:F17}, page_tokens = {9}, compute = #kernel<compute {10}>} : memref<?x{0}xf32>, "
        "memref<?x{1}x{3}>, memref<?xi32>, "
        "memref<?xi32>, "
        "memref<?xi32>, memref<?x{2}xf32>\n}\n}\n",
        s.heads * row, row, s.heads * s.rank, s.cache, s.heads, s.rank, s.ropeDim, s.groups, scale, s.pageTokens,
        s.compute);
    Kernels kernels(GetParam(), text);
    ASSERT_FALSE(HasFailure());
    for (const Step &step : steps(random, s.pageTokens)) {
      Cache cache(random, s.cache, step.dims.cacheRows * row);
      std::vector<float> queries = random.numbers(step.dims.tokens * s.heads * row, 4);
      auto query = bufferOf(queries), positions = bufferOf(step.positions), sequence = bufferOf(step.sequence),
           table = bufferOf(step.table);
      Buffer output(step.dims.tokens * s.heads * s.rank * 4);
      kernels.run(
          "attention",
          {query->data(), cache.buffer->data(), positions->data(), sequence->data(), table->data(), output.data()},
          step.dims, step.dims.tokens * s.groups);
      std::vector<double> expected, found;
      for (int64_t token = 0; token < step.dims.tokens; ++token) {
        for (int64_t head = 0; head < s.heads; ++head) {
          std::vector<double> part = attend(step, token, &queries[(token * s.heads + head) * row], row, cache, row, 0,
                                            cache, row, 0, s.rank, scale);
          expected.insert(expected.end(), part.begin(), part.end());
        }
      }
      for (size_t i = 0; i < expected.size(); ++i) {
        found.push_back(output.as<float>()[i]);
      }
      EXPECT_LT(difference(expected, found), boundOf(s.compute))
          << s.heads << " heads, " << step.dims.tokens << " tokens";
    }
  }
}

// Large scores: the online softmax must not overflow, and keys far below the largest must vanish.
TEST_P(Attention, LargeScores) {
  Random random(13);
  std::string text =
      "module {\nexec.kernel @attention(%q: memref<?x16xf32>, %k: memref<?x16xf32>, %v: memref<?x16xf32>, %p: "
      "memref<?xi32>, %s: memref<?xi32>, %t: memref<?xi32>, %o: memref<?x16xf32>) rows [#exec.extent<tokens>, "
      "#exec.extent<cache_rows>, #exec.extent<cache_rows>, #exec.extent<tokens>, #exec.extent<tokens>, "
      "#exec.extent<sequences>, #exec.extent<tokens>] {\nkernel.attention %q, %k, %v at %p, %s, %t to %o {heads = 1, "
      "kv_heads = 1, head_dim = 16, value_dim = 16, scale = 1.0, page_tokens = 8} : memref<?x16xf32>, "
      "memref<?x16xf32>, "
      "memref<?x16xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x16xf32>\n}\n}\n";
  Kernels kernels(GetParam(), text);
  ASSERT_FALSE(HasFailure());
  Step step(random, 8, {300}, {2});
  Cache keys(random, "f32", step.dims.cacheRows * 16), values(random, "f32", step.dims.cacheRows * 16);
  std::vector<float> queries = random.numbers(2 * 16, 200);
  auto query = bufferOf(queries), positions = bufferOf(step.positions), sequence = bufferOf(step.sequence),
       table = bufferOf(step.table);
  Buffer output(2 * 16 * 4);
  kernels.run("attention",
              {query->data(), keys.buffer->data(), values.buffer->data(), positions->data(), sequence->data(),
               table->data(), output.data()},
              step.dims, 2);
  std::vector<double> expected, found;
  for (int64_t token = 0; token < 2; ++token) {
    std::vector<double> part = attend(step, token, &queries[token * 16], 16, keys, 16, 0, values, 16, 0, 16, 1);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    found.push_back(output.as<float>()[i]);
  }
  EXPECT_LT(difference(expected, found), 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Targets, Attention, testing::ValuesIn(runnableTargets()), nameOfTarget);

} // namespace
