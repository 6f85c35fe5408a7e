// R1, V3 and the distills share one conversation format; they differ in whether the assistant's turn opens with
// "<think>\n". It is recognized by its markers in the template instead of running a template language: what is not
// recognized is refused, so that no model is ever asked in a wrong format.
#include "src/tokenizer/chat.h"
#include "src/tokenizer/json.h"

namespace elah {
namespace {

constexpr char userMark[] = "<｜User｜>";
constexpr char assistantMark[] = "<｜Assistant｜>";
constexpr char endOfTurn[] = "<｜end▁of▁sentence｜>";

std::string tokenText(const Json &token) {
  return token.is_object() ? stringOr(member(token, "content"), "") : stringOr(token, "");
}

} // namespace

Result<ChatFormat> ChatFormat::fromTokenizerConfig(std::string_view text) {
  Json config = parseJson(text);
  if (!config.is_object()) {
    return failure(ELAH_INVALID_DATA, "tokenizer_config.json: expected a JSON object");
  }
  std::string chatTemplate = stringOr(member(config, "chat_template"), "");
  if (chatTemplate.empty()) {
    return failure(ELAH_UNSUPPORTED, "tokenizer_config.json has no chat_template");
  }
  auto has = [&](const char *part) { return chatTemplate.find(part) != std::string::npos; };
  if (!has(userMark) || !has(assistantMark) || !has(endOfTurn)) {
    return failure(ELAH_UNSUPPORTED, "tokenizer_config.json: the chat_template is not of the DeepSeek-R1 family");
  }
  ChatFormat format;
  format.bos = tokenText(member(config, "bos_token"));
  format.thinks = has("<｜Assistant｜><think>\\n") || has("<｜Assistant｜><think>\n");
  return format;
}

Result<std::string> ChatFormat::render(std::span<const elah_message> messages) const {
  std::string text = bos, system;
  for (const elah_message &message : messages) {
    if (std::string_view(message.role) == "system") {
      system += (system.empty() ? "" : "\n\n") + std::string(message.content);
    }
  }
  text += system;
  for (const elah_message &message : messages) {
    std::string_view role = message.role;
    std::string content = message.content;
    if (role == "user") {
      text += userMark + content;
    } else if (role == "assistant") {
      size_t end = content.rfind("</think>"); // Past reasoning is not repeated to the model.
      text += assistantMark + (end == std::string::npos ? content : content.substr(end + 8)) + endOfTurn;
    } else if (role != "system") {
      return failure(ELAH_INVALID_ARGUMENT, "expected the role system, user or assistant, found '%s'", message.role);
    }
  }
  text += assistantMark;
  if (thinks) {
    text += "<think>\n";
  }
  return text;
}

Result<elah_sampling> samplingDefaults(std::string_view generationConfig) {
  elah_sampling sampling = {0, 1, 0, 0};
  if (generationConfig.empty()) {
    return sampling;
  }
  Json config = parseJson(generationConfig);
  if (!config.is_object()) {
    return failure(ELAH_INVALID_DATA, "generation_config.json: expected a JSON object");
  }
  if (!booleanOr(member(config, "do_sample"), false)) {
    return sampling;
  }
  auto number = [&](const char *key, double fallback) {
    const Json &value = member(config, key);
    return value.is_number() ? value.get<double>() : fallback;
  };
  sampling.temperature = static_cast<float>(number("temperature", 1));
  sampling.top_p = static_cast<float>(number("top_p", 1));
  double topK = number("top_k", 0);
  sampling.top_k = topK >= 1 && topK < 1e9 ? static_cast<uint32_t>(topK) : 0;
  return sampling;
}

} // namespace elah
