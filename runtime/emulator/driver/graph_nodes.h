#ifndef RUNTIME_EMULATOR_DRIVER_GRAPH_NODES_H
#define RUNTIME_EMULATOR_DRIVER_GRAPH_NODES_H

// From the API's node parameters to operations, checked.

#include "driver/graph.h"

namespace emulator::driver {

Operation kernelNode(const CUDA_KERNEL_NODE_PARAMS &what, Context &context);
Operation memsetNode(const CUDA_MEMSET_NODE_PARAMS &what);
Operation hostNode(const CUDA_HOST_NODE_PARAMS &what);
Operation childNode(const Graph &graph);
Operation valueNode(const CUDA_BATCH_MEM_OP_NODE_PARAMS &what);
Operation freeNode(CUdeviceptr address);
/// Any of them; gives an allocation's address back in `what`.
Operation operationOf(CUgraphNodeParams &what, Context &context);

/// Gives a node other parameters of the same kind; a kernel keeps its launch attributes.
void replaceOperation(GraphNode &node, Operation operation);

} // namespace emulator::driver

#endif
