#include "tests/frontends/Onnx/BackendCases.h"
#include "frontends/Onnx/Failure.h"
#include "frontends/Onnx/Import.h"
#include "frontends/Onnx/Node.h"
#include "frontends/Onnx/Tensors.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <onnx/onnx-data_pb.h>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah {
namespace {

// onnx/backend/test/runner: what numbers may differ by.
constexpr double relative = 1e-3, absolute = 1e-7;
// The suite's bfloat16 numbers were cut off instead of rounded: one unit in the last place apart.
constexpr double relativeOfBf16 = 1.0 / 128;

/// A value of the test data, and its type.
struct Datum {
  HostValue value;
  Type type;
};

std::string readFile(StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  return file ? (*file)->getBuffer().str() : std::string();
}

Datum datumOf(MLIRContext *context, const onnx::TensorProto &tensor) {
  onnx_import::TensorReader reader("", "");
  DenseElementsAttr elements = reader.read(context, tensor);
  SmallVector<int64_t> shape(elements.getType().getShape());
  if (isa<FloatType>(elements.getElementType())) {
    Floats floats;
    for (const APFloat &element : elements.getValues<APFloat>()) {
      floats.push_back(element.convertToDouble());
    }
    return {hostValue(HostTensor(shape, std::move(floats))), elements.getType()};
  }
  Integers integers;
  bool isSigned = elements.getElementType().isSignlessInteger() && !elements.getElementType().isInteger(1);
  for (const APInt &element : elements.getValues<APInt>()) {
    integers.push_back(isSigned ? element.getSExtValue() : static_cast<int64_t>(element.getZExtValue()));
  }
  return {hostValue(HostTensor(shape, std::move(integers))), elements.getType()};
}

Datum datumOf(MLIRContext *context, const onnx::SequenceProto &sequence, Type declared) {
  if (sequence.elem_type() != onnx::SequenceProto::TENSOR && sequence.tensor_values_size() == 0 &&
      sequence.elem_type() != onnx::SequenceProto::UNDEFINED) {
    throw onnx_import::Failure(onnx_import::code::unsupported, "sequences of other things than tensors");
  }
  HostSequence values;
  Type joined;
  for (const onnx::TensorProto &tensor : sequence.tensor_values()) {
    Datum element = datumOf(context, tensor);
    values.elements.push_back(std::get<std::shared_ptr<const HostTensor>>(element.value));
    joined = joined ? onnx_import::join(joined, element.type) : element.type;
  }
  Type type = joined ? Type(r1::SequenceType::get(context, cast<TensorType>(joined))) : declared;
  return {std::make_shared<const HostSequence>(std::move(values)), type};
}

Datum readDatum(MLIRContext *context, StringRef path, const onnx::TypeProto &type) {
  std::string bytes = readFile(path);
  if (type.has_optional_type()) {
    onnx::OptionalProto optional;
    if (optional.ParseFromString(bytes) && optional.has_sequence_value()) {
      return datumOf(context, optional.sequence_value(), Type());
    }
    if (optional.has_tensor_value()) {
      return datumOf(context, optional.tensor_value());
    }
    throw onnx_import::Failure(onnx_import::code::unsupported, "an optional value that is not there");
  }
  if (type.has_sequence_type()) {
    onnx::SequenceProto sequence;
    sequence.ParseFromString(bytes);
    // Models call the elements of empty sequences scalars; nothing is known of them.
    int32_t element = type.sequence_type().elem_type().tensor_type().elem_type();
    Type empty = UnrankedTensorType::get(onnx_import::elementType(context, element));
    return datumOf(context, sequence, r1::SequenceType::get(context, cast<TensorType>(empty)));
  }
  onnx::TensorProto tensor;
  tensor.ParseFromString(bytes);
  // numpy has no bfloat16: the data of such cases says uint16 of the same bits.
  if (type.tensor_type().elem_type() == onnx::TensorProto::BFLOAT16) {
    tensor.set_data_type(onnx::TensorProto::BFLOAT16);
  }
  return datumOf(context, tensor);
}

std::string compare(const HostTensor &found, const HostTensor &expected, double bound) {
  auto sizes = [](ArrayRef<int64_t> shape) {
    return "[" + llvm::join(llvm::map_range(shape, [](int64_t size) { return std::to_string(size); }), ", ") + "]";
  };
  if (found.shape != expected.shape) {
    return "expected the shape " + sizes(expected.shape) + ", found " + sizes(found.shape);
  }
  if (found.isFloat() != expected.isFloat()) {
    return "expected other elements";
  }
  for (int64_t index = 0; index < expected.size(); ++index) {
    double one, other;
    if (expected.isFloat()) {
      one = found.floats()[index];
      other = expected.floats()[index];
    } else {
      one = static_cast<double>(found.integers()[index]);
      other = static_cast<double>(expected.integers()[index]);
    }
    bool isSame = one == other || (std::isnan(one) && std::isnan(other)) ||
                  std::abs(one - other) <= absolute + bound * std::abs(other);
    if (!isSame) {
      return "element " + std::to_string(index) + ": expected " + std::to_string(other) + ", found " +
             std::to_string(one);
    }
  }
  return "";
}

std::string compare(const HostValue &found, const HostValue &expected, double bound) {
  const auto *tensor = std::get_if<std::shared_ptr<const HostTensor>>(&expected);
  if (tensor) {
    const auto *other = std::get_if<std::shared_ptr<const HostTensor>>(&found);
    return other ? compare(**other, **tensor, bound) : "expected a tensor";
  }
  const auto &elements = sequenceOf(expected).elements;
  const auto *other = std::get_if<std::shared_ptr<const HostSequence>>(&found);
  if (!other || (*other)->elements.size() != elements.size()) {
    return "expected a sequence of " + std::to_string(elements.size());
  }
  for (auto [one, two] : llvm::zip_equal((*other)->elements, elements)) {
    if (std::string message = compare(*one, *two, bound); !message.empty()) {
      return message;
    }
  }
  return "";
}

Type elementTypeOf(Type type) {
  if (auto sequence = dyn_cast_or_null<r1::SequenceType>(type)) {
    return sequence.getElement().getElementType();
  }
  auto tensor = dyn_cast_or_null<TensorType>(type);
  return tensor ? tensor.getElementType() : Type();
}

bool hasDeclaredShape(Type found, const onnx::TypeProto::Tensor &declared) {
  auto dims = declared.shape().dim();
  return declared.has_shape() &&
         llvm::equal(cast<RankedTensorType>(found).getShape(), dims,
                     [](int64_t size, const auto &dim) { return !dim.has_dim_value() || dim.dim_value() == size; });
}

CaseResult runSet(StringRef folder, StringRef set, const onnx::GraphProto &graph, const Engine &engine) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<r1::R1Dialect, func::FuncDialect>();
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages += diagnostic.str() + " ";
    return success();
  });
  auto pathOf = [&](StringRef kind, int index) { return (set + "/" + kind + "_" + Twine(index) + ".pb").str(); };
  OnnxImportOptions options;
  SmallVector<HostValue> inputs;
  for (int index = 0; index < graph.input_size() && llvm::sys::fs::exists(pathOf("input", index)); ++index) {
    const onnx::ValueInfoProto &info = graph.input(index);
    Datum input = readDatum(&context, pathOf("input", index), info.type());
    bool isInitialized = llvm::any_of(graph.initializer(),
                                      [&](const onnx::TensorProto &tensor) { return tensor.name() == info.name(); });
    if (isInitialized) {
      continue;
    }
    // Of sequences, models say nothing but the element type; of some tensors, they say another shape.
    bool isOther = info.type().has_tensor_type() && !hasDeclaredShape(input.type, info.type().tensor_type());
    if (isOther || isa_and_nonnull<r1::SequenceType>(input.type)) {
      options.inputTypes[info.name()] = input.type;
    }
    inputs.push_back(input.value);
  }
  OwningOpRef<ModuleOp> module = importOnnx(&context, (folder + "/model.onnx").str(), options);
  if (!module) {
    bool isUnsupported = StringRef(messages).contains("[onnx-unsupported]");
    return {isUnsupported ? CaseResult::Unsupported : CaseResult::Fail, messages};
  }
  if (failed(verify(*module))) {
    return {CaseResult::Fail, "does not verify: " + messages};
  }
  FailureOr<SmallVector<HostValue>> results = engine(*module, inputs, folder);
  if (failed(results)) {
    return {CaseResult::Fail, messages};
  }
  auto main = module->lookupSymbol<func::FuncOp>("main");
  for (auto [index, result] : llvm::enumerate(*results)) {
    Datum expected =
        readDatum(&context, pathOf("output", static_cast<int>(index)), graph.output(static_cast<int>(index)).type());
    Type element = elementTypeOf(expected.type);
    double bound = element && element.isBF16() ? relativeOfBf16 : relative;
    std::string message = element && elementTypeOf(main.getResultTypes()[index]) != element
                              ? "expected another element type"
                              : compare(result, expected.value, bound);
    if (!message.empty()) {
      return {CaseResult::Fail, "output " + std::to_string(index) + ": " + message};
    }
  }
  return {CaseResult::Pass, ""};
}

} // namespace

