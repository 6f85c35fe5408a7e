// cuGraph*: graphs, their edges, and what is the same for nodes of all kinds.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/graph.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuGraphCreate(CUgraph *graph, unsigned int flags) {
  return call([&] {
    requirePointer(graph, "phGraph");
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    auto made = std::make_shared<Graph>();
    publishGraph(made);
    *graph = handleOf<CUgraph>(made.get());
  });
}

CUresult cuGraphDestroy(CUgraph handle) {
  return call([&] {
    const std::shared_ptr<Graph> graph = graphOf(handle);
    if (graph->child) {
      fail(CUDA_ERROR_INVALID_VALUE, "the graph belongs to a child graph node");
    }
    retractGraph(*graph);
  });
}

CUresult cuGraphClone(CUgraph *clone, CUgraph original) {
  return call([&] {
    requirePointer(clone, "phGraphClone");
    const std::shared_ptr<Graph> made = cloneGraph(*graphOf(original));
    publishGraph(made);
    *clone = handleOf<CUgraph>(made.get());
  });
}

CUresult cuGraphNodeFindInClone(CUgraphNode *node, CUgraphNode original, CUgraph clone) {
  return call([&] {
    requirePointer(node, "phNode");
    const std::shared_ptr<GraphNode> wanted = graphNodeOf(original);
    for (const std::shared_ptr<GraphNode> &candidate : graphOf(clone)->nodes) {
      if (candidate->original == wanted.get()) {
        *node = handleOf<CUgraphNode>(candidate.get());
        return;
      }
    }
    fail(CUDA_ERROR_INVALID_VALUE, "the graph was not cloned from the node's, or has lost its copy");
  });
}

/// The protocol of the functions that give lists: the number alone where there is no array; else as many as fit,
/// zeros behind them.
static void giveNodes(const std::vector<GraphNode *> &nodes, CUgraphNode *array, size_t *count) {
  requirePointer(count, "the count");
  if (array) {
    for (size_t i = 0; i < *count; ++i) {
      array[i] = i < nodes.size() ? handleOf<CUgraphNode>(nodes[i]) : nullptr;
    }
    *count = std::min(*count, nodes.size());
  } else {
    *count = nodes.size();
  }
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
  return call([&] {
    std::vector<GraphNode *> all;
    for (const std::shared_ptr<GraphNode> &node : graphOf(graph)->nodes) {
      all.push_back(node.get());
    }
    giveNodes(all, nodes, count);
  });
}

CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
  return call([&] {
    std::vector<GraphNode *> roots;
    for (const std::shared_ptr<GraphNode> &node : graphOf(graph)->nodes) {
      if (node->dependencies.empty()) {
        roots.push_back(node.get());
      }
    }
    giveNodes(roots, nodes, count);
  });
}

static void refuseEdgeData(const std::vector<GraphEdge> &edges) {
  for (const GraphEdge &edge : edges) {
    if (edge.data.from_port || edge.data.to_port || edge.data.type) {
      fail(CUDA_ERROR_LOSSY_QUERY, "edges carry data, and no place for it is given");
    }
  }
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data, size_t *count) {
  return call([&] {
    const std::shared_ptr<Graph> graph = graphOf(handle);
    std::vector<GraphNode *> begins, ends;
    std::vector<GraphEdge> edges;
    for (const std::shared_ptr<GraphNode> &node : graph->nodes) {
      for (const GraphEdge &edge : node->dependents) {
        begins.push_back(node.get());
        ends.push_back(edge.node);
        edges.push_back(edge);
      }
    }
    requirePointer(count, "numEdges");
    if ((from == nullptr) != (to == nullptr)) {
      fail(CUDA_ERROR_INVALID_VALUE, "one of the two arrays is null");
    }
    if (from && !data) {
      refuseEdgeData(edges);
    }
    const size_t room = *count;
    size_t written = room;
    giveNodes(begins, from, &written);
    written = room;
    giveNodes(ends, to, &written);
    for (size_t i = 0; data && i < room; ++i) {
      data[i] = i < edges.size() ? edges[i].data : CUgraphEdgeData{};
    }
    *count = written;
  });
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count) {
  return cuGraphGetEdges_v2(graph, from, to, nullptr, count);
}

