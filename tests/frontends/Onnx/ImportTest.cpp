// What the importer makes of whole models, and of those that were made to do harm or were broken on the way. Each of
// these must end in an error that names its kind and the node, within two seconds and 512 MiB: it is imported in a
// process of its own, whose time and memory are measured.
#include "frontends/Onnx/Import.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"
#include <fstream>
#include <numeric>
#include <onnx/onnx_pb.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace elah {
namespace {

constexpr double maxSeconds = 2;
constexpr long maxKilobytes = 512 * 1024;

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

//===--- Models, in a few words ---------------------------------------------------------------------------------===//

void addInput(GraphProto &graph, const std::string &name, int type, const std::vector<int64_t> &dims) {
  onnx::ValueInfoProto &info = *graph.add_input();
  info.set_name(name);
  auto &tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (int64_t dim : dims) {
    tensor.mutable_shape()->add_dim()->set_dim_value(dim);
  }
}

NodeProto &addNode(GraphProto &graph, const std::string &name, const std::string &op,
                   const std::vector<std::string> &inputs, const std::vector<std::string> &outputs) {
  NodeProto &node = *graph.add_node();
  node.set_name(name);
  node.set_op_type(op);
  for (const std::string &input : inputs) {
    node.add_input(input);
  }
  for (const std::string &output : outputs) {
    node.add_output(output);
  }
  return node;
}

AttributeProto &addAttribute(NodeProto &node, const std::string &name, AttributeProto::AttributeType type) {
  AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

void setInteger(NodeProto &node, const std::string &name, int64_t value) {
  addAttribute(node, name, AttributeProto::INT).set_i(value);
}

void setIntegers(NodeProto &node, const std::string &name, const std::vector<int64_t> &values) {
  AttributeProto &attribute = addAttribute(node, name, AttributeProto::INTS);
  attribute.mutable_ints()->Add(values.begin(), values.end());
}

TensorProto &addInitializer(GraphProto &graph, const std::string &name, int type, const std::vector<int64_t> &dims) {
  TensorProto &tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  tensor.mutable_dims()->Add(dims.begin(), dims.end());
  return tensor;
}

void addIntegers(GraphProto &graph, const std::string &name, const std::vector<int64_t> &values) {
  TensorProto &tensor = addInitializer(graph, name, TensorProto::INT64, {static_cast<int64_t>(values.size())});
  tensor.mutable_int64_data()->Add(values.begin(), values.end());
}

/// A model of IR version 8 with an input x: f32 [2, 3] and an output y, that `build` gives nodes.
ModelProto model(const std::function<void(ModelProto &, GraphProto &)> &build, int64_t opset = 17) {
  ModelProto result;
  result.set_ir_version(8);
  result.add_opset_import()->set_version(opset);
  GraphProto &graph = *result.mutable_graph();
  graph.set_name("graph");
  addInput(graph, "x", TensorProto::FLOAT, {2, 3});
  graph.add_output()->set_name("y");
  build(result, graph);
  return result;
}

struct Hostile {
  std::string name, code, node; ///< What the error must hold.
  std::string bytes;
};

class Corpus {
public:
  explicit Corpus(std::string folder) : folder(std::move(folder)) {
    graphs();
    sizes();
    depths();
    functions();
    types();
    attributes();
    versions();
    wire();
    externalData();
  }

  std::vector<Hostile> models;

private:
  void add(const std::string &name, const std::string &code, const std::string &node, const ModelProto &model) {
    models.push_back({name, code, node, model.SerializeAsString()});
  }

  /// A model whose only node is made by `build`.
  void one(const std::string &name, const std::string &code, const std::string &op,
           const std::vector<std::string> &inputs, const std::function<void(NodeProto &, GraphProto &)> &build,
           int64_t opset = 17) {
    add(name, code, "bad",
        model([&](ModelProto &, GraphProto &graph) { build(addNode(graph, "bad", op, inputs, {"y"}), graph); }, opset));
  }

  static void nothing(NodeProto &, GraphProto &) {}

  void graphs() {
    one("cycle_of_one", "onnx-cycle", "Add", {"x", "y"}, nothing);
    add("cycle_of_two", "onnx-cycle", "first", model([](ModelProto &, GraphProto &graph) {
          addNode(graph, "first", "Add", {"x", "y"}, {"a"});
          addNode(graph, "second", "Neg", {"a"}, {"y"});
        }));
    add("cycle_through_subgraph", "onnx-cycle", "first", model([](ModelProto &, GraphProto &graph) {
          addInput(graph, "c", TensorProto::BOOL, {});
          NodeProto &node = addNode(graph, "first", "If", {"c"}, {"a"});
          for (const char *branch : {"then_branch", "else_branch"}) {
            GraphProto &inner = *addAttribute(node, branch, AttributeProto::GRAPH).mutable_g();
            addNode(inner, "inner", "Neg", {"y"}, {"b"});
            inner.add_output()->set_name("b");
          }
          addNode(graph, "second", "Neg", {"a"}, {"y"});
        }));
    add("long_cycle", "onnx-cycle", "n0", model([](ModelProto &, GraphProto &graph) {
          for (int index = 0; index < 20000; ++index) {
            addNode(graph, "n" + std::to_string(index), "Neg", {"v" + std::to_string(index)},
                    {"v" + std::to_string((index + 1) % 20000)});
          }
        }));
    one("undefined_input", "onnx-undefined", "Add", {"x", "nowhere"}, nothing);
    add("undefined_in_subgraph", "onnx-undefined", "inner", model([](ModelProto &, GraphProto &graph) {
          addInput(graph, "c", TensorProto::BOOL, {});
          NodeProto &node = addNode(graph, "outer", "If", {"c"}, {"y"});
          for (const char *branch : {"then_branch", "else_branch"}) {
            GraphProto &inner = *addAttribute(node, branch, AttributeProto::GRAPH).mutable_g();
            addNode(inner, "inner", "Neg", {"nowhere"}, {"b"});
            inner.add_output()->set_name("b");
          }
        }));
    add("undefined_output", "onnx-undefined", "y", model([](ModelProto &, GraphProto &) {}));
    add("defined_twice", "onnx-graph", "second", model([](ModelProto &, GraphProto &graph) {
          addNode(graph, "first", "Neg", {"x"}, {"y"});
          addNode(graph, "second", "Abs", {"x"}, {"y"});
        }));
    one("redefines_input", "onnx-cycle", "Neg", {"x"}, [](NodeProto &node, GraphProto &) { node.set_output(0, "x"); });
    add("initializer_twice", "onnx-graph", "w", model([](ModelProto &, GraphProto &graph) {
          addIntegers(graph, "w", {1});
          addIntegers(graph, "w", {2});
        }));
    one("missing_input", "onnx-graph", "Add", {"x"}, nothing);
    one("subgraph_missing", "onnx-attribute", "If", {"c"},
        [](NodeProto &, GraphProto &graph) { addInput(graph, "c", TensorProto::BOOL, {}); });
  }

  void sizes() {
    constexpr int64_t huge = int64_t(1) << 62, large = int64_t(1) << 40;
    auto input = [&](const std::string &name, const std::string &code, std::vector<int64_t> dims) {
      add(name, code, "z", model([&](ModelProto &, GraphProto &graph) {
            addInput(graph, "z", TensorProto::FLOAT, dims);
            addNode(graph, "node", "Neg", {"z"}, {"y"});
          }));
    };
    input("input_of_2_62", "onnx-limit", {huge});
    input("input_overflows", "onnx-limit", {large, large});
    input("input_wraps_to_small", "onnx-limit", {int64_t(1) << 32, int64_t(1) << 32, 2});
    input("input_negative", "onnx-type", {2, -7});
    input("input_of_many_dimensions", "onnx-limit", std::vector<int64_t>(1000000, 1));
    one(
        "many_axes", "onnx-limit", "Unsqueeze", {"x"},
        [](NodeProto &node, GraphProto &) {
          std::vector<int64_t> axes(300000);
          std::iota(axes.begin(), axes.end(), 0);
          setIntegers(node, "axes", axes);
        },
        11);
    one("million_inputs", "onnx-limit", "Sum", std::vector<std::string>(1000000, "x"), nothing);
    auto weight = [&](const std::string &name, const std::string &code, std::vector<int64_t> dims, std::string data) {
      add(name, code, "w", model([&](ModelProto &, GraphProto &graph) {
            addInitializer(graph, "w", TensorProto::FLOAT, dims).set_raw_data(data);
            addNode(graph, "node", "Add", {"x", "w"}, {"y"});
          }));
    };
    weight("weight_of_2_62", "onnx-limit", {huge}, "");
    weight("weight_overflows", "onnx-limit", {large, large}, "1234");
    weight("weight_wraps_to_0", "onnx-limit", {int64_t(1) << 32, int64_t(1) << 32}, "");
    weight("weight_negative", "onnx-tensor", {-1}, "1234");
    weight("weight_too_short", "onnx-tensor", {2, 3}, "1234");
    weight("weight_too_long", "onnx-tensor", {1}, "12345678");
    weight("weight_large_and_empty", "onnx-tensor", {1 << 20, 1 << 20}, "");
    auto computed = [&](const std::string &op, const std::vector<std::string> &inputs, std::vector<int64_t> values,
                        const std::string &code = "onnx-limit") {
      one("huge_" + op, code, op, inputs, [&](NodeProto &, GraphProto &graph) { addIntegers(graph, "s", values); });
    };
    computed("ConstantOfShape", {"s"}, {huge, huge});
    computed("Expand", {"x", "s"}, {large, large, 2, 3});
    computed("Tile", {"x", "s"}, {large, large});
    computed("Reshape", {"x", "s"}, {huge, huge});
    computed("Pad", {"x", "s"}, {huge, huge, huge, huge});
    one("negative_shape", "onnx-type", "ConstantOfShape", {"s"},
        [](NodeProto &, GraphProto &graph) { addIntegers(graph, "s", {-5}); });
    one("huge_Range", "onnx-type", "Range", {"a", "b", "c"}, [&](NodeProto &, GraphProto &graph) {
      for (auto [name, value] : {std::pair("a", -huge), std::pair("b", huge), std::pair("c", int64_t(1))}) {
        addInitializer(graph, name, TensorProto::INT64, {}).add_int64_data(value);
      }
    });
    one("huge_OneHot", "onnx-", "OneHot", {"i", "d", "v"}, [&](NodeProto &, GraphProto &graph) {
      addIntegers(graph, "i", {1});
      addIntegers(graph, "d", {huge});
      addIntegers(graph, "v", {0, 1});
    });
    one(
        "huge_block", "onnx-type", "DequantizeLinear", {"q", "w"},
        [&](NodeProto &node, GraphProto &graph) {
          addInput(graph, "q", TensorProto::INT8, {2, 3});
          addInput(graph, "w", TensorProto::FLOAT, {2, 1});
          setInteger(node, "block_size", huge);
        },
        21);
  }

  void depths() {
    auto nested = [](int depth) {
      return model([&](ModelProto &, GraphProto &graph) {
        addInput(graph, "c", TensorProto::BOOL, {});
        GraphProto *current = &graph;
        for (int level = 0; level < depth; ++level) {
          NodeProto &node = addNode(*current, "level" + std::to_string(level), "If", {"c"}, {"y"});
          GraphProto &other = *addAttribute(node, "else_branch", AttributeProto::GRAPH).mutable_g();
          addNode(other, "leaf", "Neg", {"x"}, {"y"});
          other.add_output()->set_name("y");
          current = addAttribute(node, "then_branch", AttributeProto::GRAPH).mutable_g();
          current->add_output()->set_name("y");
        }
        addNode(*current, "leaf", "Neg", {"x"}, {"y"});
      });
    };
    add("nested_17", "onnx-limit", "level16", nested(17));
    add("nested_200", "onnx-limit", "level16", nested(200));
    // Deeper than any parser's stack: written from the inside.
    auto field = [](int number, const std::string &content) {
      std::string bytes(1, static_cast<char>(number << 3 | 2));
      for (uint64_t size = content.size(); bytes.size() == 1 || size != 0; size >>= 7) {
        bytes.push_back(static_cast<char>((size & 127) | (size > 127 ? 128 : 0)));
      }
      return bytes + content;
    };
    std::string inner;
    for (int level = 0; level < 5000; ++level) {
      inner = field(1, field(3, "deep") + field(5, field(6, inner)));
    }
    models.push_back({"nested_5000", "onnx-limit", "deep", field(7, inner)});
    std::string type;
    for (int level = 0; level < 5000; ++level) {
      type = field(4, field(1, type));
    }
    models.push_back({"nested_type", "onnx-format", "", field(7, field(11, field(1, "x") + field(2, type)))});
  }

  static onnx::FunctionProto &addFunction(ModelProto &model, const std::string &name,
                                          const std::vector<std::string> &calls) {
    onnx::FunctionProto &function = *model.add_functions();
    function.set_name(name);
    function.set_domain("local");
    function.add_input("a");
    function.add_output("b");
    function.add_opset_import()->set_version(17);
    std::string value = "a";
    for (const std::string &call : calls) {
      NodeProto &node = *function.add_node();
      node.set_name("call " + call);
      node.set_op_type(call);
      node.set_domain("local");
      node.add_input(value);
      value = "b" + std::to_string(function.node_size());
      node.add_output(value);
    }
    NodeProto &last = *function.add_node();
    last.set_op_type("Identity");
    last.add_input(value);
    last.add_output("b");
    return function;
  }

  static void callFunction(GraphProto &graph, const std::string &name) {
    addNode(graph, "bad", name, {"x"}, {"y"}).set_domain("local");
  }

  void functions() {
    add("function_calls_itself", "onnx-function", "call f", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f", {"f"});
          callFunction(graph, "f");
        }));
    add("functions_in_a_ring", "onnx-function", "call f", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f", {"g"});
          addFunction(m, "g", {"f"});
          callFunction(graph, "f");
        }));
    add("uncalled_ring", "onnx-function", "call", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f", {"g"});
          addFunction(m, "g", {"f"});
          addNode(graph, "node", "Neg", {"x"}, {"y"});
        }));
    add("functions_double", "onnx-limit", "f", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f0", {});
          for (int level = 1; level < 64; ++level) {
            std::string below = "f" + std::to_string(level - 1);
            addFunction(m, "f" + std::to_string(level), {below, below});
          }
          callFunction(graph, "f63");
        }));
    // Down from the first call, and up, so that each function is known before the one that calls it.
    for (bool isDown : {true, false}) {
      add(isDown ? "functions_chain_down" : "functions_chain_up", "onnx-limit", "f",
          model([&](ModelProto &m, GraphProto &graph) {
            constexpr int count = 20000;
            addFunction(m, "f0", {});
            for (int level = 1; level < count; ++level) {
              addFunction(m, "f" + std::to_string(level), {"f" + std::to_string(level - 1)});
            }
            for (int level = isDown ? count - 1 : 0; level < count; ++level) {
              addNode(graph, "call f", "f" + std::to_string(level), {"x"},
                      {level + 1 == count ? "y" : "v" + std::to_string(level)})
                  .set_domain("local");
            }
          }));
    }
    add("function_too_many_inputs", "onnx-function", "bad", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f", {});
          addNode(graph, "bad", "f", {"x", "x"}, {"y"}).set_domain("local");
        }));
    add("function_twice", "onnx-function", "f", model([](ModelProto &m, GraphProto &graph) {
          addFunction(m, "f", {});
          addFunction(m, "f", {});
          callFunction(graph, "f");
        }));
    one("reference_outside_function", "onnx-attribute", "Softmax", {"x"}, [](NodeProto &node, GraphProto &) {
      addAttribute(node, "axis", AttributeProto::INT).set_ref_attr_name("axis");
    });
    add("function_sees_its_caller", "onnx-undefined", "bad/", model([](ModelProto &m, GraphProto &graph) {
          onnx::FunctionProto &function = addFunction(m, "f", {});
          function.mutable_node(0)->set_input(0, "x");
          callFunction(graph, "f");
        }));
  }

  void types() {
    auto with = [&](const std::string &name, const std::string &code, const std::string &op, int type,
                    std::vector<int64_t> dims) {
      one(name, code, op, {"x", "z"}, [&](NodeProto &, GraphProto &graph) { addInput(graph, "z", type, dims); });
    };
    with("adds_integers_to_floats", "onnx-type", "Add", TensorProto::INT64, {2, 3});
    with("shapes_do_not_broadcast", "onnx-type", "Add", TensorProto::FLOAT, {4});
    with("product_does_not_fit", "onnx-type", "MatMul", TensorProto::FLOAT, {4, 5});
    with("gathers_by_floats", "onnx-type", "Gather", TensorProto::FLOAT, {1});
    with("scales_truth", "onnx-type", "Mul", TensorProto::BOOL, {2, 3});
    one("adds_truths", "onnx-type", "Add", {"z", "z"},
        [](NodeProto &, GraphProto &graph) { addInput(graph, "z", TensorProto::BOOL, {2}); });
    one("casts_to_99", "onnx-type", "Cast", {"x"}, [](NodeProto &node, GraphProto &) { setInteger(node, "to", 99); });
    one("casts_to_strings", "onnx-unsupported", "Cast", {"x"},
        [](NodeProto &node, GraphProto &) { setInteger(node, "to", TensorProto::STRING); });
    one("condition_is_float", "onnx-type", "If", {"x"}, nothing);
    one("permutation_twice", "onnx-type", "Transpose", {"x"},
        [](NodeProto &node, GraphProto &) { setIntegers(node, "perm", {0, 0}); });
    one("axis_out_of_range", "onnx-type", "Softmax", {"x"},
        [](NodeProto &node, GraphProto &) { setInteger(node, "axis", 7); });
    one("axis_far_out", "onnx-type", "Flatten", {"x"},
        [](NodeProto &node, GraphProto &) { setInteger(node, "axis", std::numeric_limits<int64_t>::min()); });
    one("k_is_too_large", "onnx-type", "TopK", {"x", "k"},
        [](NodeProto &, GraphProto &graph) { addIntegers(graph, "k", {9}); });
    one("step_is_0", "onnx-type", "Slice", {"x", "s", "s", "s", "s"},
        [](NodeProto &, GraphProto &graph) { addIntegers(graph, "s", {0}); });
    one("scalar_as_matrix", "onnx-type", "MatMul", {"z", "z"},
        [](NodeProto &, GraphProto &graph) { addInput(graph, "z", TensorProto::FLOAT, {}); });
    for (auto [name, type, code] :
         {std::tuple("input_of_type_99", 99, "onnx-tensor"), std::tuple("input_of_strings", 8, "onnx-unsupported"),
          std::tuple("input_of_complex", 14, "onnx-unsupported")}) {
      add(name, code, "z", model([&, type = type](ModelProto &, GraphProto &graph) {
            addInput(graph, "z", type, {2});
            addNode(graph, "node", "Identity", {"z"}, {"y"});
          }));
    }
    add("input_without_type", "onnx-type", "z", model([](ModelProto &, GraphProto &graph) {
          graph.add_input()->set_name("z");
          addNode(graph, "node", "Neg", {"x"}, {"y"});
        }));
    add("output_of_another_type", "onnx-type", "y", model([](ModelProto &, GraphProto &graph) {
          graph.mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::INT64);
          graph.mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
          addNode(graph, "node", "Neg", {"x"}, {"y"});
        }));
    one("sequence_as_tensor", "onnx-type", "Neg", {"z"}, [](NodeProto &, GraphProto &graph) {
      onnx::ValueInfoProto &info = *graph.add_input();
      info.set_name("z");
      info.mutable_type()->mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type()->set_elem_type(1);
    });
  }

  void attributes() {
    one("attribute_of_wrong_type", "onnx-attribute", "Softmax", {"x"},
        [](NodeProto &node, GraphProto &) { addAttribute(node, "axis", AttributeProto::FLOAT).set_f(1); });
    one("attribute_is_missing", "onnx-attribute", "Concat", {"x"}, nothing);
    one("unknown_reduction", "onnx-attribute", "ScatterND", {"x", "i", "x"}, [](NodeProto &node, GraphProto &graph) {
      addIntegers(graph, "i", {0});
      addAttribute(node, "reduction", AttributeProto::STRING).set_s("median");
    });
    for (const char *equation : {"ij", "ijk->i", "i..->i", "ij->k", "->", "1j->j", "ij->iij"}) {
      one(std::string("equation ") + equation, "onnx-type", "Einsum", {"x"}, [&](NodeProto &node, GraphProto &) {
        addAttribute(node, "equation", AttributeProto::STRING)
            .set_s(std::string(equation) == "ij" ? "ij,jk->ik" : equation);
      });
    }
    one("splits_do_not_fit", "onnx-type", "Split", {"x", "s"},
        [](NodeProto &, GraphProto &graph) { addIntegers(graph, "s", {7}); });
    auto loop = [](const std::string &op, const std::vector<std::string> &outputs) {
      return [=](NodeProto &node, GraphProto &) {
        GraphProto &body = *addAttribute(node, "body", AttributeProto::GRAPH).mutable_g();
        for (const char *name : {"i", "c", "v"}) {
          body.add_input()->set_name(name);
        }
        NodeProto &inner = addNode(body, "inner", op, {"v"}, {"w"});
        if (op == "Cast") {
          setInteger(inner, "to", TensorProto::INT64);
        }
        for (const std::string &output : outputs) {
          body.add_output()->set_name(output);
        }
      };
    };
    one("loop_yields_nothing", "onnx-type", "Loop", {"", "", "x"}, loop("Neg", {}));
    one("loop_yields_too_little", "onnx-type", "Loop", {"", "", "x"}, loop("Neg", {"c"}));
    one("loop_changes_type", "onnx-type", "Loop", {"", "", "x"}, loop("Cast", {"c", "w"}));
    one("loop_changes_rank", "onnx-type", "Loop", {"", "", "x"}, loop("Shape", {"c", "w"}));
    one("loop_condition_is_tensor", "onnx-type", "Loop", {"", "", "x"}, loop("Neg", {"w", "w"}));
    one(
        "negative_heads", "onnx-", "RotaryEmbedding", {"z", "x", "x"},
        [](NodeProto &node, GraphProto &graph) {
          addInput(graph, "z", TensorProto::FLOAT, {1, 2, 8});
          setInteger(node, "num_heads", -2);
        },
        23);
  }

  void versions() {
    add("unknown_operators", "onnx-unsupported", "two", model([](ModelProto &, GraphProto &graph) {
          addNode(graph, "one", "Conv", {"x"}, {"a"});
          addNode(graph, "two", "Frobnicate", {"a"}, {"y"}).set_domain("nowhere");
        }));
    one("operator_before_its_time", "onnx-unsupported", "RMSNormalization", {"x", "x"}, nothing);
    add("operator_set_99", "onnx-version", "", model([](ModelProto &, GraphProto &) {}, 99));
    add("operator_set_0", "onnx-version", "", model([](ModelProto &, GraphProto &) {}, 0));
    ModelProto future = model([](ModelProto &, GraphProto &) {});
    future.set_ir_version(99);
    add("ir_99", "onnx-version", "", future);
    ModelProto none = model([](ModelProto &, GraphProto &) {});
    none.clear_opset_import();
    add("no_operator_set", "onnx-version", "", none);
  }

  void wire() {
    models.push_back({"empty_file", "onnx-format", "", ""});
    models.push_back({"garbage", "onnx-format", "", "this is a text and no model"});
    models.push_back({"zeros", "onnx-format", "", std::string(4096, '\0')});
    models.push_back({"endless_varint", "onnx-format", "", std::string(64, '\xff')});
    std::string whole =
        model([](ModelProto &, GraphProto &graph) { addNode(graph, "node", "Neg", {"x"}, {"y"}); }).SerializeAsString();
    models.push_back({"cut_off", "onnx-format", "", whole.substr(0, whole.size() / 2)});
    add("million_nodes", "onnx-limit", "n900000", model([](ModelProto &, GraphProto &graph) {
          for (int index = 0; index < 1000000; ++index) {
            addNode(graph, "n" + std::to_string(index), "Neg", {"x"}, {"v" + std::to_string(index)});
          }
        }));
  }

  void externalData() {
    std::string data(4096, 'x');
    auto write = [&](const std::string &name) { std::ofstream(folder + "/" + name) << data; };
    llvm::sys::fs::create_directories(folder + "/inside");
    write("weights.data");
    write("linked.data");
    write("../outside.data");
    write("inside/weights.data");
    ASSERT_EQ(::symlink("../outside.data", (folder + "/symlink.data").c_str()), 0);
    ASSERT_EQ(::symlink("weights.data", (folder + "/inner_symlink.data").c_str()), 0);
    ASSERT_EQ(::symlink("/tmp", (folder + "/folder_link").c_str()), 0);
    ASSERT_EQ(::link((folder + "/linked.data").c_str(), (folder + "/second_name.data").c_str()), 0);
    ASSERT_EQ(::mkfifo((folder + "/pipe.data").c_str(), 0600), 0);
    auto external = [&](const std::string &name, std::vector<std::pair<std::string, std::string>> entries) {
      add(name, "onnx-external-data", "w", model([&](ModelProto &, GraphProto &graph) {
            TensorProto &tensor = addInitializer(graph, "w", TensorProto::FLOAT, {2, 3});
            tensor.set_data_location(TensorProto::EXTERNAL);
            for (const auto &[key, value] : entries) {
              onnx::StringStringEntryProto &entry = *tensor.add_external_data();
              entry.set_key(key);
              entry.set_value(value);
            }
            addNode(graph, "node", "Add", {"x", "w"}, {"y"});
          }));
    };
    for (const char *location :
         {"../outside.data", "inside/../../outside.data", "/etc/passwd", "", ".", "inside//weights.data",
          "..\\outside.data", "symlink.data", "inner_symlink.data", "folder_link/x.data", "linked.data", "pipe.data",
          "inside", "missing.data", "weights.data/x", "/dev/zero", "\x01"}) {
      external(std::string("external ") + location, {{"location", location}});
    }
    external("external without location", {});
    external("external of null byte", {{"location", std::string("weights.data\0x", 14)}});
    external("external beyond the end", {{"location", "weights.data"}, {"offset", "4080"}});
    external("external far beyond", {{"location", "weights.data"}, {"offset", "18446744073709551615"}});
    external("external overflow", {{"location", "weights.data"}, {"offset", "18446744073709551616"}});
    external("external negative", {{"location", "weights.data"}, {"offset", "-4"}});
    external("external length", {{"location", "weights.data"}, {"length", "4096"}});
    external("external huge length", {{"location", "weights.data"}, {"length", "9223372036854775807"}});
    external("external key", {{"location", "weights.data"}, {"__class__", "x"}});
    external("external long location", {{"location", std::string(100000, 'a')}});
  }

  std::string folder;
};

