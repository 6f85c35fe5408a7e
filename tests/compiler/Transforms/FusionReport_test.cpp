// What --explain-fusion says of a graph with two layers, of which one misses a rule.
#include "compiler/Transforms/FusionReport.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/JSON.h"
#include "gtest/gtest.h"

using namespace mlir;

namespace elah {
namespace {

constexpr const char *graph = R"(
  func.func @f(%x: tensor<4x4xf32>, %w: tensor<4xf32>) -> tensor<4x4xf32> {
    %m = r1.weight [#r1.weight<"m" in "model.data" at 0 size 64 : tensor<4x4xf32>>] : tensor<4x4xf32>
    %e = r1.constant dense<1.0e-5> : tensor<f32>
    %0 = r1.matmul %x, %m : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> loc("/model/layers.0/up/MatMul")
    %1 = r1.mul %0, %0 : tensor<4x4xf32> loc("/model/layers.1/norm/Mul")
    %2 = r1.reduce mean %1 over [0] keep_dims : (tensor<4x4xf32>) -> tensor<1x4xf32> loc("/model/layers.1/norm/Mean")
    %3 = r1.add %2, %e : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32> loc("/model/layers.1/norm/Add")
    %4 = r1.rsqrt %3 : tensor<1x4xf32> loc("/model/layers.1/norm/Rsqrt")
    %5 = r1.mul %0, %4 : (tensor<4x4xf32>, tensor<1x4xf32>) -> tensor<4x4xf32> loc("/model/layers.1/norm/Mul_1")
    %6 = r1.mul %5, %w : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32> loc("/model/layers.1/norm/Mul_2")
    return %6 : tensor<4x4xf32>
  })";

FusionReport reportOf(const char *text) {
  DialectRegistry registry;
  registry.insert<func::FuncDialect, r1::R1Dialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  FusionReport report;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  EXPECT_TRUE(module);
  report.attach(context);
  PassManager passes(&context);
  buildFusionPipeline(passes);
  EXPECT_TRUE(succeeded(passes.run(*module)));
  report.take(*module);
  return report;
}

TEST(FusionReport, SaysWhatBecameWhatAndWhatNearlyDid) {
  EXPECT_EQ(reportOf(graph).text(), R"(layer 0: r1.linear
  1 operation became r1.linear at /model/layers.0/up/MatMul
layer 1: left as they are: r1.add, r1.mul x 3, r1.reduce, r1.rsqrt
  near miss: /model/layers.1/norm/Mul_2 is no r1.rms_norm: the mean is not taken over the last dimension alone
    to fix it: transpose the input so that the normalized dimension is the last
)");
}

TEST(FusionReport, SaysTheSameAsJson) {
  llvm::Expected<llvm::json::Value> json = llvm::json::parse(reportOf(graph).json());
  ASSERT_TRUE(static_cast<bool>(json));
  const llvm::json::Array *layers = json->getAsObject()->getArray("layers");
  ASSERT_EQ(layers->size(), 2u);
  const llvm::json::Object *first = (*layers)[0].getAsObject(), *second = (*layers)[1].getAsObject();
  EXPECT_EQ(first->getInteger("layer"), 0);
  EXPECT_EQ(first->getObject("composites")->getInteger("r1.linear"), 1);
  const llvm::json::Object *fused = (*first->getArray("fused"))[0].getAsObject();
  EXPECT_EQ(fused->getString("node"), "/model/layers.0/up/MatMul");
  EXPECT_EQ(fused->getInteger("operations"), 1);
  const llvm::json::Object *missed = (*second->getArray("near_misses"))[0].getAsObject();
  EXPECT_EQ(missed->getString("composite"), "r1.rms_norm");
  EXPECT_EQ(missed->getString("node"), "/model/layers.1/norm/Mul_2");
  EXPECT_EQ(missed->getString("rule"), "the mean is not taken over the last dimension alone");
  EXPECT_EQ(missed->getString("fix"), "transpose the input so that the normalized dimension is the last");
}

TEST(FusionReport, FindsLayersInNames) {
  EXPECT_EQ(layerOf("model.layers.12.mlp"), 12);
  EXPECT_EQ(layerOf("/model/layers.3/self_attn/MatMul_1"), 3);
  EXPECT_EQ(layerOf("/transformer/h.7/attn/Add"), 7);
  EXPECT_EQ(layerOf("lm_head"), -1);
}

} // namespace
} // namespace elah
