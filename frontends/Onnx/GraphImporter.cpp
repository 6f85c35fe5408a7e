// Graphs of nodes to operations, one after the other. A graph is in static single assignment form: each name is defined
// once, and found in the graph itself or in one around it. Nodes stand in an order in which each name is defined before
// it is used; if they do not, such an order is looked for.
#include "frontends/Onnx/GraphImporter.h"
#include "dialects/R1/R1.h"
#include "frontends/Onnx/Node.h"
#include "frontends/Onnx/Operators.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include <functional>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {

/// The names of a graph, and those around it.
class GraphImporter::Scope {
public:
  llvm::StringMap<Value> values;
  std::unique_ptr<Scope> outer;
  /// A function's body sees nothing of what is around its call, but the call's attributes.
  bool isFunction = false;
  const onnx::NodeProto *call = nullptr;
  const Function *function = nullptr;
};

namespace {

/// Names that a node uses of its own graph or those around: inputs, and what its subgraphs take from outside.
void namesUsed(const onnx::NodeProto &node, llvm::function_ref<void(StringRef)> use) {
  for (const std::string &input : node.input()) {
    if (!input.empty()) {
      use(input);
    }
  }
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    auto inside = [&](const onnx::GraphProto &graph) {
      llvm::StringSet<> own;
      for (const onnx::ValueInfoProto &input : graph.input()) {
        own.insert(input.name());
      }
      for (const onnx::TensorProto &tensor : graph.initializer()) {
        own.insert(tensor.name());
      }
      for (const onnx::NodeProto &inner : graph.node()) {
        for (const std::string &name : inner.output()) {
          own.insert(name);
        }
      }
      auto outside = [&](StringRef name) {
        if (!own.contains(name)) {
          use(name);
        }
      };
      for (const onnx::NodeProto &inner : graph.node()) {
        namesUsed(inner, outside);
      }
      for (const onnx::ValueInfoProto &output : graph.output()) {
        outside(output.name());
      }
    };
    if (attribute.has_g()) {
      inside(attribute.g());
    }
    for (const onnx::GraphProto &graph : attribute.graphs()) {
      inside(graph);
    }
  }
}

/// An order of the nodes in which names are defined before they are used, that keeps theirs as far as it can.
std::vector<int> orderOf(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes) {
  llvm::StringMap<int> producers;
  for (int index = 0; index < nodes.size(); ++index) {
    for (const std::string &name : nodes[index].output()) {
      if (!name.empty()) {
        producers.try_emplace(name, index);
      }
    }
  }
  std::vector<std::vector<int>> users(nodes.size());
  std::vector<int> waitsFor(nodes.size(), 0), order;
  bool isSorted = true;
  for (int index = 0; index < nodes.size(); ++index) {
    namesUsed(nodes[index], [&](StringRef name) {
      auto found = producers.find(name);
      if (found != producers.end()) {
        users[found->second].push_back(index);
        ++waitsFor[index];
        isSorted &= found->second < index;
      }
    });
  }
  order.reserve(nodes.size());
  if (isSorted) {
    for (int index = 0; index < nodes.size(); ++index) {
      order.push_back(index);
    }
    return order;
  }
  std::vector<int> ready;
  for (int index = nodes.size() - 1; index >= 0; --index) {
    if (waitsFor[index] == 0) {
      ready.push_back(index);
    }
  }
  while (!ready.empty()) {
    int index = ready.back();
    ready.pop_back();
    order.push_back(index);
    for (int user : llvm::reverse(users[index])) {
      if (--waitsFor[user] == 0) {
        ready.push_back(user);
      }
    }
  }
  if (static_cast<int>(order.size()) == nodes.size()) {
    return order;
  }
  for (int index = 0; index < nodes.size(); ++index) {
    if (waitsFor[index] > 0) {
      Failure failure(code::cycle, "needs what is computed from its own result, directly or through other nodes");
      failure.node = nodes[index].name();
      throw failure;
    }
  }
  llvm_unreachable("a node waits");
}

std::string labelOf(const onnx::NodeProto &node) {
  if (!node.name().empty()) {
    return node.name();
  }
  return node.op_type() + (node.output_size() > 0 ? ":" + node.output(0) : "");
}

} // namespace

GraphImporter::GraphImporter(OpBuilder &builder, const Functions &functions, Opsets opsets, TensorReader &tensors)
    : builder(builder), tensors(tensors), functions(functions), opsets(std::move(opsets)) {}

GraphImporter::~GraphImporter() = default;

void GraphImporter::pushMain() { push(std::make_unique<Scope>()); }

void GraphImporter::push(std::unique_ptr<Scope> inner) {
  inner->outer = std::move(scope);
  scope = std::move(inner);
}

void GraphImporter::pop() { scope = std::move(scope->outer); }

Value GraphImporter::lookup(StringRef name) const {
  for (const Scope *current = scope.get(); current; current = current->outer.get()) {
    if (Value value = current->values.lookup(name)) {
      return value;
    }
    if (current->isFunction) {
      break;
    }
  }
  throw Failure(code::undefined, "'" + name + "' is not defined");
}

