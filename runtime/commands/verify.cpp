// `elah verify`: reads every byte of an artifact and compares it with its checksums.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/signals.h"
#include <CLI/CLI.hpp>

int elahVerifyCommand(int argc, char **argv) {
  std::string file;
  CLI::App app("Verifies every byte of an artifact.", argv[0]);
  app.add_option("file", file, "The artifact")->required();
  app.footer(exitStatusHelp);
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
  if (elah_code code = elah_artifact_verify(artifact.get())) {
    return reportError(code);
  }
  std::printf("%s: intact\n", file.c_str());
  return finishOutput(0);
}
