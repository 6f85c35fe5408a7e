#include "tests/codegen/Reference/RunR1.h"

using namespace mlir;

namespace elah {

llvm::SmallVector<HostValue> run(const std::string &op, std::vector<std::string> types,
                                 llvm::ArrayRef<HostValue> inputs, std::vector<std::string> resultTypes,
                                 const InterpretOptions &options, std::string *error) {
  auto join = [](const std::vector<std::string> &parts) {
    std::string all;
    for (const std::string &part : parts) {
      all += (all.empty() ? "" : ", ") + part;
    }
    return all;
  };
  std::vector<std::string> arguments, results;
  for (size_t index = 0; index < types.size(); ++index) {
    arguments.push_back("%" + std::string(1, static_cast<char>('a' + index)) + ": " + types[index]);
  }
  for (size_t index = 0; index < resultTypes.size(); ++index) {
    results.push_back("%r#" + std::to_string(index));
  }
  std::string text = "func.func @f(" + join(arguments) + ") -> (" + join(resultTypes) +
                     ") {\n  %r:" + std::to_string(resultTypes.size()) + " = " + op + "\n  return " + join(results) +
                     " : " + join(resultTypes) + "\n}\n";
  return runR1(text, inputs, options, error);
}

HostValue floats(ArrayRef<int64_t> shape, Floats elements) { return hostValue(HostTensor(shape, std::move(elements))); }

HostValue integers(ArrayRef<int64_t> shape, Integers elements) {
  return hostValue(HostTensor(shape, std::move(elements)));
}

void expectFloats(const HostValue &value, ArrayRef<int64_t> shape, const Floats &elements, double bound) {
  const HostTensor &tensor = tensorOf(value);
  bound += engineTolerance();
  ASSERT_TRUE(tensor.isFloat());
  ASSERT_EQ(ArrayRef<int64_t>(tensor.shape), shape);
  ASSERT_EQ(tensor.floats().size(), elements.size());
  for (size_t index = 0; index < elements.size(); ++index) {
    double found = tensor.floats()[index], expected = elements[index];
    bool isSame = found == expected || (std::isnan(found) && std::isnan(expected));
    if (!isSame && !(std::abs(found - expected) <= bound * std::max(1.0, std::abs(expected)))) {
      ADD_FAILURE() << "element " << index << ": expected " << expected << ", found " << found;
      return;
    }
  }
}

void expectIntegers(const HostValue &value, ArrayRef<int64_t> shape, const Integers &elements) {
  const HostTensor &tensor = tensorOf(value);
  ASSERT_FALSE(tensor.isFloat());
  EXPECT_EQ(ArrayRef<int64_t>(tensor.shape), shape);
  EXPECT_EQ(tensor.integers(), elements);
}

} // namespace elah
