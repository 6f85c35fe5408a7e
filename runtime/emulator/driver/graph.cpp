#include "driver/graph.h"
#include "driver/context.h"
#include "driver/module.h"
#include "driver/stream.h"
#include <algorithm>

namespace emulator::driver {

Graph::~Graph() {
  for (const auto &[object, references] : userObjects) {
    releaseUserObject(*object, references);
  }
}

void releaseUserObject(UserObject &object, unsigned references) {
  if (object.references < references) {
    fail(CUDA_ERROR_INVALID_VALUE, "%u references are released of %u", references, object.references);
  }
  object.references -= references;
  if (object.references == 0) {
    object.destroy(object.pointer);
    Driver::instance().userObjects.remove(&object);
  }
}

std::shared_ptr<Graph> graphOf(CUgraph handle) {
  std::shared_ptr<Graph> graph = Driver::instance().graphs.find(handle);
  if (!graph) {
    fail(CUDA_ERROR_INVALID_VALUE, "%p is no graph", static_cast<void *>(handle));
  }
  return graph;
}

std::shared_ptr<GraphNode> graphNodeOf(CUgraphNode handle) {
  std::shared_ptr<GraphNode> node = Driver::instance().graphNodes.find(handle);
  if (!node) {
    fail(CUDA_ERROR_INVALID_VALUE, "%p is no node of a graph", static_cast<void *>(handle));
  }
  return node;
}

std::shared_ptr<GraphExec> graphExecOf(CUgraphExec handle) {
  std::shared_ptr<GraphExec> exec = Driver::instance().graphExecs.find(handle);
  if (!exec) {
    fail(CUDA_ERROR_INVALID_VALUE, "%p is no executable graph", static_cast<void *>(handle));
  }
  return exec;
}

static Graph *childOf(const GraphNode &node) {
  const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&node.operation);
  return child ? child->graph.get() : nullptr;
}

void publishGraph(const std::shared_ptr<Graph> &graph) {
  Driver &driver = Driver::instance();
  graph->published = true;
  driver.graphs.add<CUgraph>(graph);
  for (const std::shared_ptr<GraphNode> &node : graph->nodes) {
    driver.graphNodes.add<CUgraphNode>(node);
    if (const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&node->operation)) {
      publishGraph(child->graph);
    }
  }
}

void retractGraph(Graph &graph) {
  Driver &driver = Driver::instance();
  graph.published = false;
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    driver.graphNodes.remove(node.get());
    if (Graph *child = childOf(*node)) {
      retractGraph(*child);
    }
  }
  driver.graphs.remove(&graph);
}

void addEdge(GraphNode &from, GraphNode &to, const CUgraphEdgeData &data) {
  to.dependencies.push_back({&from, data});
  from.dependents.push_back({&to, data});
}

bool removeEdge(GraphNode &from, GraphNode &to) {
  const bool found = std::erase_if(to.dependencies, [&](const GraphEdge &edge) { return edge.node == &from; }) != 0;
  std::erase_if(from.dependents, [&](const GraphEdge &edge) { return edge.node == &to; });
  return found;
}

GraphNode &addNode(Graph &graph, Context &context, Operation operation, const std::vector<GraphEdge> &dependencies) {
  for (const GraphEdge &edge : dependencies) {
    if (edge.node->graph != &graph) {
      fail(CUDA_ERROR_INVALID_VALUE, "a dependency is a node of another graph");
    }
  }
  auto node = std::make_shared<GraphNode>();
  node->graph = &graph;
  node->context = &context;
  node->operation = std::move(operation);
  node->id = graph.lastId++;
  for (const GraphEdge &edge : dependencies) {
    addEdge(*edge.node, *node, edge.data);
  }
  graph.nodes.push_back(node);
  if (graph.published) {
    Driver::instance().graphNodes.add<CUgraphNode>(node);
    if (const ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&node->operation)) {
      publishGraph(child->graph);
    }
  }
  return *node;
}

void removeNode(GraphNode &node) {
  while (!node.dependencies.empty()) {
    removeEdge(*node.dependencies.back().node, node);
  }
  while (!node.dependents.empty()) {
    removeEdge(node, *node.dependents.back().node);
  }
  if (Graph *child = childOf(node)) {
    retractGraph(*child);
  }
  Driver::instance().graphNodes.remove(&node);
  std::erase_if(node.graph->nodes, [&](const std::shared_ptr<GraphNode> &other) { return other.get() == &node; });
}

std::shared_ptr<Graph> cloneGraph(const Graph &graph) {
  auto clone = std::make_shared<Graph>();
  clone->lastId = graph.lastId;
  for (const auto &[object, references] : graph.userObjects) {
    ++object->references;
    clone->userObjects[object] = 1;
  }
  std::map<const GraphNode *, GraphNode *> made;
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    auto copy = std::make_shared<GraphNode>(*node);
    copy->graph = clone.get();
    copy->original = node.get();
    copy->dependencies.clear();
    copy->dependents.clear();
    if (ChildGraphOperation *child = std::get_if<ChildGraphOperation>(&copy->operation)) {
      child->graph = cloneGraph(*child->graph);
      child->graph->child = true;
    }
    made[node.get()] = copy.get();
    clone->nodes.push_back(std::move(copy));
  }
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    for (const GraphEdge &edge : node->dependencies) {
      addEdge(*made.at(edge.node), *made.at(node.get()), edge.data);
    }
  }
  return clone;
}

