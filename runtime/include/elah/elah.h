/* Elah's runtime: opens an artifact, runs its model, turns text to tokens and back.
 *
 * Errors.     Every function that can fail returns an elah_code, ELAH_OK (0) on success. elah_last_error() then gives
 * one sentence about the last failure on the calling thread. Outputs are written on success only. Ownership.  What a
 * function returns through `T **out` belongs to the caller, who ends it with the function that its comment names. An
 * artifact must outlive its sessions. `const` results stay owned by the handle they come from and are valid until its
 * next call or its end, whichever is first. Strings.    UTF-8. Inputs are taken with their length and may hold NULs;
 * outputs are NUL-terminated. Threads.    An artifact may be used by many threads at once. A tokenizer, and a session
 * with its sequences, may each be used by one thread at a time; a session runs threads of its own. Trust.      An
 * artifact holds native code, which a session runs: trust it as you would trust a program. Everything else in a file
 * may be hostile and gets an error. A file that is cut off or written to while its artifact is open is noticed at the
 * next step (ELAH_IO); cut off within a step it ends the process (SIGBUS), so replace files by renaming, which is
 * always safe. */
#ifndef ELAH_ELAH_H
#define ELAH_ELAH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ELAH_API __attribute__((visibility("default")))
#else
#define ELAH_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum elah_code {
  ELAH_OK = 0,
  ELAH_INVALID_ARGUMENT = 1, /* the caller's arguments make no sense */
  ELAH_INVALID_DATA = 2,     /* a file breaks its format's rules, or its checksums */
  ELAH_NOT_FOUND = 3,        /* a file or a section is not there */
  ELAH_UNSUPPORTED = 4,      /* this machine or this version cannot do it */
  ELAH_OUT_OF_RANGE = 5,     /* beyond a limit that the artifact was compiled with */
  ELAH_OUT_OF_MEMORY = 6,    /* no memory, or no free page in the KV cache */
  ELAH_IO = 7,               /* the system could not read or write */
  ELAH_CANCELLED = 8,        /* a callback asked to stop */
  ELAH_INTERNAL = 9          /* a fault of this library */
} elah_code;

/* One sentence about the last failure on this thread. */
ELAH_API const char *elah_last_error(void);
/* This library's version, "0.1.0". */
ELAH_API const char *elah_version(void);

/*--- Artifacts ---------------------------------------------------------------------------------------------------*/

typedef struct elah_artifact elah_artifact;

typedef struct elah_model_info {
  const char *architecture; /* "DeepseekV3ForCausalLM" */
  const char *cpu;          /* the processor it was compiled for; of an artifact for GPUs, the GPU */
  uint32_t vocabulary;      /* logits of a token */
  uint32_t max_context;     /* tokens of a sequence */
  uint32_t max_sequences;   /* sequences of a step */
  uint32_t max_tokens;      /* tokens of a step */
  uint32_t max_logit_rows;  /* tokens of a step that may ask for logits */
  uint64_t parameters;
  uint64_t active_weight_bytes; /* read for one token of one sequence */
  uint64_t flops_per_token;
  uint64_t cache_bytes_per_token;
  bool computes_in_bf16; /* else in f32 */
  bool is_for_gpus;
} elah_model_info;

/* Opens the artifact at `path`, or the one behind a self-contained program. Header, manifest and all sections but the
 * weights are verified. End with elah_artifact_close. */
ELAH_API elah_code elah_artifact_open(const char *path, elah_artifact **out);
ELAH_API void elah_artifact_close(elah_artifact *artifact);
/* Verifies every byte, the weights included. */
ELAH_API elah_code elah_artifact_verify(const elah_artifact *artifact);
ELAH_API void elah_artifact_info(const elah_artifact *artifact, elah_model_info *out);
/* Everything that the artifact says about itself, as JSON. End with elah_string_free. */
ELAH_API elah_code elah_artifact_describe(const elah_artifact *artifact, char **out);
ELAH_API void elah_string_free(char *string);

/* A plain graph takes and gives named tensors; anything else is a language model. */
typedef enum elah_element_type {
  ELAH_F32 = 1,
  ELAH_F64 = 2,
  ELAH_F16 = 3,
  ELAH_BF16 = 4,
  ELAH_F8E4M3 = 5,
  ELAH_BOOL = 6, /* a byte, 0 or 1 */
  ELAH_I8 = 7,
  ELAH_I16 = 8,
  ELAH_I32 = 9,
  ELAH_I64 = 10,
  ELAH_U8 = 11,
  ELAH_U16 = 12,
  ELAH_U32 = 13,
  ELAH_U64 = 14
} elah_element_type;

