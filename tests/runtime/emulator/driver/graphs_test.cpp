#include "tests/runtime/emulator/driver/driver_test.h"
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>

namespace emulator::cuda {
namespace {

class Graphs : public DriverTest {
protected:
  void SetUp() override {
    DriverTest::SetUp();
    ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ASSERT_CUDA(cuGraphCreate(&graph, 0));
  }

  /// Keeps what a kernel node's parameters point to.
  struct KernelNode {
    CUDA_KERNEL_NODE_PARAMS what{};
    CUdeviceptr address = 0;
    uint32_t value = 0, count = 0;
    void *pointers[3];
  };
  std::unique_ptr<KernelNode> fill(CUdeviceptr address, uint32_t value, uint32_t count) {
    auto node = std::make_unique<KernelNode>();
    node->address = address;
    node->value = value;
    node->count = count;
    node->pointers[0] = &node->address;
    node->pointers[1] = &node->value;
    node->pointers[2] = &node->count;
    node->what.func = kernel("fill");
    node->what.gridDimX = (count + 127) / 128;
    node->what.gridDimY = node->what.gridDimZ = 1;
    node->what.blockDimX = 128;
    node->what.blockDimY = node->what.blockDimZ = 1;
    node->what.kernelParams = node->pointers;
    return node;
  }
  std::unique_ptr<KernelNode> increment(CUdeviceptr address, uint32_t count) {
    auto node = fill(address, 0, count);
    node->what.func = kernel("increment");
    node->pointers[1] = &node->count;
    return node;
  }
  void runOnce(CUgraph made) {
    CUgraphExec exec = nullptr;
    ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, made, 0));
    ASSERT_CUDA(cuGraphLaunch(exec, stream));
    ASSERT_CUDA(cuStreamSynchronize(stream));
    ASSERT_CUDA(cuGraphExecDestroy(exec));
  }

  CUstream stream = nullptr;
  CUgraph graph = nullptr;
};

