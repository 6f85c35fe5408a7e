#include "compiler/Transforms/FusionReport.h"
#include "compiler/Transforms/Fusion.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Regex.h"

using namespace mlir;

namespace elah {
namespace {

class Listener : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Listener(FusionReport &report) : report(report) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    auto argument = [&](StringRef key) -> std::string {
      for (const remark::detail::Remark::Arg &arg : remark.getArgs()) {
        if (arg.key == key) {
          return arg.val;
        }
      }
      return "";
    };
    std::string node = argument("Node"), composite = remark.getRemarkName().str();
    FusionReport::Layer &layer = report.layers[layerOf(node)];
    if (remark.getRemarkType() == llvm::remarks::Type::Missed) {
      layer.missed.push_back({composite, node, argument("Reason"), argument("Suggestion")});
      return;
    }
    int64_t operations = 0;
    StringRef(argument("Operations")).getAsInteger(10, operations);
    layer.fused.push_back({composite, node, operations});
  }

private:
  FusionReport &report;
};

std::string nameOf(int64_t layer) { return layer < 0 ? "outside of the layers" : "layer " + std::to_string(layer); }

} // namespace

int64_t layerOf(StringRef node) {
  static const llvm::Regex pattern("(layers?|blocks?|h)[./_]([0-9]+)");
  SmallVector<StringRef> groups;
  int64_t layer = -1;
  if (pattern.match(node, &groups)) {
    groups[2].getAsInteger(10, layer);
  }
  return layer;
}

void FusionReport::attach(MLIRContext &context) {
  remark::RemarkCategories categories;
  categories.passed = categories.missed = "fusion";
  LogicalResult enabled = remark::enableOptimizationRemarks(
      context, std::make_unique<Listener>(*this), std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
  assert(succeeded(enabled) && "the pattern of a category is valid");
  static_cast<void>(enabled);
}

void FusionReport::take(ModuleOp module) {
  module.walk([&](Operation *op) {
    if (!isa_and_nonnull<r1::R1Dialect>(op->getDialect()) || isa<r1::WeightOp, r1::ConstantOp>(op)) {
      return;
    }
    Layer &layer = layers[layerOf(nodeName(op->getLoc()))];
    auto &counts = isa<r1::DecomposableOpInterface>(op) ? layer.composites : layer.primitives;
    ++counts[op->getName().getStringRef().str()];
  });
}

std::string FusionReport::text() const {
  std::string text;
  llvm::raw_string_ostream out(text);
  auto list = [&](const std::map<std::string, int64_t> &counts) {
    llvm::interleaveComma(counts, out, [&](const auto &entry) {
      out << entry.first;
      if (entry.second > 1) {
        out << " x " << entry.second;
      }
    });
  };
  for (const auto &[number, layer] : layers) {
    out << nameOf(number) << ": ";
    list(layer.composites);
    if (!layer.primitives.empty()) {
      out << (layer.composites.empty() ? "" : "; ") << "left as they are: ";
      list(layer.primitives);
    }
    out << "\n";
    for (const Fused &fused : layer.fused) {
      out << "  " << fused.operations << (fused.operations == 1 ? " operation" : " operations") << " became "
          << fused.composite << (fused.node.empty() ? "" : " at ") << fused.node << "\n";
    }
    for (const Missed &missed : layer.missed) {
      out << "  near miss: " << (missed.node.empty() ? "a node" : missed.node) << " is no " << missed.composite << ": "
          << missed.rule << "\n";
      if (!missed.fix.empty()) {
        out << "    to fix it: " << missed.fix << "\n";
      }
    }
  }
  return text;
}

std::string FusionReport::json() const {
  std::string text;
  llvm::raw_string_ostream out(text);
  llvm::json::OStream json(out, /*IndentSize=*/2);
  auto counts = [&](StringRef key, const std::map<std::string, int64_t> &values) {
    json.attributeObject(key, [&] {
      for (const auto &[name, count] : values) {
        json.attribute(name, count);
      }
    });
  };
  json.object([&] {
    json.attributeArray("layers", [&] {
      for (const auto &entry : layers) {
        const Layer &layer = entry.second;
        json.object([&] {
          json.attribute("layer", entry.first < 0 ? llvm::json::Value(nullptr) : llvm::json::Value(entry.first));
          counts("composites", layer.composites);
          counts("primitives", layer.primitives);
          json.attributeArray("fused", [&] {
            for (const Fused &fused : layer.fused) {
              json.object([&] {
                json.attribute("composite", fused.composite);
                json.attribute("node", fused.node);
                json.attribute("operations", fused.operations);
              });
            }
          });
          json.attributeArray("near_misses", [&] {
            for (const Missed &missed : layer.missed) {
              json.object([&] {
                json.attribute("composite", missed.composite);
                json.attribute("node", missed.node);
                json.attribute("rule", missed.rule);
                json.attribute("fix", missed.fix);
              });
            }
          });
        });
      }
    });
  });
  out << "\n";
  return text;
}

} // namespace elah
