/* The contract between the native code of a plain graph and the runtime that calls it.
 *
 * A plain graph is any graph that is not a language model with a KV cache: named tensors in, named tensors out, shapes
 * that may depend on the inputs and on the data. Its code is one function. What it cannot know, memory above all, it
 * asks the runtime for; it calls nothing else outside its object. */
#ifndef ELAH_CPU_GRAPH_H
#define ELAH_CPU_GRAPH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor in memory, row-major. Its element type and rank are those that the manifest promises; elements of i1 take a
 * byte, 0 or 1. */
typedef struct elah_graph_tensor {
  void *data;    /* aligned to 64 bytes; may be null where there are no elements */
  int64_t *dims; /* rank values */
} elah_graph_tensor;

/* Functions of one number that the graph takes from the runtime's mathematical library. */
typedef enum elah_graph_function {
  ELAH_GRAPH_EXP = 0,
  ELAH_GRAPH_LOG = 1,
  ELAH_GRAPH_SIN = 2,
  ELAH_GRAPH_COS = 3,
  ELAH_GRAPH_TANH = 4,
  ELAH_GRAPH_ERF = 5,
  ELAH_GRAPH_FUNCTION_COUNT = 6
} elah_graph_function;

/* A tensor in a sequence. */
typedef struct elah_graph_element {
  const void *data;
  const int64_t *dims;
  int64_t rank;
} elah_graph_element;

typedef struct elah_graph_services {
  void *state;
  /* Memory for `bytes` bytes, aligned to 64. Does not return where there is none. */
  void *(*allocate)(void *state, int64_t bytes);
  void (*release)(void *state, void *memory);
  /* Ends the run; does not return. `text` says what is wrong, in the words of a check that the compiler wrote, with two
   * numbers for its two places `%lld`. */
  void (*fail)(void *state, const char *text, int64_t first, int64_t second);
  double (*functions[ELAH_GRAPH_FUNCTION_COUNT])(double);
  float (*float_functions[ELAH_GRAPH_FUNCTION_COUNT])(float);
  double (*power)(double, double);
  double (*remainder)(double, double); /* C's fmod */
  /* Sequences of tensors. An appended tensor is copied; what `sequence_at` gives stays the sequence's. */
  void *(*sequence_create)(void *state);
  void (*sequence_append)(void *state, void *sequence, const void *data, int64_t bytes, int64_t rank,
                          const int64_t *dims);
  int64_t (*sequence_length)(void *sequence);
  const elah_graph_element *(*sequence_at)(void *sequence, int64_t position);
  /* Appends to `sequence` the tensor at `position` of another. */
  void (*sequence_take)(void *sequence, void *from, int64_t position);
  void *(*sequence_copy)(void *state, void *sequence);
  void (*sequence_release)(void *state, void *sequence);
} elah_graph_services;

/* weights: one address for each weight of the manifest, in order.
 * inputs, outputs: in the manifest's order. The caller gives `dims` of every tensor, an output's to be filled; the data
 * of outputs is memory that the graph allocated, the caller's from then on. */
typedef void (*elah_cpu_graph)(const elah_graph_services *services, const void *const *weights,
                               const elah_graph_tensor *inputs, elah_graph_tensor *outputs);

#ifdef __cplusplus
}
#endif

#endif
