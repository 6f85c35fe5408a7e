#ifndef FRONTENDS_ONNX_GRAPHIMPORTER_H
#define FRONTENDS_ONNX_GRAPHIMPORTER_H

#include "frontends/Onnx/Failure.h"
#include "frontends/Onnx/Tensors.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class ModelProto;
class NodeProto;
class OperatorSetIdProto;
class TypeProto;
class ValueInfoProto;
} // namespace onnx

namespace google::protobuf {
template <typename Element> class RepeatedPtrField;
} // namespace google::protobuf

namespace elah::onnx_import {

/// A model-local function, with what libonnx's classes do not know of it.
struct Function {
  const onnx::FunctionProto *proto = nullptr;
  std::vector<std::unique_ptr<onnx::AttributeProto>> defaults; ///< Attributes that have a value if a call gives none.
};

/// Operator sets that a graph or a function imports: version by domain ("" is ai.onnx).
using Opsets = llvm::StringMap<int64_t>;

/// The functions of a model by domain, name and overload.
class Functions {
public:
  explicit Functions(const onnx::ModelProto &model);
  const Function *find(const onnx::NodeProto &call) const;
  static Opsets opsetsOf(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports);
  /// Throws a Failure if functions call themselves, or come to too many nodes once they are inlined.
  void check(const onnx::GraphProto &graph) const;

private:
  llvm::StringMap<Function> functions;
};

/// Builds the operations of graphs at the builder's place. One for a whole model; subgraphs see the names around them.
class GraphImporter {
public:
  GraphImporter(mlir::OpBuilder &builder, const Functions &functions, Opsets opsets, TensorReader &tensors);

  mlir::OpBuilder &builder;
  TensorReader &tensors;

  // What nodes ask.
  mlir::Value lookup(llvm::StringRef name) const;
  void define(llvm::StringRef name, mlir::Value value);
  mlir::Location locationOf(const onnx::NodeProto &node) const;
  const onnx::AttributeProto *attribute(const onnx::NodeProto &node, llvm::StringRef name) const;
  int64_t opset(llvm::StringRef domain) const;
  /// The last diagnostic that was emitted, in the importer's name; it is not shown otherwise.
  std::string takeMessage() { return std::exchange(message, ""); }
  void keepMessage(std::string text) { message = std::move(text); }

  /// Imports a graph whose inputs are `arguments` into a scope of its own, and returns its outputs.
  llvm::SmallVector<mlir::Value> subgraph(const onnx::GraphProto &graph, llvm::ArrayRef<mlir::Value> arguments);

  /// Defines the initializers and imports the nodes of the main graph, whose inputs are defined.
  void mainGraph(const onnx::GraphProto &graph, llvm::ArrayRef<Span> spans);

  /// The type that a graph's value is declared with; null, if its number of dimensions is not.
  mlir::Type declaredType(const onnx::TypeProto &type) const;

  /// Lists all nodes of the model that are not supported, in one Failure.
  static void expectSupported(const onnx::ModelProto &model, const Functions &functions);

  /// Opens the scope of the main graph.
  void pushMain();
  ~GraphImporter();

private:
  class Scope;
  void push(std::unique_ptr<Scope> scope);
  void pop();
  void initializers(const onnx::GraphProto &graph, llvm::ArrayRef<Span> spans);
  void nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes);
  void node(const onnx::NodeProto &node);
  void call(const onnx::NodeProto &node, const Function &function);

  std::unique_ptr<Scope> scope;
  const Functions &functions;
  Opsets opsets;
  std::string callPrefix; ///< "call/" for each function that is being inlined.
  std::string message;
  uint64_t imported = 0;
};

} // namespace elah::onnx_import

#endif
