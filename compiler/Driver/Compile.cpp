// From a model's folder to one file: import, the pipeline, native code, the artifact. What the user sees of it is here,
// too: what takes so long, what went wrong, what was made.
#include "compiler/Driver/Compile.h"
#include "codegen/Artifact/OutputFile.h"
#include "codegen/Artifact/Write.h"
#include "codegen/Cpu/Emit.h"
#include "codegen/Cpu/Graph/EmitGraph.h"
#include "codegen/Cuda/CompileKernels.h"
#include "codegen/Cuda/Emit.h"
#include "codegen/Cuda/KernelCache.h"
#include "compiler/Driver/Diagnostics.h"
#include "compiler/Driver/ModelInput.h"
#include "compiler/Driver/Pipeline.h"
#include "compiler/Driver/Progress.h"
#include "compiler/Driver/Register.h"
#include "compiler/Transforms/AdoptLanguageModel.h"
#include "compiler/Transforms/FusionReport.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Exec/Exec.h"
#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/Import.h"
#include "frontends/Onnx/Import.h"
#include "frontends/Onnx/LanguageModelFiles.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <unistd.h>

using namespace mlir;

namespace elah {
namespace {

/// Contexts beyond this need much memory for the cache; who wants one says so.
constexpr int64_t defaultMaxContext = 4096;

enum ExitStatus {
  Done = 0,
  Usage = 2,
  BadData = 65,
  MissingInput = 66,
  Unsupported = 69,
  Internal = 70,
  CannotCreate = 73,
  CannotWrite = 74
};

void stopOnSignal(int signal) {
  removeUnfinishedOutputs();
  constexpr char message[] = "\ninterrupted; nothing was written\n";
  ssize_t ignored = ::write(STDERR_FILENO, message, sizeof(message) - 1);
  static_cast<void>(ignored);
  ::_exit(128 + signal);
}

void handleSignals() {
  struct sigaction action = {};
  action.sa_handler = stopOnSignal;
  for (int signal : {SIGHUP, SIGINT, SIGTERM}) {
    struct sigaction old;
    // What the shell had us ignore (nohup) stays ignored.
    if (::sigaction(signal, nullptr, &old) == 0 && old.sa_handler != SIG_IGN) {
      ::sigaction(signal, &action, nullptr);
    }
  }
  // A limit on the size of files is an error like a full disk, not a reason to die half way.
  ::signal(SIGXFSZ, SIG_IGN);
}

/// What LLVM gives up on, memory above all, ends the way other failures do.
void giveUp(void *, const char *reason, bool) {
  removeUnfinishedOutputs();
  for (const char *part : {"error: the compiler gave up: ", reason, "\n"}) {
    ssize_t ignored = ::write(STDERR_FILENO, part, std::strlen(part));
    static_cast<void>(ignored);
  }
  ::_exit(Internal);
}

/// A pass that stands where a phase ends.
class PhaseEnd : public PassWrapper<PhaseEnd, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PhaseEnd)
  explicit PhaseEnd(std::function<bool(ModuleOp)> action) : action(std::move(action)) {}
  StringRef getName() const override { return "end-of-phase"; }
  void runOnOperation() override {
    if (!action(getOperation())) {
      signalPassFailure();
    }
    markAllAnalysesPreserved();
  }

private:
  std::function<bool(ModuleOp)> action;
};

/// The module as text that elah-opt reads again, with the model's own names as locations.
std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, OpPrintingFlags().enableDebugInfo(/*enable=*/true, /*prettyForm=*/false));
  stream << "\n";
  return text;
}

class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options),
        context(options.threads > 1 ? MLIRContext::Threading::ENABLED : MLIRContext::Threading::DISABLED) {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.printOpOnDiagnostic(false);
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      std::string message = formatDiagnostic(diagnostic);
      if (plainGraph && diagnostic.getSeverity() == DiagnosticSeverity::Error) {
        obstacles.push_back(std::move(message)); // There is another way to go.
      } else {
        progress.print(message);
      }
      return success();
    });
  }

  int run() {
    for (int (Compilation::*step)() : {&Compilation::check, &Compilation::import, &Compilation::transform,
                                       &Compilation::emit, &Compilation::write}) {
      if (int status = (this->*step)(); status != Done || isFinished) {
        return status;
      }
    }
    return Done;
  }

