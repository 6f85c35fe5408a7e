// Indices of several dimensions, unsigned integers and remainders against values worked out by hand.
#include "tests/codegen/Reference/RunR1.h"

namespace elah {
namespace {

TEST(Indices, ReachSeveralDimensions) {
  const char *text = R"(
func.func @f(%x: tensor<2x3xi64>, %i: tensor<2x1xi64>, %u: tensor<2x3xi64>) -> (tensor<2xi64>, tensor<2x3xi64>, tensor<2x3xi64>) {
  %0 = r1.gather_nd %x, %i batch_dims 1 : (tensor<2x3xi64>, tensor<2x1xi64>) -> tensor<2xi64>
  %1 = r1.scatter_nd add %x, %i, %u : (tensor<2x3xi64>, tensor<2x1xi64>, tensor<2x3xi64>) -> tensor<2x3xi64>
  %2:2 = r1.sort %x axis 1 falling : (tensor<2x3xi64>) -> (tensor<2x3xi64>, tensor<2x3xi64>)
  return %0, %1, %2#1 : tensor<2xi64>, tensor<2x3xi64>, tensor<2x3xi64>
})";
  auto results = runR1(text, {integers({2, 3}, {5, 7, 7, 1, 2, 0}), integers({2, 1}, {1, -2}),
                              integers({2, 3}, {10, 20, 30, 40, 50, 60})});
  expectIntegers(results[0], {2}, {7, 2});
  expectIntegers(results[1], {2, 3}, {45, 57, 67, 11, 22, 30});
  expectIntegers(results[2], {2, 3}, {1, 2, 0, 1, 0, 2});
}

TEST(Integers, Unsigned) {
  const char *text = R"(
func.func @f(%x: tensor<2xui64>, %y: tensor<2xui64>) -> (tensor<2xui64>, tensor<2xi1>, tensor<2xui64>, tensor<2xui8>) {
  %0 = r1.max %x, %y : tensor<2xui64>
  %1 = r1.compare lt %x, %y : (tensor<2xui64>, tensor<2xui64>) -> tensor<2xi1>
  %2 = r1.div %x, %y : tensor<2xui64>
  %3 = r1.cast %x to ui8 : (tensor<2xui64>) -> tensor<2xui8>
  return %0, %1, %2, %3 : tensor<2xui64>, tensor<2xi1>, tensor<2xui64>, tensor<2xui8>
})";
  auto results = runR1(text, {integers({2}, {-1, 300}), integers({2}, {2, 7})});
  expectIntegers(results[0], {2}, {-1, 300});
  expectIntegers(results[1], {2}, {0, 0});
  expectIntegers(results[2], {2}, {INT64_MAX, 42});
  expectIntegers(results[3], {2}, {255, 44});
}

TEST(Integers, Remainders) {
  const char *text = R"(
func.func @f(%x: tensor<4xi32>, %y: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>) {
  %0 = r1.mod %x, %y : tensor<4xi32>
  %1 = r1.rem %x, %y : tensor<4xi32>
  return %0, %1 : tensor<4xi32>, tensor<4xi32>
})";
  auto results = runR1(text, {integers({4}, {7, -7, 7, -7}), integers({4}, {3, 3, -3, -3})});
  expectIntegers(results[0], {4}, {1, 2, -2, -1});
  expectIntegers(results[1], {4}, {1, -1, 1, -1});
}

} // namespace
} // namespace elah