static void giveEdges(const std::vector<GraphEdge> &edges, CUgraphNode *nodes, CUgraphEdgeData *data, size_t *count) {
  requirePointer(count, "the count");
  if (nodes && !data) {
    refuseEdgeData(edges);
  }
  std::vector<GraphNode *> ends;
  for (const GraphEdge &edge : edges) {
    ends.push_back(edge.node);
  }
  const size_t room = *count;
  giveNodes(ends, nodes, count);
  for (size_t i = 0; data && nodes && i < room; ++i) {
    data[i] = i < edges.size() ? edges[i].data : CUgraphEdgeData{};
  }
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *dependencies, CUgraphEdgeData *data,
                                       size_t *count) {
  return call([&] { giveEdges(graphNodeOf(node)->dependencies, dependencies, data, count); });
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *dependencies, size_t *count) {
  return cuGraphNodeGetDependencies_v2(node, dependencies, nullptr, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *dependents, CUgraphEdgeData *data,
                                         size_t *count) {
  return call([&] { giveEdges(graphNodeOf(node)->dependents, dependents, data, count); });
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *dependents, size_t *count) {
  return cuGraphNodeGetDependentNodes_v2(node, dependents, nullptr, count);
}

CUresult cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *data, size_t count) {
  return call([&] {
    const std::shared_ptr<Graph> graph = graphOf(handle);
    if (count != 0) {
      requirePointer(from, "from");
      requirePointer(to, "to");
    }
    for (size_t i = 0; i < count; ++i) {
      GraphNode &begin = *graphNodeOf(from[i]), &end = *graphNodeOf(to[i]);
      if (begin.graph != graph.get() || end.graph != graph.get() || &begin == &end) {
        fail(CUDA_ERROR_INVALID_VALUE, "edge %zu is not between two nodes of the graph", i);
      }
      const CUgraphEdgeData edge = data ? data[i] : CUgraphEdgeData{};
      for (const GraphEdge &other : begin.dependents) {
        if (other.node == &end && std::memcmp(&other.data, &edge, sizeof edge) == 0) {
          fail(CUDA_ERROR_INVALID_VALUE, "edge %zu exists", i);
        }
      }
      addEdge(begin, end, edge);
    }
  });
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count) {
  return cuGraphAddDependencies_v2(graph, from, to, nullptr, count);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *, size_t count) {
  return call([&] {
    graphOf(handle);
    for (size_t i = 0; i < count; ++i) {
      if (!removeEdge(*graphNodeOf(from[i]), *graphNodeOf(to[i]))) {
        fail(CUDA_ERROR_INVALID_VALUE, "edge %zu does not exist", i);
      }
    }
  });
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count) {
  return cuGraphRemoveDependencies_v2(graph, from, to, nullptr, count);
}

CUresult cuGraphDestroyNode(CUgraphNode handle) {
  return call([&] {
    const std::shared_ptr<GraphNode> node = graphNodeOf(handle);
    if (node->graph->child) {
      fail(CUDA_ERROR_INVALID_VALUE, "the node belongs to a child graph");
    }
    removeNode(*node);
  });
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type) {
  return call([&] {
    requirePointer(type, "type");
    *type = typeOf(graphNodeOf(node)->operation);
  });
}

CUresult cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned int flags) {
  return call([&] {
    requirePointer(path, "path");
    const std::string text = dotOf(*graphOf(graph), flags);
    std::FILE *file = std::fopen(path, "w");
    if (!file) {
      fail(CUDA_ERROR_OPERATING_SYSTEM, "%s: %s", path, std::strerror(errno));
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) {
      fail(CUDA_ERROR_OPERATING_SYSTEM, "%s: %s", path, std::strerror(errno));
    }
  });
}