/// What the importer says of a model; "imported" if it takes it.
std::string importFrom(const std::string &path) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    message += diagnostic.str();
    return mlir::success();
  });
  return importOnnx(&context, path) ? "imported" : message;
}

TEST(OnnxHostile, EndsInAnErrorSoon) {
  char place[] = "/tmp/onnx-hostile-XXXXXX";
  ASSERT_NE(::mkdtemp(place), nullptr);
  std::string folder = std::string(place) + "/model";
  llvm::sys::fs::create_directories(folder);
  Corpus corpus(folder);
  EXPECT_GE(corpus.models.size(), 60u);
  double slowest = 0;
  long largest = 0;
  for (const Hostile &hostile : corpus.models) {
    std::string path = folder + "/model.onnx", report = folder + "/report";
    std::ofstream(path) << hostile.bytes;
    pid_t child = ::fork();
    if (child == 0) {
      std::string message = importFrom(path);
      std::ofstream(report) << message;
      ::_exit(0);
    }
    int status = 0;
    rusage usage = {};
    ASSERT_EQ(::wait4(child, &status, 0, &usage), child);
    std::ifstream stream(report);
    std::string message((std::istreambuf_iterator<char>(stream)), {});
    EXPECT_TRUE(WIFEXITED(status)) << hostile.name << " crashed";
    EXPECT_NE(message.find("[" + hostile.code), std::string::npos) << hostile.name << ": " << message;
    EXPECT_NE(message.find(hostile.node), std::string::npos) << hostile.name << ": " << message;
    double seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    EXPECT_LT(seconds, maxSeconds) << hostile.name;
    EXPECT_LT(usage.ru_maxrss, maxKilobytes) << hostile.name;
    slowest = std::max(slowest, seconds);
    largest = std::max(largest, usage.ru_maxrss);
    ::unlink(report.c_str());
  }
  std::printf("%zu models; slowest %.2f s, largest %ld MiB\n", corpus.models.size(), slowest, largest / 1024);
  llvm::sys::fs::remove_directories(place);
}

