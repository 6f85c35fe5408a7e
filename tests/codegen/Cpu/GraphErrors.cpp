// What only shows when a compiled graph runs: an error in the words of the check that the compiler wrote, with the
// numbers that were found.
#include "tests/codegen/Reference/RunR1.h"

namespace elah {
namespace {

void expectError(const std::string &op, std::vector<std::string> types, llvm::ArrayRef<HostValue> inputs,
                 std::vector<std::string> results, const std::string &message) {
  std::string error;
  EXPECT_TRUE(run(op, std::move(types), inputs, std::move(results), {}, &error).empty());
  EXPECT_EQ(error, message + "\n");
}

TEST(CompiledGraph, WhatOnlyShowsAtRunTimeIsAnError) {
  HostValue three = floats({3}, {1, 2, 3}), two = floats({2}, {1, 2});
  std::vector<std::string> dynamic = {"tensor<?xf32>", "tensor<?xf32>"};
  expectError("r1.add %a, %b : tensor<?xf32>", dynamic, {three, two}, {"tensor<?xf32>"},
              "r1.add: sizes 3 and 2 of dimension 0 do not broadcast");
  expectError("r1.matmul %a, %b : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>",
              {"tensor<?x?xf32>", "tensor<?x?xf32>"}, {floats({1, 3}, Floats(3)), floats({2, 1}, Floats(2))},
              {"tensor<?x?xf32>"}, "r1.matmul: inner sizes 3 and 2 must be equal");
  expectError("r1.gather %a, %b axis 0 : (tensor<?xf32>, tensor<1xi64>) -> tensor<1xf32>",
              {"tensor<?xf32>", "tensor<1xi64>"}, {three, integers({1}, {3})}, {"tensor<1xf32>"},
              "r1.gather: index 3 is out of the range of a dimension of 3");
  expectError("r1.reshape %a to [2, -1] : (tensor<?xf32>) -> tensor<2x?xf32>", {"tensor<?xf32>"}, {three},
              {"tensor<2x?xf32>"}, "r1.reshape: must keep its 3 elements, the shape has 2");
  expectError("r1.broadcast_to %a to [3] : (tensor<?xf32>) -> tensor<3xf32>", {"tensor<?xf32>"}, {two},
              {"tensor<3xf32>"}, "r1.broadcast_to: a dimension of 2 must broadcast to the result's, found 3");
  expectError("r1.concat %a, %b axis 1 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>",
              {"tensor<?x1xf32>", "tensor<?x1xf32>"}, {floats({3, 1}, Floats(3)), floats({2, 1}, Floats(2))},
              {"tensor<?x2xf32>"}, "r1.concat: inputs must agree in dimension 0, found 3 and 2");
  expectError("r1.topk 3 of %a axis 0 : (tensor<?xf32>) -> (tensor<3xf32>, tensor<3xi64>)", {"tensor<?xf32>"}, {two},
              {"tensor<3xf32>", "tensor<3xi64>"}, "r1.topk: k must be at most the dimension, found 3 for 2");
  expectError("r1.range %a, %a, %b : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>",
              {"tensor<i64>", "tensor<i64>"}, {integers({}, {1}), integers({}, {0})}, {"tensor<?xi64>"},
              "r1.range: step must not be 0");
  expectError("r1.slice %a axis 0 from 1 : (tensor<?xf32>) -> tensor<1xf32>", {"tensor<?xf32>"}, {three},
              {"tensor<1xf32>"}, "r1.slice: dimension 0 must be 1, came to 2");
}

} // namespace
} // namespace elah
