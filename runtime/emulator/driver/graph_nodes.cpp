// The kinds of nodes: cuGraphAdd*Node, and their parameters.

#include "driver/graph_nodes.h"
#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include "driver/module.h"
#include "driver/stream.h"
#include <algorithm>
#include <cstring>

namespace emulator::driver {

Operation kernelNode(const CUDA_KERNEL_NODE_PARAMS &what, Context &context) {
  CUlaunchConfig config{};
  config.gridDimX = what.gridDimX;
  config.gridDimY = what.gridDimY;
  config.gridDimZ = what.gridDimZ;
  config.blockDimX = what.blockDimX;
  config.blockDimY = what.blockDimY;
  config.blockDimZ = what.blockDimZ;
  config.sharedMemBytes = what.sharedMemBytes;
  CUfunction function = what.func;
  Context &owner = what.ctx ? contextOf(what.ctx) : context;
  if (!function && what.kern) {
    function = reinterpret_cast<CUfunction>(what.kern);
  }
  return kernelOf(config, function, what.kernelParams, what.extra, owner);
}

Operation memsetNode(const CUDA_MEMSET_NODE_PARAMS &what) {
  requireMemset(what);
  return MemsetOperation{what};
}

Operation hostNode(const CUDA_HOST_NODE_PARAMS &what) {
  requirePointer(reinterpret_cast<const void *>(what.fn), "fn");
  return HostOperation{what, nullptr, nullptr};
}

Operation childNode(const Graph &graph) {
  ChildGraphOperation child{cloneGraph(graph)};
  child.graph->child = true;
  return child;
}

Operation valueNode(const CUDA_BATCH_MEM_OP_NODE_PARAMS &what) {
  if (what.count == 0 || what.count > 256 || !what.paramArray || what.flags != 0) {
    fail(CUDA_ERROR_INVALID_VALUE, "%u operations, flags 0x%x", what.count, what.flags);
  }
  ValueOperation values{{what.paramArray, what.paramArray + what.count}};
  requireValues(values.what);
  return values;
}

Operation freeNode(CUdeviceptr address) {
  const std::optional<Block> block = MemoryMap::instance().find(address);
  if (!block || block->address != address || block->kind != Block::Kind::Pool) {
    fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not where memory of cuMemAllocAsync or of a graph begins", address);
  }
  return FreeOperation{address, !block->pool};
}

Operation operationOf(CUgraphNodeParams &what, Context &context) {
  switch (what.type) {
  case CU_GRAPH_NODE_TYPE_KERNEL:
    return kernelNode(what.kernel, context);
  case CU_GRAPH_NODE_TYPE_MEMCPY:
    return copyOf(what.memcpy.copyParams);
  case CU_GRAPH_NODE_TYPE_MEMSET:
    return memsetNode({what.memset.dst, what.memset.pitch, what.memset.value, what.memset.elementSize,
                       what.memset.width, what.memset.height});
  case CU_GRAPH_NODE_TYPE_HOST:
    return hostNode(what.host);
  case CU_GRAPH_NODE_TYPE_GRAPH:
    return childNode(*graphOf(what.graph.graph));
  case CU_GRAPH_NODE_TYPE_EMPTY:
    return EmptyOperation{};
  case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    return EventWaitOperation{eventOf(what.eventWait.event)};
  case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    return EventRecordOperation{eventOf(what.eventRecord.event)};
  case CU_GRAPH_NODE_TYPE_MEM_ALLOC: {
    AllocOperation alloc{what.alloc, nullptr};
    allocateForNode(alloc, context);
    what.alloc.dptr = alloc.what.dptr;
    return alloc;
  }
  case CU_GRAPH_NODE_TYPE_MEM_FREE:
    return freeNode(what.free.dptr);
  case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
    return valueNode(what.memOp);
  default:
    fail(CUDA_ERROR_NOT_SUPPORTED, "nodes of type %d are not emulated", static_cast<int>(what.type));
  }
}

void replaceOperation(GraphNode &node, Operation operation) {
  if (node.operation.index() != operation.index()) {
    fail(CUDA_ERROR_INVALID_VALUE, "the node is of another kind");
  }
  if (KernelOperation *kernel = std::get_if<KernelOperation>(&operation)) {
    const KernelOperation &before = std::get<KernelOperation>(node.operation);
    kernel->attributes = before.attributes;
    kernel->programmaticEvent = before.programmaticEvent;
    kernel->completionEvent = before.completionEvent;
    requireLaunchable(*kernel);
  }
  node.operation = std::move(operation);
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

/// Adds a node; `make` checks the parameters and gives the operation.
template <typename Make>
static CUresult add(CUgraphNode *result, CUgraph graph, const CUgraphNode *dependencies, const CUgraphEdgeData *data,
                    size_t count, Make make, const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        requirePointer(result, "phGraphNode");
        const std::shared_ptr<Graph> owner = graphOf(graph);
        if (count != 0) {
          requirePointer(dependencies, "dependencies");
        }
        std::vector<GraphEdge> edges;
        for (size_t i = 0; i < count; ++i) {
          GraphNode *from = graphNodeOf(dependencies[i]).get();
          if (std::ranges::find(edges, from, &GraphEdge::node) != edges.end()) {
            fail(CUDA_ERROR_INVALID_VALUE, "dependency %zu is a duplicate", i);
          }
          edges.push_back({from, data ? data[i] : CUgraphEdgeData{}});
        }
        *result = handleOf<CUgraphNode>(&addNode(*owner, context, make(context), edges));
      },
      where);
}

