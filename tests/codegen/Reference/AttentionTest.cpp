// Attention of both kinds against plain loops over random tensors, whole and in chunks through a cache.
#include "tests/codegen/Reference/RunR1.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using llvm::formatv;

namespace elah {
namespace {

constexpr double bound = 1e-6; // Frequencies, scales and epsilons are f32.

/// Rotates one head's vector as `#r1.rope` says.
void rotate(double *vector, int64_t position, const std::vector<double> &frequencies, bool isInterleaved,
            double scale) {
  int64_t pairs = static_cast<int64_t>(frequencies.size());
  for (int64_t pair = 0; pair < pairs; ++pair) {
    double &first = vector[isInterleaved ? 2 * pair : pair],
           &second = vector[isInterleaved ? 2 * pair + 1 : pairs + pair];
    double angle = static_cast<double>(position) * frequencies[pair], x = first, y = second;
    first = (x * std::cos(angle) - y * std::sin(angle)) * scale;
    second = (x * std::sin(angle) + y * std::cos(angle)) * scale;
  }
}

/// The weighted sum of `values` rows that a query makes of scores: softmax over those given.
void attend(const std::vector<double> &scores, llvm::function_ref<const double *(int64_t)> values, int64_t width,
            double *result) {
  double sum = 0;
  for (double score : scores) {
    sum += std::exp(score);
  }
  for (int64_t key = 0; key < static_cast<int64_t>(scores.size()); ++key) {
    for (int64_t i = 0; i < width; ++i) {
      result[i] += std::exp(scores[key]) / sum * values(key)[i];
    }
  }
}

std::string frequencyList(const std::vector<double> &frequencies) {
  std::string list;
  for (double frequency : frequencies) {
    list += (list.empty() ? "" : ", ") + formatv("{0:f6}", frequency).str();
  }
  return list;
}

/// Runs @f on `chunk` tokens after the other: the first `rowInputs` inputs are cut, positions and cache added.
Floats inChunks(const std::string &text, std::vector<std::pair<int64_t, Floats>> rowInputs,
                std::vector<HostValue> otherInputs, int64_t tokens, int64_t chunk) {
  HostValue cache = emptyCacheOf(text);
  Floats all;
  for (int64_t done = 0; done < tokens; done += chunk) {
    int64_t count = std::min(chunk, tokens - done);
    std::vector<HostValue> inputs;
    for (auto &[width, values] : rowInputs) {
      inputs.push_back(
          floats({count, width}, Floats(values.begin() + done * width, values.begin() + (done + count) * width)));
    }
    inputs.insert(inputs.end(), otherInputs.begin(), otherInputs.end());
    Integers positions;
    for (int64_t token = 0; token < count; ++token) {
      positions.push_back(done + token);
    }
    inputs.push_back(integers({count}, positions));
    inputs.push_back(cache);
    auto results = runR1(text, inputs);
    if (results.size() != 2) {
      return {};
    }
    const Floats &rows = tensorOf(results[0]).floats();
    all.insert(all.end(), rows.begin(), rows.end());
    cache = results[1];
  }
  return all;
}

TEST(Attention, GroupedHeads) {
  for (unsigned seed = 0; seed < 8; ++seed) {
    Random random(seed);
    int64_t kvHeads = random.size(1, 3), shared = random.size(1, 3), heads = kvHeads * shared,
            pairs = random.size(1, 3);
    int64_t headDim = 2 * pairs + (seed % 3 == 0 ? random.size(1, 3) : 0), valueDim = random.size(1, 5), tokens = 7;
    bool isInterleaved = seed % 2 == 0, hasRope = seed != 5;
    double ropeScale = seed == 2 ? 1.5 : 1;
    std::vector<double> frequencies;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      frequencies.push_back(std::ldexp(1, -static_cast<int>(pair)));
    }
    Floats q = random.values(tokens * heads * headDim), k = random.values(tokens * kvHeads * headDim),
           v = random.values(tokens * kvHeads * valueDim);
    std::string rope = hasRope ? formatv(", rope = #r1.rope<{0}, [{1}], scale = {2:f3}>",
                                         isInterleaved ? "interleaved" : "half", frequencyList(frequencies), ropeScale)
                                     .str()
                               : "";
    auto text = [&](bool hasCache) {
      return formatv(R"(
        !kv = !r1.cache<kv, layers = 2, key_width = {1}, value_width = {2}>
        func.func @f(%q: tensor<?x{0}xf32>, %k: tensor<?x{1}xf32>, %v: tensor<?x{2}xf32>, %p: tensor<?xi32>{9})
            -> (tensor<?x{3}xf32>{10}) {{
          %0{11} = r1.attention %q, %k, %v at %p {12} {{heads = {4}, kv_heads = {5}, head_dim = {6}, value_dim = {7},
              scale = 0.3, layer = 1{8}}
              : (tensor<?x{0}xf32>, tensor<?x{1}xf32>, tensor<?x{2}xf32>, tensor<?xi32>{10}) -> (tensor<?x{3}xf32>{10})
          return {13} : tensor<?x{3}xf32>{10}
        })",
                     heads * headDim, kvHeads * headDim, kvHeads * valueDim, heads * valueDim, heads, kvHeads, headDim,
                     valueDim, rope, hasCache ? ", %c: !kv" : "", hasCache ? ", !kv" : "", hasCache ? ":2" : "",
                     hasCache ? "cache %c" : "", hasCache ? "%0#0, %0#1" : "%0")
          .str();
    };

    Floats rotatedQ = q, rotatedK = k, expected(tokens * heads * valueDim);
    for (int64_t t = 0; t < tokens && hasRope; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        rotate(&rotatedQ[(t * heads + h) * headDim], t, frequencies, isInterleaved, ropeScale);
      }
      for (int64_t h = 0; h < kvHeads; ++h) {
        rotate(&rotatedK[(t * kvHeads + h) * headDim], t, frequencies, isInterleaved, ropeScale);
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        int64_t kvHead = h / shared;
        std::vector<double> scores;
        for (int64_t key = 0; key <= t; ++key) {
          double score = 0;
          for (int64_t i = 0; i < headDim; ++i) {
            score += rotatedQ[(t * heads + h) * headDim + i] * rotatedK[(key * kvHeads + kvHead) * headDim + i];
          }
          scores.push_back(score * 0.3);
        }
        attend(
            scores, [&](int64_t key) { return &v[(key * kvHeads + kvHead) * valueDim]; }, valueDim,
            &expected[(t * heads + h) * valueDim]);
      }
    }
    for (int64_t chunk : {7, 3, 1}) {
      Floats found = inChunks(text(true), {{heads * headDim, q}, {kvHeads * headDim, k}, {kvHeads * valueDim, v}}, {},
                              tokens, chunk);
      expectFloats(floats({static_cast<int64_t>(found.size())}, found), {tokens * heads * valueDim}, expected, bound);
    }
    auto whole =
        runR1(text(false), {floats({tokens, heads * headDim}, q), floats({tokens, kvHeads * headDim}, k),
                            floats({tokens, kvHeads * valueDim}, v), integers({tokens}, {0, 1, 2, 3, 4, 5, 6})});
    ASSERT_EQ(whole.size(), 1u);
    expectFloats(whole[0], {tokens, heads * valueDim}, expected, bound);
  }
}

TEST(Attention, Latent) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    Random random(seed);
    int64_t heads = random.size(1, 3), nope = random.size(1, 4), pairs = random.size(1, 3), rope = 2 * pairs,
            valueDim = random.size(1, 4), rank = random.size(1, 6), tokens = 6;
    bool isInterleaved = seed % 2 == 0;
    std::vector<double> frequencies;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      frequencies.push_back(std::ldexp(1, -static_cast<int>(pair)));
    }
    Floats q = random.values(tokens * heads * (nope + rope)), latent = random.values(tokens * (rank + rope)),
           norm = random.values(rank), expand = random.values(heads * (nope + valueDim) * rank);
    std::string text =
        formatv(R"(
      !latent = !r1.cache<latent, layers = 2, key_width = {1}, value_width = 0>
      func.func @f(%q: tensor<?x{0}xf32>, %l: tensor<?x{1}xf32>, %n: tensor<{2}xf32>, %e: tensor<{3}x{2}xf32>,
                   %p: tensor<?xi32>, %c: !latent) -> (tensor<?x{4}xf32>, !latent) {{
        %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
            {{heads = {5}, nope_dim = {6}, rope_dim = {7}, value_dim = {8}, rank = {2}, scale = 0.4, epsilon = 0.125,
             layer = 1, rope = #r1.rope<{9}, [{10}], scale = 1.0>}
            : (tensor<?x{0}xf32>, tensor<?x{1}xf32>, tensor<{2}xf32>, tensor<{3}x{2}xf32>, tensor<?xi32>, !latent)
            -> (tensor<?x{4}xf32>, !latent)
        return %0#0, %0#1 : tensor<?x{4}xf32>, !latent
      })",
                heads * (nope + rope), rank + rope, rank, heads * (nope + valueDim), heads * valueDim, heads, nope,
                rope, valueDim, isInterleaved ? "interleaved" : "half", frequencyList(frequencies));

    // The absorbed form: the query goes into the latent's space, and the sum of latents comes out of it.
    Floats rotatedQ = q, rows = latent, expected(tokens * heads * valueDim);
    for (int64_t t = 0; t < tokens; ++t) {
      double *row = &rows[t * (rank + rope)], squares = 0;
      for (int64_t i = 0; i < rank; ++i) {
        squares += row[i] * row[i];
      }
      for (int64_t i = 0; i < rank; ++i) {
        row[i] = row[i] / std::sqrt(squares / static_cast<double>(rank) + 0.125) * norm[i];
      }
      rotate(row + rank, t, frequencies, isInterleaved, 1);
      for (int64_t h = 0; h < heads; ++h) {
        rotate(&rotatedQ[(t * heads + h) * (nope + rope) + nope], t, frequencies, isInterleaved, 1);
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const double *query = &rotatedQ[(t * heads + h) * (nope + rope)],
                     *matrix = &expand[h * (nope + valueDim) * rank];
        std::vector<double> absorbed(rank), scores, sum(rank);
        for (int64_t i = 0; i < nope; ++i) {
          for (int64_t r = 0; r < rank; ++r) {
            absorbed[r] += query[i] * matrix[i * rank + r];
          }
        }
        for (int64_t key = 0; key <= t; ++key) {
          const double *row = &rows[key * (rank + rope)];
          double score = 0;
          for (int64_t r = 0; r < rank; ++r) {
            score += absorbed[r] * row[r];
          }
          for (int64_t i = 0; i < rope; ++i) {
            score += query[nope + i] * row[rank + i];
          }
          scores.push_back(score * 0.4);
        }
        attend(scores, [&](int64_t key) { return &rows[key * (rank + rope)]; }, rank, sum.data());
        for (int64_t i = 0; i < valueDim; ++i) {
          for (int64_t r = 0; r < rank; ++r) {
            expected[(t * heads + h) * valueDim + i] += matrix[(nope + i) * rank + r] * sum[r];
          }
        }
      }
    }
    for (int64_t chunk : {6, 4, 1}) {
      Floats found = inChunks(text, {{heads * (nope + rope), q}, {rank + rope, latent}},
                              {floats({rank}, norm), floats({heads * (nope + valueDim), rank}, expand)}, tokens, chunk);
      expectFloats(floats({static_cast<int64_t>(found.size())}, found), {tokens * heads * valueDim}, expected, bound);
    }
  }
}

TEST(Attention, ACacheOfAnotherShapeIsAnError) {
  std::string text = R"(
    !kv = !r1.cache<kv, layers = 2, key_width = 4, value_width = 3>
    func.func @f(%c: !kv) -> tensor<?x3xf32> {
      %0 = r1.cache_read value of %c layer 0 : (!kv) -> tensor<?x3xf32>
      return %0 : tensor<?x3xf32>
    })";
  expectFloats(runR1(text, {emptyCacheOf(text)})[0], {0, 3}, {});
  std::string other = text, error;
  other.replace(other.find("layers = 2"), 10, "layers = 3");
  EXPECT_TRUE(runR1(text, {emptyCacheOf(other)}, {}, &error).empty());
  EXPECT_NE(error.find("found another cache"), std::string::npos) << error;
}

} // namespace
} // namespace elah
