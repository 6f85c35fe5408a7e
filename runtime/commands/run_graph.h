#ifndef RUNTIME_COMMANDS_RUN_GRAPH_H
#define RUNTIME_COMMANDS_RUN_GRAPH_H

#include "commands/handles.h"
#include <string>
#include <vector>

struct GraphRunOptions {
  std::vector<std::string> inputs; ///< NAME=FILE.npy
  std::string outputFolder;        ///< Each output lands there as NAME.npy; empty: outputs are described on stdout.
  bool json = false;
};

/// Whether the artifact holds a plain graph.
bool isPlainGraph(const elah_artifact *artifact);

/// Runs a plain graph once on tensors from files. Returns the exit status.
int runGraph(const elah_artifact *artifact, elah_session *session, const GraphRunOptions &options);

#endif
