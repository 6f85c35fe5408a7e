// `elah selftest`: whether this machine's device computes what a device known to be right did; else, which operation is
// the first that it computes otherwise.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/signals.h"
#include <CLI/CLI.hpp>

int elahSelftestCommand(int argc, char **argv) {
  std::string file, device, modelFolder;
  bool records = false;
  CLI::App app("Compares what a device computes, operation by operation, with the golden digests in an artifact.",
               argv[0]);
  app.add_option("file", file, "The artifact, compiled for a GPU")->required();
  app.add_option("--device", device, deviceOptionHelp);
  app.add_option("--model-folder", modelFolder,
                 "Of an artifact made with --weights reference: where the model's shards are now");
  app.add_flag("--record", records,
               "Put this device's digests into the file, as golden: after `elah verify FILE --device emulator`");
  app.footer(std::string("Examples:\n"
                         "  elah selftest r1.elah --record --device emulator\n"
                         "  elah selftest r1.elah --device cuda:1\n\n") +
             exitStatusHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  catchSignals();
  Handle<elah_artifact> artifact;
  if (int status = openArtifact(file, artifact)) {
    return status;
  }
  elah_session_options options = {};
  options.model_folder = modelFolder.empty() ? nullptr : modelFolder.c_str();
  options.device = device.empty() ? nullptr : device.c_str();
  elah_session *opened;
  if (elah_code code = elah_session_create(artifact.get(), &options, &opened)) {
    return reportError(code);
  }
  Handle<elah_session> session(opened);
  if (records) {
    size_t bytes;
    if (elah_code code = elah_session_record_self_test(session.get(), file.c_str(), &bytes)) {
      return reportError(code);
    }
    std::printf("%s: golden digests recorded, %zu bytes\n", file.c_str(), bytes);
    return finishOutput(0);
  }
  elah_self_test found;
  if (elah_code code = elah_session_self_test(session.get(), &found)) {
    return reportError(code);
  }
  if (*found.operation) {
    std::printf("%s is off: by %.3g of a row's length, in a step of %zu tokens, after %zu results that are right\n"
                "  it runs %s\n",
                found.operation, found.difference, found.tokens, found.compared - 1, found.kernels);
    return finishOutput(1);
  }
  std::printf("%zu results are right, the farthest within %.3g of a row's length", found.compared, found.difference);
  if (found.other_experts) {
    std::printf("; %zu tokens chose other experts at near ties", found.other_experts);
  }
  std::printf("\n");
  return finishOutput(0);
}