// --- memory of graphs: taken with the node, so there is nothing to trim.

CUresult cuDeviceGraphMemTrim(CUdevice device) {
  return call([&] { Driver::instance().device(device); });
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value) {
  return call([&] {
    requirePointer(value, "value");
    const int ordinal = Driver::instance().device(device).ordinal;
    if (attribute < CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT || attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute", static_cast<int>(attribute));
    }
    cuuint64_t bytes = 0;
    Driver::instance().graphNodes.each([&](const GraphNode &node) {
      const AllocOperation *alloc = std::get_if<AllocOperation>(&node.operation);
      if (alloc && alloc->what.poolProps.location.id == ordinal) {
        bytes += alloc->what.bytesize;
      }
    });
    *static_cast<cuuint64_t *>(value) = bytes;
  });
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value) {
  return call([&] {
    requirePointer(value, "value");
    Driver::instance().device(device);
    if ((attribute != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH && attribute != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) ||
        *static_cast<cuuint64_t *>(value) != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "only the high marks can be set, and only to 0");
    }
  });
}

// --- user objects

static UserObject &userObjectOf(CUuserObject handle) {
  const std::shared_ptr<UserObject> object = Driver::instance().userObjects.find(handle);
  if (!object) {
    fail(CUDA_ERROR_INVALID_VALUE, "%p is no user object", static_cast<void *>(handle));
  }
  return *object;
}

CUresult cuUserObjectCreate(CUuserObject *result, void *pointer, CUhostFn destroy, unsigned int references,
                            unsigned int flags) {
  return call([&] {
    requirePointer(result, "object_out");
    requirePointer(reinterpret_cast<const void *>(destroy), "destroy");
    if (references == 0 || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) {
      fail(CUDA_ERROR_INVALID_VALUE, "%u references, flags 0x%x; expected CU_USER_OBJECT_NO_DESTRUCTOR_SYNC",
           references, flags);
    }
    auto object = std::make_shared<UserObject>();
    object->pointer = pointer;
    object->destroy = destroy;
    object->references = references;
    *result = Driver::instance().userObjects.add<CUuserObject>(object);
  });
}

CUresult cuUserObjectRetain(CUuserObject object, unsigned int count) {
  return call([&] { userObjectOf(object).references += count; });
}

CUresult cuUserObjectRelease(CUuserObject object, unsigned int count) {
  return call([&] {
    const std::shared_ptr<UserObject> kept = Driver::instance().userObjects.find(object);
    releaseUserObject(userObjectOf(object), count);
  });
}

CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject handle, unsigned int count, unsigned int flags) {
  return call([&] {
    UserObject &object = userObjectOf(handle);
    if (flags & ~static_cast<unsigned>(CU_GRAPH_USER_OBJECT_MOVE)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    if (!(flags & CU_GRAPH_USER_OBJECT_MOVE)) {
      object.references += count;
    }
    graphOf(graph)->userObjects[&object] += count;
  });
}

CUresult cuGraphReleaseUserObject(CUgraph handle, CUuserObject object, unsigned int count) {
  return call([&] {
    const std::shared_ptr<Graph> graph = graphOf(handle);
    const std::shared_ptr<UserObject> kept = Driver::instance().userObjects.find(object);
    UserObject &known = userObjectOf(object);
    auto held = graph->userObjects.find(&known);
    if (held == graph->userObjects.end() || held->second < count) {
      fail(CUDA_ERROR_INVALID_VALUE, "the graph does not hold %u references", count);
    }
    held->second -= count;
    if (held->second == 0) {
      graph->userObjects.erase(held);
    }
    releaseUserObject(known, count);
  });
}

} // namespace emulator::cuda
