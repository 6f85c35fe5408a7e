// Executable graphs: instantiate, launch, update.

#include "driver/api/functions.h"
#include "driver/capture.h"
#include "driver/context.h"
#include "driver/graph_nodes.h"
#include "driver/module.h"
#include "driver/stream.h"
#include <algorithm>
#include <cstring>

namespace emulator::driver {

/// An executable graph's node by the node that it was made from, in child graphs too.
static GraphNode *counterpart(Graph &graph, const GraphNode *original) {
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    if (node->original == original) {
      return node.get();
    }
    if (ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&node->operation)) {
      if (GraphNode *found = counterpart(*child->graph, original)) {
        return found;
      }
    }
  }
  return nullptr;
}

static GraphNode &counterpart(GraphExec &exec, CUgraphNode node) {
  GraphNode *found = counterpart(*exec.graph, graphNodeOf(node).get());
  if (!found) {
    fail(CUDA_ERROR_INVALID_VALUE, "the executable graph was not made from the node's graph");
  }
  return *found;
}

static void requireExecutable(const Graph &graph, CUDA_GRAPH_INSTANTIATE_PARAMS &result) {
  if (!graph.nodes.empty() && topologicalOrder(graph).empty()) {
    result.result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
    fail(CUDA_ERROR_INVALID_VALUE, "the graph has a cycle");
  }
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    if (const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&node->operation)) {
      requireExecutable(*child->graph, result);
    }
  }
}

static std::shared_ptr<GraphExec> instantiate(const Graph &graph, Context &context,
                                              CUDA_GRAPH_INSTANTIATE_PARAMS &parameters) {
  parameters.result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
  parameters.hErrNode_out = nullptr;
  constexpr cuuint64_t known = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                               CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
  if (parameters.flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) {
    parameters.result_out = CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED;
    fail(CUDA_ERROR_NOT_SUPPORTED, "launching graphs from kernels is not emulated");
  }
  if (parameters.flags & ~known) {
    fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%llx", (unsigned long long)parameters.flags);
  }
  requireExecutable(graph, parameters);
  auto exec = std::make_shared<GraphExec>();
  exec->graph = cloneGraph(graph);
  exec->flags = parameters.flags;
  exec->context = &context;
  parameters.result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
  return exec;
}

// --- update: the new graph must be the old one but for parameters. Nodes are paired by their order of creation.

namespace {
struct Difference {
  CUgraphExecUpdateResult result;
  const GraphNode *node = nullptr, *from = nullptr;
  std::string reason;
};
} // namespace

static void compare(const Graph &old, const Graph &now) {
  if (old.nodes.size() != now.nodes.size()) {
    throw Difference{CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr, nullptr,
                     formatted("%zu nodes, where there were %zu", now.nodes.size(), old.nodes.size())};
  }
  std::map<const GraphNode *, const GraphNode *> pairs;
  for (size_t i = 0; i < old.nodes.size(); ++i) {
    pairs[old.nodes[i].get()] = now.nodes[i].get();
  }
  for (size_t i = 0; i < old.nodes.size(); ++i) {
    const GraphNode &before = *old.nodes[i], &after = *now.nodes[i];
    if (before.operation.index() != after.operation.index()) {
      throw Difference{CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, &after, nullptr, "a node is of another kind"};
    }
    bool same = before.dependencies.size() == after.dependencies.size();
    for (const GraphEdge &edge : before.dependencies) {
      same = same && std::ranges::any_of(after.dependencies, [&](const GraphEdge &other) {
               return other.node == pairs.at(edge.node) && std::memcmp(&other.data, &edge.data, sizeof edge.data) == 0;
             });
    }
    if (!same) {
      throw Difference{CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, &after, nullptr, "a node's edges differ"};
    }
    if (const KernelOperation *kernel = std::get_if<KernelOperation>(&before.operation)) {
      const KernelOperation &other = std::get<KernelOperation>(after.operation);
      if (&kernel->module->context != &other.module->context) {
        throw Difference{CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE, &after, nullptr,
                         "a kernel is of another context"};
      }
    } else if (std::holds_alternative<AllocOperation>(before.operation) ||
               std::holds_alternative<FreeOperation>(before.operation)) {
      const bool unchanged =
          std::holds_alternative<FreeOperation>(before.operation)
              ? std::get<FreeOperation>(before.operation).address == std::get<FreeOperation>(after.operation).address
              : std::get<AllocOperation>(before.operation).memory == std::get<AllocOperation>(after.operation).memory;
      if (!unchanged) {
        throw Difference{CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, &after, nullptr, "a node's memory is another"};
      }
    } else if (const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&before.operation)) {
      compare(*child->graph, *std::get<ChildGraphOperation>(after.operation).graph);
    }
  }
}

