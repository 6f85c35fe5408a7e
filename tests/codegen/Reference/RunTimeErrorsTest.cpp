// What only shows when a function runs: the interpreter's errors.
#include "tests/codegen/Reference/RunR1.h"

namespace elah {
namespace {

/// Runs an operation that must fail with a message.
void expectError(const std::string &op, std::vector<std::string> types, llvm::ArrayRef<HostValue> inputs,
                 std::vector<std::string> results, const std::string &message) {
  std::string error;
  EXPECT_TRUE(run(op, std::move(types), inputs, std::move(results), {}, &error).empty());
  EXPECT_NE(error.find(message), std::string::npos) << error;
}

TEST(Primitives, WhatOnlyShowsAtRunTimeIsAnError) {
  HostValue three = floats({3}, {1, 2, 3}), two = floats({2}, {1, 2});
  std::vector<std::string> dynamic = {"tensor<?xf32>", "tensor<?xf32>"};
  expectError("r1.add %a, %b : tensor<?xf32>", dynamic, {three, two}, {"tensor<?xf32>"}, "operands must broadcast");
  expectError("r1.matmul %a, %b : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>",
              {"tensor<?x?xf32>", "tensor<?x?xf32>"}, {floats({1, 3}, Floats(3)), floats({2, 1}, Floats(2))},
              {"tensor<?x?xf32>"}, "cannot multiply [1, 3] by [2, 1]");
  expectError("r1.gather %a, %b axis 0 : (tensor<?xf32>, tensor<1xi64>) -> tensor<1xf32>",
              {"tensor<?xf32>", "tensor<1xi64>"}, {three, integers({1}, {3})}, {"tensor<1xf32>"},
              "index must be in -3..2, found 3");
  expectError("r1.reshape %a to [2, -1] : (tensor<?xf32>) -> tensor<2x?xf32>", {"tensor<?xf32>"}, {three},
              {"tensor<2x?xf32>"}, "must keep the 3 elements of [3], found [2, -1]");
  expectError("r1.broadcast_to %a to [3] : (tensor<?xf32>) -> tensor<3xf32>", {"tensor<?xf32>"}, {two},
              {"tensor<3xf32>"}, "[2] must broadcast to the result, found [3]");
  expectError("r1.concat %a, %b axis 1 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>",
              {"tensor<?x1xf32>", "tensor<?x1xf32>"}, {floats({3, 1}, Floats(3)), floats({2, 1}, Floats(2))},
              {"tensor<?x2xf32>"}, "inputs must agree in all dimensions but 1, found [3, 1] and [2, 1]");
  expectError("r1.topk 3 of %a axis 0 : (tensor<?xf32>) -> (tensor<3xf32>, tensor<3xi64>)", {"tensor<?xf32>"}, {two},
              {"tensor<3xf32>", "tensor<3xi64>"}, "k must be at most dimension 0 of [2], found 3");
  expectError("r1.range %a, %a, %b : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>",
              {"tensor<i64>", "tensor<i64>"}, {integers({}, {1}), integers({}, {0})}, {"tensor<?xi64>"},
              "step must not be 0");
  expectError("r1.slice %a axis 0 from 1 : (tensor<?xf32>) -> tensor<1xf32>", {"tensor<?xf32>"}, {three},
              {"tensor<1xf32>"}, "must return 'tensor<1xf32>', came to [2]");
  expectError("r1.neg %a : tensor<2xf32>", {"tensor<2xf32>"}, {three}, {"tensor<2xf32>"},
              "input 0 must be 'tensor<2xf32>', found floats of [3]");
  expectError("r1.neg %a : tensor<2xf32>", {"tensor<2xf32>"}, {integers({2}, {1, 2})}, {"tensor<2xf32>"},
              "input 0 must be 'tensor<2xf32>', found integers of [2]");
  expectError("r1.neg %a : tensor<2xf32>", {"tensor<2xf32>"}, {}, {"tensor<2xf32>"}, "takes 1 inputs, found 0");
}

} // namespace
} // namespace elah
