// Model-local functions (onnx.proto, FunctionProto). libonnx 1.12 does not know two of their fields that change what a
// model means: they are read from what it keeps of unknown ones.
#include "frontends/Onnx/GraphImporter.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {
namespace {

// Functions that call functions: exporters nest modules, some ten deep.
constexpr uint64_t maxCalls = 64;

// onnx.proto of IR version 10 and up.
constexpr int nodeOverload = 8, functionAttributeProto = 11, functionOverload = 13;

std::string unknownText(const google::protobuf::UnknownFieldSet &fields, int number) {
  std::string text;
  for (int index = 0; index < fields.field_count(); ++index) {
    const google::protobuf::UnknownField &field = fields.field(index);
    if (field.number() == number && field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
      text = field.length_delimited();
    }
  }
  return text;
}

std::string keyOf(StringRef domain, StringRef name, StringRef overload) {
  return ((domain == "ai.onnx" ? "" : domain) + "\n" + name + "\n" + overload).str();
}

} // namespace

Functions::Functions(const onnx::ModelProto &model) {
  for (const onnx::FunctionProto &proto : model.functions()) {
    auto fail = [&](const Twine &message) {
      Failure failure(code::function, message);
      failure.node = proto.name();
      throw failure;
    };
    Function function;
    function.proto = &proto;
    const google::protobuf::UnknownFieldSet &unknown = proto.unknown_fields();
    for (int index = 0; index < unknown.field_count(); ++index) {
      const google::protobuf::UnknownField &field = unknown.field(index);
      if (field.number() != functionAttributeProto) {
        continue;
      }
      auto attribute = std::make_unique<onnx::AttributeProto>();
      if (field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED ||
          !attribute->ParseFromString(field.length_delimited())) {
        fail("has a default attribute that does not parse");
      }
      function.defaults.push_back(std::move(attribute));
    }
    std::string key = keyOf(proto.domain(), proto.name(), unknownText(unknown, functionOverload));
    if (!functions.try_emplace(key, std::move(function)).second) {
      fail("is defined twice");
    }
  }
}

const Function *Functions::find(const onnx::NodeProto &call) const {
  if (functions.empty()) {
    return nullptr;
  }
  auto found = functions.find(keyOf(call.domain(), call.op_type(), unknownText(call.unknown_fields(), nodeOverload)));
  return found == functions.end() ? nullptr : &found->second;
}

Opsets Functions::opsetsOf(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports) {
  Opsets opsets;
  for (const onnx::OperatorSetIdProto &import : imports) {
    opsets[import.domain() == "ai.onnx" ? "" : import.domain()] = import.version();
  }
  return opsets;
}

void Functions::check(const onnx::GraphProto &graph) const {
  /// What is known of a function: nothing while it is open; its nodes, and how deep its calls go, once it is done.
  struct Extent {
    bool isOpen = true;
    uint64_t nodes = 0, height = 0;
  };
  llvm::DenseMap<const Function *, Extent> extents;
  std::function<Extent(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &, uint64_t)> extentOf =
      [&](const auto &nodes, uint64_t depth) {
        Extent total{/*isOpen=*/false};
        for (const onnx::NodeProto &node : nodes) {
          auto fail = [&](StringRef code, const Twine &message) {
            Failure failure(code, message);
            failure.node = node.name().empty() ? node.op_type() : node.name();
            throw failure;
          };
          ++total.nodes;
          if (const Function *function = find(node)) {
            auto [entry, isNew] = extents.try_emplace(function);
            if (!isNew && entry->second.isOpen) {
              fail(code::function, "calls the function '" + node.op_type() + "', which it is part of");
            }
            if (depth > maxCalls) {
              fail(code::limit, "expected at most " + Twine(maxCalls) + " calls in each other, found more");
            }
            if (isNew) {
              Extent extent = extentOf(function->proto->node(), depth + 1);
              extents[function] = extent;
            }
            Extent callee = extents[function];
            total.nodes += callee.nodes;
            total.height = std::max(total.height, callee.height + 1);
            if (total.height > maxCalls) {
              fail(code::limit, "expected at most " + Twine(maxCalls) + " calls in each other, found more");
            }
          }
          auto addGraph = [&](const onnx::GraphProto &inner) {
            Extent extent = extentOf(inner.node(), depth);
            total.nodes += extent.nodes;
            total.height = std::max(total.height, extent.height);
          };
          for (const onnx::AttributeProto &attribute : node.attribute()) {
            if (attribute.has_g()) {
              addGraph(attribute.g());
            }
            llvm::for_each(attribute.graphs(), addGraph);
          }
          if (total.nodes > maxNodes) {
            fail(code::limit, "expected at most " + Twine(maxNodes) + " nodes once functions are inlined, found more");
          }
        }
        return total;
      };
  extentOf(graph.node(), 0);
  // Functions that nothing calls must not go round either.
  for (const auto &entry : functions) {
    if (extents.try_emplace(&entry.second).second) {
      Extent extent = extentOf(entry.second.proto->node(), 0);
      extents[&entry.second] = extent;
    }
  }
}

} // namespace elah::onnx_import
