// `elah run`: asks a model. Prompts come from the command line, a file or a conversation; the answer streams to stdout,
// thought apart from answer.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/json_string.h"
#include "commands/npy.h"
#include "commands/run_graph.h"
#include "commands/signals.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <unistd.h>
#include <vector>

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct RunOptions {
  std::string file, device, modelFolder, prompt, promptsFile, system, thinking = "dim", tokens, logitsFile;
  bool chat = false, raw = false, greedy = false, json = false, preload = false, noPreload = false;
  uint32_t maxTokens = 0, threads = 0, chunk = 0;
  uint64_t seed = 0;
  float temperature = -1, topP = -1;
  int64_t topK = -1;
};

/// What one answer is made of, as it arrives.
struct Answer {
  bool streams, showsThinking, dims;
  std::vector<uint32_t> tokens;
  std::string reasoning, text;
  double firstToken = 0;
  bool isShowingThought = false;
  char lastShown = '\0';

  /// Streams a part. Thought stands apart: dim where it can be, else between its tags.
  void show(std::string_view part, bool thinking) {
    if (thinking && !showsThinking) {
      return;
    }
    if (thinking != isShowingThought || !lastShown) { // Blank lines at a beginning are the format's, not the answer's.
      part.remove_prefix(std::min(part.find_first_not_of("\r\n"), part.size()));
    }
    if (part.empty()) {
      return;
    }
    if (thinking != isShowingThought) {
      thinking ? beginThought() : endThought();
    }
    lastShown = part.back();
    std::fwrite(part.data(), 1, part.size(), stdout);
    std::fflush(stdout);
  }

  void beginThought() {
    isShowingThought = true;
    std::fputs(dims ? "\033[2m" : "<think>\n", stdout);
  }

  void endThought() {
    isShowingThought = false;
    std::fputs(lastShown == '\n' ? "" : "\n", stdout);
    std::fputs(dims ? "\033[0m\n" : "</think>\n", stdout);
  }
};

bool onToken(void *user, uint32_t token, const char *text, size_t size, bool thinking) {
  Answer &answer = *static_cast<Answer *>(user);
  if (answer.tokens.empty()) {
    answer.firstToken = now();
  }
  answer.tokens.push_back(token);
  (thinking ? answer.reasoning : answer.text).append(text, size);
  if (answer.streams) {
    answer.show({text, size}, thinking);
  }
  return interruption() == 0;
}

