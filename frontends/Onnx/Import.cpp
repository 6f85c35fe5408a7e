// From a file to a module: scan, parse, check what can be checked of the whole, import the main graph as a function.
#include "frontends/Onnx/Import.h"
#include "dialects/R1/R1.h"
#include "frontends/Onnx/GraphImporter.h"
#include "frontends/Onnx/Node.h"
#include "frontends/Onnx/Operators.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <google/protobuf/arena.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah {
namespace {

using namespace onnx_import;

constexpr int64_t newestIr = 13;

void checkVersions(const onnx::ModelProto &model) {
  if (model.ir_version() < 1 || model.ir_version() > newestIr) {
    throw Failure(code::version,
                  "expected IR version 1 to " + Twine(newestIr) + ", found " + Twine(model.ir_version()));
  }
  if (model.ir_version() >= 3 && model.opset_import_size() == 0) {
    throw Failure(code::version, "expected an operator set, found none");
  }
  auto check = [&](const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports, StringRef node) {
    for (const onnx::OperatorSetIdProto &import : imports) {
      bool isStandard = import.domain().empty() || import.domain() == "ai.onnx";
      if (isStandard && (import.version() < 1 || import.version() > newestOpset)) {
        Failure failure(code::version, "expected operator set 1 to " + Twine(newestOpset) + " of ai.onnx, found " +
                                           Twine(import.version()));
        failure.node = node.str();
        throw failure;
      }
    }
  };
  check(model.opset_import(), "");
  for (const onnx::FunctionProto &function : model.functions()) {
    check(function.opset_import(), function.name());
  }
}

/// What the model calls the sizes of a tensor that are not static.
ArrayAttr dimNames(Builder &builder, RankedTensorType type, const onnx::TypeProto &declared) {
  const onnx::TensorShapeProto &shape = declared.tensor_type().shape();
  SmallVector<StringRef> names(type.getRank());
  if (shape.dim_size() == type.getRank()) {
    for (auto [axis, name] : llvm::enumerate(names)) {
      name = type.isDynamicDim(axis) ? StringRef(shape.dim(static_cast<int>(axis)).dim_param()) : StringRef();
    }
  }
  return builder.getStrArrayAttr(names);
}

class ModelImporter {
public:
  ModelImporter(MLIRContext *context, llvm::MemoryBufferRef file, StringRef folder, const OnnxImportOptions &options)
      : builder(context), file(file), tensors(folder, llvm::sys::path::filename(file.getBufferIdentifier())),
        options(options), fileLocation(FileLineColLoc::get(builder.getStringAttr(file.getBufferIdentifier()), 0, 0)) {}

  OwningOpRef<ModuleOp> import() {
    GraphImporter *importer = nullptr;
    // What r1's operations say of wrong operands becomes the failure of the node that has them.
    ScopedDiagnosticHandler handler(builder.getContext(), [&](Diagnostic &diagnostic) {
      if (importer && diagnostic.getSeverity() == DiagnosticSeverity::Error) {
        importer->keepMessage(diagnostic.str());
      }
      return success();
    });
    ModelLayout layout = scanModel(file.getBuffer());
    google::protobuf::Arena arena;
    auto &model = *google::protobuf::Arena::CreateMessage<onnx::ModelProto>(&arena);
    parseModel(file.getBuffer(), model);
    checkVersions(model);
    Functions functions(model);
    GraphImporter::expectSupported(model, functions);
    functions.check(model.graph());

    Opsets opsets = Functions::opsetsOf(model.opset_import());
    if (model.ir_version() < 3 && opsets.empty()) {
      opsets[""] = 1;
    }
    GraphImporter graph(builder, functions, std::move(opsets), tensors);
    importer = &graph;
    OwningOpRef<ModuleOp> module = ModuleOp::create(fileLocation);
    builder.setInsertionPointToEnd(module->getBody());
    build(graph, model.graph(), layout);
    return module;
  }

