// `elah tokenize`: text to token ids and back, with the tokenizer of an artifact or of a tokenizer.json.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/json_string.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <vector>

int elahTokenizeCommand(int argc, char **argv) {
  std::string file;
  bool decode = false, json = false, lines = false;
  CLI::App app("Turns text on stdin into token ids, or ids into text.", argv[0]);
  app.add_option("file", file, "An artifact, or a tokenizer.json by a name that ends in .json")->required();
  app.add_flag("--decode", decode, "Read ids, write text");
  app.add_flag("--json", json, "Write {\"ids\":[...],\"tokens\":[...]}, or {\"text\":...}");
  app.add_flag("--lines", lines, "Every line of stdin is a text of its own");
  app.footer(
      std::string("Examples:\n"
                  "  echo \"What is 2 + 3?\" | elah tokenize r1.elah\n"
                  "  echo \"3085 344 223\" | elah tokenize tokenizer.json --decode\n"
                  "  elah tokenize r1.elah --lines --json < texts.txt\n"
                  "Text is taken as it is, a line feed at its end included; nothing is put before or behind it.\n\n") +
      exitStatusHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Handle<elah_artifact> artifact;
  elah_tokenizer *opened;
  elah_code code;
  if (file.size() >= 5 && file.compare(file.size() - 5, 5, ".json") == 0) {
    code = elah_tokenizer_open_file(file.c_str(), &opened);
  } else {
    elah_artifact *openedArtifact;
    code = elah_artifact_open(file.c_str(), &openedArtifact);
    if (!code) {
      artifact.reset(openedArtifact);
      code = elah_tokenizer_open(openedArtifact, &opened);
    }
  }
  if (code) {
    return reportError(code);
  }
  Handle<elah_tokenizer> tokenizer(opened);

  auto decoded = [&](const uint32_t *ids, size_t count) {
    const char *text;
    size_t size;
    elah_tokenizer_decode(tokenizer.get(), ids, count, true, &text, &size);
    return std::string(text, size);
  };
  auto handle = [&](const std::string &input) -> int {
    if (decode) {
      std::vector<uint32_t> ids;
      std::string cleaned = input;
      for (char &c : cleaned) {
        c = c == ',' || c == '[' || c == ']' ? ' ' : c;
      }
      std::istringstream words(cleaned);
      for (std::string word; words >> word;) {
        char *end;
        unsigned long value = std::strtoul(word.c_str(), &end, 10);
        if (word.find_first_not_of("0123456789") != std::string::npos || *end != '\0' || value > UINT32_MAX) {
          std::fprintf(stderr, "error: expected token ids, found '%s'\n", word.c_str());
          return 65;
        }
        ids.push_back(static_cast<uint32_t>(value));
      }
      std::string text = decoded(ids.data(), ids.size());
      if (json) {
        text = "{\"text\":" + jsonString(text) + "}";
      }
      std::fwrite(text.data(), 1, text.size(), stdout);
      if (json || lines) {
        std::fputc('\n', stdout);
      }
      return 0;
    }
    const uint32_t *ids;
    size_t count;
    if (elah_code failed = elah_tokenizer_encode(tokenizer.get(), input.data(), input.size(), &ids, &count)) {
      return reportError(failed);
    }
    std::vector<uint32_t> owned(ids, ids + count);
    std::string numbers, tokens;
    for (uint32_t id : owned) {
      numbers += (numbers.empty() ? "" : json ? "," : " ") + std::to_string(id);
      if (json) {
        tokens += (tokens.empty() ? "" : ",") + jsonString(decoded(&id, 1));
      }
    }
    if (json) {
      std::printf("{\"ids\":[%s],\"tokens\":[%s]}\n", numbers.c_str(), tokens.c_str());
    } else {
      std::printf("%s\n", numbers.c_str());
    }
    return 0;
  };
  if (lines) {
    for (std::string line; std::getline(std::cin, line);) {
      if (int status = handle(line)) {
        return status;
      }
    }
    return finishOutput(0);
  }
  std::string input((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  int status = handle(input);
  return status ? status : finishOutput(0);
}
