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

  /// bos, system texts, turns, and the opening of the assistant's next turn. Roles: system, user, assistant, tool (a
  /// tool's output, behind the assistant turn that called it).
  Result<std::string> render(std::span<const elah_message> messages) const;

private:
  std::string bos;
  bool opensWithThought = false; ///< The opening is "<think>\n", so that the answer begins with reasoning.
  bool dropsThought = false;     ///< Of past answers only what follows "</think>" is shown.
  bool joinsSystemTexts = false; ///< Else the last one counts.
  bool hasTools = false;
};

} // namespace elah

#endif
