// A plain graph's whole way: r1 in text form through the pipeline and native code into an artifact, and out of it
// through the C API.
#include "codegen/Artifact/Write.h"
#include "codegen/Cpu/Graph/EmitGraph.h"
#include "compiler/Driver/Pipeline.h"
#include "compiler/Driver/Register.h"
#include "dialects/Exec/Exec.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include <elah/elah.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace mlir;
using testing::ElementsAre;

namespace elah {
namespace {

// y = x * w + b, where both weights lie in one file, and the places of y's elements above 10.
constexpr char graphText[] = R"mlir(
#w = #r1.weight<"w" in "weights.bin" at 8 size 24 : tensor<2x3xf32>>
#b = #r1.weight<"b" in "weights.bin" at 32 size 12 : tensor<3xf32>>
module attributes {r1.architecture = "graph"} {
  func.func @main(%x: tensor<?x2xf32> {r1.name = "x", r1.dims = ["rows", ""]})
      -> (tensor<?x3xf32> {r1.name = "y"}, tensor<2x?xi64> {r1.name = "above"}) {
    %w = r1.weight [#w] : tensor<2x3xf32>
    %bias = r1.weight [#b] : tensor<3xf32>
    %product = r1.matmul %x, %w : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
    %y = r1.add %product, %bias : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %ten = r1.constant dense<10.0> : tensor<f32>
    %is_above = r1.compare gt %y, %ten : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xi1>
    %above = r1.nonzero %is_above : (tensor<?x3xi1>) -> tensor<2x?xi64>
    return %y, %above : tensor<?x3xf32>, tensor<2x?xi64>
  }
}
)mlir";

class GraphArtifact : public testing::Test {
protected:
  void SetUp() override {
    llvm::SmallString<128> path;
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("elah-graph", path));
    folder = path.str().str();
    std::ofstream weights(folder + "/weights.bin", std::ios::binary);
    const float w[] = {1, 2, 3, 4, 5, 6};
    const float b[] = {1, 0, -1};
    weights.write("ignored.", 8)
        .write(reinterpret_cast<const char *>(w), sizeof(w))
        .write(reinterpret_cast<const char *>(b), sizeof(b));
  }
  void TearDown() override {
    elah_session_free(session);
    elah_artifact_close(artifact);
    llvm::sys::fs::remove_directories(folder);
  }

  void compile() {
    DialectRegistry registry;
    registerDialects(registry);
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(graphText, ParserConfig(&context));
    ASSERT_TRUE(module);
    PassManager passes(&context);
    buildGraphPipeline(passes, [](Phase) { return true; });
    ASSERT_TRUE(succeeded(passes.run(*module)));
    auto function = module->lookupSymbol<func::FuncOp>("main");
    llvm::DenseMap<Operation *, int64_t> numbers;
    function.walk([&](r1::WeightOp weight) {
      auto graph = *module->getOps<exec::GraphOp>().begin();
      StringRef symbol = cast<FlatSymbolRefAttr>(graph.getWeights()[numbers.size()]).getValue();
      int64_t number = 0;
      for (exec::WeightOp candidate : module->getOps<exec::WeightOp>()) {
        if (candidate.getSymName() == symbol) {
          numbers[weight] = number;
        }
        ++number;
      }
    });
    ArtifactContents contents;
    contents.target = llvm::cantFail(lookupCpuTarget("host"));
    auto image = llvm::cantFail(emitGraph(function, "graph", numbers, contents.target));
    ASSERT_TRUE(image);
    contents.module = *module;
    contents.object = *image;
    contents.modelFolder = folder;
    WriteOptions writing;
    writing.outputPath = folder + "/graph.elah";
    llvm::cantFail(writeArtifact(contents, writing));
    ASSERT_EQ(elah_artifact_open(writing.outputPath.c_str(), &artifact), ELAH_OK) << elah_last_error();
    ASSERT_EQ(elah_artifact_verify(artifact), ELAH_OK) << elah_last_error();
    ASSERT_EQ(elah_session_create(artifact, nullptr, &session), ELAH_OK) << elah_last_error();
  }

