// Each primitive against values worked out by hand.
#include "tests/codegen/Reference/RunR1.h"
#include <cmath>
#include <limits>

namespace elah {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const double nan = std::numeric_limits<double>::quiet_NaN();

HostValue unary(const std::string &name, Floats values) {
  int64_t count = static_cast<int64_t>(values.size());
  auto results = run(name + " %a : tensor<?xf32>", {"tensor<?xf32>"}, {floats({count}, values)}, {"tensor<?xf32>"});
  return results.empty() ? floats({0}, {}) : results[0];
}

TEST(Primitives, Unary) {
  expectFloats(unary("r1.abs", {-2, 0, 3}), {3}, {2, 0, 3});
  expectFloats(unary("r1.neg", {-2, 0, 3}), {3}, {2, 0, -3});
  expectFloats(unary("r1.ceil", {-1.5, 1.2, 2}), {3}, {-1, 2, 2});
  expectFloats(unary("r1.floor", {-1.5, 1.8, 2}), {3}, {-2, 1, 2});
  expectFloats(unary("r1.round", {-1.5, 0.5, 1.5, 2.5}), {4}, {-2, 0, 2, 2});
  expectFloats(unary("r1.exp", {0, 1, -infinity}), {3}, {1, 2.718281828459045, 0}, 1e-15);
  expectFloats(unary("r1.log", {1, 7.38905609893065, 0}), {3}, {0, 2, -infinity}, 1e-15);
  expectFloats(unary("r1.sqrt", {4, 2, -1}), {3}, {2, 1.4142135623730951, nan}, 1e-15);
  expectFloats(unary("r1.rsqrt", {4, 0.25}), {2}, {0.5, 2});
  expectFloats(unary("r1.sin", {0, 1}), {2}, {0, 0.8414709848078965}, 1e-15);
  expectFloats(unary("r1.cos", {0, 1}), {2}, {1, 0.5403023058681398}, 1e-15);
  expectFloats(unary("r1.tanh", {0, 1}), {2}, {0, 0.7615941559557649}, 1e-15);
  expectFloats(unary("r1.sigmoid", {0, 1, -infinity}), {3}, {0.5, 0.7310585786300049, 0}, 1e-15);
  expectFloats(unary("r1.erf", {0, 1}), {2}, {0, 0.8427007929497149}, 1e-15);
  auto negated = run("r1.not %a : tensor<2xi1>", {"tensor<2xi1>"}, {integers({2}, {0, 1})}, {"tensor<2xi1>"});
  expectIntegers(negated[0], {2}, {1, 0});
}

TEST(Primitives, BinaryBroadcasts) {
  HostValue column = floats({2, 1}, {1, 2}), row = floats({3}, {10, 20, -30});
  auto apply = [&](const std::string &name) {
    return run("r1." + name + " %a, %b : (tensor<2x1xf32>, tensor<3xf32>) -> tensor<2x3xf32>",
               {"tensor<2x1xf32>", "tensor<3xf32>"}, {column, row}, {"tensor<2x3xf32>"})[0];
  };
  expectFloats(apply("add"), {2, 3}, {11, 21, -29, 12, 22, -28});
  expectFloats(apply("sub"), {2, 3}, {-9, -19, 31, -8, -18, 32});
  expectFloats(apply("mul"), {2, 3}, {10, 20, -30, 20, 40, -60});
  expectFloats(apply("div"), {2, 3}, {0.1, 0.05, -1.0 / 30, 0.2, 0.1, -1.0 / 15}, 1e-15);
  expectFloats(apply("max"), {2, 3}, {10, 20, 1, 10, 20, 2});
  expectFloats(apply("min"), {2, 3}, {1, 1, -30, 2, 2, -30});
  expectFloats(apply("pow"), {2, 3}, {1, 1, 1, 1024, 1048576, std::ldexp(1, -30)});
}

TEST(Primitives, NanIsGreaterAndLess) {
  for (const char *name : {"max", "min"}) {
    auto results = run("r1." + std::string(name) + " %a, %b : tensor<2xf32>", {"tensor<2xf32>", "tensor<2xf32>"},
                       {floats({2}, {nan, 1}), floats({2}, {1, nan})}, {"tensor<2xf32>"});
    expectFloats(results[0], {2}, {nan, nan});
  }
}

TEST(Primitives, IntegersWrapAndDropFractions) {
  auto apply = [&](const std::string &name, Integers lhs, Integers rhs) {
    return run("r1." + name + " %a, %b : tensor<3xi32>", {"tensor<3xi32>", "tensor<3xi32>"},
               {integers({3}, lhs), integers({3}, rhs)}, {"tensor<3xi32>"})[0];
  };
  expectIntegers(apply("add", {2147483647, 1, -5}, {1, 2, 3}), {3}, {-2147483648, 3, -2});
  expectIntegers(apply("mul", {65536, 7, -5}, {65536, 2, 3}), {3}, {0, 14, -15});
  expectIntegers(apply("div", {7, -7, -2147483648}, {2, 2, -1}), {3}, {3, -3, -2147483648});
  std::string error;
  auto failed = run("r1.div %a, %b : tensor<1xi32>", {"tensor<1xi32>", "tensor<1xi32>"},
                    {integers({1}, {1}), integers({1}, {0})}, {"tensor<1xi32>"}, {}, &error);
  EXPECT_TRUE(failed.empty());
  EXPECT_NE(error.find("divides an integer by zero"), std::string::npos) << error;
}

TEST(Primitives, CompareAndSelect) {
  auto apply = [&](const std::string &name) {
    return run("r1.compare " + name + " %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>",
               {"tensor<4xf32>", "tensor<f32>"}, {floats({4}, {1, 2, 3, nan}), floats({}, {2})}, {"tensor<4xi1>"})[0];
  };
  expectIntegers(apply("eq"), {4}, {0, 1, 0, 0});
  expectIntegers(apply("ne"), {4}, {1, 0, 1, 1});
  expectIntegers(apply("lt"), {4}, {1, 0, 0, 0});
  expectIntegers(apply("le"), {4}, {1, 1, 0, 0});
  expectIntegers(apply("gt"), {4}, {0, 0, 1, 0});
  expectIntegers(apply("ge"), {4}, {0, 1, 1, 0});
  auto logic = [&](const std::string &name) {
    return run("r1." + name + " %a, %b : tensor<4xi1>", {"tensor<4xi1>", "tensor<4xi1>"},
               {integers({4}, {0, 0, 1, 1}), integers({4}, {0, 1, 0, 1})}, {"tensor<4xi1>"})[0];
  };
  expectIntegers(logic("and"), {4}, {0, 0, 0, 1});
  expectIntegers(logic("or"), {4}, {0, 1, 1, 1});
  auto chosen = run("r1.select %a, %b, %c : (tensor<2x1xi1>, tensor<2xf32>, tensor<f32>) -> tensor<2x2xf32>",
                    {"tensor<2x1xi1>", "tensor<2xf32>", "tensor<f32>"},
                    {integers({2, 1}, {1, 0}), floats({2}, {1, 2}), floats({}, {nan})}, {"tensor<2x2xf32>"});
  expectFloats(chosen[0], {2, 2}, {1, 2, nan, nan});
}

HostValue castTo(const std::string &from, const std::string &to, HostValue input,
                 const InterpretOptions &options = {}) {
  std::string types = "tensor<?x" + from + ">", results = "tensor<?x" + to + ">";
  return run("r1.cast %a to " + to + " : (" + types + ") -> " + results, {types}, {input}, {results}, options)[0];
}

TEST(Primitives, Cast) {
  expectIntegers(castTo("f32", "i32", floats({5}, {1.9, -1.9, 1e20, -1e20, nan})), {5},
                 {1, -1, 2147483647, -2147483648, 0});
  expectIntegers(castTo("f32", "i64", floats({2}, {1e30, -1e30})), {2},
                 {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()});
  expectIntegers(castTo("f32", "i1", floats({3}, {0, 0.25, nan})), {3}, {0, 1, 1});
  expectIntegers(castTo("i32", "i8", integers({2}, {200, -3})), {2}, {-56, -3});
  expectIntegers(castTo("i32", "i1", integers({2}, {2, 0})), {2}, {1, 0});
  expectFloats(castTo("i1", "f32", integers({2}, {1, 0})), {2}, {1, 0});
  // bf16 has 8 bits of significand, f16 11, e4m3 4: ties go to the even one.
  expectFloats(castTo("f32", "bf16", floats({3}, {257, 259, 1e39})), {3}, {256, 260, infinity});
  expectFloats(castTo("f32", "f16", floats({3}, {2049, 2051, 65520})), {3}, {2048, 2052, infinity});
  expectFloats(castTo("f32", "f8E4M3FN", floats({3}, {17, 19, 0.001953125})), {3}, {16, 20, 0.001953125});
}

TEST(Primitives, PrecisionDecidesWhetherF32IsRounded) {
  double third = 1.0 / 3;
  InterpretOptions single;
  single.precision = Precision::F32;
  auto apply = [&](const InterpretOptions &options) {
    return run("r1.div %a, %b : tensor<1xf32>", {"tensor<1xf32>", "tensor<1xf32>"},
               {floats({1}, {1}), floats({1}, {3})}, {"tensor<1xf32>"}, options)[0];
  };
  expectFloats(apply({}), {1}, {third});
  expectFloats(apply(single), {1}, {static_cast<float>(third)});
}

TEST(Primitives, ConstantsSizesAndRanges) {
  auto constant = run("r1.constant dense<[[1.5, 2.0], [-3.0, 4.0]]> : tensor<2x2xf32>", {}, {}, {"tensor<2x2xf32>"});
  expectFloats(constant[0], {2, 2}, {1.5, 2, -3, 4});
  auto flags = run("r1.constant dense<[true, false]> : tensor<2xi1>", {}, {}, {"tensor<2xi1>"});
  expectIntegers(flags[0], {2}, {1, 0});
  auto dim = run("r1.dim %a, 1 : tensor<2x?xf32>", {"tensor<2x?xf32>"}, {floats({2, 3}, Floats(6))}, {"tensor<i64>"});
  expectIntegers(dim[0], {}, {3});
  auto range = [&](int64_t start, int64_t limit, int64_t step) {
    return run("r1.range %a, %b, %c : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>",
               {"tensor<i64>", "tensor<i64>", "tensor<i64>"},
               {integers({}, {start}), integers({}, {limit}), integers({}, {step})}, {"tensor<?xi64>"})[0];
  };
  expectIntegers(range(2, 9, 3), {3}, {2, 5, 8});
  expectIntegers(range(9, 2, -3), {3}, {9, 6, 3});
  expectIntegers(range(2, 2, 1), {0}, {});
  expectIntegers(range(2, 9, -1), {0}, {});
  auto fractions = run("r1.range %a, %b, %c : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<?xf32>",
                       {"tensor<f32>", "tensor<f32>", "tensor<f32>"},
                       {floats({}, {0}), floats({}, {1}), floats({}, {0.25})}, {"tensor<?xf32>"});
  expectFloats(fractions[0], {4}, {0, 0.25, 0.5, 0.75});
}

TEST(Primitives, Matmul) {
  auto product =
      run("r1.matmul %a, %b : (tensor<2x1x2x3xf32>, tensor<2x3x1xf32>) -> tensor<2x2x2x1xf32>",
          {"tensor<2x1x2x3xf32>", "tensor<2x3x1xf32>"},
          {floats({2, 1, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), floats({2, 3, 1}, {1, 0, 1, 0, 2, 0})},
          {"tensor<2x2x2x1xf32>"});
  expectFloats(product[0], {2, 2, 2, 1}, {4, 10, 4, 10, 16, 22, 16, 22});
  auto whole = run("r1.matmul %a, %b : (tensor<1x2xi32>, tensor<2x1xi32>) -> tensor<1x1xi32>",
                   {"tensor<1x2xi32>", "tensor<2x1xi32>"}, {integers({1, 2}, {3, 4}), integers({2, 1}, {5, 6})},
                   {"tensor<1x1xi32>"});
  expectIntegers(whole[0], {1, 1}, {39});
}

TEST(Primitives, Reduce) {
  HostValue input = floats({2, 3}, {1, 5, -2, 4, 0, 3});
  auto apply = [&](const std::string &how, const std::string &result) {
    return run("r1.reduce " + how + " : (tensor<2x3xf32>) -> " + result, {"tensor<2x3xf32>"}, {input}, {result})[0];
  };
  expectFloats(apply("sum %a over [1]", "tensor<2xf32>"), {2}, {4, 7});
  expectFloats(apply("mean %a over [1] keep_dims", "tensor<2x1xf32>"), {2, 1}, {4.0 / 3, 7.0 / 3}, 1e-15);
  expectFloats(apply("max %a over [0]", "tensor<3xf32>"), {3}, {4, 5, 3});
  expectFloats(apply("min %a over [0, 1]", "tensor<f32>"), {}, {-2});
  expectFloats(apply("prod %a over [1]", "tensor<2xf32>"), {2}, {-10, 0});
  auto any = [&](const std::string &kind) {
    return run("r1.reduce " + kind + " %a over [1] : (tensor<2x2xi1>) -> tensor<2xi1>", {"tensor<2x2xi1>"},
               {integers({2, 2}, {0, 1, 0, 0})}, {"tensor<2xi1>"})[0];
  };
  expectIntegers(any("max"), {2}, {1, 0});
  expectIntegers(any("min"), {2}, {0, 0});
  auto empty = [&](const std::string &kind) {
    return run("r1.reduce " + kind + " %a over [0] : (tensor<0x1xf32>) -> tensor<1xf32>", {"tensor<0x1xf32>"},
               {floats({0, 1}, {})}, {"tensor<1xf32>"})[0];
  };
  expectFloats(empty("sum"), {1}, {0});
  expectFloats(empty("prod"), {1}, {1});
  expectFloats(empty("max"), {1}, {-infinity});
  expectFloats(empty("min"), {1}, {infinity});
  expectFloats(empty("mean"), {1}, {nan});
  auto lowest = run("r1.reduce max %a over [0] : (tensor<0xi8>) -> tensor<i8>", {"tensor<0xi8>"}, {integers({0}, {})},
                    {"tensor<i8>"});
  expectIntegers(lowest[0], {}, {-128});
}

TEST(Primitives, Cumsum) {
  auto apply = [&](const std::string &how) {
    return run("r1.cumsum %a axis 1" + how + " : (tensor<2x3xf32>) -> tensor<2x3xf32>", {"tensor<2x3xf32>"},
               {floats({2, 3}, {1, 2, 3, 4, 5, 6})}, {"tensor<2x3xf32>"})[0];
  };
  expectFloats(apply(""), {2, 3}, {1, 3, 6, 4, 9, 15});
  expectFloats(apply(" exclusive"), {2, 3}, {0, 1, 3, 0, 4, 9});
  expectFloats(apply(" reverse"), {2, 3}, {6, 5, 3, 15, 11, 6});
  expectFloats(apply(" exclusive reverse"), {2, 3}, {5, 3, 0, 11, 6, 0});
}

TEST(Primitives, Shapes) {
  HostValue input = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  auto apply = [&](const std::string &op, const std::string &result, const std::string &type = "tensor<2x3xf32>") {
    return run(op + " : (" + type + ") -> " + result, {type}, {input}, {result})[0];
  };
  expectFloats(apply("r1.reshape %a to [3, -1]", "tensor<3x2xf32>"), {3, 2}, {1, 2, 3, 4, 5, 6});
  expectFloats(apply("r1.transpose %a by [1, 0]", "tensor<3x2xf32>"), {3, 2}, {1, 4, 2, 5, 3, 6});
  expectFloats(apply("r1.broadcast_to %a to [2, -1, 3]", "tensor<2x2x3xf32>"), {2, 2, 3},
               {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
  expectFloats(apply("r1.slice %a axis 1 from -2", "tensor<2x2xf32>"), {2, 2}, {2, 3, 5, 6});
  expectFloats(apply("r1.slice %a axis 1 from 0 to 9 by 2", "tensor<2x2xf32>"), {2, 2}, {1, 3, 4, 6});
  expectFloats(apply("r1.slice %a axis 0 from 1 to -9", "tensor<0x3xf32>"), {0, 3}, {});
  auto cube = run("r1.transpose %a by [2, 0, 1] : (tensor<2x1x3xf32>) -> tensor<3x2x1xf32>", {"tensor<2x1x3xf32>"},
                  {floats({2, 1, 3}, {1, 2, 3, 4, 5, 6})}, {"tensor<3x2x1xf32>"});
  expectFloats(cube[0], {3, 2, 1}, {1, 4, 2, 5, 3, 6});
  auto joined = run("r1.concat %a, %b axis 1 : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>",
                    {"tensor<2x3xf32>", "tensor<2x1xf32>"}, {input, floats({2, 1}, {7, 8})}, {"tensor<2x4xf32>"});
  expectFloats(joined[0], {2, 4}, {1, 2, 3, 7, 4, 5, 6, 8});
  auto computed = run("r1.reshape %a to %b : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>",
                      {"tensor<2x3xf32>", "tensor<2xi64>"}, {input, integers({2}, {-1, 2})}, {"tensor<?x?xf32>"});
  expectFloats(computed[0], {3, 2}, {1, 2, 3, 4, 5, 6});
  auto wide = run("r1.broadcast_to %a to %b : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>",
                  {"tensor<f32>", "tensor<2xi64>"}, {floats({}, {7}), integers({2}, {1, 3})}, {"tensor<?x?xf32>"});
  expectFloats(wide[0], {1, 3}, {7, 7, 7});
}

TEST(Primitives, Indices) {
  HostValue input = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  auto rows =
      run("r1.gather %a, %b axis 1 : (tensor<2x3xf32>, tensor<2x2xi32>) -> tensor<2x2x2xf32>",
          {"tensor<2x3xf32>", "tensor<2x2xi32>"}, {input, integers({2, 2}, {0, -1, 1, 0})}, {"tensor<2x2x2xf32>"});
  expectFloats(rows[0], {2, 2, 2}, {1, 3, 2, 1, 4, 6, 5, 4});
  auto elements =
      run("r1.gather_elements %a, %b axis 1 : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<2x2xf32>",
          {"tensor<2x3xf32>", "tensor<2x2xi64>"}, {input, integers({2, 2}, {2, 0, -1, 1})}, {"tensor<2x2xf32>"});
  expectFloats(elements[0], {2, 2}, {3, 1, 6, 5});
  auto columns = run("r1.gather_elements %a, %b axis 0 : (tensor<2x3xf32>, tensor<1x2xi64>) -> tensor<1x2xf32>",
                     {"tensor<2x3xf32>", "tensor<1x2xi64>"}, {input, integers({1, 2}, {1, 0})}, {"tensor<1x2xf32>"});
  expectFloats(columns[0], {1, 2}, {4, 2});
  auto scatter = [&](const std::string &kind) {
    return run("r1.scatter_elements " + kind +
                   " %a, %b, %c axis 1 : (tensor<2x3xf32>, tensor<2x2xi64>, tensor<2x2xf32>) -> tensor<2x3xf32>",
               {"tensor<2x3xf32>", "tensor<2x2xi64>", "tensor<2x2xf32>"},
               {input, integers({2, 2}, {0, 0, -1, 1}), floats({2, 2}, {10, 20, 5, 5})}, {"tensor<2x3xf32>"})[0];
  };
  expectFloats(scatter("replace"), {2, 3}, {20, 2, 3, 4, 5, 5});
  expectFloats(scatter("add"), {2, 3}, {31, 2, 3, 4, 10, 11});
  expectFloats(scatter("mul"), {2, 3}, {200, 2, 3, 4, 25, 30});
  expectFloats(scatter("max"), {2, 3}, {20, 2, 3, 4, 5, 6});
  expectFloats(scatter("min"), {2, 3}, {1, 2, 3, 4, 5, 5});
  auto places = run("r1.nonzero %a : (tensor<2x3xf32>) -> tensor<2x?xi64>", {"tensor<2x3xf32>"},
                    {floats({2, 3}, {0, 2, 0, nan, 0, 6})}, {"tensor<2x?xi64>"});
  expectIntegers(places[0], {2, 3}, {0, 1, 1, 1, 0, 2});
}

TEST(Primitives, TopkTakesTheLowerIndexOfEqualOnes) {
  auto apply = [&](const std::string &how, Floats values) {
    return run("r1.topk 3 of %a axis 1" + how + " : (tensor<1x5xf32>) -> (tensor<1x3xf32>, tensor<1x3xi64>)",
               {"tensor<1x5xf32>"}, {floats({1, 5}, values)}, {"tensor<1x3xf32>", "tensor<1x3xi64>"});
  };
  auto greatest = apply("", {2, 7, 2, 7, 2});
  expectFloats(greatest[0], {1, 3}, {7, 7, 2});
  expectIntegers(greatest[1], {1, 3}, {1, 3, 0});
  auto least = apply(" smallest", {7, 2, 7, 2, 7});
  expectFloats(least[0], {1, 3}, {2, 2, 7});
  expectIntegers(least[1], {1, 3}, {1, 3, 0});
  auto withNan = apply("", {1, nan, infinity, nan, 0});
  expectFloats(withNan[0], {1, 3}, {nan, nan, infinity});
  expectIntegers(withNan[1], {1, 3}, {1, 3, 2});
  expectIntegers(apply(" smallest", {nan, 3, infinity, nan, 3})[1], {1, 3}, {1, 4, 2});
  auto across = run("r1.topk 1 of %a axis 0 : (tensor<2x2xi32>) -> (tensor<1x2xi32>, tensor<1x2xi64>)",
                    {"tensor<2x2xi32>"}, {integers({2, 2}, {1, 9, 4, 3})}, {"tensor<1x2xi32>", "tensor<1x2xi64>"});
  expectIntegers(across[0], {1, 2}, {4, 9});
  expectIntegers(across[1], {1, 2}, {1, 0});
}

} // namespace
} // namespace elah