/* Bytes of an element; 0 for a type that there is not. */
ELAH_API size_t elah_element_bytes(elah_element_type type);
/* "f32"; NULL for a type that there is not. */
ELAH_API const char *elah_element_name(elah_element_type type);

/* A tensor of a plain graph: a promise of the artifact's, with -1 for sizes that are known when it runs and `data`
 * NULL; or one that has data, row-major. */
typedef struct elah_tensor {
  const char *name;
  elah_element_type type;
  size_t rank;
  const int64_t *dims;
  const void *data;
} elah_tensor;

/* The inputs or the outputs of a plain graph, owned by the artifact; ELAH_UNSUPPORTED for a language model. */
ELAH_API elah_code elah_artifact_inputs(const elah_artifact *artifact, const elah_tensor **tensors, size_t *count);
ELAH_API elah_code elah_artifact_outputs(const elah_artifact *artifact, const elah_tensor **tensors, size_t *count);

/*--- Text --------------------------------------------------------------------------------------------------------*/

typedef struct elah_tokenizer elah_tokenizer;

/* The artifact's tokenizer, or that of a tokenizer.json. End with elah_tokenizer_close. */
ELAH_API elah_code elah_tokenizer_open(const elah_artifact *artifact, elah_tokenizer **out);
ELAH_API elah_code elah_tokenizer_open_file(const char *path, elah_tokenizer **out);
ELAH_API void elah_tokenizer_close(elah_tokenizer *tokenizer);
/* Text to token ids. Added tokens in the text (<think>) become their ids; nothing is put before or behind. Broken UTF-8
 * is read as U+FFFD. */
ELAH_API elah_code elah_tokenizer_encode(elah_tokenizer *tokenizer, const char *text, size_t size, const uint32_t **ids,
                                         size_t *count);
/* Token ids to text; special tokens are left out unless `keep_special`. */
ELAH_API elah_code elah_tokenizer_decode(elah_tokenizer *tokenizer, const uint32_t *ids, size_t count,
                                         bool keep_special, const char **text, size_t *size);

typedef struct elah_message {
  const char *role; /* "system", "user", "assistant", or "tool" (the output of a tool that the assistant called) */
  const char *content;
} elah_message;

/* The text of a conversation in the model's own format, ready for elah_tokenizer_encode, with the opening of the
 * assistant's next turn. ELAH_UNSUPPORTED if the artifact has no chat template, or one that is not of R1's family. */
ELAH_API elah_code elah_chat_render(const elah_artifact *artifact, const elah_message *messages, size_t count,
                                    char **out);

/*--- Sessions ----------------------------------------------------------------------------------------------------*/

typedef struct elah_session elah_session;

/* Where a session on the CPU reads the weights that an artifact has inside. Decode steps are up to a sixth faster from
 * large pages of memory than from a file that the system maps in small pages; a copy takes seconds, and memory that is
 * the process's own. Sessions of an artifact share one. */
typedef enum elah_weights_place {
  ELAH_WEIGHTS_AUTO = 0,            /* copied meanwhile, if they are large and fit half of the memory that is free */
  ELAH_WEIGHTS_MAPPED = 1,          /* from the artifact's file */
  ELAH_WEIGHTS_COPIED = 2,          /* from a copy: a wait at the start */
  ELAH_WEIGHTS_COPIED_MEANWHILE = 3 /* from the file, and from a copy as soon as that is made; a graph: as COPIED */
} elah_weights_place;

typedef struct elah_session_options {
  uint32_t threads;      /* 0: as many as the machine has */
  uint64_t cache_tokens; /* tokens that the KV cache holds, of all sequences; 0: max_context * max_sequences */
  /* Of an artifact made with `--weights reference`: the folder with the model's shards, from which the first of its
   * sessions packs the weights. NULL: where the folder was, relative to the artifact, when that was made. */
  const char *model_folder;
  elah_weights_place weights_place;
  /* Of an artifact for GPUs: "cuda", "cuda:N" for the N-th device, or "emulator", which needs no GPU; the weights are
   * copied to the device, the emulator reads them where they are. Of any other: "cpu". NULL: "cuda" or "cpu", as the
   * artifact was compiled. In the environment, ELAH_EMULATOR names the emulator's library or its folder, and
   * ELAH_CUDA_GRAPHS=0 makes launches one by one, for debuggers and profilers. */
  const char *device;
} elah_session_options;