std::string stripped(const std::string &text) {
  size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

class Runner {
public:
  explicit Runner(const RunOptions &options) : options(options) {}

  int open() {
    if (int status = openArtifact(options.file, artifact)) {
      return status;
    }
    elah_artifact_info(artifact.get(), &info);
    elah_session_options sessionOptions = {
        options.threads, 0, options.modelFolder.empty() ? nullptr : options.modelFolder.c_str(),
        weightsPlace(options.preload, options.noPreload), options.device.empty() ? nullptr : options.device.c_str()};
    elah_session *createdSession;
    if (elah_code code = elah_session_create(artifact.get(), &sessionOptions, &createdSession)) {
      return reportError(code);
    }
    session.reset(createdSession);
    elah_sampling_defaults(artifact.get(), &sampling);
    if (options.greedy) {
      sampling = {0, 1, 0, 0};
    }
    if (options.temperature >= 0) {
      sampling.temperature = options.temperature;
    }
    if (options.topP >= 0) {
      sampling.top_p = options.topP;
    }
    if (options.topK >= 0) {
      sampling.top_k = static_cast<uint32_t>(options.topK);
    }
    sampling.seed = options.seed;
    return 0;
  }

  bool holdsGraph() const { return isPlainGraph(artifact.get()); }
  int runGraph(const GraphRunOptions &graphOptions) { return ::runGraph(artifact.get(), session.get(), graphOptions); }

  int openTokenizer() {
    elah_tokenizer *opened;
    if (elah_code code = elah_tokenizer_open(artifact.get(), &opened)) {
      return reportError(code);
    }
    tokenizer.reset(opened);
    return 0;
  }

  /// Answers one prompt on a sequence of its own.
  int answerPrompt(const std::string &prompt) {
    std::vector<elah_message> messages;
    if (!options.system.empty()) {
      messages.push_back({"system", options.system.c_str()});
    }
    messages.push_back({"user", prompt.c_str()});
    Answer answer = makeAnswer();
    elah_stop stop;
    if (int status = generate(messages, prompt, answer, stop)) {
      return status;
    }
    if (options.json) {
      printJson(prompt, answer, stop);
    } else {
      finishShown(answer);
    }
    return stop == ELAH_STOP_CANCELLED ? interruption() : 0;
  }

  int converse() {
    std::vector<std::pair<std::string, std::string>> history;
    bool isTerminal = isatty(STDIN_FILENO);
    while (true) {
      if (isTerminal) {
        std::fputs("> ", stderr);
      }
      std::string line;
      if (!std::getline(std::cin, line)) {
        return interruption();
      }
      if (line.empty()) {
        continue;
      }
      history.emplace_back("user", line);
      std::vector<elah_message> messages;
      if (!options.system.empty()) {
        messages.push_back({"system", options.system.c_str()});
      }
      for (const auto &[role, content] : history) {
        messages.push_back({role.c_str(), content.c_str()});
      }
      Answer answer = makeAnswer();
      elah_stop stop;
      if (int status = generate(messages, line, answer, stop)) {
        return status;
      }
      if (options.json) {
        printJson(line, answer, stop);
      } else {
        finishShown(answer);
      }
      if (stop == ELAH_STOP_CANCELLED) {
        return interruption();
      }
      history.emplace_back("assistant", stripped(answer.text));
    }
  }

  /// Runs given tokens and writes the logits of all of them: [tokens, vocabulary] f32 as .npy.
  int writeLogits() {
    std::vector<uint32_t> tokens;
    std::istringstream list(options.tokens);
    for (std::string part; std::getline(list, part, ',');) {
      char *end;
      unsigned long value = std::strtoul(part.c_str(), &end, 10);
      if (part.find_first_not_of("0123456789") != std::string::npos || part.empty() || *end || value > UINT32_MAX) {
        std::fprintf(stderr, "error: --tokens: expected numbers with commas between, found '%s'\n", part.c_str());
        return 2;
      }
      tokens.push_back(static_cast<uint32_t>(value));
    }
    uint32_t sequence;
    if (elah_code code = elah_sequence_create(session.get(), &sequence)) {
      return reportError(code);
    }
    std::vector<float> logits;
    size_t chunk = options.chunk ? options.chunk : info.max_logit_rows;
    for (size_t done = 0; done < tokens.size();) {
      size_t count = std::min(chunk, tokens.size() - done);
      elah_chunk part = {sequence, tokens.data() + done, count, ELAH_LOGITS_ALL};
      const float *rows;
      size_t rowCount;
      if (elah_code code = elah_session_step(session.get(), &part, 1, &rows, &rowCount)) {
        return reportError(code);
      }
      logits.insert(logits.end(), rows, rows + rowCount * info.vocabulary);
      done += count;
    }
    int64_t dims[] = {static_cast<int64_t>(tokens.size()), info.vocabulary};
    return writeNpy(options.logitsFile, {"logits", ELAH_F32, 2, dims, logits.data()});
  }

private:
  Answer makeAnswer() const {
    bool isTerminal = isatty(STDOUT_FILENO);
    return {!options.json, options.thinking != "no", options.thinking == "dim" && isTerminal, {}, "", ""};
  }

  int generate(const std::vector<elah_message> &messages, const std::string &plain, Answer &answer, elah_stop &stop) {
    std::string text = plain;
    if (!options.raw) {
      char *rendered;
      if (elah_code code = elah_chat_render(artifact.get(), messages.data(), messages.size(), &rendered)) {
        if (code == ELAH_UNSUPPORTED) {
          std::fprintf(stderr, "note: --raw gives the model the prompt as it is\n");
        }
        return reportError(code);
      }
      text = Handle<char>(rendered).get();
    }
    const uint32_t *ids;
    size_t count;
    if (elah_code code = elah_tokenizer_encode(tokenizer.get(), text.data(), text.size(), &ids, &count)) {
      return reportError(code);
    }
    uint32_t sequence;
    if (elah_code code = elah_sequence_create(session.get(), &sequence)) {
      return reportError(code);
    }
    uint32_t maxTokens = options.maxTokens ? options.maxTokens : info.max_context;
    double start = now();
    elah_code code = elah_generate(session.get(), tokenizer.get(), sequence, ids, count, maxTokens, &sampling, onToken,
                                   &answer, &stop);
    double end = now();
    elah_sequence_free(session.get(), sequence);
    if (code) {
      return reportError(code);
    }
    if (!options.json && options.promptsFile.empty() && answer.tokens.size() > 1) {
      statistics = {count, answer.tokens.size(), answer.firstToken - start, end - answer.firstToken};
    }
    return 0;
  }

  void finishShown(Answer &answer) {
    if (answer.isShowingThought) {
      answer.endThought();
    } else if (answer.lastShown && answer.lastShown != '\n') {
      std::fputs("\n", stdout);
    }
    std::fflush(stdout);
    if (statistics.generated > 1) {
      std::fprintf(stderr, "[prompt: %zu tokens in %.0f ms; answer: %zu tokens, %.1f tokens/s]\n", statistics.prompt,
                   statistics.promptSeconds * 1e3, statistics.generated,
                   static_cast<double>(statistics.generated - 1) / statistics.answerSeconds);
    }
  }

  void printJson(const std::string &prompt, const Answer &answer, elah_stop stop) {
    std::string ids;
    for (uint32_t id : answer.tokens) {
      ids += (ids.empty() ? "" : ",") + std::to_string(id);
    }
    const char *text;
    size_t size;
    elah_tokenizer_decode(tokenizer.get(), answer.tokens.data(), answer.tokens.size(), false, &text, &size);
    static const char *const stops[] = {"eos", "length", "cancelled"};
    std::printf("{\"prompt\":%s,\"text\":%s,\"reasoning\":%s,\"answer\":%s,\"tokens\":[%s],\"stop\":\"%s\"}\n",
                jsonString(prompt).c_str(), jsonString({text, size}).c_str(),
                jsonString(stripped(answer.reasoning)).c_str(), jsonString(stripped(answer.text)).c_str(), ids.c_str(),
                stops[stop]);
    std::fflush(stdout);
  }

  const RunOptions &options;
  Handle<elah_artifact> artifact;
  Handle<elah_session> session;
  Handle<elah_tokenizer> tokenizer;
  elah_model_info info;
  elah_sampling sampling;
  struct {
    size_t prompt, generated;
    double promptSeconds, answerSeconds;
  } statistics = {0, 0, 0, 0};
};

} // namespace