private:
  int fail(int status, const Twine &message) {
    progress.print(("error: " + message).str());
    return status;
  }

  /// As diagnostics are printed: what is wrong comes first.
  int fail(int status, StringRef path, const Twine &message) {
    progress.print((path + ": error: " + message).str());
    return status;
  }

  /// Reports a failure of the system or of an input. Without an error code of the system it is `otherwise`.
  int fail(llvm::Error error, int otherwise) {
    int status = otherwise;
    std::string message;
    llvm::handleAllErrors(std::move(error), [&](const llvm::ErrorInfoBase &info) {
      message += (message.empty() ? "" : "; ") + info.message();
      std::error_code code = info.convertToErrorCode();
      for (std::errc reason : {std::errc::no_space_on_device, std::errc::file_too_large, std::errc::io_error,
                               std::errc::read_only_file_system}) {
        if (code == reason) {
          status = CannotWrite;
        }
      }
      for (std::errc reason : {std::errc::permission_denied, std::errc::no_such_file_or_directory,
                               std::errc::not_a_directory, std::errc::is_a_directory}) {
        if (code == reason) {
          status = CannotCreate;
        }
      }
    });
    auto [path, rest] = StringRef(message).split(": ");
    return rest.empty() || path.contains(' ') ? fail(status, message) : fail(status, path, rest);
  }

  /// Where the model's files lie: its folder, or that of its graph.
  std::string modelFolder() const {
    if (!isOnnxGraph(options.model)) {
      return options.model;
    }
    llvm::StringRef folder = llvm::sys::path::parent_path(options.model);
    return folder.empty() ? "." : folder.str();
  }

  /// Where the tokenizer and its like lie.
  std::string filesFolder() const {
    return isOnnxGraph(options.model) ? languageModelFolder(options.model) : options.model;
  }

  /// Everything that can be known to be wrong before any work is done.
  int check() {
    if (ModelInputProblem problem = checkModelInput(options.model); problem.status != 0) {
      return fail(problem.status, problem.path, problem.message);
    }
    gpu = findCudaTarget(options.target);
    if (!gpu && options.target != "cpu") {
      return fail(Usage, "--target: expected cpu, " + cudaTargetNames() + ", found '" + options.target + "'");
    }
    if (gpu && options.precision != "auto") {
      return fail(Usage, "--precision is for --target cpu; on " + options.target +
                             " f8 weights are multiplied with quantized rows, all others in bf16");
    }
    if (!gpu && !options.kvCache.empty()) {
      return fail(Usage, "--kv-cache is for GPUs; on a processor the cache holds what --precision says, f32 or bf16");
    }
    llvm::Expected<CpuTarget> found = lookupCpuTarget(options.cpu);
    if (!found) {
      std::string message;
      std::error_code code;
      llvm::handleAllErrors(found.takeError(), [&](const llvm::ErrorInfoBase &info) {
        message = info.message();
        code = info.convertToErrorCode();
      });
      return fail(code == std::errc::not_supported ? Unsupported : Usage, message);
    }
    target = *found;
    if (options.maxPrefill < options.maxBatch) {
      return fail(Usage, llvm::formatv("--max-prefill {0} is less than --max-batch {1}: a step must hold one token of "
                                       "each sequence",
                                       options.maxPrefill, options.maxBatch));
    }
    llvm::Triple host(llvm::sys::getProcessTriple());
    if (options.isProgram && llvm::Triple(target.triple).getArch() != host.getArch()) {
      return fail(Unsupported, "--emit exe makes a program with this machine's runner (" + host.getArchName() +
                                   "); for --cpu " + target.name +
                                   " write an artifact, and run it there with elah-run");
    }
    output = options.output;
    bool isIr = options.stopAfter < Phase::Object;
    if (output.empty() && options.stopAfter == Phase::Object && ::isatty(STDOUT_FILENO)) {
      return fail(Usage, "native code is no text for a terminal; name a file with -o");
    }
    if (output.empty() && options.stopAfter == Phase::Artifact) {
      llvm::SmallString<256> path(options.model);
      llvm::sys::fs::make_absolute(path);
      llvm::sys::path::remove_dots(path, /*remove_dot_dot=*/true);
      llvm::StringRef name = llvm::sys::path::filename(llvm::StringRef(path).rtrim('/'));
      name.consume_back(".onnx");
      output = (name + (options.isProgram ? "" : ".elah")).str();
    }
    if (output.empty() && isIr && options.explainsFusion) {
      return fail(Usage, "--explain-fusion has stdout for itself; name a file for the IR with -o");
    }
    if (options.explainsFusion && options.stopAfter == Phase::Import) {
      return fail(Usage, "nothing is fused before the phase r1; stop there or later to explain it");
    }
    if (options.isJson && !options.explainsFusion) {
      return fail(Usage, "--json is for --explain-fusion");
    }
    if (!output.empty()) {
      llvm::StringRef folder = llvm::sys::path::parent_path(output);
      std::string parent = folder.empty() ? "." : folder.str();
      if (llvm::sys::fs::is_directory(output)) {
        return fail(CannotCreate, output, "is a folder; -o names the file to write");
      }
      if (llvm::sys::fs::exists(output)) {
        if (!llvm::sys::fs::is_regular_file(output)) {
          return fail(CannotCreate, output, "is neither a regular file nor free; -o names the file to write");
        }
        bool isThere = false;
        StringRef extension = llvm::sys::path::extension(output);
        if ((extension == ".safetensors" || extension == ".json" || extension == ".onnx") &&
            !llvm::sys::fs::equivalent(parent, modelFolder(), isThere) && isThere) {
          return fail(CannotCreate, output, "is one of the model's own files; -o names the file to write");
        }
      }
      if (!llvm::sys::fs::is_directory(parent)) {
        return fail(CannotCreate, output, "there is no folder " + parent + " to write it to");
      }
      if (::access(parent.c_str(), W_OK) != 0) {
        return fail(CannotCreate, output, "cannot write to the folder " + parent + ": " + std::strerror(errno));
      }
    }
    if (options.isProgram && !isIr && !llvm::sys::fs::exists(options.runner)) {
      return fail(CannotCreate, options.runner, "there is no runner to make a program with; it belongs beside elah");
    }
    if (!options.dumpFolder.empty()) {
      if (std::error_code code = llvm::sys::fs::create_directories(options.dumpFolder)) {
        return fail(CannotCreate, options.dumpFolder, "cannot create the folder: " + code.message());
      }
    }
    return Done;
  }

  int import() {
    progress.begin("reading " + options.model);
    ImportOptions importing;
    importing.nextTokenLayers = options.importsNextTokenLayers ? NextTokenLayers::Import : NextTokenLayers::Skip;
    module = isOnnxGraph(options.model) ? importOnnx(&context, options.model)
                                        : importHuggingFace(&context, options.model, importing);
    importSeconds = progress.end();
    if (!module) {
      return BadData;
    }
    isGraph = module->lookupSymbol<func::FuncOp>("main") != nullptr;
    if (isGraph && options.referencesWeights) {
      return fail(Unsupported, "--weights reference is for Hugging Face checkpoints; the weights of a graph are "
                               "embedded");
    }
    if (int status = isGraph && options.form != GraphForm::Graph ? adopt() : Done) {
      return status;
    }
    if (isGraph) {
      return Done;
    }
    auto modelContext = module->getOperation()->getAttrOfType<IntegerAttr>("r1.max_context");
    int64_t limit = modelContext ? modelContext.getInt() : defaultMaxContext;
    maxContext = options.maxContext ? options.maxContext : std::min(limit, defaultMaxContext);
    if (maxContext > limit) {
      return fail(Usage, llvm::formatv("--max-context {0} is more than the {1} tokens that the model was made for "
                                       "(max_position_embeddings)",
                                       maxContext, limit));
    }
    return Done;
  }

  /// Decides whether a graph is compiled as a language model, and tells the module what the files beside it say.
  int adopt() {
    LanguageModelForm form = languageModelFormOf(*module);
    if (!form.problem.empty()) {
      if (options.form == GraphForm::Model) {
        return fail(Unsupported, options.model, "cannot be compiled as a language model: " + form.problem);
      }
      if (form.isLikely) {
        progress.print(options.model +
                       ": warning: compiled as a plain graph, and not as a language model: " + form.problem);
      }
      return Done;
    }
    llvm::Expected<LanguageModelFiles> files = readLanguageModelFiles(filesFolder(), form.vocabulary);
    if (!files) {
      return fail(files.takeError(), BadData);
    }
    if (options.form == GraphForm::Auto) {
      plainGraph = module->clone();
    }
    isGraph = false;
    Builder builder(&context);
    Operation *op = module->getOperation();
    op->setAttr("r1.architecture",
                builder.getStringAttr(files->architecture.empty() ? "exported model" : files->architecture));
    op->setAttr("r1.vocabulary", builder.getI64IntegerAttr(form.vocabulary));
    // Who asks for a longer context than nothing tells of knows the model.
    int64_t limit = files->maxContext.value_or(std::max(options.maxContext, defaultMaxContext));
    op->setAttr("r1.max_context", builder.getI64IntegerAttr(limit));
    op->setAttr("r1.bos_token", builder.getI64IntegerAttr(files->bosToken));
    op->setAttr("r1.eos_tokens", builder.getDenseI64ArrayAttr(files->eosTokens));
    llvm::SmallString<256> tokenizer(filesFolder());
    llvm::sys::path::append(tokenizer, "tokenizer.json");
    if (files->eosTokens.empty() && llvm::sys::fs::exists(tokenizer)) {
      progress.print(filesFolder() + ": warning: nothing here says which token ends an answer (config.json, "
                                     "generation_config.json or genai_config.json); answers end at --max-tokens");
    }
    return Done;
  }

  int transform() {
    int status = lower();
    if (status != Done && plainGraph && !obstacles.empty()) {
      progress.print(
          options.model + ": warning: compiled as a plain graph, and not as a language model: " + obstacles.front() +
          "\n  --explain-fusion says what nearly became an operation with a kernel; --as graph does without this "
          "warning");
      module = std::exchange(plainGraph, {});
      isGraph = true;
      status = lower();
    }
    plainGraph = {};
    if (options.explainsFusion) {
      llvm::outs() << (options.isJson ? report.json() : report.text());
      llvm::outs().flush();
    }
    return status;
  }

  /// Runs the pipeline.
  int lower() {
    progress.begin("lowering");
    PassManager passes(&context);
    if (options.explainsFusion && !hasReport) {
      hasReport = true;
      report.attach(context);
      // A plain graph is compiled from primitives: what could be recognised in it is told of a copy.
      if (isGraph && failed(explainGraph())) {
        return BadData;
      }
    }
    PipelineOptions pipeline{options.cpu,
                             gpu != nullptr,
                             maxContext,
                             options.maxBatch,
                             options.maxPrefill,
                             options.precision,
                             options.kvCache == "fp8" ? "fp8" : "auto",
                             modelFolder()};
    int status = Done;
    auto phaseEnds = [&](Phase phase) {
      passes.addPass(std::make_unique<PhaseEnd>([this, phase, &status](ModuleOp current) {
        status = endPhase(phase, current);
        return status == Done;
      }));
      return phase != options.stopAfter;
    };
    if (isGraph) {
      buildGraphPipeline(passes, phaseEnds);
    } else {
      buildPipeline(passes, pipeline, phaseEnds);
    }
    bool succeeded = mlir::succeeded(passes.run(*module));
    lowerSeconds += progress.end();
    isFinished = options.stopAfter <= Phase::Exec;
    return succeeded || status != Done ? status : Unsupported;
  }

  LogicalResult explainGraph() {
    OwningOpRef<ModuleOp> copy = module->clone();
    PassManager passes(&context);
    buildFusionPipeline(passes, modelFolder());
    if (failed(passes.run(*copy))) {
      return failure();
    }
    report.take(*copy);
    return success();
  }

  /// Writes the phase's IR where it is wanted.
  int endPhase(Phase phase, ModuleOp current) {
    if (!options.dumpFolder.empty()) {
      llvm::SmallString<256> path(options.dumpFolder);
      llvm::sys::path::append(path, Twine(static_cast<int>(phase) + 1) + "-" + phaseName(phase) + ".mlir");
      if (llvm::Error error = writeFile(path, textOf(current))) {
        return fail(std::move(error), CannotWrite);
      }
    }
    if (phase == Phase::R1 && !isGraph) {
      countParameters(current);
      if (options.explainsFusion) {
        report.take(current);
      }
    }
    return phase == options.stopAfter ? writeResult(textOf(current)) : Done;
  }

  /// An importer of checkpoints knows how many parameters there are; what of a graph is one shows after fusion.
  static void countParameters(ModuleOp module) {
    if (module->hasAttr("r1.parameters")) {
      return;
    }
    int64_t count = 0;
    llvm::DenseSet<Attribute> known;
    module.walk([&](r1::WeightOp weight) {
      for (Attribute part : weight.getParts()) {
        bool isNew = known.insert(part).second;
        count += isNew ? cast<r1::WeightAttr>(part).getType().getNumElements() : 0;
      }
    });
    module->setAttr("r1.parameters", Builder(module.getContext()).getI64IntegerAttr(count));
  }

  int emit() {
    if (isGraph && gpu) {
      return fail(Unsupported,
                  "only language models are compiled for GPUs, and this graph is none; --target cpu compiles "
                  "any graph");
    }
    if (isGraph) {
      return emitGraphCode();
    }
    if (gpu) {
      return emitForGpu();
    }
    std::vector<CpuKernelRequest> requests;
    for (exec::KernelOp kernel : module->getOps<exec::KernelOp>()) {
      requests.push_back({kernel.getSymName().str(), kernel.getKernel()});
    }
    progress.begin(llvm::formatv("compiling {0} kernels for {1}", requests.size(), target.name));
    CpuEmitOptions emitOptions;
    emitOptions.threads = options.threads;
    if (!options.dumpFolder.empty()) {
      llvm::SmallString<256> folder(options.dumpFolder);
      llvm::sys::path::append(folder, Twine(static_cast<int>(Phase::Object) + 1) + "-" + phaseName(Phase::Object));
      if (std::error_code code = llvm::sys::fs::create_directories(folder)) {
        return fail(CannotCreate, folder, "cannot create the folder: " + code.message());
      }
      emitOptions.dumpFolder = folder.str().str();
    }
    llvm::Expected<CpuObject> emitted = emitCpuObject(requests, target, &context, emitOptions);
    emitSeconds = progress.end();
    if (!emitted) {
      return fail(emitted.takeError(), Internal);
    }
    object = std::move(*emitted);
    if (options.stopAfter == Phase::Object) {
      isFinished = true;
      return writeResult(object.image);
    }
    return Done;
  }

  int emitForGpu() {
    std::vector<std::pair<std::string, Operation *>> kernels;
    for (exec::KernelOp kernel : module->getOps<exec::KernelOp>()) {
      kernels.emplace_back(kernel.getSymName().str(), kernel.getKernel());
    }
    progress.begin("compiling kernels for " + options.target);
    CudaEmitOptions emitOptions;
    emitOptions.cacheFolder = cuda::KernelCache::defaultFolder();
    emitOptions.threads = options.threads;
    if (!options.dumpFolder.empty()) {
      llvm::SmallString<256> folder(options.dumpFolder);
      llvm::sys::path::append(folder, Twine(static_cast<int>(Phase::Object) + 1) + "-" + phaseName(Phase::Object));
      if (std::error_code code = llvm::sys::fs::create_directories(folder)) {
        return fail(CannotCreate, folder, "cannot create the folder: " + code.message());
      }
      emitOptions.dumpFolder = folder.str().str();
    }
    llvm::Expected<CudaCode> emitted = emitCudaCode(kernels, *gpu, cudaBuckets(options.maxPrefill), emitOptions);
    emitSeconds = progress.end();
    if (!emitted) {
      return fail(emitted.takeError(), Unsupported);
    }
    gpuCode = std::move(*emitted);
    if (options.stopAfter == Phase::Object) {
      isFinished = true;
      std::string text;
      for (const cuda::CompiledKernel &kernel : gpuCode.compiled) {
        text += kernel.ptx;
      }
      return writeResult(text);
    }
    return Done;
  }

  int emitGraphCode() {
    llvm::StringMap<int64_t> numbers;
    for (exec::WeightOp weight : module->getOps<exec::WeightOp>()) {
      numbers.try_emplace(weight.getSymName(), numbers.size());
    }
    exec::GraphOp graph = *module->getOps<exec::GraphOp>().begin();
    auto function = module->lookupSymbol<func::FuncOp>(graph.getFunction());
    llvm::DenseMap<Operation *, int64_t> weights;
    function.walk([&](r1::WeightOp weight) {
      auto symbol = cast<FlatSymbolRefAttr>(graph.getWeights()[weights.size()]);
      weights[weight] = numbers.lookup(symbol.getValue());
    });
    progress.begin("compiling the graph for " + target.name);
    llvm::Expected<std::optional<std::string>> emitted =
        emitGraph(function, graph.getSymName(), weights, target, {options.dumpFolder});
    emitSeconds = progress.end();
    if (!emitted) {
      return fail(emitted.takeError(), Internal);
    }
    if (!*emitted) {
      return Unsupported;
    }
    object.image = std::move(**emitted);
    if (options.stopAfter == Phase::Object) {
      isFinished = true;
      return writeResult(object.image);
    }
    return Done;
  }

  int write() {
    ArtifactContents contents;
    contents.module = *module;
    contents.object = std::move(object.image);
    contents.scratchBytes = std::move(object.scratchBytes);
    contents.target = target;
    contents.cuda = gpu ? &gpuCode : nullptr;
    contents.modelFolder = modelFolder();
    contents.filesFolder = filesFolder();
    contents.graph = isOnnxGraph(options.model) ? options.model : "";
    contents.flags = {{"target", options.target},
                      {"cpu", gpu ? "" : target.name},
                      {"cpu-features", gpu ? "" : target.features},
                      {"max-context", std::to_string(maxContext)},
                      {"max-batch", std::to_string(options.maxBatch)},
                      {"max-prefill", std::to_string(options.maxPrefill)},
                      {"precision", options.precision},
                      {"kv-cache", !gpu                      ? ""
                                   : options.kvCache.empty() ? "bf16"
                                                             : options.kvCache},
                      {"weights", options.referencesWeights ? "reference" : "embed"},
                      {"next-token-layers", options.importsNextTokenLayers ? "import" : "skip"}};
    // Not --emit: a program holds the very artifact that would stand alone.
    WriteOptions writing;
    writing.outputPath = output;
    writing.weights = options.referencesWeights ? WeightMode::Reference : WeightMode::Embed;
    writing.runnerPath = options.isProgram ? options.runner : "";
    writing.threads = options.threads;
    writing.progress = [this](uint64_t done, uint64_t total) { progress.update(done, total); };
    llvm::SmallString<256> tokenizer(filesFolder());
    llvm::sys::path::append(tokenizer, "tokenizer.json");
    if (!isGraph && !llvm::sys::fs::exists(tokenizer)) {
      progress.print(tokenizer.str().str() + ": warning: is not there; the model will take token ids, but no text");
    }
    progress.begin("writing " + output);
    llvm::Error error = writeArtifact(contents, writing);
    writeSeconds = progress.end();
    if (error) {
      return fail(std::move(error), BadData);
    }
    summarize();
    return Done;
  }

  llvm::Error writeFile(StringRef path, StringRef bytes) {
    llvm::Expected<OutputFile> file = OutputFile::create(path);
    if (!file) {
      return file.takeError();
    }
    if (llvm::Error error = file->write(0, llvm::ArrayRef(bytes.data(), bytes.size()))) {
      return error;
    }
    return file->commit();
  }

  /// The result of --stop-after, to the output or to stdout.
  int writeResult(StringRef bytes) {
    if (!output.empty()) {
      if (llvm::Error error = writeFile(output, bytes)) {
        return fail(std::move(error), CannotWrite);
      }
      return Done;
    }
    llvm::outs() << bytes;
    llvm::outs().flush();
    if (std::error_code code = llvm::outs().error()) {
      llvm::outs().clear_error();
      return fail(CannotWrite, "stdout", "cannot write: " + code.message());
    }
    return Done;
  }

  /// What was made, for people; scripts ask `elah inspect --json`.
  void summarize() {
    auto integer = [&](StringRef name) {
      auto attribute = module->getOperation()->getAttrOfType<IntegerAttr>(name);
      return static_cast<double>(attribute ? attribute.getInt() : 0);
    };
    uint64_t weightBytes = 0, size = 0;
    size_t weights = 0, kernels = 0, launches = 0;
    for (exec::WeightOp weight : module->getOps<exec::WeightOp>()) {
      weightBytes += weight.getBytes();
      ++weights;
    }
    for (exec::ProgramOp program : module->getOps<exec::ProgramOp>()) {
      launches += llvm::range_size(program.getBody().getOps<exec::LaunchOp>());
    }
    kernels = gpu ? gpuCode.specs.size() : llvm::range_size(module->getOps<exec::KernelOp>());
    llvm::sys::fs::file_size(output, size);
    double parameters = integer("r1.parameters");
    std::string count = parameters >= 1e9 ? llvm::formatv("{0:f2} billion", parameters / 1e9).str()
                                          : llvm::formatv("{0:f2} million", parameters / 1e6).str();
    auto architecture = module->getOperation()->getAttrOfType<StringAttr>("r1.architecture");
    double seconds = importSeconds + lowerSeconds + emitSeconds + writeSeconds;
    if (isGraph) {
      exec::GraphOp graph = *module->getOps<exec::GraphOp>().begin();
      auto function = module->lookupSymbol<func::FuncOp>(graph.getFunction());
      progress.print(
          llvm::formatv("{0}: {1} for {2}\n"
                        "  graph    {3} inputs, {4} outputs, {5} operations\n"
                        "  weights  {6} in {7} tensors\n"
                        "  time     {8:f1} s: {9:f1} reading, {10:f1} lowering, {11:f1} code, {12:f1} writing",
                        output, formatBytes(size), target.name + target.features, function.getNumArguments(),
                        function.getNumResults(), llvm::range_size(function.front()) - 1, formatBytes(weightBytes),
                        weights, importSeconds + lowerSeconds + emitSeconds + writeSeconds, importSeconds, lowerSeconds,
                        emitSeconds, writeSeconds)
              .str());
      return;
    }
    progress.print(llvm::formatv("{0}: {1} for {2}\n"
                                 "  model    {3}, {4} parameters\n"
                                 "  weights  {5} in {6} packed tensors{7}\n"
                                 "  program  {8} launches of {9} kernels\n"
                                 "  limits   context {10}, {11} sequences and {12} tokens a step\n"
                                 "  time     {13:f1} s: {14:f1} reading, {15:f1} lowering, {16:f1} kernels, {17:f1} "
                                 "writing",
                                 output, formatBytes(size), gpu ? options.target : target.name + target.features,
                                 architecture ? architecture.getValue() : "", count, formatBytes(weightBytes), weights,
                                 options.referencesWeights ? ", left in the model's folder" : "", launches, kernels,
                                 maxContext, options.maxBatch, options.maxPrefill, seconds, importSeconds, lowerSeconds,
                                 emitSeconds, writeSeconds)
                       .str());
  }

  const CompileOptions &options;
  Progress progress; // Before the context, whose diagnostics it prints.
  MLIRContext context;
  CpuTarget target;
  const CudaTarget *gpu = nullptr; ///< Null: for the CPU.
  CudaCode gpuCode;
  std::string output;
  OwningOpRef<ModuleOp> module;
  OwningOpRef<ModuleOp> plainGraph;   ///< What is compiled instead if a graph turns out to be no language model.
  std::vector<std::string> obstacles; ///< What is in the way of a language model.
  CpuObject object;
  int64_t maxContext = 0;
  bool isFinished = false;
  FusionReport report;
  bool isGraph = false;   ///< A plain graph, and no language model.
  bool hasReport = false; ///< The report is of the first try.
  double importSeconds = 0, lowerSeconds = 0, emitSeconds = 0, writeSeconds = 0;
};

} // namespace

int compileModel(const CompileOptions &options) {
  handleSignals();
  llvm::ScopedFatalErrorHandler fatal(giveUp);
  llvm::install_bad_alloc_error_handler(giveUp);
  std::set_new_handler([] { giveUp(nullptr, "out of memory", false); });
  return Compilation(options).run();
}

} // namespace elah
