// The kernels of the echo model (../artifact/echo_kernels.c, which says what they compute) for a GPU. Between them they
// use whatever a kernel of an artifact may: dims, scratch memory and semaphores, a tensor map, early start.
#include "kernels/dims.cuh"

using elah::Dims;

constexpr int vocabulary = 262, endOfSequence = 257, endThink = 259, user = 260, assistant = 261, pageTokens = 4,
              maxContext = 32, semaphoreBytes = 65536;

__device__ void startLate() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;");
}

/// A block is 32 tokens. Blocks count themselves in a semaphore, which the last one of the grid puts back.
extern "C" __global__ void __launch_bounds__(32)
    echo_remember(const int *tokens, const int *rows, int *cache, const Dims *dims, void *scratch) {
  startLate();
  int i = blockIdx.x * 32 + threadIdx.x;
  if (i < dims->tokens) {
    cache[rows[i]] = tokens[i];
  }
  if (threadIdx.x == 0 && atomicAdd(static_cast<unsigned *>(scratch), 1u) == gridDim.x - 1) {
    atomicExch(static_cast<unsigned *>(scratch), 0u);
  }
}

/// A block is a row.
extern "C" __global__ void __launch_bounds__(32)
    echo_think(const int *sequence, const int *positions, const int *starts, const int *lengths, const int *pages,
               const int *wanted, const int *cache, unsigned *out, const Dims *dims, void *scratch) {
  startLate();
  int row = blockIdx.x;
  if (row >= dims->logitRows || threadIdx.x != 0) {
    return;
  }
  int *history = reinterpret_cast<int *>(static_cast<char *>(scratch) + semaphoreBytes) + row * maxContext;
  int token = wanted[row], s = sequence[token], position = positions[token];
  bool contradicts = token < starts[s] || token >= starts[s + 1] || position >= lengths[s];
  unsigned hash = contradicts ? 0 : 1;
  int lastUser = -1, lastAssistant = -1;
  for (int p = 0; p <= position; ++p) {
    int page = pages[s * dims->pagesPerSequence + p / pageTokens];
    history[p] = cache[page * pageTokens + p % pageTokens];
    hash = hash * 31 + history[p];
    lastUser = history[p] == user ? p : lastUser;
    lastAssistant = history[p] == assistant ? p : lastAssistant;
  }
  unsigned next = (history[position] + 1) % 256;
  if (lastUser >= 0 && lastUser < lastAssistant) {
    int said = position - (lastAssistant + 2), asked = lastAssistant - lastUser - 1;
    if (said < 3) {
      next = said < 0 ? 'x' : said == 0 ? 'h' : said == 1 ? 'm' : endThink;
    } else {
      next = said - 3 < asked ? history[lastUser + 1 + said - 3] : endOfSequence;
    }
  }
  out[2 * row] = next;
  out[2 * row + 1] = hash;
}

__device__ float thought(const unsigned *thoughts, int row, int v) {
  unsigned noise = thoughts[2 * row + 1] * (v + 1) >> 8 & 0xff;
  return v == thoughts[2 * row] ? 8.0f : static_cast<float>(noise) / 64.0f;
}

/// A block is a row. The bias comes by a tensor map, in five pieces.
extern "C" __global__ void __launch_bounds__(64)
    echo_speak(const unsigned *thoughts, const float *, float *logits, const Dims *dims,
               const __grid_constant__ elah::TensorMap biasMap) {
  __shared__ alignas(128) float bias[5 * 64];
  __shared__ alignas(8) unsigned long long barrier;
  unsigned bar = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(bar) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(5 * 256) : "memory");
    for (int piece = 0; piece < 5; ++piece) {
      unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(bias + 64 * piece));
      asm volatile("cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2}], [%3];"
                   ::"r"(to), "l"(&biasMap), "r"(64 * piece), "r"(bar) : "memory");
    }
  }
  __syncthreads();
  unsigned done = 0;
  while (!done) {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(bar) : "memory");
  }
  startLate(); // The bias is a weight: no kernel of the step writes it.
  if (blockIdx.x < dims->logitRows) {
    for (int v = threadIdx.x; v < vocabulary; v += 64) {
      logits[blockIdx.x * vocabulary + v] = bias[v] + thought(thoughts, blockIdx.x, v);
    }
  }
}

/// For larger steps the same in two kernels.
extern "C" __global__ void __launch_bounds__(128)
    echo_say(const unsigned *thoughts, const float *, float *logits, const Dims *dims) {
  startLate();
  if (blockIdx.x < dims->logitRows) {
    for (int v = threadIdx.x; v < vocabulary; v += 128) {
      logits[blockIdx.x * vocabulary + v] = thought(thoughts, blockIdx.x, v);
    }
  }
}

extern "C" __global__ void __launch_bounds__(128)
    echo_lean(const unsigned *, const float *bias, float *logits, const Dims *dims) {
  startLate();
  if (blockIdx.x < dims->logitRows) {
    for (int v = threadIdx.x; v < vocabulary; v += 128) {
      logits[blockIdx.x * vocabulary + v] += bias[v];
    }
  }
}