/// Tensors of other files become weights where they lie, and so do those behind the links of the hub's cache.
TEST(OnnxImport, ExternalData) {
  char place[] = "/tmp/onnx-external-XXXXXX";
  ASSERT_NE(::mkdtemp(place), nullptr);
  std::string root = std::string(place) + "/models--owner--name", folder = root + "/snapshots/0123";
  llvm::sys::fs::create_directories(folder + "/parts");
  llvm::sys::fs::create_directories(root + "/blobs");
  std::ofstream(root + "/blobs/abcd") << std::string(128, '\0');
  std::ofstream(folder + "/parts/plain.data") << std::string(128, '\0');
  ASSERT_EQ(::symlink("../../blobs/abcd", (folder + "/linked.data").c_str()), 0);
  ModelProto linked = model([](ModelProto &, GraphProto &graph) {
    for (auto [name, location] : {std::pair("a", "linked.data"), std::pair("b", "parts/plain.data")}) {
      TensorProto &tensor = addInitializer(graph, name, TensorProto::FLOAT, {2, 3});
      tensor.set_data_location(TensorProto::EXTERNAL);
      for (auto [key, value] :
           {std::pair("location", location), std::pair("offset", "104"), std::pair("length", "24")}) {
        tensor.add_external_data()->set_key(key);
        tensor.mutable_external_data()->rbegin()->set_value(value);
      }
    }
    addNode(graph, "first", "Add", {"x", "a"}, {"c"});
    addNode(graph, "second", "Add", {"c", "b"}, {"y"});
  });
  std::ofstream(folder + "/model.onnx") << linked.SerializeAsString();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = importOnnx(&context, folder + "/model.onnx");
  ASSERT_TRUE(module);
  std::vector<std::string> found;
  module->walk([&](r1::WeightOp weight) {
    auto part = mlir::cast<r1::WeightAttr>(weight.getParts()[0]);
    found.push_back(part.getName().str() + " " + part.getFile().str() + " " + std::to_string(part.getOffset()));
  });
  EXPECT_EQ(found, (std::vector<std::string>{"a linked.data 104", "b parts/plain.data 104"}));
  llvm::sys::fs::remove_directories(place);
}