/// The operation of a node, as a certain kind.
template <typename Kind> static Kind &operationAs(GraphNode &node) {
  Kind *operation = std::get_if<Kind>(&node.operation);
  if (!operation) {
    fail(CUDA_ERROR_INVALID_VALUE, "the node is of another kind");
  }
  return *operation;
}

CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *data, size_t count, CUgraphNodeParams *parameters) {
  return add(node, graph, dependencies, data, count, [&](Context &context) {
    requirePointer(parameters, "nodeParams");
    return operationOf(*parameters, context);
  });
}

CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                        CUgraphNodeParams *parameters) {
  return cuGraphAddNode_v2(node, graph, dependencies, nullptr, count, parameters);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *parameters) {
  return callInContext([&](Context &context) {
    requirePointer(parameters, "nodeParams");
    const std::shared_ptr<GraphNode> found = graphNodeOf(node);
    if (typeOf(found->operation) != parameters->type) {
      fail(CUDA_ERROR_INVALID_VALUE, "the node is of another kind");
    }
    replaceOperation(*found, operationOf(*parameters, context));
  });
}

// --- kernels

CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                 const CUDA_KERNEL_NODE_PARAMS *parameters) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &context) {
    requirePointer(parameters, "nodeParams");
    return kernelNode(*parameters, context);
  });
}

static CUDA_KERNEL_NODE_PARAMS widened(const CUDA_KERNEL_NODE_PARAMS_v1 &narrow) {
  CUDA_KERNEL_NODE_PARAMS wide{};
  std::memcpy(static_cast<void *>(&wide), &narrow, sizeof narrow);
  return wide;
}

CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  const CUDA_KERNEL_NODE_PARAMS wide = parameters ? widened(*parameters) : CUDA_KERNEL_NODE_PARAMS{};
  return cuGraphAddKernelNode_v2(node, graph, dependencies, count, parameters ? &wide : nullptr);
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *parameters) {
  return call([&] {
    requirePointer(parameters, "nodeParams");
    const std::shared_ptr<GraphNode> found = graphNodeOf(node);
    KernelOperation &kernel = operationAs<KernelOperation>(*found);
    kernel.parameterPointers.clear();
    for (const Parameter &parameter : kernel.function->kernel->parameters) {
      kernel.parameterPointers.push_back(kernel.parameters.data() + parameter.offset);
    }
    *parameters = {};
    parameters->func = handleOf<CUfunction>(kernel.function.get());
    parameters->kern = kernel.libraryKernel;
    parameters->ctx = handleOf<CUcontext>(&kernel.module->context);
    parameters->gridDimX = kernel.grid[0];
    parameters->gridDimY = kernel.grid[1];
    parameters->gridDimZ = kernel.grid[2];
    parameters->blockDimX = kernel.block[0];
    parameters->blockDimY = kernel.block[1];
    parameters->blockDimZ = kernel.block[2];
    parameters->sharedMemBytes = kernel.dynamicSharedBytes;
    parameters->kernelParams = kernel.parameterPointers.data();
  });
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  CUDA_KERNEL_NODE_PARAMS wide{};
  const CUresult code = cuGraphKernelNodeGetParams_v2(node, parameters ? &wide : nullptr);
  if (!code) {
    std::memcpy(static_cast<void *>(parameters), &wide, sizeof *parameters);
  }
  return code;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *parameters) {
  return callInContext([&](Context &context) {
    requirePointer(parameters, "nodeParams");
    replaceOperation(*graphNodeOf(node), kernelNode(*parameters, context));
  });
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  const CUDA_KERNEL_NODE_PARAMS wide = parameters ? widened(*parameters) : CUDA_KERNEL_NODE_PARAMS{};
  return cuGraphKernelNodeSetParams_v2(node, parameters ? &wide : nullptr);
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute, CUkernelNodeAttrValue *value) {
  return call([&] {
    requirePointer(value, "value_out");
    const std::shared_ptr<GraphNode> found = graphNodeOf(node);
    const KernelOperation &kernel = operationAs<KernelOperation>(*found);
    auto held = kernel.attributes.find(attribute);
    *value = held == kernel.attributes.end() ? CUkernelNodeAttrValue{} : held->second;
  });
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute,
                                       const CUkernelNodeAttrValue *value) {
  return call([&] {
    requirePointer(value, "value");
    const std::shared_ptr<GraphNode> found = graphNodeOf(node);
    KernelOperation changed = operationAs<KernelOperation>(*found);
    CUlaunchAttribute asked{};
    asked.id = attribute;
    asked.value = *value;
    setLaunchAttribute(changed, asked);
    requireLaunchable(changed);
    found->operation = std::move(changed);
  });
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from) {
  return call([&] {
    const std::shared_ptr<GraphNode> source = graphNodeOf(from), destination = graphNodeOf(to);
    KernelOperation changed = operationAs<KernelOperation>(*destination);
    changed.attributes = operationAs<KernelOperation>(*source).attributes;
    requireLaunchable(changed);
    destination->operation = std::move(changed);
  });
}

