// A model's bytes before they are trusted. Protobuf messages nest; a reader of the wire format that follows only what
// matters (onnx.proto: graphs, nodes, their attributes, initializers) finds in one pass and without memory what would
// make the parser slow, deep or large.
#include "frontends/Onnx/ModelFile.h"
#include "frontends/Onnx/Failure.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <limits>
#include <onnx/onnx_pb.h>

using namespace llvm;

namespace elah::onnx_import {
namespace {

/// Fields of one message, one after the other.
class Fields {
public:
  explicit Fields(StringRef bytes) : rest(bytes) {}

  uint64_t number = 0;
  StringRef content; ///< Of a field with a length; empty for others.
  bool hasLength = false;

  bool next() {
    if (rest.empty()) {
      return false;
    }
    uint64_t tag = varint();
    number = tag >> 3;
    content = {};
    hasLength = false;
    switch (tag & 7) {
    case 0:
      varint();
      break;
    case 1:
      take(8);
      break;
    case 2:
      hasLength = true;
      content = take(varint());
      break;
    case 5:
      take(4);
      break;
    default:
      throw Failure(code::format, "is no ONNX model: the wire format is broken");
    }
    if (number == 0) {
      throw Failure(code::format, "is no ONNX model: the wire format is broken");
    }
    return true;
  }

private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t(byte & 127) << shift;
      if (byte < 128) {
        return value;
      }
    }
    throw Failure(code::format, "is no ONNX model: the wire format is broken");
  }

  StringRef take(uint64_t size) {
    if (size > rest.size()) {
      throw Failure(code::format, "ends in the middle of a field: is it complete?");
    }
    StringRef taken = rest.take_front(size);
    rest = rest.drop_front(size);
    return taken;
  }

  StringRef rest;
};

// Field numbers of onnx.proto.
namespace field {
constexpr uint64_t modelGraph = 7, modelFunctions = 25;
constexpr uint64_t graphNode = 1, graphInitializer = 5;
constexpr uint64_t functionNode = 7;
constexpr uint64_t nodeInput = 1, nodeOutput = 2, nodeName = 3, nodeAttribute = 5;
constexpr uint64_t attributeGraph = 6, attributeGraphs = 11;
constexpr uint64_t tensorFloats = 4, tensorRaw = 9, tensorDoubles = 10;
} // namespace field

class Scanner {
public:
  explicit Scanner(StringRef bytes) : bytes(bytes) {}

  ModelLayout scan() {
    bool hasGraph = false;
    for (Fields model(bytes); model.next();) {
      if (model.number == field::modelGraph && model.hasLength) {
        scanGraph(model.content, 0, /*isMain=*/true);
        hasGraph = true;
      } else if (model.number == field::modelFunctions) {
        for (Fields function(model.content); function.next();) {
          if (function.number == field::functionNode) {
            scanNode(function.content, 0);
          }
        }
      }
    }
    if (!hasGraph) {
      throw Failure(code::format, "is no ONNX model: it has no graph");
    }
    return std::move(layout);
  }

private:
  void scanGraph(StringRef graph, unsigned depth, bool isMain) {
    for (Fields fields(graph); fields.next();) {
      if (fields.number == field::graphNode) {
        scanNode(fields.content, depth);
      } else if (fields.number == field::graphInitializer && isMain) {
        layout.initializers.push_back(spanOf(fields.content));
      }
    }
  }

  void scanNode(StringRef node, unsigned depth) {
    auto fail = [&](const Twine &message) {
      Failure failure(code::limit, message);
      failure.node = nameOf(node);
      throw failure;
    };
    if (++nodes > maxNodes) {
      fail("expected at most " + Twine(maxNodes) + " nodes, this is one more");
    }
    uint64_t names = 0;
    for (Fields fields(node); fields.next();) {
      if (fields.number == field::nodeInput || fields.number == field::nodeOutput) {
        if (++names > maxNames) {
          fail("expected at most " + Twine(maxNames) + " inputs and outputs, found more");
        }
      }
      if (fields.number != field::nodeAttribute) {
        continue;
      }
      for (Fields attribute(fields.content); attribute.next();) {
        if ((attribute.number == field::attributeGraph || attribute.number == field::attributeGraphs) &&
            attribute.hasLength) {
          if (depth + 1 > maxDepth) {
            fail("expected at most " + Twine(maxDepth) + " graphs in each other, found more");
          }
          scanGraph(attribute.content, depth + 1, /*isMain=*/false);
        }
      }
    }
  }

  static std::string nameOf(StringRef node) {
    for (Fields fields(node); fields.next();) {
      if (fields.number == field::nodeName) {
        return fields.content.str();
      }
    }
    return "";
  }

  Span spanOf(StringRef tensor) const {
    Span span;
    unsigned pieces = 0;
    for (Fields fields(tensor); fields.next();) {
      bool isData = fields.number == field::tensorRaw || fields.number == field::tensorFloats ||
                    fields.number == field::tensorDoubles;
      if (isData && !(fields.hasLength && fields.content.empty())) {
        ++pieces;
        span = {static_cast<uint64_t>(fields.content.data() - bytes.data()), fields.content.size()};
      }
    }
    return pieces == 1 && span.size != 0 ? span : Span();
  }

  StringRef bytes;
  ModelLayout layout;
  uint64_t nodes = 0;
};

} // namespace

ModelLayout scanModel(StringRef bytes) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw Failure(code::limit, "is larger than the 2 GiB of a protobuf message; weights belong into external data");
  }
  return Scanner(bytes).scan();
}

void parseModel(StringRef bytes, onnx::ModelProto &model) {
  google::protobuf::io::ArrayInputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
  if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    throw Failure(code::format, "is no ONNX model: its fields do not parse");
  }
}

} // namespace elah::onnx_import