/// Takes the new graph's operations. The nodes stay, so that they go on being found by the graph that the executable
/// graph was first made from.
static void adopt(Graph &executable, const Graph &graph) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Operation &operation = executable.nodes[i]->operation;
    if (const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&graph.nodes[i]->operation)) {
      adopt(*std::get<ChildGraphOperation>(operation).graph, *child->graph);
    } else {
      operation = graph.nodes[i]->operation;
    }
  }
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuGraphInstantiateWithParams(CUgraphExec *result, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
  return callInContext([&](Context &context) {
    requirePointer(result, "phGraphExec");
    requirePointer(parameters, "instantiateParams");
    *result = Driver::instance().graphExecs.add<CUgraphExec>(instantiate(*graphOf(graph), context, *parameters));
  });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *result, CUgraph graph, unsigned long long flags) {
  CUDA_GRAPH_INSTANTIATE_PARAMS parameters{};
  parameters.flags = flags;
  return cuGraphInstantiateWithParams(result, graph, &parameters);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *result, CUgraph graph, CUgraphNode *node, char *log, size_t size) {
  if (node) {
    *node = nullptr;
  }
  if (log && size) {
    *log = '\0';
  }
  return cuGraphInstantiateWithFlags(result, graph, 0);
}

CUresult cuGraphInstantiate(CUgraphExec *result, CUgraph graph, CUgraphNode *node, char *log, size_t size) {
  return cuGraphInstantiate_v2(result, graph, node, log, size);
}

CUresult cuGraphExecGetFlags(CUgraphExec exec, cuuint64_t *flags) {
  return call([&] {
    requirePointer(flags, "flags");
    *flags = graphExecOf(exec)->flags;
  });
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  return call([&] {
    graphExecOf(exec);
    Driver::instance().graphExecs.remove(exec); // What it has launched goes on: tasks own what they need.
  });
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  return callInContext([&](Context &context) {
    graphExecOf(exec);
    enqueue(*streamOf(stream, context), EmptyOperation{});
  });
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<GraphExec> exec = graphExecOf(handle);
    const std::shared_ptr<Stream> where = streamOf(stream, context);
    if (where->capture) {
      // A launch of a graph that is captured becomes a child graph.
      ChildGraphOperation child{cloneGraph(*exec->graph)};
      child.graph->child = true;
      enqueue(*where, std::move(child));
      return;
    }
    if (exec->lastLaunch && !exec->lastLaunch->done()) {
      where->tail.push_back(exec->lastLaunch);
    }
    where->lastKernel = nullptr;
    exec->lastLaunch = enqueue(*where, ChildGraphOperation{exec->graph});
  });
}

CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph, CUgraphExecUpdateResultInfo *info) {
  return call([&] {
    requirePointer(info, "resultInfo");
    *info = {CU_GRAPH_EXEC_UPDATE_ERROR, nullptr, nullptr};
    const std::shared_ptr<GraphExec> exec = graphExecOf(handle);
    try {
      const std::shared_ptr<Graph> now = graphOf(graph);
      compare(*exec->graph, *now);
      adopt(*exec->graph, *now);
    } catch (const Difference &difference) {
      *info = {difference.result, handleOf<CUgraphNode>(difference.node), handleOf<CUgraphNode>(difference.from)};
      fail(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "%s", difference.reason.c_str());
    }
    info->result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
  });
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *errorNode, CUgraphExecUpdateResult *result) {
  CUgraphExecUpdateResultInfo info{};
  const CUresult code = cuGraphExecUpdate_v2(exec, graph, &info);
  if (errorNode) {
    *errorNode = info.errorNode;
  }
  if (result) {
    *result = info.result;
  }
  return code;
}

/// Gives an executable graph's node other parameters.
template <typename Make>
static CUresult setParameters(CUgraphExec handle, CUgraphNode node, const void *parameters, Make make,
                              const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        requirePointer(parameters, "nodeParams");
        const std::shared_ptr<GraphExec> exec = graphExecOf(handle);
        GraphNode &found = counterpart(*exec, node);
        replaceOperation(found, make(context));
      },
      where);
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *parameters) {
  return setParameters(exec, node, parameters, [&](Context &context) { return kernelNode(*parameters, context); });
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  CUDA_KERNEL_NODE_PARAMS wide{};
  if (parameters) {
    std::memcpy(static_cast<void *>(&wide), parameters, sizeof *parameters);
  }
  return cuGraphExecKernelNodeSetParams_v2(exec, node, parameters ? &wide : nullptr);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *copy, CUcontext) {
  return setParameters(exec, node, copy, [&](Context &) { return Operation(copyOf(*copy)); });
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *memset,
                                        CUcontext) {
  return setParameters(exec, node, memset, [&](Context &) { return memsetNode(*memset); });
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *host) {
  return setParameters(exec, node, host, [&](Context &) { return hostNode(*host); });
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  return setParameters(exec, node, child, [&](Context &) {
    const std::shared_ptr<Graph> graph = graphOf(child);
    GraphNode &found = counterpart(*graphExecOf(exec), node);
    if (const ChildGraphOperation *before = std::get_if<ChildGraphOperation>(&found.operation)) {
      try {
        compare(*before->graph, *graph);
      } catch (const Difference &difference) {
        fail(CUDA_ERROR_INVALID_VALUE, "%s", difference.reason.c_str());
      }
    }
    return childNode(*graph);
  });
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {
  return setParameters(exec, node, event, [&](Context &) { return Operation(EventRecordOperation{eventOf(event)}); });
}

CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {
  return setParameters(exec, node, event, [&](Context &) { return Operation(EventWaitOperation{eventOf(event)}); });
}

CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS *parameters) {
  return setParameters(exec, node, parameters, [&](Context &) { return valueNode(*parameters); });
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *parameters) {
  return setParameters(exec, node, parameters, [&](Context &context) { return operationOf(*parameters, context); });
}

CUresult cuGraphNodeSetEnabled(CUgraphExec handle, CUgraphNode node, unsigned int enabled) {
  return call([&] {
    GraphNode &found = counterpart(*graphExecOf(handle), node);
    const CUgraphNodeType type = typeOf(found.operation);
    if (type != CU_GRAPH_NODE_TYPE_KERNEL && type != CU_GRAPH_NODE_TYPE_MEMSET && type != CU_GRAPH_NODE_TYPE_MEMCPY) {
      fail(CUDA_ERROR_INVALID_VALUE, "only kernels, copies and memsets can be disabled");
    }
    found.enabled = enabled != 0;
  });
}

CUresult cuGraphNodeGetEnabled(CUgraphExec handle, CUgraphNode node, unsigned int *enabled) {
  return call([&] {
    requirePointer(enabled, "isEnabled");
    *enabled = counterpart(*graphExecOf(handle), node).enabled;
  });
}

} // namespace emulator::cuda
