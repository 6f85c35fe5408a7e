// `elah inspect`: what an artifact is made of.
#include "commands/commands.h"
#include "commands/handles.h"
#include <CLI/CLI.hpp>
#include <cinttypes>
#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>

namespace {

std::string bytes(uint64_t count) {
  const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(count);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) {
    value /= 1024;
  }
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

} // namespace

int elahInspectCommand(int argc, char **argv) {
  std::string file;
  bool json = false, kernels = false;
  CLI::App app("Shows what an artifact is made of.", argv[0]);
  app.add_option("file", file, "The artifact")->required();
  app.add_flag("--json", json, "Everything, as JSON");
  app.add_flag("--kernels", kernels, "List the kernels, too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  elah_artifact *opened;
  if (elah_code code = elah_artifact_open(file.c_str(), &opened)) {
    return reportError(code);
  }
  Handle<elah_artifact> artifact(opened);
  char *text;
  if (elah_code code = elah_artifact_describe(artifact.get(), &text)) {
    return reportError(code);
  }
  Handle<char> owner(text);
  if (json) {
    std::puts(text);
    return 0;
  }
  nlohmann::ordered_json description = nlohmann::ordered_json::parse(text);
  auto number = [&](const char *key) { return description[key].get<uint64_t>(); };
  std::printf("%s for %s (%s)\n", description["architecture"].get<std::string>().c_str(),
              description["target"].get<std::string>().c_str(), description["cpu"].get<std::string>().c_str());
  std::printf("  parameters        %" PRIu64 "\n", number("parameters"));
  std::printf("  read per token    %s\n", bytes(number("active_weight_bytes")).c_str());
  std::printf("  cache per token   %s\n", bytes(description["cache"]["bytes_per_token"].get<uint64_t>()).c_str());
  std::printf("  limits            context %u, %u sequences and %u tokens a step\n",
              description["limits"]["context"].get<unsigned>(), description["limits"]["sequences"].get<unsigned>(),
              description["limits"]["tokens"].get<unsigned>());
  std::printf("sections\n");
  for (const auto &section : description["sections"]) {
    std::printf("  %-18s%12s at %" PRIu64 "\n", section["name"].get<std::string>().c_str(),
                bytes(section["size"].get<uint64_t>()).c_str(), section["offset"].get<uint64_t>());
  }
  uint64_t launches = 0;
  for (const auto &kernel : description["kernels"]) {
    launches += kernel["launches"].get<uint64_t>();
  }
  std::printf("program             %" PRIu64 " launches of %zu kernels\n", launches, description["kernels"].size());
  if (kernels) {
    for (const auto &kernel : description["kernels"]) {
      std::printf("  %4u x %-18s %s\n", kernel["launches"].get<unsigned>(),
                  kernel["family"].get<std::string>().c_str(), kernel["symbol"].get<std::string>().c_str());
    }
  }
  std::printf("receipt             %s\n", description["receipt"].dump().c_str());
  return 0;
}
