/* The contract between a native kernel in an artifact's CPU object and the runtime that calls it.
 *
 * A launch is cut into blocks, as a GPU's grid is: the runtime's threads share the blocks and call the kernel with
 * ranges of them. A kernel keeps no state, allocates nothing, calls nothing outside its object, and writes only the
 * buffers that its operands name and its scratch memory. */
#ifndef ELAH_CPU_KERNEL_H
#define ELAH_CPU_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The symbolic dimensions of one step, in the order of the `dims` array that every kernel is given. */
typedef enum elah_dim {
  ELAH_DIM_TOKENS = 0,             /* tokens of all sequences in this step */
  ELAH_DIM_SEQUENCES = 1,          /* sequences in this step */
  ELAH_DIM_LOGIT_ROWS = 2,         /* tokens whose logits are wanted */
  ELAH_DIM_CACHE_ROWS = 3,         /* token rows that one layer of the KV cache holds: pages * tokens per page */
  ELAH_DIM_PAGES_PER_SEQUENCE = 4, /* row length of the page table */
  ELAH_DIM_COUNT = 5
} elah_dim;

/* One kernel.
 * buffers: one address per operand, inputs first, then outputs, in the order of the operation's operands.
 *          Every address is aligned to 64 bytes, except row-strided views, which are aligned to their element.
 * dims:    ELAH_DIM_COUNT values.
 * block_begin, block_end: the half-open range of blocks to compute.
 * scratch: this thread's scratch memory, aligned to 64 bytes, of the size that the manifest declares; contents
 * undefined. */
typedef void (*elah_cpu_kernel)(void *const *buffers, const int64_t *dims, int64_t block_begin, int64_t block_end,
                                void *scratch);

#ifdef __cplusplus
}
#endif

#endif