  elah_code run(const std::vector<elah_tensor> &inputs) {
    return elah_session_run(session, inputs.data(), inputs.size(), &outputs, &count);
  }

  std::string folder;
  elah_artifact *artifact = nullptr;
  elah_session *session = nullptr;
  const elah_tensor *outputs = nullptr;
  size_t count = 0;
};

template <typename T> std::vector<T> elements(const elah_tensor &tensor) {
  size_t size = 1;
  for (size_t axis = 0; axis < tensor.rank; ++axis) {
    size *= static_cast<size_t>(tensor.dims[axis]);
  }
  auto data = static_cast<const T *>(tensor.data);
  return std::vector<T>(data, data + size);
}

TEST_F(GraphArtifact, RunsOnTensorsOfAnyNumberOfRows) {
  compile();
  const elah_tensor *ports;
  ASSERT_EQ(elah_artifact_inputs(artifact, &ports, &count), ELAH_OK);
  ASSERT_EQ(count, 1u);
  EXPECT_STREQ(ports[0].name, "x");
  EXPECT_EQ(ports[0].type, ELAH_F32);
  EXPECT_EQ(ports[0].dims[0], -1);
  EXPECT_EQ(ports[0].dims[1], 2);
  for (int64_t rows : {2, 1, 0, 3}) {
    std::vector<float> x(static_cast<size_t>(rows * 2));
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(i);
    }
    int64_t dims[] = {rows, 2};
    ASSERT_EQ(run({{"x", ELAH_F32, 2, dims, x.data()}}), ELAH_OK) << elah_last_error();
    ASSERT_EQ(count, 2u);
    EXPECT_STREQ(outputs[1].name, "above");
    EXPECT_EQ(outputs[0].dims[0], rows);
    std::vector<float> y;
    std::vector<int64_t> placeRows, placeColumns;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < 3; ++column) {
        float a = static_cast<float>(2 * row), b = static_cast<float>(2 * row + 1);
        y.push_back(a * static_cast<float>(column + 1) + b * static_cast<float>(column + 4) +
                    static_cast<float>(1 - column));
        if (y.back() > 10) {
          placeRows.push_back(row);
          placeColumns.push_back(column);
        }
      }
    }
    EXPECT_EQ(elements<float>(outputs[0]), y);
    placeRows.insert(placeRows.end(), placeColumns.begin(), placeColumns.end());
    EXPECT_EQ(elements<int64_t>(outputs[1]), placeRows);
  }
}

TEST_F(GraphArtifact, SaysWhatIsWrongWithInputs) {
  compile();
  float x[4] = {};
  int64_t wrong[] = {2, 3}, right[] = {2, 2};
  EXPECT_EQ(run({}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "input 'x' is missing; it is f32[?, 2]");
  EXPECT_EQ(run({{"z", ELAH_F32, 2, right, x}}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "the graph has no input 'z'; its inputs are 'x'");
  EXPECT_EQ(run({{"x", ELAH_F32, 2, wrong, x}}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "input 'x' must be f32[?, 2], found f32[2, 3]");
  EXPECT_EQ(run({{"x", ELAH_I32, 2, right, x}}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "input 'x' must be f32[?, 2], found i32[2, 2]");
  EXPECT_EQ(run({{"x", ELAH_F32, 2, right, x}, {"x", ELAH_F32, 2, right, x}}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "input 'x' is given twice");
  EXPECT_EQ(run({{"x", ELAH_F32, 2, right, nullptr}}), ELAH_INVALID_ARGUMENT);
  EXPECT_STREQ(elah_last_error(), "input 'x' must be f32[?, 2], found no data");
}

TEST_F(GraphArtifact, IsNoLanguageModel) {
  compile();
  uint32_t sequence;
  EXPECT_EQ(elah_sequence_create(session, &sequence), ELAH_UNSUPPORTED);
  EXPECT_THAT(elah_last_error(), testing::HasSubstr("plain graph"));
}

} // namespace
} // namespace elah
