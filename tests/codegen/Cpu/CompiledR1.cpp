// r1 in text form, compiled for this machine and run: the tests of the interpreter (tests/codegen/Reference), whose
// expectations were worked out by hand, hold for compiled graphs as well.
#include "codegen/Cpu/Graph/EmitGraph.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "drivers/cpu/graph_call.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tests/codegen/Reference/RunR1.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace elah {
namespace {

MLIRContext &sharedContext() {
  static DialectRegistry registry = [] {
    DialectRegistry all;
    all.insert<func::FuncDialect, r1::R1Dialect>();
    return all;
  }();
  static MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  return context;
}

size_t bytesOf(Type element) { return std::max<size_t>(1, element.getIntOrFloatBitWidth() / 8); }

/// The tensor's elements as they lie in memory.
std::vector<char> encode(const HostTensor &tensor, Type element) {
  std::vector<char> bytes;
  for (int64_t index = 0; index < tensor.size(); ++index) {
    uint64_t bits;
    if (auto type = dyn_cast<FloatType>(element)) {
      APFloat value(tensor.floats()[index]);
      bool isInexact;
      value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &isInexact);
      bits = value.bitcastToAPInt().getZExtValue();
    } else {
      bits = static_cast<uint64_t>(tensor.integers()[index]);
    }
    for (size_t byte = 0; byte < bytesOf(element); ++byte) {
      bytes.push_back(static_cast<char>(bits >> (8 * byte)));
    }
  }
  return bytes;
}

HostTensor decode(const char *bytes, ArrayRef<int64_t> shape, Type element) {
  Floats numbers;
  Integers integers;
  for (int64_t index = 0; index < elementCount(shape); ++index) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes + index * bytesOf(element), bytesOf(element));
    unsigned width = element.getIntOrFloatBitWidth();
    if (auto type = dyn_cast<FloatType>(element)) {
      numbers.push_back(APFloat(type.getFloatSemantics(), APInt(width, bits)).convertToDouble());
    } else {
      bool isUnsigned = width == 1 || element.isUnsignedInteger();
      integers.push_back(isUnsigned ? static_cast<int64_t>(bits) : APInt(width, bits).getSExtValue());
    }
  }
  return isa<FloatType>(element) ? HostTensor(shape, std::move(numbers)) : HostTensor(shape, std::move(integers));
}

/// Loads an object from memory.
void *load(const std::string &image) {
  int descriptor = ::memfd_create("graph", MFD_CLOEXEC);
  EXPECT_EQ(::write(descriptor, image.data(), image.size()), static_cast<ssize_t>(image.size()));
  void *object = ::dlopen(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), RTLD_NOW | RTLD_LOCAL);
  ::close(descriptor);
  EXPECT_NE(object, nullptr) << ::dlerror();
  return object;
}

SmallVector<HostValue> call(func::FuncOp function, const std::string &image, ArrayRef<HostValue> inputs,
                            std::string &messages) {
  void *object = load(image);
  auto graph = reinterpret_cast<elah_cpu_graph>(::dlsym(object, "graph"));
  std::vector<std::vector<char>> bytes;
  std::vector<SmallVector<int64_t>> dims;
  std::vector<elah_graph_tensor> tensors;
  for (auto [input, type] : llvm::zip_equal(inputs, function.getArgumentTypes())) {
    bytes.push_back(encode(tensorOf(input), cast<RankedTensorType>(type).getElementType()));
    dims.push_back(tensorOf(input).shape);
  }
  for (auto [data, sizes] : llvm::zip_equal(bytes, dims)) {
    tensors.push_back({data.data(), sizes.data()});
  }
  std::vector<GraphOutput> outputs(function.getNumResults());
  for (auto [output, type] : llvm::zip_equal(outputs, function.getResultTypes())) {
    output.dims.resize(cast<RankedTensorType>(type).getRank());
  }
  Status status = callGraph(graph, {}, tensors, outputs);
  SmallVector<HostValue> results;
  if (!status.ok()) {
    messages += status.message();
  } else {
    for (auto [output, type] : llvm::zip_equal(outputs, function.getResultTypes())) {
      results.push_back(hostValue(decode(static_cast<const char *>(output.data.get()), output.dims,
                                         cast<RankedTensorType>(type).getElementType())));
    }
  }
  ::dlclose(object);
  return results;
}

} // namespace

double engineTolerance() { return 2e-6; }

SmallVector<HostValue> runR1(const std::string &text, ArrayRef<HostValue> inputs, const InterpretOptions &options,
                             std::string *error) {
  MLIRContext &context = sharedContext();
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages += diagnostic.str() + "\n";
    return success();
  });
  SmallVector<HostValue> values;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (module) {
    PassManager passes(&context);
    passes.addPass(createDecomposeCompositesPass());
    auto function = module->lookupSymbol<func::FuncOp>("f");
    if (succeeded(passes.run(*module))) {
      auto image = llvm::cantFail(emitGraph(function, "graph", llvm::DenseMap<Operation *, int64_t>(),
                                            llvm::cantFail(lookupCpuTarget("host"))));
      if (image) {
        values = call(function, *image, inputs, messages);
      }
    }
  }
  if (error) {
    *error = messages;
  } else {
    EXPECT_EQ(messages, "") << text;
  }
  return values;
}

} // namespace elah