ELAH_API elah_code elah_session_create(const elah_artifact *artifact, const elah_session_options *options,
                                       elah_session **out);
ELAH_API void elah_session_free(elah_session *session);

/* Runs a plain graph. `inputs` come in any order, each once, by name. `*outputs` are all of the graph's, in its order,
 * valid until the session's next call. */
ELAH_API elah_code elah_session_run(elah_session *session, const elah_tensor *inputs, size_t count,
                                    const elah_tensor **outputs, size_t *output_count);

/* What follows is for language models. Sequences are small numbers, used again after elah_sequence_free. */
ELAH_API elah_code elah_sequence_create(elah_session *session, uint32_t *sequence);
ELAH_API elah_code elah_sequence_free(elah_session *session, uint32_t sequence);
/* Tokens that the sequence has in the cache. */
ELAH_API elah_code elah_sequence_length(const elah_session *session, uint32_t sequence, uint32_t *length);

typedef enum elah_logits { ELAH_LOGITS_NONE = 0, ELAH_LOGITS_LAST = 1, ELAH_LOGITS_ALL = 2 } elah_logits;

/* New tokens of one sequence: a prompt, a part of one, or the one token of a decode step. */
typedef struct elah_chunk {
  uint32_t sequence;
  const uint32_t *tokens;
  size_t count;
  elah_logits logits;
} elah_chunk;

/* Runs one step on any mix of chunks of different sequences, together at most max_tokens tokens. `*logits` is
 * [rows][vocabulary], a row for each token that asked for one, in order; valid until the session's next call. */
ELAH_API elah_code elah_session_step(elah_session *session, const elah_chunk *chunks, size_t count,
                                     const float **logits, size_t *rows);

/* What a self-test found. Strings are valid until the session's next call. */
typedef struct elah_self_test {
  size_t compared;       /* results of operations */
  size_t other_experts;  /* tokens whose choice of experts was nearly a tie, and went the other way */
  const char *operation; /* the first whose result is off, "model.layers.3.mlp.down_proj"; "" if none is */
  const char *kernels;   /* that it runs */
  size_t tokens;         /* of the step in which it is off */
  double difference;     /* of that result, or the largest of all, as a part of a row's length */
} elah_self_test;

/* Runs a fixed step of a few tokens and one of a single token, and compares each operation's result with the golden
 * digests in the artifact; ELAH_NOT_FOUND if it has none. */
ELAH_API elah_code elah_session_self_test(elah_session *session, elah_self_test *out);
/* Runs the same steps and puts their digests, `*bytes` of them, into the artifact's file at `path`, which changes: the
 * artifact and its sessions are to be ended next. */
ELAH_API elah_code elah_session_record_self_test(elah_session *session, const char *path, size_t *bytes);

typedef struct elah_sampling {
  float temperature; /* 0: greedy */
  float top_p;       /* 1: all */
  uint32_t top_k;    /* 0: all */
  uint64_t seed;
} elah_sampling;

/* What the model's generation_config.json recommends, else greedy. */
ELAH_API void elah_sampling_defaults(const elah_artifact *artifact, elah_sampling *out);
/* Draws a token from one row of logits: of the top_k most likely the fewest that together have top_p, by their
 * probabilities at this temperature; of equal logits the lower token is the more likely. `step` counts the draws of a
 * sequence; the same seed, step and logits give the same token. */
ELAH_API elah_code elah_sample(const float *logits, uint32_t vocabulary, const elah_sampling *sampling, uint64_t step,
                               uint32_t *token);

typedef enum elah_stop { ELAH_STOP_EOS = 0, ELAH_STOP_LENGTH = 1, ELAH_STOP_CANCELLED = 2 } elah_stop;

/* A generated token and the text that it completed; `text` may be empty while a character is incomplete, and is for the
 * think tags and the end of sequence. `thinking` tells the reasoning between the tags from the answer. Return false to
 * stop. */
typedef bool (*elah_on_token)(void *user, uint32_t token, const char *text, size_t size, bool thinking);

/* Feeds `count` prompt tokens to the sequence in chunks, then generates until an end-of-sequence token or `max_tokens`.
 */
ELAH_API elah_code elah_generate(elah_session *session, elah_tokenizer *tokenizer, uint32_t sequence,
                                 const uint32_t *tokens, size_t count, uint32_t max_tokens,
                                 const elah_sampling *sampling, elah_on_token on_token, void *user, elah_stop *stop);

#ifdef __cplusplus
}
#endif

#endif
