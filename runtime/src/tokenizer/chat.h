#ifndef RUNTIME_SRC_TOKENIZER_CHAT_H
#define RUNTIME_SRC_TOKENIZER_CHAT_H

#include "src/status.h"
#include <span>
#include <string>
#include <string_view>

namespace elah {

/// The R1 family's conversation format, as tokenizer_config.json describes it.
class ChatFormat {
public:
  /// Recognizes the template; ELAH_UNSUPPORTED if it is none of the family's.
  static Result<ChatFormat> fromTokenizerConfig(std::string_view json);

  /// bos, system texts, turns, and the opening of the assistant's next turn.
  Result<std::string> render(std::span<const elah_message> messages) const;
  /// Whether the opening ends within the reasoning ("<think>\n"), so that what comes first is thought.
  bool opensThinking() const { return thinks; }

private:
  std::string bos;
  bool thinks = false;
};

/// What generation_config.json recommends; greedy where it says nothing.
Result<elah_sampling> samplingDefaults(std::string_view generationConfig);

} // namespace elah

#endif