int elahRunCommand(int argc, char **argv) {
  RunOptions options;
  CLI::App app("Asks a model: the answer streams to stdout, thought before it.", argv[0]);
  app.add_option("file", options.file, "The artifact, or a program made with --emit exe")->required();
  auto *prompt = app.add_option("--prompt", options.prompt, "One question");
  auto *prompts = app.add_option("--prompts-file", options.promptsFile, "A file with one question a line");
  auto *chat = app.add_flag("--chat", options.chat, "A conversation: questions from stdin, line by line");
  app.add_option("--system", options.system, "The system prompt");
  app.add_flag("--raw", options.raw, "Give the model the prompt as it is, without the chat format")->excludes(chat);
  app.add_option("--max-tokens", options.maxTokens, "Tokens to generate at most (default: what the context holds)");
  auto *greedy = app.add_flag("--greedy", options.greedy, "Always take the most likely token");
  app.add_option("--temperature", options.temperature, "0 is greedy (default: as the model recommends)")
      ->check(CLI::Range(0.0, 100.0))
      ->excludes(greedy);
  app.add_option("--top-p", options.topP, "Sample from the most likely tokens that together have this probability")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--top-k", options.topK, "Sample from this many most likely tokens; 0: all")
      ->check(CLI::Range(0u, UINT32_MAX));
  app.add_option("--seed", options.seed, "Repeats a sampled run (default 0)");
  app.add_option("--device", options.device, deviceOptionHelp);
  app.add_option("--threads", options.threads, "Threads to compute with (default: all processors)");
  app.add_flag("--json", options.json, "One JSON object a prompt: prompt, text, reasoning, answer, tokens, stop");
  app.add_option("--show-thinking", options.thinking, "Show the reasoning: dim (default; on a terminal), yes or no")
      ->check(CLI::IsMember({"yes", "no", "dim"}));
  auto *preloads = app.add_flag("--preload", options.preload, preloadOptionHelp);
  app.add_flag("--no-preload", options.noPreload, noPreloadOptionHelp)->excludes(preloads);
  app.add_option("--model-folder", options.modelFolder,
                 "Of an artifact made with --weights reference: where the model's shards are now");
  auto *tokens = app.add_option("--tokens", options.tokens, "Token ids with commas between instead of a prompt");
  auto *logits =
      app.add_option("--logits", options.logitsFile,
                     "With --tokens: write the logits of all of them, [tokens, vocabulary] f32, to this .npy file");
  app.add_option("--chunk", options.chunk, "With --tokens: tokens of a step (default: as many as one takes)");
  tokens->needs(logits);
  logits->needs(tokens);
  GraphRunOptions graph;
  auto *inputs =
      app.add_option("--input", graph.inputs, "Of a plain graph: an input as NAME=FILE.npy; once for each of them")
          ->allow_extra_args(false);
  auto *outputs = app.add_option(
      "--output-dir", graph.outputFolder,
      "Of a plain graph: the folder for its outputs, NAME.npy each (default: only their shapes, on stdout)");
  app.footer(std::string("Examples:\n"
                         "  elah run r1.elah --prompt \"What is 347 + 589?\"\n"
                         "  elah run r1.elah --chat --show-thinking no\n"
                         "  elah run r1.elah --prompts-file questions.txt --greedy --json > answers.jsonl\n"
                         "  elah run graph.elah --input x=x.npy --input mask=mask.npy --output-dir out/\n\n") +
             exitStatusHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  size_t asked = prompt->count() + prompts->count() + chat->count() + tokens->count();
  bool namesTensors = inputs->count() > 0 || outputs->count() > 0;
  if (asked > 1 || (asked == 1 && namesTensors)) {
    std::fprintf(stderr, "error: expected one of --prompt, --prompts-file, --chat, or --tokens with --logits; or, of a "
                         "plain graph, --input\n");
    return 2;
  }
  catchSignals();
  Runner runner(options);
  if (int status = runner.open()) {
    return status;
  }
  if (runner.holdsGraph()) {
    if (asked != 0) {
      std::fprintf(stderr,
                   "error: the artifact holds a plain graph, which takes tensors (--input NAME=FILE.npy), no text\n");
      return 2;
    }
    graph.json = options.json;
    return runner.runGraph(graph);
  }
  if (asked == 0) {
    std::fprintf(stderr, "error: expected one of --prompt, --prompts-file, --chat, or --tokens with --logits%s\n",
                 namesTensors ? "; the artifact holds a language model, which takes no --input" : "");
    return 2;
  }
  if (tokens->count()) {
    return runner.writeLogits();
  }
  if (int status = runner.openTokenizer()) {
    return status;
  }
  if (options.chat) {
    return finishOutput(runner.converse());
  }
  if (prompt->count()) {
    return finishOutput(runner.answerPrompt(options.prompt));
  }
  std::ifstream file(options.promptsFile);
  if (!file) {
    std::fprintf(stderr, "error: %s: cannot open: %s\n", options.promptsFile.c_str(), std::strerror(errno));
    return 66;
  }
  for (std::string line; std::getline(file, line);) {
    if (int status = line.empty() ? 0 : runner.answerPrompt(line)) {
      return status;
    }
  }
  return finishOutput(0);
}
