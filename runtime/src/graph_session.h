#ifndef RUNTIME_SRC_GRAPH_SESSION_H
#define RUNTIME_SRC_GRAPH_SESSION_H

#include "drivers/cpu/graph_call.h"
#include "drivers/cpu/object.h"
#include "src/artifact.h"
#include <elah/elah.h>
#include <memory>
#include <span>
#include <vector>

namespace elah {

/// Bytes of an element, and the name of its type; 0 and null for a type that there is not.
size_t elementTypeBytes(elah_element_type type);
const char *elementTypeName(elah_element_type type);

/// Tensors in a form that C reads; what their pointers lead to lies in here.
class TensorList {
public:
  void add(const std::string &name, elah_element_type type, std::vector<int64_t> dims, const void *data);
  std::span<const elah_tensor> tensors() const { return entries; }
  void clear();

private:
  std::vector<elah_tensor> entries;
  std::vector<std::unique_ptr<std::string>> names;
  std::vector<std::unique_ptr<std::vector<int64_t>>> sizes;
};

/// What a manifest promises of its graph's inputs or outputs.
TensorList describePorts(const google::protobuf::RepeatedPtrField<proto::Port> &ports);

/// A plain graph in use.
class GraphSession {
public:
  static Result<std::unique_ptr<GraphSession>> create(const Artifact &artifact, const elah_session_options &options);

  /// See elah_session_run.
  Status run(std::span<const elah_tensor> inputs);
  std::span<const elah_tensor> outputs() const { return results.tensors(); }

private:
  explicit GraphSession(const Artifact &artifact) : model(artifact) {}

  const Artifact &model;
  std::unique_ptr<CpuObject> object;
  elah_cpu_graph graph = nullptr;
  std::shared_ptr<const PackedWeights> packedWeights; ///< If they are not read where the artifact is mapped.
  std::vector<const void *> weights;
  std::vector<GraphOutput> memory; ///< Of the last run's outputs.
  TensorList results;
};

} // namespace elah

#endif
