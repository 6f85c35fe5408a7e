// The loop that a user sees: prompt in chunks, then token by token, text as it becomes complete, thought apart from
// answer.
#include "src/generate.h"
#include "src/sampling.h"
#include <algorithm>

namespace elah {

Status generate(Session &session, const Tokenizer &tokenizer, uint32_t sequence, std::span<const uint32_t> prompt,
                uint32_t maxTokens, const elah_sampling &sampling, elah_on_token onToken, void *user, elah_stop &stop) {
  const proto::Manifest &manifest = session.artifact().manifest();
  Result<uint32_t> length = session.lengthOf(sequence);
  if (!length.ok()) {
    return length.status();
  }
  if (prompt.empty()) {
    return failure(ELAH_INVALID_ARGUMENT, "the prompt has no tokens");
  }
  if (*length + prompt.size() >= manifest.limits().max_context()) {
    return failure(ELAH_OUT_OF_RANGE,
                   "the prompt of %zu tokens leaves no room for an answer: the sequence has %u, "
                   "the artifact was "
                   "compiled for a context of %u",
                   prompt.size(), *length, manifest.limits().max_context());
  }
  for (size_t done = 0; done < prompt.size();) {
    size_t count = std::min<size_t>(manifest.limits().max_tokens(), prompt.size() - done);
    elah_logits logits = done + count == prompt.size() ? ELAH_LOGITS_LAST : ELAH_LOGITS_NONE;
    elah_chunk chunk = {sequence, prompt.data() + done, count, logits};
    ELAH_RETURN_IF_ERROR(session.step({&chunk, 1}));
    done += count;
  }

  uint32_t think = 0, endThink = 0;
  bool knowsThink = tokenizer.find("<think>", think) && tokenizer.find("</think>", endThink);
  bool thinking = false;
  for (uint32_t token : prompt) {
    thinking = knowsThink && (token == think || (thinking && token != endThink));
  }
  Detokenizer detokenizer(tokenizer, /*keepSpecial=*/false);
  stop = ELAH_STOP_LENGTH;
  uint32_t room = manifest.limits().max_context() - *session.lengthOf(sequence);
  for (uint32_t step = 0; step < std::min(maxTokens, room); ++step) {
    Result<uint32_t> token = sample({session.logits(), manifest.vocabulary()}, sampling, step);
    if (!token.ok()) {
      return token.status();
    }
    bool isEnd =
        std::find(manifest.eos_tokens().begin(), manifest.eos_tokens().end(), *token) != manifest.eos_tokens().end();
    std::string text;
    bool isMark = knowsThink && (*token == think || *token == endThink);
    bool wasThinking = thinking;
    if (isEnd) {
      text = detokenizer.finish();
      stop = ELAH_STOP_EOS;
    } else if (isMark) {
      text = detokenizer.finish();
      thinking = *token == think;
    } else {
      text = detokenizer.add(*token);
    }
    if (!onToken(user, *token, text.data(), text.size(), isMark ? wasThinking : thinking)) {
      stop = ELAH_STOP_CANCELLED;
      return Status();
    }
    if (isEnd) {
      return Status();
    }
    if (step + 1 < std::min(maxTokens, room)) {
      elah_chunk chunk = {sequence, &*token, 1, ELAH_LOGITS_LAST};
      ELAH_RETURN_IF_ERROR(session.step({&chunk, 1}));
    }
  }
  return Status();
}

} // namespace elah