std::vector<GraphNode *> topologicalOrder(const Graph &graph) {
  std::map<const GraphNode *, size_t> missing;
  std::vector<GraphNode *> order;
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    missing[node.get()] = node->dependencies.size();
    if (node->dependencies.empty()) {
      order.push_back(node.get());
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    for (const GraphEdge &edge : order[i]->dependents) {
      if (--missing[edge.node] == 0) {
        order.push_back(edge.node);
      }
    }
  }
  return order.size() == graph.nodes.size() ? order : std::vector<GraphNode *>{};
}

TaskPointer startGraph(const Graph &graph, Context &context, std::vector<TaskPointer> after) {
  Executor &executor = Executor::instance();
  const TaskPointer begin = executor.submit({Task::Worker::None, nullptr, std::move(after), {}, nullptr, false});
  std::map<const GraphNode *, Started> begun;
  std::vector<TaskPointer> leaves = {begin};
  for (const GraphNode *node : topologicalOrder(graph)) {
    std::vector<TaskPointer> before;
    std::vector<Started> primaries;
    for (const GraphEdge &edge : node->dependencies) {
      const Started &dependency = begun.at(edge.node);
      if (edge.programmatic() && dependency.kernel && std::holds_alternative<KernelOperation>(node->operation)) {
        primaries.push_back(dependency);
      } else {
        before.push_back(dependency.done);
      }
    }
    if (before.empty()) {
      before.push_back(begin);
    }
    static const Operation nothing = EmptyOperation{};
    const Operation &operation = node->enabled ? node->operation : nothing;
    begun[node] = start(operation, node->context ? *node->context : context, std::move(before), std::move(primaries));
    if (node->dependents.empty()) {
      leaves.push_back(begun[node].done);
    }
  }
  return executor.submit({Task::Worker::None, nullptr, std::move(leaves), {}, nullptr, false});
}

// --- the dot language

static std::string labelOf(const GraphNode &node) {
  static constexpr const char *names[] = {"EMPTY",     "KERNEL",       "MEMCPY",      "MEMSET",
                                          "HOST",      "EVENT_RECORD", "EVENT_WAIT",  "GRAPH",
                                          "MEM_ALLOC", "MEM_FREE",     "BATCH_MEM_OP"};
  std::string label = names[node.operation.index()];
  if (const KernelOperation *kernel = std::get_if<KernelOperation>(&node.operation)) {
    label += formatted("\\n%s\\n<<<{%u,%u,%u},{%u,%u,%u},%u>>>", kernel->function->kernel->name.c_str(),
                       kernel->grid[0], kernel->grid[1], kernel->grid[2], kernel->block[0], kernel->block[1],
                       kernel->block[2], kernel->dynamicSharedBytes);
  } else if (const CopyOperation *copy = std::get_if<CopyOperation>(&node.operation)) {
    label += formatted("\\n0x%llx -> 0x%llx\\n%zu x %zu x %zu", (unsigned long long)copy->from,
                       (unsigned long long)copy->to, copy->width, copy->height, copy->depth);
  } else if (const MemsetOperation *memset = std::get_if<MemsetOperation>(&node.operation)) {
    label += formatted("\\n0x%llx, 0x%x\\n%zu x %zu", memset->what.dst, memset->what.value, memset->what.width,
                       memset->what.height);
  }
  return label;
}

static void writeDot(std::string &text, const Graph &graph, const std::string &prefix, unsigned flags) {
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    const std::string name = prefix + std::to_string(node->id);
    std::string label = formatted("%llu\\n", (unsigned long long)node->id) + labelOf(*node);
    if (flags & (CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE | CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES)) {
      label += formatted("\\n%p", static_cast<const void *>(node.get()));
    }
    text += "  \"" + name + "\" [shape=\"record\" label=\"" + label + "\"];\n";
    for (const GraphEdge &edge : node->dependents) {
      text += "  \"" + name + "\" -> \"" + prefix + std::to_string(edge.node->id) + "\"" +
              (edge.programmatic() ? " [style=\"dashed\"]" : "") + ";\n";
    }
    if (const Graph *child = childOf(*node)) {
      text += "  subgraph \"cluster_" + name + "\" {\n  label=\"" + name + "\";\n";
      writeDot(text, *child, name + "_", flags);
      text += "  }\n";
    }
  }
}

std::string dotOf(const Graph &graph, unsigned flags) {
  std::string text = "digraph dot {\n";
  writeDot(text, graph, "graph_", flags);
  return text + "}\n";
}

} // namespace emulator::driver
