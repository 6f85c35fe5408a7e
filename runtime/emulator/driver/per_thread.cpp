// The variants of stream functions whose default stream is the calling thread's: what a program calls that was compiled
// with --default-stream per-thread. Each is the function itself, with another meaning of the null stream.

#include "driver/api/functions.h"
#include "driver/stream.h"

using emulator::driver::PerThreadDefault;

namespace emulator::cuda {

#define PER_THREAD(function, suffix, parameters, arguments)                                                            \
  CUresult function##_##suffix parameters {                                                                            \
    PerThreadDefault perThread;                                                                                        \
    return function arguments;                                                                                         \
  }

PER_THREAD(cuMemcpy, ptds, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
PER_THREAD(cuMemcpyPeer, ptds, (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e), (a, b, c, d, e))
PER_THREAD(cuMemcpyHtoD_v2, ptds, (CUdeviceptr a, const void *b, size_t c), (a, b, c))
PER_THREAD(cuMemcpyDtoH_v2, ptds, (void *a, CUdeviceptr b, size_t c), (a, b, c))
PER_THREAD(cuMemcpyDtoD_v2, ptds, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
PER_THREAD(cuMemcpy2D_v2, ptds, (const CUDA_MEMCPY2D *a), (a))
PER_THREAD(cuMemcpy2DUnaligned_v2, ptds, (const CUDA_MEMCPY2D *a), (a))
PER_THREAD(cuMemcpy3D_v2, ptds, (const CUDA_MEMCPY3D *a), (a))
PER_THREAD(cuMemcpy3DPeer, ptds, (const CUDA_MEMCPY3D_PEER *a), (a))
PER_THREAD(cuMemcpyAsync, ptsz, (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemcpyPeerAsync, ptsz, (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e, CUstream f),
           (a, b, c, d, e, f))
PER_THREAD(cuMemcpyHtoDAsync_v2, ptsz, (CUdeviceptr a, const void *b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemcpyDtoHAsync_v2, ptsz, (void *a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemcpyDtoDAsync_v2, ptsz, (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemcpy2DAsync_v2, ptsz, (const CUDA_MEMCPY2D *a, CUstream b), (a, b))
PER_THREAD(cuMemcpy3DAsync_v2, ptsz, (const CUDA_MEMCPY3D *a, CUstream b), (a, b))
PER_THREAD(cuMemcpy3DPeerAsync, ptsz, (const CUDA_MEMCPY3D_PEER *a, CUstream b), (a, b))
PER_THREAD(cuMemcpyBatchAsync, ptsz,
           (CUdeviceptr * a, CUdeviceptr *b, size_t *c, size_t d, CUmemcpyAttributes *e, size_t *f, size_t g, size_t *h,
            CUstream i),
           (a, b, c, d, e, f, g, h, i))
PER_THREAD(cuMemcpyBatchAsync_v2, ptsz,
           (CUdeviceptr * a, CUdeviceptr *b, size_t *c, size_t d, CUmemcpyAttributes *e, size_t *f, size_t g,
            CUstream h),
           (a, b, c, d, e, f, g, h))
PER_THREAD(cuMemsetD8_v2, ptds, (CUdeviceptr a, unsigned char b, size_t c), (a, b, c))
PER_THREAD(cuMemsetD16_v2, ptds, (CUdeviceptr a, unsigned short b, size_t c), (a, b, c))
PER_THREAD(cuMemsetD32_v2, ptds, (CUdeviceptr a, unsigned int b, size_t c), (a, b, c))
PER_THREAD(cuMemsetD2D8_v2, ptds, (CUdeviceptr a, size_t b, unsigned char c, size_t d, size_t e), (a, b, c, d, e))
PER_THREAD(cuMemsetD2D16_v2, ptds, (CUdeviceptr a, size_t b, unsigned short c, size_t d, size_t e), (a, b, c, d, e))
PER_THREAD(cuMemsetD2D32_v2, ptds, (CUdeviceptr a, size_t b, unsigned int c, size_t d, size_t e), (a, b, c, d, e))
PER_THREAD(cuMemsetD8Async, ptsz, (CUdeviceptr a, unsigned char b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemsetD16Async, ptsz, (CUdeviceptr a, unsigned short b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemsetD32Async, ptsz, (CUdeviceptr a, unsigned int b, size_t c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemsetD2D8Async, ptsz, (CUdeviceptr a, size_t b, unsigned char c, size_t d, size_t e, CUstream f),
           (a, b, c, d, e, f))
PER_THREAD(cuMemsetD2D16Async, ptsz, (CUdeviceptr a, size_t b, unsigned short c, size_t d, size_t e, CUstream f),
           (a, b, c, d, e, f))
PER_THREAD(cuMemsetD2D32Async, ptsz, (CUdeviceptr a, size_t b, unsigned int c, size_t d, size_t e, CUstream f),
           (a, b, c, d, e, f))
PER_THREAD(cuMemFreeAsync, ptsz, (CUdeviceptr a, CUstream b), (a, b))
PER_THREAD(cuMemAllocAsync, ptsz, (CUdeviceptr * a, size_t b, CUstream c), (a, b, c))
PER_THREAD(cuMemAllocFromPoolAsync, ptsz, (CUdeviceptr * a, size_t b, CUmemoryPool c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemPrefetchAsync, ptsz, (CUdeviceptr a, size_t b, CUdevice c, CUstream d), (a, b, c, d))
PER_THREAD(cuMemPrefetchAsync_v2, ptsz, (CUdeviceptr a, size_t b, CUmemLocation c, unsigned int d, CUstream e),
           (a, b, c, d, e))
PER_THREAD(cuStreamGetPriority, ptsz, (CUstream a, int *b), (a, b))
PER_THREAD(cuStreamGetDevice, ptsz, (CUstream a, CUdevice *b), (a, b))
PER_THREAD(cuStreamGetFlags, ptsz, (CUstream a, unsigned int *b), (a, b))
PER_THREAD(cuStreamGetId, ptsz, (CUstream a, unsigned long long *b), (a, b))
PER_THREAD(cuStreamGetCtx, ptsz, (CUstream a, CUcontext *b), (a, b))
PER_THREAD(cuStreamGetCtx_v2, ptsz, (CUstream a, CUcontext *b, CUgreenCtx *c), (a, b, c))
PER_THREAD(cuStreamWaitEvent, ptsz, (CUstream a, CUevent b, unsigned int c), (a, b, c))
PER_THREAD(cuStreamAddCallback, ptsz, (CUstream a, CUstreamCallback b, void *c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamBeginCapture, ptsz, (CUstream a), (a))
PER_THREAD(cuStreamBeginCapture_v2, ptsz, (CUstream a, CUstreamCaptureMode b), (a, b))
PER_THREAD(cuStreamBeginCaptureToGraph, ptsz,
           (CUstream a, CUgraph b, const CUgraphNode *c, const CUgraphEdgeData *d, size_t e, CUstreamCaptureMode f),
           (a, b, c, d, e, f))
PER_THREAD(cuStreamEndCapture, ptsz, (CUstream a, CUgraph *b), (a, b))
PER_THREAD(cuStreamIsCapturing, ptsz, (CUstream a, CUstreamCaptureStatus *b), (a, b))
PER_THREAD(cuStreamGetCaptureInfo, ptsz, (CUstream a, CUstreamCaptureStatus *b, cuuint64_t *c), (a, b, c))
PER_THREAD(cuStreamGetCaptureInfo_v2, ptsz,
           (CUstream a, CUstreamCaptureStatus *b, cuuint64_t *c, CUgraph *d, const CUgraphNode **e, size_t *f),
           (a, b, c, d, e, f))
PER_THREAD(cuStreamGetCaptureInfo_v3, ptsz,
           (CUstream a, CUstreamCaptureStatus *b, cuuint64_t *c, CUgraph *d, const CUgraphNode **e,
            const CUgraphEdgeData **f, size_t *g),
           (a, b, c, d, e, f, g))
PER_THREAD(cuStreamUpdateCaptureDependencies, ptsz, (CUstream a, CUgraphNode *b, size_t c, unsigned int d),
           (a, b, c, d))
PER_THREAD(cuStreamUpdateCaptureDependencies_v2, ptsz,
           (CUstream a, CUgraphNode *b, const CUgraphEdgeData *c, size_t d, unsigned int e), (a, b, c, d, e))
PER_THREAD(cuStreamAttachMemAsync, ptsz, (CUstream a, CUdeviceptr b, size_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamQuery, ptsz, (CUstream a), (a))
PER_THREAD(cuStreamSynchronize, ptsz, (CUstream a), (a))
PER_THREAD(cuStreamCopyAttributes, ptsz, (CUstream a, CUstream b), (a, b))
PER_THREAD(cuStreamGetAttribute, ptsz, (CUstream a, CUstreamAttrID b, CUstreamAttrValue *c), (a, b, c))
PER_THREAD(cuStreamSetAttribute, ptsz, (CUstream a, CUstreamAttrID b, const CUstreamAttrValue *c), (a, b, c))
PER_THREAD(cuEventRecord, ptsz, (CUevent a, CUstream b), (a, b))
PER_THREAD(cuEventRecordWithFlags, ptsz, (CUevent a, CUstream b, unsigned int c), (a, b, c))
PER_THREAD(cuStreamWaitValue32, ptsz, (CUstream a, CUdeviceptr b, cuuint32_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWaitValue32_v2, ptsz, (CUstream a, CUdeviceptr b, cuuint32_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWaitValue64, ptsz, (CUstream a, CUdeviceptr b, cuuint64_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWaitValue64_v2, ptsz, (CUstream a, CUdeviceptr b, cuuint64_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWriteValue32, ptsz, (CUstream a, CUdeviceptr b, cuuint32_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWriteValue32_v2, ptsz, (CUstream a, CUdeviceptr b, cuuint32_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWriteValue64, ptsz, (CUstream a, CUdeviceptr b, cuuint64_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamWriteValue64_v2, ptsz, (CUstream a, CUdeviceptr b, cuuint64_t c, unsigned int d), (a, b, c, d))
PER_THREAD(cuStreamBatchMemOp, ptsz, (CUstream a, unsigned int b, CUstreamBatchMemOpParams *c, unsigned int d),
           (a, b, c, d))
PER_THREAD(cuStreamBatchMemOp_v2, ptsz, (CUstream a, unsigned int b, CUstreamBatchMemOpParams *c, unsigned int d),
           (a, b, c, d))
PER_THREAD(cuLaunchKernel, ptsz,
           (CUfunction a, unsigned int b, unsigned int c, unsigned int d, unsigned int e, unsigned int f,
            unsigned int g, unsigned int h, CUstream i, void **j, void **k),
           (a, b, c, d, e, f, g, h, i, j, k))
PER_THREAD(cuLaunchKernelEx, ptsz, (const CUlaunchConfig *a, CUfunction b, void **c, void **d), (a, b, c, d))
PER_THREAD(cuLaunchCooperativeKernel, ptsz,
           (CUfunction a, unsigned int b, unsigned int c, unsigned int d, unsigned int e, unsigned int f,
            unsigned int g, unsigned int h, CUstream i, void **j),
           (a, b, c, d, e, f, g, h, i, j))
PER_THREAD(cuLaunchHostFunc, ptsz, (CUstream a, CUhostFn b, void *c), (a, b, c))
PER_THREAD(cuGraphInstantiateWithParams, ptsz, (CUgraphExec * a, CUgraph b, CUDA_GRAPH_INSTANTIATE_PARAMS *c),
           (a, b, c))
PER_THREAD(cuGraphUpload, ptsz, (CUgraphExec a, CUstream b), (a, b))
PER_THREAD(cuGraphLaunch, ptsz, (CUgraphExec a, CUstream b), (a, b))

#undef PER_THREAD

} // namespace emulator::cuda
