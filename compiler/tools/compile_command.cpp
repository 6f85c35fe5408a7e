// The command line of `elah compile`. CLI11 throws, so this file alone is built with exceptions.
#include "compiler/tools/compile_command.h"
#include "compiler/Driver/Compile.h"
#include "llvm/ADT/StringRef.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <thread>

namespace {

/// One of some words, or an error that says what was found and what was expected.
CLI::Validator oneOf(std::vector<std::string> words) {
  return CLI::Validator(
      [words](std::string &word) {
        std::string expected;
        for (size_t i = 0; i < words.size(); ++i) {
          if (words[i] == word) {
            return std::string();
          }
          expected += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
        }
        return "expected " + expected + ", found '" + word + "'";
      },
      "");
}

CLI::Validator between(int64_t least, int64_t most) {
  return CLI::Validator(
      [=](std::string &text) {
        int64_t value = 0;
        bool isGood = CLI::detail::lexical_cast(text, value) && value >= least && value <= most;
        return isGood ? std::string()
                      : "expected a number from " + std::to_string(least) + " to " + std::to_string(most) +
                            ", found '" + text + "'";
      },
      "");
}

/// What is wrong with a command line, in one line.
std::string describe(const CLI::App *app, const CLI::Error &error) {
  std::string message = error.what();
  if (dynamic_cast<const CLI::ExtrasError *>(&error)) {
    for (const std::string &extra : app->remaining()) {
      if (!llvm::StringRef(extra).starts_with("-")) {
        message = "expected one model, found '" + extra + "', too";
        continue;
      }
      message = "unknown option '" + extra + "'";
      unsigned best = 4;
      std::string nearest;
      for (const CLI::Option *option : app->get_options()) {
        std::string name = "--" + (option->get_lnames().empty() ? "" : option->get_lnames().front());
        unsigned distance = llvm::StringRef(extra).edit_distance(name, /*AllowReplacements=*/true, best);
        if (distance < best) {
          best = distance;
          nearest = name;
        }
      }
      message += nearest.empty() ? "" : "; did you mean " + nearest + "?";
      break;
    }
  }
  return "error: " + message + "\nsee `elah compile --help`\n";
}

} // namespace