// --- copies and memsets

CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_MEMCPY3D *copy, CUcontext context) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) {
    requirePointer(copy, "copyParams");
    contextOf(context);
    return Operation(copyOf(*copy));
  });
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *copy) {
  return call([&] {
    requirePointer(copy, "nodeParams");
    *copy = operationAs<CopyOperation>(*graphNodeOf(node)).asked;
  });
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *copy) {
  return call([&] {
    requirePointer(copy, "nodeParams");
    replaceOperation(*graphNodeOf(node), copyOf(*copy));
  });
}

CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS *memset, CUcontext context) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) {
    requirePointer(memset, "memsetParams");
    contextOf(context);
    return memsetNode(*memset);
  });
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *memset) {
  return call([&] {
    requirePointer(memset, "nodeParams");
    *memset = operationAs<MemsetOperation>(*graphNodeOf(node)).what;
  });
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *memset) {
  return call([&] {
    requirePointer(memset, "nodeParams");
    replaceOperation(*graphNodeOf(node), memsetNode(*memset));
  });
}

// --- host functions, child graphs, empty nodes, events

CUresult cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                            const CUDA_HOST_NODE_PARAMS *host) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) {
    requirePointer(host, "nodeParams");
    return hostNode(*host);
  });
}

CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *host) {
  return call([&] {
    requirePointer(host, "nodeParams");
    *host = operationAs<HostOperation>(*graphNodeOf(node)).what;
  });
}

CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *host) {
  return call([&] {
    requirePointer(host, "nodeParams");
    replaceOperation(*graphNodeOf(node), hostNode(*host));
  });
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                  CUgraph child) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) { return childNode(*graphOf(child)); });
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *graph) {
  return call([&] {
    requirePointer(graph, "phGraph");
    *graph = handleOf<CUgraph>(operationAs<ChildGraphOperation>(*graphNodeOf(node)).graph.get());
  });
}

CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count) {
  return add(node, graph, dependencies, nullptr, count, [](Context &) { return Operation(EmptyOperation{}); });
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                   CUevent event) {
  return add(node, graph, dependencies, nullptr, count,
             [&](Context &) { return Operation(EventRecordOperation{eventOf(event)}); });
}

CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent *event) {
  return call([&] {
    requirePointer(event, "event_out");
    *event = handleOf<CUevent>(operationAs<EventRecordOperation>(*graphNodeOf(node)).event.get());
  });
}

CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event) {
  return call([&] { operationAs<EventRecordOperation>(*graphNodeOf(node)).event = eventOf(event); });
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                 CUevent event) {
  return add(node, graph, dependencies, nullptr, count,
             [&](Context &) { return Operation(EventWaitOperation{eventOf(event)}); });
}

CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent *event) {
  return call([&] {
    requirePointer(event, "event_out");
    *event = handleOf<CUevent>(operationAs<EventWaitOperation>(*graphNodeOf(node)).event.get());
  });
}

CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event) {
  return call([&] { operationAs<EventWaitOperation>(*graphNodeOf(node)).event = eventOf(event); });
}

// --- memory

CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &context) {
    requirePointer(parameters, "nodeParams");
    AllocOperation alloc{*parameters, nullptr};
    allocateForNode(alloc, context);
    parameters->dptr = alloc.what.dptr;
    return Operation(std::move(alloc));
  });
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
  return call([&] {
    requirePointer(parameters, "params_out");
    *parameters = operationAs<AllocOperation>(*graphNodeOf(node)).what;
  });
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                               CUdeviceptr address) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) { return freeNode(address); });
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *address) {
  return call([&] {
    requirePointer(address, "dptr_out");
    *address = operationAs<FreeOperation>(*graphNodeOf(node)).address;
  });
}

CUresult cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                  const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters) {
  return add(node, graph, dependencies, nullptr, count, [&](Context &) {
    requirePointer(parameters, "nodeParams");
    return valueNode(*parameters);
  });
}

CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters) {
  return call([&] {
    requirePointer(parameters, "nodeParams_out");
    const std::shared_ptr<GraphNode> found = graphNodeOf(node);
    ValueOperation &values = operationAs<ValueOperation>(*found);
    *parameters = {handleOf<CUcontext>(found->context), static_cast<unsigned>(values.what.size()), values.what.data(),
                   0};
  });
}

CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters) {
  return call([&] {
    requirePointer(parameters, "nodeParams");
    replaceOperation(*graphNodeOf(node), valueNode(*parameters));
  });
}

} // namespace emulator::cuda
