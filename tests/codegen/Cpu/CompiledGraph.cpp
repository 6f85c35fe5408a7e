// Native code for a graph, compiled, loaded and called within the test.
#include "tests/codegen/Cpu/CompiledGraph.h"
#include "codegen/Cpu/Graph/EmitGraph.h"
#include "dialects/R1/R1.h"
#include "drivers/cpu/graph_call.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace elah {
namespace {

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

FailureOr<SmallVector<HostValue>> call(func::FuncOp function, const std::string &image,
                                       ArrayRef<std::vector<char>> weights, ArrayRef<HostValue> inputs) {
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
  std::vector<const void *> addresses;
  for (const std::vector<char> &bytes : weights) {
    addresses.push_back(bytes.data());
  }
  Status status = callGraph(graph, addresses, tensors, outputs);
  SmallVector<HostValue> results;
  if (status.ok()) {
    for (auto [output, type] : llvm::zip_equal(outputs, function.getResultTypes())) {
      results.push_back(hostValue(decode(static_cast<const char *>(output.data.get()), output.dims,
                                         cast<RankedTensorType>(type).getElementType())));
    }
  }
  ::dlclose(object);
  if (!status.ok()) {
    return function.emitError() << status.message();
  }
  return results;
}

/// The bytes of each r1.weight, as they lie in its file.
FailureOr<std::vector<std::vector<char>>> readWeights(func::FuncOp function, StringRef folder,
                                                      llvm::DenseMap<Operation *, int64_t> &numbers) {
  std::vector<std::vector<char>> weights;
  auto walked = function.walk([&](r1::WeightOp op) {
    auto weight = cast<r1::WeightAttr>(op.getParts()[0]);
    llvm::SmallString<256> path(folder);
    llvm::sys::path::append(path, weight.getFile().getValue());
    auto buffer = llvm::MemoryBuffer::getFileSlice(path, weight.getSize(), weight.getOffset());
    if (!buffer || op.getParts().size() != 1 || weight.getScales()) {
      op.emitOpError() << "cannot be read from '" << path << "'";
      return WalkResult::interrupt();
    }
    numbers[op] = static_cast<int64_t>(weights.size());
    weights.emplace_back((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
    return WalkResult::advance();
  });
  if (walked.wasInterrupted()) {
    return mlir::failure();
  }
  return weights;
}

} // namespace

FailureOr<SmallVector<HostValue>> runCompiled(ModuleOp module, StringRef name, ArrayRef<HostValue> inputs,
                                              StringRef weightFolder) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  for (TypeRange types : {TypeRange(function.getArgumentTypes()), TypeRange(function.getResultTypes())}) {
    if (!llvm::all_of(types, llvm::IsaPred<RankedTensorType>)) {
      return function.emitError() << "sequences stay inside of compiled graphs";
    }
  }
  llvm::DenseMap<Operation *, int64_t> numbers;
  auto weights = readWeights(function, weightFolder, numbers);
  if (failed(weights)) {
    return mlir::failure();
  }
  auto image = llvm::cantFail(emitGraph(function, "graph", numbers, llvm::cantFail(lookupCpuTarget("host"))));
  if (!image) {
    return mlir::failure();
  }
  return call(function, *image, *weights, inputs);
}

} // namespace elah
