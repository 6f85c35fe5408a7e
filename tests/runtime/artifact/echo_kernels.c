/* The kernels of the echo model: what a CPU object is made of, in C. The model thinks "hm" and then answers with the
 * question; every logit depends on every token before it, read through the page table, so that a wrong page, position
 * or sequence shows in all of them. echo_model.h computes the same from the tokens alone. */
#include <elah/cpu_kernel.h>

enum { VOCABULARY = 262, EOS = 257, END_THINK = 259, USER = 260, ASSISTANT = 261, PAGE_TOKENS = 4 };

/* (token_ids, cache_rows) -> cache. A block is one token. */
void echo_remember(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  const int32_t *tokens = buffers[0], *rows = buffers[1];
  int32_t *cache = buffers[2];
  for (int64_t i = begin; i < end; ++i) {
    cache[rows[i]] = tokens[i];
  }
}

/* (token_sequence, positions, sequence_starts, context_lengths, page_table, logit_tokens, cache) -> rows of {next
 * token, hash of all tokens so far}. A block is two rows. */
void echo_think(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  const int32_t *sequence = buffers[0], *positions = buffers[1], *starts = buffers[2], *lengths = buffers[3],
                *pages = buffers[4], *wanted = buffers[5], *cache = buffers[6];
  uint32_t *out = buffers[7];
  int32_t *history = scratch; /* max_context tokens */
  for (int64_t row = 2 * begin; row < 2 * end && row < dims[ELAH_DIM_LOGIT_ROWS]; ++row) {
    int32_t token = wanted[row], s = sequence[token], position = positions[token];
    uint32_t hash = 1;
    int32_t user = -1, assistant = -1;
    if (token < starts[s] || token >= starts[s + 1] || position >= lengths[s]) {
      hash = 0; /* inputs that contradict each other */
    }
    for (int32_t p = 0; p <= position; ++p) {
      int32_t page = pages[s * dims[ELAH_DIM_PAGES_PER_SEQUENCE] + p / PAGE_TOKENS];
      history[p] = cache[page * PAGE_TOKENS + p % PAGE_TOKENS];
      hash = hash * 31 + (uint32_t)history[p];
      user = history[p] == USER ? p : user;
      assistant = history[p] == ASSISTANT ? p : assistant;
    }
    uint32_t next = (uint32_t)(history[position] + 1) % 256;
    if (assistant >= 0 && user >= 0 && user < assistant) {
      int32_t said = position - (assistant + 2); /* the turn opens with <think> and a line feed */
      int32_t asked = assistant - user - 1;
      next = said < 0           ? 'x'
             : said == 0        ? 'h'
             : said == 1        ? 'm'
             : said == 2        ? END_THINK
             : said - 3 < asked ? (uint32_t)history[user + 1 + said - 3]
                                : EOS;
    }
    out[2 * row] = next;
    out[2 * row + 1] = hash;
  }
}

/* (rows of {next, hash}, bias) -> logits. A block is one row. */
void echo_speak(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  const uint32_t *thoughts = buffers[0];
  const float *bias = buffers[1];
  float *logits = buffers[2];
  for (int64_t row = begin; row < end; ++row) {
    for (uint32_t v = 0; v < VOCABULARY; ++v) {
      uint32_t noise = thoughts[2 * row + 1] * (v + 1) >> 8 & 0xff;
      logits[row * VOCABULARY + v] = bias[v] + (v == thoughts[2 * row] ? 8.0f : (float)noise / 64.0f);
    }
  }
}
