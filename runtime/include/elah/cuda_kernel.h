/* The contract between a CUDA kernel in an artifact and the runtime that launches it.
 *
 * A kernel is an extern "C" __global__ function. Its parameters, in this order:
 *   1. one pointer per operand, inputs first, then outputs, in the order of the operation's operands;
 *   2. `const int32_t *dims`, on the device: ELAH_DIM_COUNT values, those of enum elah_dim (cpu_kernel.h), of this
 * step;
 *   3. `void *scratch`, if the manifest gives the kernel scratch memory;
 *   4. one `const __grid_constant__ CUtensorMap` for each tensor map that the manifest declares, in its order.
 *
 * Grids, tensor maps and addresses are those of a bucket, the largest step that a captured graph serves; what a step
 * holds stands in `dims`. A kernel writes no row beyond its dims, though it may read rows up to the bucket's, whose
 * contents are undefined, and blocks that have nothing to do leave.
 *
 * Scratch memory is shared by all kernels of a program, and is zero when the first of them runs. Its first
 * ELAH_CUDA_SEMAPHORE_BYTES are counters: whoever uses them leaves them zero. The rest is undefined at launch.
 *
 * Kernels may be launched with programmatic stream serialization: a kernel executes griddepcontrol.wait before it reads
 * or writes what other kernels of the step touch, and may read weights before. All addresses are aligned to 256 bytes,
 * except row-strided views, which are aligned to 16. */
#ifndef ELAH_CUDA_KERNEL_H
#define ELAH_CUDA_KERNEL_H

#include <elah/cpu_kernel.h>

#define ELAH_CUDA_SEMAPHORE_BYTES 65536

#endif
