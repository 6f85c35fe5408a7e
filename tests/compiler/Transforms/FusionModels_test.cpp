// Whole models: every golden checkpoint, decomposed to primitives and fused, is the model that was imported, operation
// for operation; and each layer has one attention and one MLP or mixture, with nothing decomposed in between.
#include "compiler/Transforms/FusionReport.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "gtest/gtest.h"
#include <filesystem>

using namespace mlir;

namespace elah {
namespace {

std::vector<std::string> goldens() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(ELAH_SOURCE_DIR "/tests/integration/goldens")) {
    if (entry.is_directory()) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The operations of a module in their order, but for constants and weights, which move.
std::vector<Operation *> operationsOf(ModuleOp module) {
  std::vector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isa_and_nonnull<r1::R1Dialect>(op->getDialect()) && !isa<r1::ConstantOp, r1::WeightOp>(op)) {
      ops.push_back(op);
    }
  });
  return ops;
}

/// What an operand is: a weight by its parts, another operation's result by that one's number in the list.
std::string nameOf(Value operand, llvm::ArrayRef<Operation *> ops) {
  std::string name;
  llvm::raw_string_ostream out(name);
  Operation *op = operand.getDefiningOp();
  if (auto weight = dyn_cast_or_null<r1::WeightOp>(op)) {
    out << weight.getParts();
  } else if (op) {
    out << llvm::find(ops, op) - ops.begin() << "#" << cast<OpResult>(operand).getResultNumber();
  } else {
    out << "argument " << cast<BlockArgument>(operand).getArgNumber();
  }
  return name;
}

class FusionModels : public ::testing::TestWithParam<std::string> {};

TEST_P(FusionModels, ComeBack) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> original =
      importHuggingFace(&context, ELAH_SOURCE_DIR "/tests/integration/goldens/" + GetParam());
  ASSERT_TRUE(original);
  OwningOpRef<ModuleOp> fused = original->clone();
  PassManager simplify(&context), roundTrip(&context);
  simplify.addPass(createCanonicalizerPass());
  simplify.addPass(createCSEPass());
  roundTrip.addPass(createDecomposeCompositesPass());
  buildFusionPipeline(roundTrip);
  FusionReport report;
  report.attach(context);
  ASSERT_TRUE(succeeded(simplify.run(*original)));
  ASSERT_TRUE(succeeded(roundTrip.run(*fused)));
  report.take(*fused);

  std::vector<Operation *> was = operationsOf(*original), is = operationsOf(*fused);
  ASSERT_EQ(was.size(), is.size());
  for (size_t index = 0; index < was.size(); ++index) {
    ASSERT_EQ(was[index]->getName(), is[index]->getName()) << "operation " << index;
    ASSERT_EQ(was[index]->getResultTypes(), is[index]->getResultTypes());
    ASSERT_EQ(was[index]->getNumOperands(), is[index]->getNumOperands());
    for (auto [lhs, rhs] : llvm::zip_equal(was[index]->getOperands(), is[index]->getOperands())) {
      EXPECT_EQ(nameOf(lhs, was), nameOf(rhs, is)) << "of operation " << index;
    }
  }
  EXPECT_EQ(original->lookupSymbol<func::FuncOp>("forward").getFunctionType(),
            fused->lookupSymbol<func::FuncOp>("forward").getFunctionType());

  for (auto &[number, layer] : report.layers) {
    EXPECT_TRUE(layer.missed.empty()) << report.text();
    for (const auto &[name, count] : layer.primitives) {
      EXPECT_EQ(name, "r1.add") << "in layer " << number;
    }
    if (number >= 0) {
      EXPECT_EQ(layer.composites["r1.attention"] + layer.composites["r1.latent_attention"], 1);
      EXPECT_EQ(layer.composites["r1.route"], layer.composites["r1.experts"]);
      EXPECT_EQ(layer.composites["r1.rope"], 0);
      EXPECT_GE(layer.composites["r1.experts"] + layer.composites["r1.swiglu"], 1);
      EXPECT_LE(layer.composites["r1.swiglu"], 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, FusionModels, ::testing::ValuesIn(goldens()),
                         [](const ::testing::TestParamInfo<std::string> &test) { return test.param; });

} // namespace
} // namespace elah
