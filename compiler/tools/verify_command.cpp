// `elah verify`: every byte of an artifact is compared with its checksums, and with --device emulator every kernel with
// what its operation means. CLI11 throws, so this file is built with exceptions.
#include "compiler/tools/verify_command.h"
#include "commands/commands.h"
#include "commands/handles.h"
#include "compiler/tools/verify_kernels.h"
#include <CLI/CLI.hpp>

int elahVerifyDeviceCommand(int argc, char **argv) {
  std::string file, device;
  VerifyKernelsArguments arguments;
  CLI::App app("Verifies every byte of an artifact and, on the emulator, every kernel.", argv[0]);
  app.add_option("file", file, "The artifact")->required();
  app.add_option("--device", device,
                 "emulator: run each kernel there, in eager, lazy and random order under the "
                 "checker, and compare it with what its operation means")
      ->check(CLI::IsMember({"emulator"}));
  app.add_flag("--full", arguments.full, "Each kernel in every bucket, with contexts up to the limit");
  app.add_option("--only", arguments.filter, "Only kernels whose symbol, family or launch has this in its name");
  app.add_flag("--steps", arguments.steps,
               "Only steps of the program, of a large one, too: launch by launch on what the step "
               "hands each, then whole");
  app.add_flag("--unchecked", arguments.unchecked, "Steps without the checker, which takes most of their time");
  app.add_flag("--json", arguments.json, "One object a line");
  app.footer(exitStatusHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (device.empty()) {
    char *plain[] = {argv[0], file.data(), nullptr};
    return elahVerifyCommand(2, plain);
  }
  Handle<elah_artifact> artifact;
  if (int status = openArtifact(file, artifact)) {
    return status;
  }
  if (elah_code code = elah_artifact_verify(artifact.get())) {
    return reportError(code);
  }
  return finishOutput(verifyKernelsOf(file, arguments));
}