TEST_F(Graphs, RunNodesInTheOrderOfEdges) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(100, 0)), b = upload(std::vector<uint32_t>(100, 0));
  CUgraphNode first, second, copy, set;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &fill(a, 5, 100)->what));
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&second, graph, &first, 1, &increment(a, 100)->what));
  CUDA_MEMCPY3D what{};
  what.srcMemoryType = what.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  what.srcDevice = a;
  what.dstDevice = b;
  what.WidthInBytes = 400;
  what.Height = what.Depth = 1;
  ASSERT_CUDA(cuGraphAddMemcpyNode(&copy, graph, &second, 1, &what, context));
  const CUDA_MEMSET_NODE_PARAMS zero{a, 0, 0, 4, 50, 1};
  ASSERT_CUDA(cuGraphAddMemsetNode(&set, graph, &copy, 1, &zero, context));
  runOnce(graph);
  EXPECT_EQ(download<uint32_t>(b, 100), std::vector<uint32_t>(100, 6));
  EXPECT_EQ(download<uint32_t>(a, 51)[49], 0u);
  EXPECT_EQ(download<uint32_t>(a, 51)[50], 6u);

  size_t count = 0;
  EXPECT_CUDA(cuGraphGetNodes(graph, nullptr, &count));
  EXPECT_EQ(count, 4u);
  EXPECT_CUDA(cuGraphGetRootNodes(graph, nullptr, &count));
  EXPECT_EQ(count, 1u);
  CUgraphNode from[5], to[5];
  count = 5;
  EXPECT_CUDA(cuGraphGetEdges_v2(graph, from, to, nullptr, &count));
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(from[0], first);
  EXPECT_EQ(to[0], second);
  CUgraphNodeType type;
  EXPECT_CUDA(cuGraphNodeGetType(set, &type));
  EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_MEMSET);
  CUDA_KERNEL_NODE_PARAMS back{};
  EXPECT_CUDA(cuGraphKernelNodeGetParams_v2(first, &back));
  EXPECT_EQ(*static_cast<uint32_t *>(back.kernelParams[1]), 5u);
  EXPECT_CUDA(cuGraphDestroy(graph));
  EXPECT_EQ(cuGraphDestroy(graph), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuGraphNodeGetType(set, &type), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Graphs, RefuseCycles) {
  CUgraphNode a, b;
  ASSERT_CUDA(cuGraphAddEmptyNode(&a, graph, nullptr, 0));
  ASSERT_CUDA(cuGraphAddEmptyNode(&b, graph, &a, 1));
  EXPECT_EQ(cuGraphAddDependencies(graph, &a, &b, 1), CUDA_ERROR_INVALID_VALUE) << "exists";
  EXPECT_EQ(cuGraphAddDependencies(graph, &a, &a, 1), CUDA_ERROR_INVALID_VALUE);
  ASSERT_CUDA(cuGraphAddDependencies(graph, &b, &a, 1));
  CUgraphExec exec = nullptr;
  CUDA_GRAPH_INSTANTIATE_PARAMS parameters{};
  EXPECT_EQ(cuGraphInstantiateWithParams(&exec, graph, &parameters), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(parameters.result_out, CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE);
  ASSERT_CUDA(cuGraphRemoveDependencies(graph, &b, &a, 1));
  runOnce(graph);
}

TEST_F(Graphs, CaptureForksAndJoins) {
  CUstream other = nullptr;
  ASSERT_CUDA(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  CUevent fork = nullptr, join = nullptr;
  ASSERT_CUDA(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
  const CUdeviceptr a = upload(std::vector<uint32_t>(100, 0)), b = upload(std::vector<uint32_t>(100, 0)),
                    c = upload(std::vector<float>(100, 0));
  kernel("fill");
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(launch(kernel("fill"), 1, 128, stream, a, 0x3f800000u, 100u));
  ASSERT_CUDA(cuEventRecord(fork, stream));
  ASSERT_CUDA(cuStreamWaitEvent(other, fork, 0));
  ASSERT_CUDA(launch(kernel("fill"), 1, 128, other, b, 0x40000000u, 100u));
  ASSERT_CUDA(cuEventRecord(join, other));
  ASSERT_CUDA(cuStreamWaitEvent(stream, join, 0));
  ASSERT_CUDA(launch(kernel("add"), 1, 128, stream, c, a, b, 100u));
  CUstreamCaptureStatus status;
  EXPECT_CUDA(cuStreamIsCapturing(other, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  EXPECT_EQ(cuEventQuery(join), CUDA_ERROR_CAPTURED_EVENT);
  CUgraph captured = nullptr;
  EXPECT_EQ(cuStreamEndCapture(stream, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED) << "by the query";

  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(launch(kernel("fill"), 1, 128, stream, a, 0x3f800000u, 100u));
  ASSERT_CUDA(cuEventRecord(fork, stream));
  ASSERT_CUDA(cuStreamWaitEvent(other, fork, 0));
  ASSERT_CUDA(launch(kernel("fill"), 1, 128, other, b, 0x40000000u, 100u));
  ASSERT_CUDA(cuEventRecord(join, other));
  ASSERT_CUDA(cuStreamWaitEvent(stream, join, 0));
  ASSERT_CUDA(launch(kernel("add"), 1, 128, stream, c, a, b, 100u));
  ASSERT_CUDA(cuStreamEndCapture(stream, &captured));
  EXPECT_CUDA(cuStreamIsCapturing(other, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
  EXPECT_EQ(download<float>(c, 100)[0], 0.f) << "nothing has run";
  size_t edges = 0;
  EXPECT_CUDA(cuGraphGetEdges_v2(captured, nullptr, nullptr, nullptr, &edges));
  EXPECT_EQ(edges, 3u);
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, captured, 0));
  for (int i = 0; i < 10; ++i) {
    ASSERT_CUDA(cuMemsetD32Async(c, 0, 100, stream));
    ASSERT_CUDA(cuGraphLaunch(exec, stream));
    ASSERT_CUDA(cuStreamSynchronize(stream));
    ASSERT_EQ(download<float>(c, 100), std::vector<float>(100, 3.f));
  }
}

TEST_F(Graphs, CaptureForbidsWhatWaits) {
  CUgraph captured = nullptr;
  CUdeviceptr address = 0;
  const CUdeviceptr a = upload(std::vector<uint32_t>(100, 0));
  auto invalidates = [&](auto call, CUresult expected) {
    ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_EQ(call(), expected);
    EXPECT_EQ(cuStreamEndCapture(stream, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    EXPECT_EQ(captured, nullptr);
  };
  invalidates([&] { return cuStreamSynchronize(stream); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  invalidates([&] { return cuCtxSynchronize(); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  invalidates([&] { return cuMemAlloc_v2(&address, 4); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUevent outside = nullptr;
  ASSERT_CUDA(cuEventCreate(&outside, 0));
  ASSERT_CUDA(cuEventRecord(outside, nullptr));
  invalidates([&] { return cuStreamWaitEvent(stream, outside, 0); }, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  CUstream blocking = nullptr;
  ASSERT_CUDA(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  ASSERT_CUDA(cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_EQ(cuMemsetD8Async(a, 0, 4, nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  EXPECT_EQ(cuStreamEndCapture(blocking, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  // Relaxed captures allow allocations.
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_CUDA(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
  EXPECT_CUDA(cuMemAlloc_v2(&address, 4));
  EXPECT_CUDA(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_CUDA(cuStreamEndCapture(stream, &captured));
  EXPECT_EQ(cuStreamEndCapture(stream, &captured), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_EQ(cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

TEST_F(Graphs, CaptureMustBeJoined) {
  CUstream other = nullptr;
  ASSERT_CUDA(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  CUevent fork = nullptr;
  ASSERT_CUDA(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  const CUdeviceptr a = upload(std::vector<uint32_t>(100, 0));
  kernel("fill");
  CUgraph captured = nullptr;
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(cuEventRecord(fork, stream));
  ASSERT_CUDA(cuStreamWaitEvent(other, fork, 0));
  ASSERT_CUDA(launch(kernel("fill"), 1, 128, other, a, 1u, 100u));
  EXPECT_EQ(cuStreamEndCapture(stream, &captured), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(cuEventRecord(fork, stream));
  ASSERT_CUDA(cuStreamWaitEvent(other, fork, 0));
  EXPECT_EQ(cuStreamEndCapture(other, &captured), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  EXPECT_EQ(cuStreamEndCapture(stream, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

TEST_F(Graphs, ChildrenHostFunctionsAndEvents) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0));
  CUgraph child = nullptr;
  ASSERT_CUDA(cuGraphCreate(&child, 0));
  CUgraphNode inner, outer, host, record;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&inner, child, nullptr, 0, &increment(a, 10)->what));
  ASSERT_CUDA(cuGraphAddChildGraphNode(&outer, graph, nullptr, 0, child));
  ASSERT_CUDA(cuGraphDestroy(child)); // The node has a copy.
  static std::atomic<int> calls;
  calls = 0;
  const CUDA_HOST_NODE_PARAMS function{[](void *) { ++calls; }, nullptr};
  ASSERT_CUDA(cuGraphAddHostNode(&host, graph, &outer, 1, &function));
  CUevent event = nullptr;
  ASSERT_CUDA(cuEventCreate(&event, 0));
  ASSERT_CUDA(cuGraphAddEventRecordNode(&record, graph, &host, 1, event));
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int i = 0; i < 3; ++i) {
    ASSERT_CUDA(cuGraphLaunch(exec, stream));
  }
  EXPECT_CUDA(cuEventSynchronize(event));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(download<uint32_t>(a, 10), std::vector<uint32_t>(10, 3));
}

TEST_F(Graphs, ExecutablesAreUpdated) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0)), b = upload(std::vector<uint32_t>(10, 0));
  CUgraphNode first, second;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &fill(a, 1, 10)->what));
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&second, graph, &first, 1, &increment(a, 10)->what));
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  ASSERT_CUDA(cuGraphExecKernelNodeSetParams_v2(exec, first, &fill(a, 100, 10)->what));
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 101u);
  ASSERT_CUDA(cuGraphNodeSetEnabled(exec, second, 0));
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 100u);
  unsigned enabled = 1;
  EXPECT_CUDA(cuGraphNodeGetEnabled(exec, second, &enabled));
  EXPECT_EQ(enabled, 0u);
  ASSERT_CUDA(cuGraphNodeSetEnabled(exec, second, 1));

  // As a whole: the same structure, other parameters.
  CUgraph renewed = nullptr;
  ASSERT_CUDA(cuGraphCreate(&renewed, 0));
  CUgraphNode third, fourth;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&third, renewed, nullptr, 0, &fill(b, 7, 10)->what));
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&fourth, renewed, &third, 1, &increment(b, 10)->what));
  CUgraphExecUpdateResultInfo info{};
  ASSERT_CUDA(cuGraphExecUpdate_v2(exec, renewed, &info));
  EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(b, 10), std::vector<uint32_t>(10, 8));
  CUgraphNode fifth;
  ASSERT_CUDA(cuGraphAddEmptyNode(&fifth, renewed, &fourth, 1));
  EXPECT_EQ(cuGraphExecUpdate_v2(exec, renewed, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
}

TEST_F(Graphs, NodesOfEveryKindAreUpdated) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(8, 1)), b = upload(std::vector<uint32_t>(8, 2)),
                    c = upload(std::vector<uint32_t>(8, 3)), d = upload(std::vector<uint32_t>(8, 4));
  auto copyOf = [](CUdeviceptr from, CUdeviceptr to, size_t bytes) {
    CUDA_MEMCPY3D what{};
    what.srcMemoryType = what.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    what.srcDevice = from;
    what.dstDevice = to;
    what.WidthInBytes = bytes;
    what.Height = what.Depth = 1;
    return what;
  };
  static std::atomic<int> calls[2];
  calls[0] = calls[1] = 0;
  auto hostOf = [](int which) {
    return CUDA_HOST_NODE_PARAMS{[](void *at) { ++*static_cast<std::atomic<int> *>(at); }, &calls[which]};
  };
  CUevent events[2];
  ASSERT_CUDA(cuEventCreate(&events[0], 0));
  ASSERT_CUDA(cuEventCreate(&events[1], 0));
  CUgraph child = nullptr;
  ASSERT_CUDA(cuGraphCreate(&child, 0));
  CUgraphNode inner, copy, set, host, record, outer;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&inner, child, nullptr, 0, &increment(c, 8)->what));
  const CUDA_MEMCPY3D copied = copyOf(a, b, 32);
  ASSERT_CUDA(cuGraphAddMemcpyNode(&copy, graph, nullptr, 0, &copied, context));
  const CUDA_MEMSET_NODE_PARAMS sets{a, 0, 9, 4, 8, 1};
  ASSERT_CUDA(cuGraphAddMemsetNode(&set, graph, &copy, 1, &sets, context));
  const CUDA_HOST_NODE_PARAMS function = hostOf(0);
  ASSERT_CUDA(cuGraphAddHostNode(&host, graph, &set, 1, &function));
  ASSERT_CUDA(cuGraphAddEventRecordNode(&record, graph, &host, 1, events[0]));
  ASSERT_CUDA(cuGraphAddChildGraphNode(&outer, graph, &record, 1, child));
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));

  const CUDA_MEMCPY3D otherCopy = copyOf(d, b, 16);
  const CUDA_MEMSET_NODE_PARAMS otherSet{a, 0, 7, 4, 4, 1};
  const CUDA_HOST_NODE_PARAMS otherFunction = hostOf(1);
  ASSERT_CUDA(cuGraphExecMemcpyNodeSetParams(exec, copy, &otherCopy, context));
  ASSERT_CUDA(cuGraphExecMemsetNodeSetParams(exec, set, &otherSet, context));
  ASSERT_CUDA(cuGraphExecHostNodeSetParams(exec, host, &otherFunction));
  ASSERT_CUDA(cuGraphExecEventRecordNodeSetEvent(exec, record, events[1]));
  CUgraph otherChild = nullptr;
  ASSERT_CUDA(cuGraphCreate(&otherChild, 0));
  CUgraphNode otherInner;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&otherInner, otherChild, nullptr, 0, &fill(c, 50, 8)->what));
  ASSERT_CUDA(cuGraphExecChildGraphNodeSetParams(exec, outer, otherChild));
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(b, 8), (std::vector<uint32_t>{4, 4, 4, 4, 2, 2, 2, 2}));
  EXPECT_EQ(download<uint32_t>(a, 8), (std::vector<uint32_t>{7, 7, 7, 7, 1, 1, 1, 1}));
  EXPECT_EQ(calls[0], 0);
  EXPECT_EQ(calls[1], 1);
  EXPECT_CUDA(cuEventSynchronize(events[1]));
  float never = 0;
  EXPECT_EQ(cuEventElapsedTime_v2(&never, events[0], events[1]), CUDA_ERROR_INVALID_HANDLE) << "not recorded";
  EXPECT_EQ(download<uint32_t>(c, 1)[0], 50u);

  // The graph itself is as it was; what is set in it counts for what is made from it later.
  runOnce(graph);
  EXPECT_EQ(download<uint32_t>(b, 8), (std::vector<uint32_t>{7, 7, 7, 7, 1, 1, 1, 1}));
  EXPECT_EQ(download<uint32_t>(a, 8), std::vector<uint32_t>(8, 9));
  EXPECT_EQ(calls[0], 1);
  EXPECT_EQ(download<uint32_t>(c, 1)[0], 51u);
  ASSERT_CUDA(cuGraphMemsetNodeSetParams(set, &otherSet));
  ASSERT_CUDA(cuGraphLaunch(exec, stream)); // Made before: sets 4 of a again.
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(a, 8), (std::vector<uint32_t>{7, 7, 7, 7, 9, 9, 9, 9}));

  // Of another kind, or with other edges inside.
  EXPECT_EQ(cuGraphExecMemsetNodeSetParams(exec, copy, &otherSet, context), CUDA_ERROR_INVALID_VALUE);
  CUgraphNode more;
  ASSERT_CUDA(cuGraphAddEmptyNode(&more, otherChild, &otherInner, 1));
  EXPECT_NE(cuGraphExecChildGraphNodeSetParams(exec, outer, otherChild), CUDA_SUCCESS);
}

TEST_F(Graphs, UpdatesSayWhatDiffers) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0));
  CUgraphNode first, second;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &fill(a, 1, 10)->what));
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&second, graph, &first, 1, &increment(a, 10)->what));
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  auto update = [&](auto build) {
    CUgraph other = nullptr;
    EXPECT_CUDA(cuGraphCreate(&other, 0));
    build(other);
    CUgraphExecUpdateResultInfo info{};
    EXPECT_EQ(cuGraphExecUpdate_v2(exec, other, &info),
              info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    EXPECT_CUDA(cuGraphDestroy(other));
    return info.result;
  };
  EXPECT_EQ(update([](CUgraph) {}), CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  EXPECT_EQ(update([&](CUgraph other) { // No edge between the two.
              CUgraphNode made;
              EXPECT_CUDA(cuGraphAddKernelNode_v2(&made, other, nullptr, 0, &fill(a, 1, 10)->what));
              EXPECT_CUDA(cuGraphAddKernelNode_v2(&made, other, nullptr, 0, &increment(a, 10)->what));
            }),
            CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  EXPECT_EQ(update([&](CUgraph other) {
              CUgraphNode made, next;
              const CUDA_MEMSET_NODE_PARAMS zero{a, 0, 0, 4, 10, 1};
              EXPECT_CUDA(cuGraphAddMemsetNode(&made, other, nullptr, 0, &zero, context));
              EXPECT_CUDA(cuGraphAddKernelNode_v2(&next, other, &made, 1, &increment(a, 10)->what));
            }),
            CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
  // What failed has changed nothing.
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 2u);
  // Another kernel in the same place is no difference.
  EXPECT_EQ(update([&](CUgraph other) {
              CUgraphNode made, next;
              EXPECT_CUDA(cuGraphAddKernelNode_v2(&made, other, nullptr, 0, &increment(a, 10)->what));
              EXPECT_CUDA(cuGraphAddKernelNode_v2(&next, other, &made, 1, &increment(a, 10)->what));
            }),
            CU_GRAPH_EXEC_UPDATE_SUCCESS);
  ASSERT_CUDA(cuGraphLaunch(exec, stream));
  ASSERT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 4u);
}

TEST_F(Graphs, AreCloned) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0));
  CUgraphNode first, found;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &fill(a, 1, 10)->what));
  CUgraph clone = nullptr;
  ASSERT_CUDA(cuGraphClone(&clone, graph));
  ASSERT_CUDA(cuGraphNodeFindInClone(&found, first, clone));
  ASSERT_CUDA(cuGraphKernelNodeSetParams_v2(found, &fill(a, 2, 10)->what));
  runOnce(clone);
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 2u);
  runOnce(graph);
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 1u);
  EXPECT_EQ(cuGraphNodeFindInClone(&found, first, graph), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Graphs, HaveMemoryOfTheirOwn) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0));
  kernel("fill");
  CUgraph captured = nullptr;
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUdeviceptr temporary = 0;
  ASSERT_CUDA(cuMemAllocAsync(&temporary, 40, stream));
  ASSERT_CUDA(launch(kernel("fill"), 1, 32, stream, temporary, 4u, 10u));
  ASSERT_CUDA(cuMemcpyDtoDAsync_v2(a, temporary, 40, stream));
  ASSERT_CUDA(cuMemFreeAsync(temporary, stream));
  ASSERT_CUDA(cuStreamEndCapture(stream, &captured));
  runOnce(captured);
  runOnce(captured);
  EXPECT_EQ(download<uint32_t>(a, 10), std::vector<uint32_t>(10, 4));
  EXPECT_CUDA(cuGraphDestroy(captured));
  EXPECT_EQ(cuMemcpyDtoD_v2(a, temporary, 40), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Graphs, ProgrammaticEdgesAreCaptured) {
  const CUdeviceptr p = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  CUfunction primary = kernel("primary"), secondary = kernel("secondary");
  CUlaunchAttribute serial{};
  serial.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  serial.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{1, 1, 1, 1, 1, 1, 0, stream, &serial, 1};
  CUdeviceptr pointers[2] = {p, out};
  void *parameters[] = {&pointers[0], &pointers[1]};
  CUgraph captured = nullptr;
  ASSERT_CUDA(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(cuLaunchKernelEx(&config, primary, parameters, nullptr));
  ASSERT_CUDA(cuLaunchKernelEx(&config, secondary, parameters, nullptr));
  ASSERT_CUDA(cuStreamEndCapture(stream, &captured));
  CUgraphNode from, to;
  CUgraphEdgeData data{};
  size_t count = 1;
  EXPECT_EQ(cuGraphGetEdges_v2(captured, &from, &to, nullptr, &count), CUDA_ERROR_LOSSY_QUERY);
  EXPECT_CUDA(cuGraphGetEdges_v2(captured, &from, &to, &data, &count));
  EXPECT_EQ(data.type, CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC);
  EXPECT_EQ(data.from_port, kernelPortProgrammatic);
  runOnce(captured);
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 2u);
}

TEST_F(Graphs, ArePrinted) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(10, 0));
  CUgraphNode first, second;
  ASSERT_CUDA(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &fill(a, 1, 10)->what));
  ASSERT_CUDA(cuGraphAddEmptyNode(&second, graph, &first, 1));
  const std::string path = testing::TempDir() + "elah_graphs_test.dot";
  ASSERT_CUDA(cuGraphDebugDotPrint(graph, path.c_str(), 0));
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find("digraph"), std::string::npos);
  EXPECT_NE(text.find("fill"), std::string::npos);
  EXPECT_NE(text.find("\"graph_0\" -> \"graph_1\""), std::string::npos) << text;
  std::remove(path.c_str());
}

TEST_F(Graphs, KeepUserObjects) {
  static int destroyed;
  destroyed = 0;
  CUuserObject object = nullptr;
  ASSERT_CUDA(cuUserObjectCreate(&object, nullptr, [](void *) { ++destroyed; }, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
  ASSERT_CUDA(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  ASSERT_CUDA(cuGraphDestroy(graph));
  EXPECT_EQ(destroyed, 0);
  ASSERT_CUDA(cuGraphExecDestroy(exec));
  EXPECT_EQ(destroyed, 1);
}

} // namespace
} // namespace emulator::cuda
