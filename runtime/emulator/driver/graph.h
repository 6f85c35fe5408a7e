#ifndef RUNTIME_EMULATOR_DRIVER_GRAPH_H
#define RUNTIME_EMULATOR_DRIVER_GRAPH_H

// Graphs: operations and the edges between them.

#include "driver/operation.h"
#include <map>
#include <string>

namespace emulator::driver {

struct GraphNode;

struct GraphEdge {
  GraphNode *node = nullptr; ///< the other end
  CUgraphEdgeData data{};
  bool programmatic() const { return data.type == CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC; }
};

struct GraphNode {
  Graph *graph = nullptr;
  Context *context = nullptr;
  Operation operation;
  std::vector<GraphEdge> dependencies, dependents;
  bool enabled = true;
  uint64_t id = 0; ///< by order of creation in the graph
  /// In a clone or an executable graph: the node it was made from.
  const GraphNode *original = nullptr;
};

struct UserObject {
  void *pointer = nullptr;
  CUhostFn destroy = nullptr;
  unsigned references = 0;
};

struct Graph {
  std::vector<std::shared_ptr<GraphNode>> nodes; ///< by order of creation
  uint64_t lastId = 0;
  bool published = false; ///< it and its nodes have handles; an executable graph's own copy has none
  bool child = false;     ///< belongs to a child graph node
  std::map<UserObject *, unsigned> userObjects;

  ~Graph();
};

struct GraphExec {
  std::shared_ptr<Graph> graph;
  uint64_t flags = 0;
  Context *context = nullptr;
  TaskPointer lastLaunch; ///< launches of one executable graph do not overlap
};

std::shared_ptr<Graph> graphOf(CUgraph handle);
std::shared_ptr<GraphNode> graphNodeOf(CUgraphNode handle);
std::shared_ptr<GraphExec> graphExecOf(CUgraphExec handle);

/// Gives a graph and its nodes handles.
void publishGraph(const std::shared_ptr<Graph> &graph);
/// Takes the handles of a graph, its nodes and its child graphs back.
void retractGraph(Graph &graph);

/// Appends a node behind others of the same graph.
GraphNode &addNode(Graph &graph, Context &context, Operation operation, const std::vector<GraphEdge> &dependencies);
void addEdge(GraphNode &from, GraphNode &to, const CUgraphEdgeData &data);
/// False where there is none such.
bool removeEdge(GraphNode &from, GraphNode &to);
void removeNode(GraphNode &node);
/// A deep copy, child graphs included; each new node knows its original.
std::shared_ptr<Graph> cloneGraph(const Graph &graph);
/// The nodes so that each stands behind its dependencies; empty where there is a cycle (and nodes).
std::vector<GraphNode *> topologicalOrder(const Graph &graph);
/// Starts all of it behind `after`; gives what followers wait for.
TaskPointer startGraph(const Graph &graph, Context &context, std::vector<TaskPointer> after);
/// The graph in the dot language.
std::string dotOf(const Graph &graph, unsigned flags);

void releaseUserObject(UserObject &object, unsigned references);

} // namespace emulator::driver

#endif
