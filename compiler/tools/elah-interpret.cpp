// elah-interpret: a model's logits as its meaning has them, for holding others against. CLI11 throws, so this file
// alone is built with exceptions.
#include "compiler/tools/interpret_model.h"
#include <CLI/CLI.hpp>

int main(int argc, char **argv) {
  elah::InterpretModelOptions options;
  std::string precision = "f64";
  CLI::App app(
      "Runs a model operation by operation, as r1 defines it, without kernels, fusion or rounding in between.\n"
      "Slow on purpose: it is what compiled models are held against.",
      "elah-interpret");
  app.get_formatter()->column_width(28);
  app.footer("\nExample:\n  elah-interpret tiny_model/ --tokens 1,17,4 --logits expected.npy");
  app.add_option("model", options.model, "A Hugging Face model folder, or r1 in text form (.mlir)")
      ->required()
      ->check(CLI::ExistingPath)
      ->type_name("PATH");
  app.add_option("--tokens", options.tokens, "The tokens to run, with commas between")
      ->required()
      ->delimiter(',')
      ->check(CLI::Range(int64_t(0), int64_t(1) << 31))
      ->type_name("IDS");
  app.add_option("--logits", options.logitsFile, "Write the logits of all tokens to this .npy file")
      ->required()
      ->type_name("FILE");
  app.add_option("--chunk", options.chunk, "Tokens that are run at once (default: all)")->type_name("N");
  app.add_option("--precision", precision,
                 "f64: results are not rounded (default); f32: each operation's results are rounded to f32")
      ->check(CLI::IsMember({"f64", "f32"}))
      ->type_name("NAME");
  app.add_option("--weights", options.weightFolder,
                 "Where the weights of r1 in text form lie (default: beside the file)")
      ->check(CLI::ExistingDirectory)
      ->type_name("FOLDER");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.isSingle = precision == "f32";
  return elah::interpretModel(options);
}
