// `elah inspect`: what an artifact is made of.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/signals.h"
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

/// One line a fact. The receipt is whatever JSON the artifact holds.
void printReceipt(const nlohmann::ordered_json &receipt) {
  auto plain = [](const nlohmann::ordered_json &value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  for (const auto &[key, value] : receipt.items()) {
    if (!value.is_object()) {
      std::printf("  %-18s%s\n", key.c_str(), plain(value).c_str());
      continue;
    }
    constexpr size_t most = 8; // R1 has 163 shards
    size_t count = 0;
    for (const auto &[name, entry] : value.items()) {
      if (count++ == most) {
        std::printf("  %-18s... %zu more, see --json\n", "", value.size() - most);
        break;
      }
      std::printf("  %-18s%s: %s\n", count == 1 ? key.c_str() : "", name.c_str(), plain(entry).c_str());
    }
  }
}

/// A graph's inputs or outputs: "x: f32[batch, 64]".
void printPorts(const char *title, const nlohmann::ordered_json &ports) {
  for (const auto &port : ports) {
    std::string shape;
    for (const auto &size : port["shape"]) {
      shape += (shape.empty() ? "" : ", ") + (size.is_string() ? size.get<std::string>() : size.dump());
    }
    std::printf("  %-18s%s: %s[%s]\n", &port == &ports.front() ? title : "", port["name"].get<std::string>().c_str(),
                port["type"].get<std::string>().c_str(), shape.c_str());
  }
}

/// One kernel a line: how often a step launches it, what it needs, how long it takes by a model's word in the largest
/// step, where it is used, how it works.
void printCudaKernels(const nlohmann::ordered_json &kernels) {
  std::printf("  %8s  %-18s %7s %9s %10s %9s  %-14s %s\n", "launches", "family", "threads", "registers", "shared",
              "predicted", "tokens", "schedule");
  for (const auto &kernel : kernels) {
    const auto &buckets = kernel["buckets"];
    std::string tokens = buckets.empty() ? "none" : buckets.front().dump();
    if (buckets.size() > 1) {
      tokens += " to " + buckets.back().dump();
    }
    std::printf("  %8u  %-18s %7u %9u %10s %6u us  %-14s %s\n", kernel["launches"].get<unsigned>(),
                kernel["family"].get<std::string>().c_str(), kernel["threads"].get<unsigned>(),
                kernel["registers"].get<unsigned>(), bytes(kernel["shared_bytes"].get<uint64_t>()).c_str(),
                kernel["predicted_us"].get<unsigned>(), tokens.c_str(), kernel["schedule"].get<std::string>().c_str());
  }
}

} // namespace

int elahInspectCommand(int argc, char **argv) {
  std::string file;
  bool json = false, kernels = false;
  CLI::App app("Shows what an artifact is made of.", argv[0]);
  app.add_option("file", file, "The artifact")->required();
  app.add_flag("--json", json, "Everything, as JSON");
  app.add_flag("--kernels", kernels, "List the kernels, too");
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
  char *text;
  if (elah_code code = elah_artifact_describe(artifact.get(), &text)) {
    return reportError(code);
  }
  Handle<char> owner(text);
  if (json) {
    std::puts(text);
    return finishOutput(0);
  }
  nlohmann::ordered_json description = nlohmann::ordered_json::parse(text);
  auto number = [&](const char *key) { return description[key].get<uint64_t>(); };
  bool isGraph = description.contains("inputs");
  bool isCuda = description.contains("buckets");
  std::printf("%s for %s (%s)\n", isGraph ? "plain graph" : description["architecture"].get<std::string>().c_str(),
              description["target"].get<std::string>().c_str(),
              description[isCuda ? "device" : "cpu"].get<std::string>().c_str());
  std::printf("  identity          %s\n", description["identity"].get<std::string>().c_str());
  if (isGraph) {
    for (const char *key : {"inputs", "outputs"}) {
      printPorts(key, description[key]);
    }
  } else {
    std::printf("  parameters        %" PRIu64 "\n", number("parameters"));
    std::printf("  read per token    %s\n", bytes(number("active_weight_bytes")).c_str());
    std::printf("  cache per token   %s\n", bytes(description["cache"]["bytes_per_token"].get<uint64_t>()).c_str());
    std::printf("  limits            context %u, %u sequences and %u tokens a step\n",
                description["limits"]["context"].get<unsigned>(), description["limits"]["sequences"].get<unsigned>(),
                description["limits"]["tokens"].get<unsigned>());
  }
  const auto &weights = description["weights"];
  std::printf("  weights           %s, %s\n", bytes(weights["bytes"].get<uint64_t>()).c_str(),
              weights["mode"] == "embed" ? "in the artifact"
                                         : ("in the shards of " + weights["folder"].get<std::string>()).c_str());
  std::printf("sections\n");
  for (const auto &section : description["sections"]) {
    std::printf("  %-18s%12s at %" PRIu64 "\n", section["name"].get<std::string>().c_str(),
                bytes(section["size"].get<uint64_t>()).c_str(), section["offset"].get<uint64_t>());
  }
  if (isCuda) {
    std::printf("program             %zu kernels for steps of up to", description["kernels"].size());
    for (const auto &tokens : description["buckets"]) {
      std::printf(" %u", tokens.get<unsigned>());
    }
    std::printf(" tokens\n");
    if (kernels) {
      printCudaKernels(description["kernels"]);
    }
    std::printf("receipt\n");
    printReceipt(description["receipt"]);
    return finishOutput(0);
  }
  uint64_t launches = 0;
  for (const auto &kernel : description["kernels"]) {
    launches += kernel["launches"].get<uint64_t>();
  }
  if (isGraph) {
    std::printf("receipt\n");
    printReceipt(description["receipt"]);
    return finishOutput(0);
  }
  std::printf("program             %" PRIu64 " launches of %zu kernels\n", launches, description["kernels"].size());
  if (kernels) {
    for (const auto &kernel : description["kernels"]) {
      std::printf("  %4u x %-18s %s\n", kernel["launches"].get<unsigned>(), kernel["family"].get<std::string>().c_str(),
                  kernel["symbol"].get<std::string>().c_str());
    }
  }
  std::printf("receipt\n");
  printReceipt(description["receipt"]);
  return finishOutput(0);
}
