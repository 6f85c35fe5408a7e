#ifndef RUNTIME_SRC_GENERATE_H
#define RUNTIME_SRC_GENERATE_H

#include "src/session.h"
#include "src/tokenizer/tokenizer.h"

namespace elah {

/// Feeds a prompt and generates; see elah_generate.
Status generate(Session &session, const Tokenizer &tokenizer, uint32_t sequence, std::span<const uint32_t> prompt,
                uint32_t maxTokens, const elah_sampling &sampling, elah_on_token onToken, void *user, elah_stop &stop);

} // namespace elah

#endif
