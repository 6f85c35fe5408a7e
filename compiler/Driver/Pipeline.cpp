// The compiler's table of contents. A model arrives as r1 (frontends/HuggingFace) and leaves as an exec module, which
// codegen/Cpu turns into native code or codegen/Cuda into CUDA binaries, and codegen/Artifact into a file
// (Compile.cpp). Each line is one pass: why it stands there, and what is true after it.
#include "compiler/Driver/Pipeline.h"
#include "compiler/Conversion/Passes.h"
#include "compiler/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace elah {

void buildPipeline(OpPassManager &passes, const PipelineOptions &options, llvm::function_ref<bool(Phase)> phaseEnds) {
  // An importer writes what the model's files say, one operation after the other. True from the start: every weight is
  // bound to its bytes, and its shape and type are those that config.json promises.
  if (!phaseEnds(Phase::Import)) {
    return;
  }

  // A graph of primitives becomes the composites that it means; a checkpoint is made of them from the start. What is
  // said twice is said once, and what needs no kernel is folded. After it, every operation is work that a step must do,
  // a value has one definition, and what has a kernel of its own is one operation.
  buildFusionPipeline(passes, options.weightFolder);
  if (!phaseEnds(Phase::R1)) {
    return;
  }

  // Decides kernels, precision, buffers and weight layouts together, since each depends on the others: a packed weight
  // is laid out for the kernel that reads it. After it there is one exec.program of kernel operations, for any batch
  // within the limits, and tensors are gone.
  ConvertR1ToExecOptions conversion;
  conversion.cpu = options.cpu;
  conversion.isCuda = options.isCuda;
  conversion.maxContext = options.maxContext;
  conversion.maxSequences = options.maxSequences;
  conversion.maxTokens = options.maxTokens;
  conversion.precision = options.precision;
  conversion.kvCache = options.kvCache;
  passes.addPass(createConvertR1ToExec(conversion));
  if (!phaseEnds(Phase::Kernel)) {
    return;
  }

  // Kernels are compiled once for all layers. After it the program is launches only, and each exec.kernel is different.
  passes.addPass(createOutlineKernelsPass());
  // Last, when nothing moves any more and lives are known. After it every buffer has its slot, and the module is what
  // the artifact stores, one to one.
  passes.addPass(createPlanArenaPass());
  phaseEnds(Phase::Exec);
}

void buildGraphPipeline(OpPassManager &passes, llvm::function_ref<bool(Phase)> phaseEnds) {
  // True from the start: every node of the graph is operations of r1, with the node's name as their location.
  if (!phaseEnds(Phase::Import)) {
    return;
  }

  // Exporters say the same thing again and again: one of each is enough.
  passes.addPass(createCSEPass());
  // Shapes are computed by chains of nodes. Folding them first lets types become static, and then more folds.
  passes.addPass(createCanonicalizerPass());
  // A plain graph's code reads numbers, not quantized weights; after it there are none.
  passes.addPass(createExpandQuantizedPass());
  // What could be recognised as a composite was; a plain graph is compiled from what composites mean.
  passes.addPass(createDecomposeCompositesPass());
  // After it types say all that is known before the graph runs: loops get their sizes as constants.
  passes.addPass(createInferShapesPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  if (!phaseEnds(Phase::R1)) {
    return;
  }

  // Last, when the weights that are still read are known. After it the module is what the artifact stores.
  passes.addPass(createConvertGraphToExec());
  if (!phaseEnds(Phase::Kernel)) {
    return;
  }
  phaseEnds(Phase::Exec);
}

namespace {

struct PipelineCommandLine : PassPipelineOptions<PipelineCommandLine> {
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("The processor to compile for"), llvm::cl::init("host")};
  Option<bool> isCuda{*this, "cuda", llvm::cl::desc("Compile for Hopper GPUs instead"), llvm::cl::init(false)};
  Option<int64_t> maxContext{*this, "max-context", llvm::cl::desc("Tokens of one sequence; 0: the model's own limit"),
                             llvm::cl::init(0)};
  Option<int64_t> maxSequences{*this, "max-sequences", llvm::cl::desc("Sequences in one step"), llvm::cl::init(8)};
  Option<int64_t> maxTokens{*this, "max-tokens", llvm::cl::desc("Tokens in one step"), llvm::cl::init(512)};
  Option<std::string> weightFolder{*this, "weights", llvm::cl::desc("The folder of the model's files"),
                                   llvm::cl::init("")};
  Option<std::string> precision{*this, "precision", llvm::cl::desc("auto, bf16 or f32"), llvm::cl::init("auto")};
  Option<std::string> kvCache{*this, "kv-cache", llvm::cl::desc("auto or fp8"), llvm::cl::init("auto")};
};

} // namespace

void registerPipeline() {
  PassPipelineRegistration<PipelineCommandLine>(
      "elah-pipeline", "All passes from an imported r1 module to a finished exec module, as elah compile runs them",
      [](OpPassManager &passes, const PipelineCommandLine &line) {
        PipelineOptions options{line.cpu,       line.isCuda,    line.maxContext, line.maxSequences,
                                line.maxTokens, line.precision, line.kvCache,    line.weightFolder};
        buildPipeline(passes, options, [](Phase) { return true; });
      });
  PassPipelineRegistration<>("elah-graph-pipeline", "All passes for a plain graph, from r1 to a finished exec module",
                             [](OpPassManager &passes) { buildGraphPipeline(passes, [](Phase) { return true; }); });
}

} // namespace elah