  Location location() const { return fileLocation; }

private:
  void build(GraphImporter &graph, const onnx::GraphProto &proto, const ModelLayout &layout) {
    llvm::StringSet<> initialized;
    for (const onnx::TensorProto &tensor : proto.initializer()) {
      initialized.insert(tensor.name());
    }
    // Until IR version 4 initializers had to be inputs, too. A value that the model has is no input of the program.
    SmallVector<Type> types;
    SmallVector<const onnx::ValueInfoProto *> inputs;
    for (const onnx::ValueInfoProto &input : proto.input()) {
      if (!initialized.contains(input.name())) {
        inputs.push_back(&input);
        types.push_back(inputType(graph, input));
      }
    }
    auto function = func::FuncOp::create(builder, fileLocation, "main", builder.getFunctionType(types, {}));
    Block *body = function.addEntryBlock();
    builder.setInsertionPointToEnd(body);
    graph.pushMain();
    for (auto [index, input] : llvm::enumerate(inputs)) {
      graph.define(input->name(), body->getArgument(index));
      function.setArgAttr(index, "r1.name", builder.getStringAttr(input->name()));
      if (auto type = dyn_cast<RankedTensorType>(types[index])) {
        function.setArgAttr(index, "r1.dims", dimNames(builder, type, input->type()));
      }
    }
    graph.mainGraph(proto, layout.initializers);
    Values results;
    for (const onnx::ValueInfoProto &output : proto.output()) {
      try {
        results.push_back(graph.lookup(output.name()));
        expectDeclared(graph, output, results.back().getType());
      } catch (Failure &failure) {
        failure.node = output.name();
        failure.message = "(output) " + failure.message;
        throw;
      }
    }
    func::ReturnOp::create(builder, fileLocation, results);
    function.setType(builder.getFunctionType(types, llvm::to_vector(ValueRange(results).getTypes())));
    for (auto [index, output] : llvm::enumerate(proto.output())) {
      function.setResultAttr(index, "r1.name", builder.getStringAttr(output.name()));
      if (auto type = dyn_cast<RankedTensorType>(results[index].getType())) {
        function.setResultAttr(index, "r1.dims", dimNames(builder, type, output.type()));
      }
    }
  }

  Type inputType(GraphImporter &graph, const onnx::ValueInfoProto &input) {
    try {
      Type declared = input.has_type() ? graph.declaredType(input.type()) : Type();
      Type given = options.inputTypes.lookup(input.name());
      Type type = given ? given : declared;
      if (!type) {
        throw Failure(code::type, "the model does not say how many dimensions it has");
      }
      return type;
    } catch (Failure &failure) {
      failure.node = input.name();
      failure.message = "(input) " + failure.message;
      throw;
    }
  }

  /// What a model says of its outputs must be possible; sizes are the program's matter.
  static void expectDeclared(GraphImporter &graph, const onnx::ValueInfoProto &output, Type found) {
    Type declared = output.has_type() && output.type().value_case() != onnx::TypeProto::VALUE_NOT_SET
                        ? graph.declaredType(output.type())
                        : Type();
    auto tensor = dyn_cast_or_null<RankedTensorType>(declared), foundTensor = dyn_cast<RankedTensorType>(found);
    if (tensor && foundTensor && tensor.getElementType() != foundTensor.getElementType()) {
      std::string text;
      llvm::raw_string_ostream(text) << "expected elements of " << tensor.getElementType()
                                     << ", as the model says, found " << foundTensor.getElementType();
      throw Failure(code::type, text);
    }
  }

  OpBuilder builder;
  llvm::MemoryBufferRef file;
  TensorReader tensors;
  const OnnxImportOptions &options;
  Location fileLocation;
};

/// A name as it may be shown on a terminal.
std::string printable(StringRef text) {
  std::string result;
  for (char character : text.take_front(256)) {
    bool isControl = static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
    result += isControl ? '?' : character;
  }
  return result;
}

} // namespace

OwningOpRef<ModuleOp> importOnnx(MLIRContext *context, llvm::MemoryBufferRef model, StringRef folder,
                                 const OnnxImportOptions &options) {
  context->loadDialect<r1::R1Dialect, func::FuncDialect>();
  static const bool isQuiet = [] {
    // Failures are ours to report.
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  static_cast<void>(isQuiet);
  ModelImporter importer(context, model, folder, options);
  try {
    return importer.import();
  } catch (const Failure &failure) {
    std::string place = failure.node.empty() ? "" : "node '" + printable(failure.node) + "': ";
    emitError(importer.location()) << place << failure.message << " [" << failure.code << "]";
    return {};
  }
}

OwningOpRef<ModuleOp> importOnnx(MLIRContext *context, StringRef path, const OnnxImportOptions &options) {
  auto reject = [&](const Twine &message) -> OwningOpRef<ModuleOp> {
    emitError(FileLineColLoc::get(StringAttr::get(context, path), 0, 0)) << message << " [" << code::file << "]";
    return {};
  };
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status)) {
    return reject("cannot open: " + code.message());
  }
  if (!llvm::sys::fs::is_regular_file(status)) {
    return reject("expected a regular file");
  }
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> file =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file) {
    return reject("cannot read: " + file.getError().message());
  }
  StringRef folder = llvm::sys::path::parent_path(path);
  return importOnnx(context, (*file)->getMemBufferRef(), folder.empty() ? "." : folder, options);
}

} // namespace elah
