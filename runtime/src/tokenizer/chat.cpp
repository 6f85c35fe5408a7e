// R1, V3 and the distills share one conversation format; they differ in few points, and those show in the template's
// text. It is recognized by its parts instead of running a template language: what is not recognized is refused, so
// that no model is ever asked in a wrong format.
#include "src/tokenizer/chat.h"
#include "src/json.h"

namespace elah {
namespace {

constexpr char userMark[] = "<｜User｜>";
constexpr char assistantMark[] = "<｜Assistant｜>";
constexpr char endOfTurn[] = "<｜end▁of▁sentence｜>";
constexpr char endOfThought[] = "</think>";
constexpr char toolOutputsBegin[] = "<｜tool▁outputs▁begin｜>";
constexpr char toolOutputsEnd[] = "<｜tool▁outputs▁end｜>";
constexpr char toolOutputBegin[] = "<｜tool▁output▁begin｜>";
constexpr char toolOutputEnd[] = "<｜tool▁output▁end｜>";

/// The template, or the one called "default" of a list of them.
std::string_view templateText(JsonValue value) {
  for (JsonValue entry : value) {
    if (entry.member("name").string() == "default") {
      return entry.member("template").string();
    }
  }
  return value.string();
}

} // namespace

Result<ChatFormat> ChatFormat::fromTokenizerConfig(std::string_view text) {
  Result<JsonDocument> config = JsonDocument::parse(std::string(text));
  if (!config.ok()) {
    return Status(config.status().code(), "tokenizer_config.json: " + config.status().message());
  }
  if (!config->root().isObject()) {
    return failure(ELAH_INVALID_DATA, "tokenizer_config.json: expected a JSON object");
  }
  std::string_view chatTemplate = templateText(config->root().member("chat_template"));
  if (chatTemplate.empty()) {
    return failure(ELAH_UNSUPPORTED, "tokenizer_config.json has no chat_template");
  }
  auto has = [&](const char *part) { return chatTemplate.find(part) != std::string_view::npos; };
  // Later models switch thinking by a variable and close it in the prompt; their prompts are others.
  if (!has(userMark) || !has(assistantMark) || !has(endOfTurn) || has("not thinking") || has("enable_thinking")) {
    return failure(ELAH_UNSUPPORTED, "tokenizer_config.json: the chat_template is not of the DeepSeek-R1 family");
  }
  ChatFormat format;
  JsonValue bos = config->root().member("bos_token"); // A string, or an added token.
  format.bos = bos.isObject() ? bos.member("content").string() : bos.string();
  format.opensWithThought = has("<｜Assistant｜><think>\\n") || has("<｜Assistant｜><think>\n");
  format.dropsThought = has(endOfThought);
  format.joinsSystemTexts = has("is_first_sp");
  format.hasTools = has(toolOutputsBegin);
  return format;
}

Result<std::string> ChatFormat::render(std::span<const elah_message> messages) const {
  std::string system;
  bool isFirst = true;
  for (const elah_message &message : messages) {
    if (std::string_view(message.role) == "system") {
      system = joinsSystemTexts && !isFirst ? system + "\n\n" + message.content : message.content;
      isFirst = false;
    }
  }
  std::string text = bos + system;
  bool isTool = false, isFirstOutput = true;
  for (const elah_message &message : messages) {
    std::string_view role = message.role, content = message.content;
    if (role == "user") {
      isTool = false;
      text.append(userMark).append(content);
    } else if (role == "assistant" && isTool) {
      isTool = false;
      text.append(toolOutputsEnd).append(content).append(endOfTurn);
    } else if (role == "assistant") {
      size_t end = dropsThought ? content.rfind(endOfThought) : std::string_view::npos;
      if (end != std::string_view::npos) {
        content.remove_prefix(end + sizeof(endOfThought) - 1); // Past reasoning is not repeated to the model.
      }
      text.append(assistantMark).append(content).append(endOfTurn);
    } else if (role == "tool" && hasTools) {
      isTool = true;
      text.append(isFirstOutput ? toolOutputsBegin : "\n").append(toolOutputBegin).append(content);
      text.append(toolOutputEnd);
      isFirstOutput = false;
    } else if (role != "system") {
      return failure(ELAH_INVALID_ARGUMENT, "expected the role system, user%s or assistant, found '%.40s'",
                     hasTools ? ", tool" : "", message.role);
    }
  }
  if (isTool) { // The model goes on in the turn that called the tool.
    return text + toolOutputsEnd;
  }
  return text + assistantMark + (opensWithThought ? "<think>\n" : "");
}

} // namespace elah
