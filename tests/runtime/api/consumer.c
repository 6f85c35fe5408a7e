/* A program in C99 that uses the whole API: consumer ARTIFACT TOKENIZER_JSON. Prints what FileCheck compares. */
#include <elah/elah.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(elah_code code, const char *what) {
  if (code != ELAH_OK) {
    fprintf(stderr, "%s: %d: %s\n", what, (int)code, elah_last_error());
    exit(1);
  }
}

static bool on_token(void *user, uint32_t token, const char *text, size_t size, bool thinking) {
  (void)token;
  if (size > 0) {
    printf("%s'%.*s'\n", thinking ? "thought " : "answer ", (int)size, text);
  }
  ++*(int *)user;
  return true;
}

int main(int argc, char **argv) {
  elah_artifact *artifact = NULL;
  elah_tokenizer *tokenizer = NULL, *second = NULL;
  elah_session *session = NULL;
  elah_model_info info;
  elah_message message = {"user", "hi"};
  elah_session_options options = {0};
  elah_sampling sampling;
  elah_stop stop;
  elah_chunk chunk = {0};
  const uint32_t *ids = NULL;
  const float *logits = NULL;
  const char *text = NULL;
  char *description = NULL, *prompt = NULL;
  size_t count = 0, size = 0, rows = 0;
  uint32_t sequence = 99, length = 99, token = 99;
  int tokens = 0;
  if (argc != 3) {
    return 2;
  }
  printf("version %s\n", elah_version());

  printf("missing: %d\n", (int)elah_artifact_open("/none", &artifact));
  printf("error: %s, artifact %s\n", elah_last_error(), artifact ? "set" : "untouched");

  require(elah_artifact_open(argv[1], &artifact), "open");
  require(elah_artifact_verify(artifact), "verify");
  elah_artifact_info(artifact, &info);
  printf("%s: vocabulary %u, context %u, cache %llu bytes a token\n", info.architecture, (unsigned)info.vocabulary,
         (unsigned)info.max_context, (unsigned long long)info.cache_bytes_per_token);
  require(elah_artifact_describe(artifact, &description), "describe");
  printf("described: %s\n", strstr(description, "EchoForCausalLM") ? "yes" : "no");
  elah_string_free(description);

  require(elah_tokenizer_open(artifact, &tokenizer), "tokenizer");
  require(elah_tokenizer_open_file(argv[2], &second), "tokenizer file");
  require(elah_tokenizer_encode(second, "a\0b", 3, &ids, &count), "encode");
  printf("encoded: %u: %u %u %u\n", (unsigned)count, (unsigned)ids[0], (unsigned)ids[1], (unsigned)ids[2]);
  require(elah_tokenizer_decode(second, ids, count, true, &text, &size), "decode");
  printf("decoded: %u bytes, %s\n", (unsigned)size, memcmp(text, "a\0b", 4) == 0 ? "equal" : "different");
  elah_tokenizer_close(second);

  require(elah_chat_render(artifact, &message, 1, &prompt), "chat");
  printf("prompt: %s\n", prompt);
  options.threads = 2;
  require(elah_session_create(artifact, &options, &session), "session");
  require(elah_sequence_create(session, &sequence), "sequence");
  require(elah_tokenizer_encode(tokenizer, prompt, strlen(prompt), &ids, &count), "encode prompt");
  elah_sampling_defaults(artifact, &sampling);
  printf("defaults: temperature %.2f, top_p %.2f\n", (double)sampling.temperature, (double)sampling.top_p);
  sampling.temperature = 0;
  require(elah_generate(session, tokenizer, sequence, ids, count, 100, &sampling, on_token, &tokens, &stop),
          "generate");
  printf("stop %d after %d tokens\n", (int)stop, tokens);
  elah_string_free(prompt);
  require(elah_sequence_free(session, sequence), "free");

  require(elah_sequence_create(session, &sequence), "sequence again");
  token = 65;
  chunk.sequence = sequence;
  chunk.tokens = &token;
  chunk.count = 1;
  chunk.logits = ELAH_LOGITS_LAST;
  require(elah_session_step(session, &chunk, 1, &logits, &rows), "step");
  require(elah_sample(logits, info.vocabulary, &sampling, 0, &token), "sample");
  require(elah_sequence_length(session, sequence, &length), "length");
  printf("step: %u row, next token %u, length %u\n", (unsigned)rows, (unsigned)token, (unsigned)length);
  chunk.sequence = 7;
  printf("unknown sequence: %d", (int)elah_session_step(session, &chunk, 1, &logits, &rows));
  printf(" (%s)\n", elah_last_error());

  elah_session_free(session);
  elah_tokenizer_close(tokenizer);
  elah_artifact_close(artifact);
  elah_session_free(NULL);
  elah_tokenizer_close(NULL);
  elah_artifact_close(NULL);
  elah_string_free(NULL);
  return 0;
}
