/* A kernel whose results depend on every byte of its weight: so that sessions on embedded and on referenced weights can
 * be compared without a compiler. */
#include <elah/cpu_kernel.h>

/* Writes [logit rows, 48] values that are hashes of the 3648 bytes of the second buffer. */
__attribute__((visibility("default"))) void hash_weight(void *const *buffers, const int64_t *dims, int64_t block_begin,
                                                        int64_t block_end, void *scratch) {
  (void)scratch;
  const unsigned char *weight = buffers[1];
  float *logits = buffers[2];
  for (int64_t block = block_begin; block < block_end; ++block) {
    for (int64_t row = 0; row < dims[ELAH_DIM_LOGIT_ROWS]; ++row) {
      uint64_t hash = 14695981039346656037u + (uint64_t)(row * 3 + block);
      for (int i = 0; i < 3648; ++i) {
        hash = (hash ^ weight[i]) * 1099511628211u;
      }
      for (int i = 0; i < 16; ++i) {
        hash = hash * 6364136223846793005u + 1442695040888963407u;
        logits[row * 48 + block * 16 + i] = (float)(hash >> 40);
      }
    }
  }
}
