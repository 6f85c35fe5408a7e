// The order of the fusions: each sees what those before it made of the graph.
#include "compiler/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace elah {

void buildFusionPipeline(OpPassManager &passes, StringRef weightFolder) {
  // A language model with a batch and pasts becomes a step of one sequence; its types then say so throughout.
  passes.addPass(createAdoptLanguageModelPass());
  passes.addNestedPass<func::FuncOp>(createSettleSizesPass());
  passes.addPass(createInferShapesPass());
  // Shape arithmetic and copies that exporters leave are no part of any pattern.
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createInferShapesPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  OpPassManager &functions = passes.nest<func::FuncOp>();
  // Rows of projections are what everything else is computed from.
  functions.addPass(createFuseLinearPass());
  functions.addPass(createFuseRmsNormPass());
  functions.addPass(createFuseSwigluPass());
  functions.addPass(createFuseSoftmaxPass());
  // Tables of cosines are known by their frequencies, and are no embeddings.
  ComputeRopeTablesPassOptions tables;
  tables.weightFolder = weightFolder.str();
  functions.addPass(createComputeRopeTablesPass(tables));
  functions.addPass(createFuseEmbeddingPass());
  // A batch of one ends here: what follows sees rows.
  functions.addPass(createSimplifyViewsPass());
  // Rotations are part of attention.
  functions.addPass(createFuseRopePass());
  functions.addPass(createFuseLatentAttentionPass());
  functions.addPass(createFuseAttentionPass());
  functions.addPass(createFuseNextTokenBlockPass());
  // What a router chooses tells which MLPs are experts.
  functions.addPass(createFuseRoutePass());
  functions.addPass(createFuseExpertsPass());
  // How many tokens an expert gets was only known to the program; what stands behind the experts has one row for each.
  functions.addPass(createSettleSizesPass());
  functions.addPass(createSimplifyViewsPass());
  // Masks and shapes that nobody reads any more are no reason to keep a model without a cache: it has said by now what
  // one must hold.
  passes.addPass(createCanonicalizerPass());
  passes.addNestedPass<func::FuncOp>(createAttachCachePass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

namespace {

struct FusionCommandLine : PassPipelineOptions<FusionCommandLine> {
  Option<std::string> weightFolder{*this, "weights", llvm::cl::desc("The folder of the model's files"),
                                   llvm::cl::init("")};
};

} // namespace

void registerFusionPipeline() {
  PassPipelineRegistration<FusionCommandLine>(
      "r1-fuse", "All fusions, in the order in which elah compile runs them",
      [](OpPassManager &passes, const FusionCommandLine &line) { buildFusionPipeline(passes, line.weightFolder); });
}

} // namespace elah
