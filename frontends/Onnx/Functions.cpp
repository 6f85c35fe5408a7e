// Model-local functions (onnx.proto, FunctionProto). libonnx 1.12 does not know two of their fields that change what a
// model means: they are read from what it keeps of unknown ones.
#include "frontends/Onnx/GraphImporter.h"
#include "llvm/ADT/StringExtras.h"
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {
namespace {

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
  enum class State { Open, Done };
  llvm::DenseMap<const Function *, std::pair<State, uint64_t>> sizes;
  std::function<uint64_t(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &)> sizeOf =
      [&](const auto &nodes) -> uint64_t {
    uint64_t total = 0;
    for (const onnx::NodeProto &node : nodes) {
      auto fail = [&](StringRef code, const Twine &message) {
        Failure failure(code, message);
        failure.node = node.name().empty() ? node.op_type() : node.name();
        throw failure;
      };
      ++total;
      if (const Function *function = find(node)) {
        auto [entry, isNew] = sizes.try_emplace(function, State::Open, 0);
        if (!isNew && entry->second.first == State::Open) {
          fail(code::function, "calls the function '" + node.op_type() + "', which it is part of");
        }
        if (isNew) {
          uint64_t size = sizeOf(function->proto->node());
          sizes[function] = {State::Done, size};
        }
        total += sizes[function].second;
      }
      for (const onnx::AttributeProto &attribute : node.attribute()) {
        total += attribute.has_g() ? sizeOf(attribute.g().node()) : 0;
        for (const onnx::GraphProto &inner : attribute.graphs()) {
          total += sizeOf(inner.node());
        }
      }
      if (total > maxNodes) {
        fail(code::limit, "expected at most " + Twine(maxNodes) + " nodes once functions are inlined, found more");
      }
    }
    return total;
  };
  sizeOf(graph.node());
  // Functions that nothing calls must not go round either.
  for (const auto &entry : functions) {
    if (sizes.try_emplace(&entry.second, State::Open, 0).second) {
      uint64_t size = sizeOf(entry.second.proto->node());
      sizes[&entry.second] = {State::Done, size};
    }
  }
}

} // namespace elah::onnx_import