std::vector<std::string> backendCases(StringRef suite) {
  std::vector<std::string> cases;
  std::error_code code;
  for (llvm::sys::fs::directory_iterator kind(suite, code), end; kind != end && !code; kind.increment(code)) {
    for (llvm::sys::fs::directory_iterator entry(kind->path(), code); entry != end && !code; entry.increment(code)) {
      if (llvm::sys::fs::exists(entry->path() + "/model.onnx")) {
        cases.push_back(
            (llvm::sys::path::filename(kind->path()) + "/" + llvm::sys::path::filename(entry->path())).str());
      }
    }
  }
  llvm::sort(cases);
  return cases;
}

CaseResult runBackendCase(StringRef suite, StringRef name, const Engine &engine) {
  std::string folder = (suite + "/" + name).str();
  onnx::ModelProto model;
  model.ParseFromString(readFile(folder + "/model.onnx"));
  CaseResult result{CaseResult::Fail, "has no data"};
  for (int set = 0;; ++set) {
    std::string path = folder + "/test_data_set_" + std::to_string(set);
    if (!llvm::sys::fs::exists(path)) {
      return result;
    }
    try {
      result = runSet(folder, path, model.graph(), engine);
    } catch (const onnx_import::Failure &failure) {
      bool isUnsupported = failure.code == onnx_import::code::unsupported;
      result = {isUnsupported ? CaseResult::Unsupported : CaseResult::Fail, "data: " + failure.message};
    }
    if (result.state != CaseResult::Pass) {
      return result;
    }
  }
}

} // namespace elah