void GraphImporter::define(StringRef name, Value value) {
  if (!scope->values.try_emplace(name, value).second) {
    throw Failure(code::graph, "'" + name + "' is defined twice");
  }
}

Location GraphImporter::locationOf(const onnx::NodeProto &node) const {
  return NameLoc::get(builder.getStringAttr(callPrefix + labelOf(node)));
}

int64_t GraphImporter::opset(StringRef domain) const {
  auto found = opsets.find(domain == "ai.onnx" ? "" : domain);
  return found == opsets.end() ? 0 : found->second;
}

const onnx::AttributeProto *GraphImporter::attribute(const onnx::NodeProto &node, StringRef name) const {
  const onnx::NodeProto *holder = &node;
  std::string wanted = name.str();
  for (const Scope *current = scope.get(); holder; current = current->outer.get()) {
    const onnx::AttributeProto *found = nullptr;
    for (const onnx::AttributeProto &attribute : holder->attribute()) {
      if (attribute.name() == wanted) {
        found = &attribute;
      }
    }
    if (found && found->ref_attr_name().empty()) {
      return found;
    }
    if (!found) {
      return nullptr;
    }
    wanted = found->ref_attr_name();
    // The call of the function that this node stands in.
    while (current && !current->isFunction) {
      current = current->outer.get();
    }
    if (!current) {
      throw Failure(code::attribute, "attribute '" + name + "' refers to one of a function, and stands in none");
    }
    bool isGiven = llvm::any_of(current->call->attribute(),
                                [&](const onnx::AttributeProto &given) { return given.name() == wanted; });
    if (!isGiven) {
      for (const auto &otherwise : current->function->defaults) {
        if (otherwise->name() == wanted) {
          return otherwise.get();
        }
      }
      return nullptr;
    }
    holder = current->call;
  }
  return nullptr;
}

Type GraphImporter::declaredType(const onnx::TypeProto &type) const {
  MLIRContext *context = builder.getContext();
  if (type.has_optional_type()) {
    return declaredType(type.optional_type().elem_type());
  }
  if (type.has_sequence_type()) {
    const onnx::TypeProto &element = type.sequence_type().elem_type();
    if (!element.has_tensor_type()) {
      throw Failure(code::unsupported, "sequences of other things than tensors are not supported");
    }
    Type known = declaredType(element);
    Type whole = known ? known : UnrankedTensorType::get(elementType(context, element.tensor_type().elem_type()));
    return r1::SequenceType::get(context, cast<TensorType>(whole));
  }
  if (!type.has_tensor_type()) {
    throw Failure(code::unsupported, "expected a tensor or a sequence of tensors, found another type");
  }
  Type element = elementType(context, type.tensor_type().elem_type());
  if (!type.tensor_type().has_shape()) {
    return {};
  }
  Ints shape;
  for (const onnx::TensorShapeProto::Dimension &dim : type.tensor_type().shape().dim()) {
    // Exporters write unknown sizes as names, as nothing, and as -1.
    bool isKnown = dim.has_dim_value() && dim.dim_value() != -1;
    if (isKnown && dim.dim_value() < 0) {
      throw Failure(code::type, "sizes must not be negative, found " + Twine(dim.dim_value()));
    }
    shape.push_back(isKnown ? dim.dim_value() : ShapedType::kDynamic);
  }
  checkSizes(shape);
  return RankedTensorType::get(shape, element);
}

void GraphImporter::initializers(const onnx::GraphProto &graph, ArrayRef<Span> spans) {
  for (int index = 0; index < graph.initializer_size(); ++index) {
    const onnx::TensorProto &tensor = graph.initializer(index);
    try {
      Span span = static_cast<size_t>(index) < spans.size() ? spans[index] : Span();
      Location location = NameLoc::get(builder.getStringAttr(callPrefix + tensor.name()));
      define(tensor.name(), tensors.build(builder, location, tensor, span));
    } catch (Failure &failure) {
      failure.node = failure.node.empty() ? tensor.name() : failure.node;
      throw;
    }
  }
  if (graph.sparse_initializer_size() > 0) {
    throw Failure(code::unsupported, "sparse initializers are not supported");
  }
}

void GraphImporter::node(const onnx::NodeProto &node) {
  if (++imported > 2 * maxNodes) {
    throw Failure(code::limit, "comes after too many nodes of loops in loops");
  }
  if (const Function *function = functions.find(node)) {
    call(node, *function);
    return;
  }
  const Operator *found = findOperator(node.domain(), node.op_type());
  assert(found && "expectSupported has looked");
  found->import(Node(*this, node, opset(node.domain())));
}

