// A queue between CTAs in global memory: half of the CTAs put messages in, the other half takes them out. A slot's
// sequence number says whose turn it is (Vyukov's bounded queue), by acquire and release.
#include "ptx.cuh"

extern "C" __global__ void messages(unsigned *sums, unsigned *slots, unsigned *sequence, unsigned *heads, int capacity,
                                    int count) {
  const bool produces = blockIdx.x % 2 == 0;
  if (threadIdx.x != 0) {
    return;
  }
  unsigned sum = 0;
  for (int n = 0; n < count; ++n) {
    const unsigned ticket = atomicAdd(&heads[produces ? 0 : 1], 1);
    unsigned *turn = &sequence[ticket % capacity];
    const unsigned expected = ticket / capacity * 2 + (produces ? 0 : 1);
    while (load_acquire(turn) != expected) {
    }
    if (produces) {
      slots[ticket % capacity] = ticket * 3 + 1;
    } else {
      sum += slots[ticket % capacity];
    }
    store_release(turn, expected + 1);
  }
  if (!produces) {
    atomicAdd(sums, sum);
  }
}
