#ifndef TESTS_CODEGEN_REFERENCE_RUNR1_H
#define TESTS_CODEGEN_REFERENCE_RUNR1_H

#include "codegen/Reference/Interpreter.h"
#include "gtest/gtest.h"
#include <random>
#include <string>

namespace elah {

/// What an engine may differ from exact arithmetic by, besides a test's own bound: nothing for the interpreter.
double engineTolerance();

/// Decomposes and runs the function @f of r1 in text form, by the interpreter (InterpretedR1.cpp) or compiled
/// (tests/codegen/Cpu/CompiledR1.cpp). Empty after a failure, whose messages stand in `error`;
/// without `error` a failure fails the test.
llvm::SmallVector<HostValue> runR1(const std::string &text, llvm::ArrayRef<HostValue> inputs,
                                   const InterpretOptions &options = {}, std::string *error = nullptr);

/// Runs one operation: "r1.neg %a : tensor<2xf32>" on arguments %a, %b, %c of the types given.
llvm::SmallVector<HostValue> run(const std::string &op, std::vector<std::string> types,
                                 llvm::ArrayRef<HostValue> inputs, std::vector<std::string> resultTypes,
                                 const InterpretOptions &options = {}, std::string *error = nullptr);

/// The cache that @f of `text` takes as its last argument, without rows.
HostValue emptyCacheOf(const std::string &text);

HostValue floats(llvm::ArrayRef<int64_t> shape, Floats elements);
HostValue integers(llvm::ArrayRef<int64_t> shape, Integers elements);

void expectFloats(const HostValue &value, llvm::ArrayRef<int64_t> shape, const Floats &elements, double bound = 0);
void expectIntegers(const HostValue &value, llvm::ArrayRef<int64_t> shape, const Integers &elements);

/// Random tensors and sizes, the same in every run.
class Random {
public:
  explicit Random(unsigned seed) : engine(seed) {}

  int64_t size(int64_t from, int64_t to) { return std::uniform_int_distribution<int64_t>(from, to)(engine); }
  Floats values(int64_t count, double deviation = 1) {
    std::normal_distribution<double> normal(0, deviation);
    Floats values(count);
    for (double &value : values) {
      value = normal(engine);
    }
    return values;
  }
  Integers indices(int64_t count, int64_t limit) {
    Integers values(count);
    for (int64_t &value : values) {
      value = size(0, limit - 1);
    }
    return values;
  }

private:
  std::mt19937 engine;
};

} // namespace elah

#endif
