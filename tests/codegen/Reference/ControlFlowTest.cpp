// Regions and sequences against values worked out by hand.
#include "tests/codegen/Reference/RunR1.h"

namespace elah {
namespace {

TEST(ControlFlow, IfRunsOneRegion) {
  const char *text = R"(
func.func @f(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = r1.if %c : (tensor<i1>) -> tensor<2xf32> then {
    %n = r1.neg %x : tensor<2xf32>
    r1.yield %n : tensor<2xf32>
  } else {
    r1.yield %x : tensor<2xf32>
  }
  %1 = r1.add %0, %x : tensor<2xf32>
  return %1 : tensor<2xf32>
})";
  expectFloats(runR1(text, {integers({}, {1}), floats({2}, {1, 2})})[0], {2}, {0, 0});
  expectFloats(runR1(text, {integers({}, {0}), floats({2}, {1, 2})})[0], {2}, {2, 4});
}

TEST(ControlFlow, LoopCarriesAndStacks) {
  const char *text = R"(
func.func @f(%n: tensor<i64>, %c: tensor<i1>, %x: tensor<2xi64>) -> (tensor<2xi64>, tensor<?x2xi64>) {
  %limit = r1.constant dense<20> : tensor<i64>
  %0:2 = r1.loop to %n while %c carrying %x : (tensor<i64>, tensor<i1>, tensor<2xi64>) -> (tensor<2xi64>, tensor<?x2xi64>) {
  ^bb0(%i: tensor<i64>, %y: tensor<2xi64>):
    %z = r1.add %y, %x : tensor<2xi64>
    %sum = r1.reduce sum %z over [0] : (tensor<2xi64>) -> tensor<i64>
    %on = r1.compare lt %sum, %limit : (tensor<i64>, tensor<i64>) -> tensor<i1>
    %s = r1.add %z, %i : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
    r1.yield %on, %z, %s : tensor<i1>, tensor<2xi64>, tensor<2xi64>
  }
  return %0#0, %0#1 : tensor<2xi64>, tensor<?x2xi64>
})";
  auto limited = runR1(text, {integers({}, {2}), integers({}, {1}), integers({2}, {1, 4})});
  expectIntegers(limited[0], {2}, {3, 12});
  expectIntegers(limited[1], {2, 2}, {2, 8, 4, 13});
  auto stopped = runR1(text, {integers({}, {9}), integers({}, {1}), integers({2}, {1, 4})});
  expectIntegers(stopped[0], {2}, {4, 16});
  auto never = runR1(text, {integers({}, {9}), integers({}, {0}), integers({2}, {1, 4})});
  expectIntegers(never[0], {2}, {1, 4});
  expectIntegers(never[1], {0, 2}, {});
}

TEST(ControlFlow, Sequences) {
  const char *text = R"(
func.func @f(%x: tensor<5xi64>, %n: tensor<i64>, %at: tensor<i64>) -> (tensor<?xi64>, tensor<i64>, tensor<?xi64>) {
  %0 = r1.sequence_split %x into %n axis 0 : (tensor<5xi64>, tensor<i64>) -> !r1.sequence<tensor<?xi64>>
  %1 = r1.sequence_insert %0, %x at %at : (!r1.sequence<tensor<?xi64>>, tensor<5xi64>, tensor<i64>) -> !r1.sequence<tensor<?xi64>>
  %2 = r1.sequence_erase %1 : (!r1.sequence<tensor<?xi64>>) -> !r1.sequence<tensor<?xi64>>
  %3 = r1.sequence_length %2 : (!r1.sequence<tensor<?xi64>>) -> tensor<i64>
  %4 = r1.sequence_at %2, %at : (!r1.sequence<tensor<?xi64>>, tensor<i64>) -> tensor<?xi64>
  %5 = r1.sequence_concat %2 axis 0 : (!r1.sequence<tensor<?xi64>>) -> tensor<?xi64>
  return %5, %3, %4 : tensor<?xi64>, tensor<i64>, tensor<?xi64>
})";
  HostValue x = integers({5}, {1, 2, 3, 4, 5});
  auto results = runR1(text, {x, integers({}, {2}), integers({}, {1})});
  expectIntegers(results[0], {9}, {1, 2, 1, 2, 3, 4, 5, 3, 4});
  expectIntegers(results[1], {}, {3});
  expectIntegers(results[2], {5}, {1, 2, 3, 4, 5});
  std::string error;
  EXPECT_TRUE(runR1(text, {x, integers({}, {2}), integers({}, {7})}, {}, &error).empty());
  EXPECT_NE(error.find("position must be in a sequence of 3, found 7"), std::string::npos) << error;
}

} // namespace
} // namespace elah