int elahCompileCommand(int argc, char **argv) {
  elah::CompileOptions options;
  options.threads = std::max(1u, std::thread::hardware_concurrency());
  std::string weights = "embed", emit = "artifact", nextTokenLayers = "skip", stopAfter = "artifact", form = "auto";

  CLI::App app("Compiles a model into one file that runs without Python and without this compiler.\n"
               "Reads only the headers of the checkpoint until the file is written.",
               argv[0]);
  app.failure_message(describe);
  app.get_formatter()->column_width(34);
  app.footer("\nExamples:\n"
             "  elah compile DeepSeek-R1-Distill-Qwen-1.5B -o r1.elah\n"
             "      for this machine; then: elah run r1.elah --prompt \"Why is the sky blue?\"\n"
             "  elah compile DeepSeek-R1-Distill-Qwen-1.5B -o r1.elah --cpu x86-64-v3 --max-context 16384\n"
             "      for any machine with AVX2, with room for longer conversations\n"
             "  elah compile DeepSeek-R1-Distill-Qwen-1.5B -o ask-r1 --emit exe\n"
             "      one program with everything inside; then: ./ask-r1 --prompt \"Why is the sky blue?\"\n"
             "  elah compile DeepSeek-R1 -o r1.elah --target h800 --weights reference\n"
             "      CUDA binaries for an H800, made without one; the weights stay where they are\n"
             "  elah compile DeepSeek-R1 --weights reference --stop-after exec -o r1.mlir\n"
             "      the program of launches that R1 becomes, in a minute, without reading a weight");
  app.add_option("model", options.model,
                 "A Hugging Face model folder: config.json, *.safetensors, tokenizer.json;\nor an ONNX graph (.onnx)")
      ->required()
      ->type_name("FOLDER");
  app.add_option("-o,--output", options.output, "The file to write (default: the folder's name with .elah)")
      ->type_name("FILE");
  app.add_option(
         "--as", form,
         "What an ONNX graph becomes: auto (default): a language model that\nelah run --prompt asks if it is one; "
         "model: that, or an error that\nsays why not; graph: named tensors in, named tensors out")
      ->check(oneOf({"auto", "model", "graph"}))
      ->type_name("NAME");
  app.add_option(
         "--target", options.target,
         "What to compile for: cpu (default), or a GPU:\nh100, h100-pcie, h200, h20, h800, gh200 (needs no GPU here)")
      ->type_name("NAME");
  app.add_option(
         "--cpu", options.cpu,
         "The processor: host (this machine's, the default),\nx86-64-v3, x86-64-v4, sapphirerapids, znver4, aarch64")
      ->type_name("NAME");
  app.add_option("--max-context", options.maxContext,
                 "Tokens of one conversation, prompt and answer\n(default: the model's own limit, at most 4096)")
      ->check(between(1, 1 << 24))
      ->type_name("N");
  app.add_option("--max-batch", options.maxBatch, "Conversations at the same time (default 8)")
      ->check(between(1, 1 << 16))
      ->type_name("N");
  app.add_option("--max-prefill", options.maxPrefill,
                 "Tokens of one step; longer prompts are read in several (default 512)")
      ->check(between(1, 1 << 20))
      ->type_name("N");
  app.add_option("--precision", options.precision,
                 "auto: as exact as f32 to within 1e-9, in bf16 products of split values\nwhere the processor has them "
                 "(default); "
                 "bf16: round what these read and\nthe cache to bf16, for speed and memory; f32: all in f32")
      ->check(oneOf({"auto", "bf16", "f32"}))
      ->type_name("NAME");
  app.add_option(
         "--kv-cache", options.kvCache,
         "What a GPU's KV cache holds: bf16 (default), or fp8 for latent attention\n(DeepSeek-R1): 656 bytes of "
         "a token and layer instead of 1152")
      ->check(oneOf({"bf16", "fp8"}))
      ->type_name("NAME");
  app.add_option("--weights", weights,
                 "embed: put the packed weights into the file (default);\nreference: leave them in the folder")
      ->check(oneOf({"embed", "reference"}))
      ->type_name("NAME");
  app.add_option("--next-token-layers", nextTokenLayers,
                 "DeepSeek's multi-token prediction layers: skip (default), or import")
      ->check(oneOf({"skip", "import"}))
      ->type_name("NAME");
  app.add_option("--emit", emit, "artifact: a file for elah run (default);\nexe: a program with everything inside")
      ->check(oneOf({"artifact", "exe"}))
      ->type_name("NAME");
  app.add_option("--threads", options.threads, "Threads that compile (default: all processors)")
      ->check(between(1, 1024))
      ->type_name("N");
  app.add_option("--stop-after", stopAfter,
                 "Stop there and write what the model is then, to -o or stdout:\nimport, r1, kernel, exec (IR) or "
                 "object (native code)")
      ->check(oneOf({std::begin(elah::phaseNames), std::end(elah::phaseNames)}))
      ->type_name("PHASE");
  app.add_flag("--explain-fusion", options.explainsFusion,
               "Say what the model's operations became, layer by layer,\nand for each near miss what would fix it");
  app.add_flag("--json", options.isJson, "Explain as JSON");
  app.add_option("--dump-ir", options.dumpFolder, "Write the IR after each phase and each kernel's code there")
      ->type_name("FOLDER");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.referencesWeights = weights == "reference";
  options.importsNextTokenLayers = nextTokenLayers == "import";
  options.isProgram = emit == "exe";
  options.form = form == "model"   ? elah::GraphForm::Model
                 : form == "graph" ? elah::GraphForm::Graph
                                   : elah::GraphForm::Auto;
  for (int phase = 0; elah::phaseNames[phase] != stopAfter; ++phase) {
    options.stopAfter = static_cast<elah::Phase>(phase + 1);
  }
  if (stopAfter == elah::phaseNames[0]) {
    options.stopAfter = elah::Phase::Import;
  }
  std::error_code code;
  options.runner = (std::filesystem::read_symlink("/proc/self/exe", code).parent_path() / "elah-run").string();
  return elah::compileModel(options);
}
