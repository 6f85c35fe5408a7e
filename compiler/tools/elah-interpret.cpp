// elah-interpret: a model's logits as its meaning has them, for holding others against. CLI11 throws, so this file
// alone is built with exceptions.
#include "compiler/tools/interpret_model.h"
#include <CLI/CLI.hpp>
#include <iostream>

int main(int argc, char **argv) {
  elah::InterpretModelOptions options;
  std::string precision = "f64";
  CLI::App app(
      "Runs a model operation by operation, as r1 defines it, without kernels, fusion or rounding in between.\n"
      "Slow on purpose: it is what compiled models are held against.",
      "elah-interpret");
  app.get_formatter()->column_width(28);
  app.footer("\nExamples:\n  elah-interpret tiny_model/ --tokens 1,17,4 --logits expected.npy\n"
             "  elah-interpret model.onnx --input x=x.npy --output-dir expected/");
  app.add_option("model", options.model,
                 "A Hugging Face model folder, r1 in text form (.mlir), or an ONNX graph (.onnx)")
      ->required()
      ->check(CLI::ExistingPath)
      ->type_name("PATH");
  app.add_option("--tokens", options.tokens, "The tokens to run, with commas between")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(0), int64_t(1) << 31))
      ->type_name("IDS");
  app.add_option("--logits", options.logitsFile, "Write the logits of all tokens to this .npy file")->type_name("FILE");
  app.add_option("--chunk", options.chunk, "Tokens that are run at once (default: all)")->type_name("N");
  app.add_option("--precision", precision,
                 "f64: results are not rounded (default); f32: each operation's results are rounded to f32")
      ->check(CLI::IsMember({"f64", "f32"}))
      ->type_name("NAME");
  app.add_option("--weights", options.weightFolder,
                 "Where the weights of r1 in text form lie (default: beside the file)")
      ->check(CLI::ExistingDirectory)
      ->type_name("FOLDER");
  std::vector<std::string> inputs;
  app.add_option("--input", inputs, "An input of an ONNX graph, from a .npy file (once for each)")
      ->type_name("NAME=FILE");
  app.add_option("--output-dir", options.outputFolder, "Write an ONNX graph's outputs there, NAME.npy")
      ->type_name("FOLDER");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.isSingle = precision == "f32";
  bool isGraph = options.model.size() > 5 && options.model.substr(options.model.size() - 5) == ".onnx";
  if (isGraph ? options.outputFolder.empty() || !options.tokens.empty()
              : options.tokens.empty() || options.logitsFile.empty() || !inputs.empty()) {
    std::cerr << (isGraph ? "error: an ONNX graph takes --input NAME=FILE and needs --output-dir\n"
                          : "error: --tokens and --logits are required\n");
    return 2;
  }
  for (const std::string &input : inputs) {
    size_t equals = input.find('=');
    if (equals == std::string::npos) {
      std::cerr << "error: --input: expected NAME=FILE, found '" << input << "'\n";
      return 2;
    }
    options.inputs.emplace_back(input.substr(0, equals), input.substr(equals + 1));
  }
  if (isGraph) {
    return elah::interpretGraph(options);
  }
  return elah::interpretModel(options);
}