void GraphImporter::nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes) {
  for (int index : orderOf(nodes)) {
    try {
      node(nodes[index]);
    } catch (Failure &failure) {
      if (failure.node.empty()) {
        failure.node = callPrefix + labelOf(nodes[index]);
        failure.message = "(" + nodes[index].op_type() + ") " + failure.message;
      }
      throw;
    }
  }
}

void GraphImporter::call(const onnx::NodeProto &node, const Function &function) {
  const onnx::FunctionProto &proto = *function.proto;
  if (node.input_size() > proto.input_size() || node.output_size() > proto.output_size()) {
    throw Failure(code::function, "expected at most " + Twine(proto.input_size()) + " inputs and " +
                                      Twine(proto.output_size()) + " outputs of the function, found " +
                                      Twine(node.input_size()) + " and " + Twine(node.output_size()));
  }
  auto inner = std::make_unique<Scope>();
  inner->isFunction = true;
  inner->call = &node;
  inner->function = &function;
  for (int index = 0; index < node.input_size(); ++index) {
    if (!node.input(index).empty()) {
      inner->values[proto.input(index)] = lookup(node.input(index));
    }
  }
  // An input that a call leaves out is left out where the body names it.
  onnx::FunctionProto body(proto);
  for (int index = 0; index < proto.input_size(); ++index) {
    if (!inner->values.contains(proto.input(index))) {
      for (onnx::NodeProto &use : *body.mutable_node()) {
        for (std::string &name : *use.mutable_input()) {
          name = name == proto.input(index) ? "" : name;
        }
      }
    }
  }
  Opsets outerOpsets = std::exchange(opsets, Functions::opsetsOf(proto.opset_import()));
  std::string outerPrefix = std::exchange(callPrefix, callPrefix + labelOf(node) + "/");
  push(std::move(inner));
  nodes(body.node());
  Values results;
  for (int index = 0; index < node.output_size(); ++index) {
    results.push_back(node.output(index).empty() ? Value() : lookup(proto.output(index)));
  }
  pop();
  callPrefix = outerPrefix;
  opsets = std::move(outerOpsets);
  for (auto [name, result] : llvm::zip_equal(node.output(), results)) {
    if (result) {
      define(name, result);
    }
  }
}

SmallVector<Value> GraphImporter::subgraph(const onnx::GraphProto &graph, ArrayRef<Value> arguments) {
  if (static_cast<size_t>(graph.input_size()) != arguments.size()) {
    throw Failure(code::graph, "the graph '" + graph.name() + "' must have " + Twine(arguments.size()) +
                                   " inputs, found " + Twine(graph.input_size()));
  }
  auto inner = std::make_unique<Scope>();
  push(std::move(inner));
  for (auto [info, argument] : llvm::zip_equal(graph.input(), arguments)) {
    define(info.name(), argument);
  }
  initializers(graph, {});
  nodes(graph.node());
  Values results;
  for (const onnx::ValueInfoProto &output : graph.output()) {
    results.push_back(lookup(output.name()));
  }
  pop();
  return results;
}

void GraphImporter::mainGraph(const onnx::GraphProto &graph, ArrayRef<Span> spans) {
  initializers(graph, spans);
  nodes(graph.node());
}

void GraphImporter::expectSupported(const onnx::ModelProto &model, const Functions &functions) {
  std::vector<std::string> unsupported;
  size_t count = 0;
  std::string first;
  std::function<void(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &, const Opsets &)> look =
      [&](const auto &nodes, const Opsets &opsets) {
        for (const onnx::NodeProto &node : nodes) {
          StringRef domain = node.domain() == "ai.onnx" ? StringRef() : StringRef(node.domain());
          auto imported = opsets.find(domain);
          int64_t version = imported == opsets.end() ? 0 : imported->second;
          const Operator *found = findOperator(domain, node.op_type());
          // Some exporters leave a contrib domain's version out.
          bool isSupported = found && (found->first == 0 || (version >= found->first && version <= found->last));
          if (!isSupported && !functions.find(node)) {
            ++count;
            first = count == 1 ? labelOf(node) : first;
            std::string line = "node '" + labelOf(node) + "': " + (domain.empty() ? "ai.onnx" : domain.str()) + "." +
                               node.op_type() + ", opset " + std::to_string(version);
            unsupported.push_back(line);
          }
          for (const onnx::AttributeProto &attribute : node.attribute()) {
            if (attribute.has_g()) {
              look(attribute.g().node(), opsets);
            }
            for (const onnx::GraphProto &graph : attribute.graphs()) {
              look(graph.node(), opsets);
            }
          }
        }
      };
  look(model.graph().node(), Functions::opsetsOf(model.opset_import()));
  for (const onnx::FunctionProto &function : model.functions()) {
    look(function.node(), Functions::opsetsOf(function.opset_import()));
  }
  if (count > 0) {
    Failure failure(code::unsupported, (count == 1 ? "1 node is" : Twine(count) + " nodes are") +
                                           " not supported:\n  " + llvm::join(unsupported, "\n  ") + "\n");
    throw failure;
  }
}

} // namespace elah::onnx_import