/// The main graph's own initializers are weights in the model's file.
TEST(OnnxImport, InitializersAreWeights) {
  char place[] = "/tmp/onnx-inline-XXXXXX";
  ASSERT_NE(::mkdtemp(place), nullptr);
  std::string data = "abcdefghijklmnopqrstuvwx", path = std::string(place) + "/model.onnx";
  std::string bytes = model([&](ModelProto &, GraphProto &graph) {
                        addInitializer(graph, "w", TensorProto::FLOAT, {2, 3}).set_raw_data(data);
                        addNode(graph, "node", "Add", {"x", "w"}, {"y"});
                      }).SerializeAsString();
  std::ofstream(path) << bytes;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = importOnnx(&context, path);
  ASSERT_TRUE(module);
  int weights = 0;
  module->walk([&](r1::WeightOp weight) {
    auto part = mlir::cast<r1::WeightAttr>(weight.getParts()[0]);
    EXPECT_EQ(part.getFile().str(), "model.onnx");
    EXPECT_EQ(part.getSize(), data.size());
    EXPECT_EQ(part.getOffset(), bytes.find(data));
    ++weights;
  });
  EXPECT_EQ(weights, 1);
  llvm::sys::fs::remove_directories(place);
}

/// A model of that many nodes imports in time.
TEST(OnnxImport, LargeGraphs) {
  constexpr int nodes = 100000;
  ModelProto large = model([](ModelProto &, GraphProto &graph) {
    std::string last = "x";
    for (int index = 0; index < nodes; ++index) {
      std::string next = index + 1 == nodes ? "y" : "v" + std::to_string(index);
      static const char *ops[] = {"Add", "Mul", "Sub", "Max"};
      addNode(graph, "n" + std::to_string(index), ops[index % 4], {last, "x"}, {next});
      last = next;
    }
  });
  std::string bytes = large.SerializeAsString();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  rusage before = {}, after = {};
  ::getrusage(RUSAGE_SELF, &before);
  auto module = importOnnx(&context, llvm::MemoryBufferRef(bytes, "large.onnx"), "");
  ::getrusage(RUSAGE_SELF, &after);
  ASSERT_TRUE(module);
  double seconds = static_cast<double>(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                   static_cast<double>(after.ru_utime.tv_usec - before.ru_utime.tv_usec) * 1e-6;
  std::printf("%d nodes in %.2f s\n", nodes, seconds);
  EXPECT_LT(seconds, 10);
}

} // namespace
} // namespace elah
