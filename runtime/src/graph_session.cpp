// A plain graph behind named tensors: inputs are held against what the artifact promises before its code sees them.
#include "src/graph_session.h"
#include <algorithm>
#include <thread>

namespace elah {
namespace {

struct ElementType {
  const char *name;
  size_t bytes;
};

constexpr ElementType elementTypes[] = {{nullptr, 0},  {"f32", 4},  {"f64", 8}, {"f16", 2}, {"bf16", 2},
                                        {"f8e4m3", 1}, {"bool", 1}, {"i8", 1},  {"i16", 2}, {"i32", 4},
                                        {"i64", 8},    {"u8", 1},   {"u16", 2}, {"u32", 4}, {"u64", 8}};
static_assert(std::size(elementTypes) == ELAH_U64 + 1);

const ElementType &typeOf(elah_element_type type) {
  return elementTypes[type > 0 && type < std::size(elementTypes) ? type : 0];
}

std::string shapeText(std::span<const int64_t> dims) {
  std::string text = "[";
  for (int64_t size : dims) {
    text += (text.size() > 1 ? ", " : "") + (size < 0 ? std::string("?") : std::to_string(size));
  }
  return text + "]";
}

std::string describePort(const proto::Port &port) {
  std::vector<int64_t> dims;
  for (const proto::Dimension &dim : port.dims()) {
    dims.push_back(dim.size());
  }
  return std::string(typeOf(static_cast<elah_element_type>(port.type())).name) + shapeText(dims);
}

Status checkInput(const proto::Port &port, const elah_tensor &tensor) {
  auto fail = [&](const std::string &found) {
    return failure(ELAH_INVALID_ARGUMENT, "input '%s' must be %s, found %s", port.name().c_str(),
                   describePort(port).c_str(), found.c_str());
  };
  const ElementType &type = typeOf(tensor.type);
  if (!type.name) {
    return fail("an element type that there is not");
  }
  std::span<const int64_t> dims(tensor.dims, tensor.rank);
  bool fits = tensor.type == static_cast<elah_element_type>(port.type()) &&
              tensor.rank == static_cast<size_t>(port.dims_size());
  uint64_t elements = 1;
  for (size_t axis = 0; fits && axis < dims.size(); ++axis) {
    int64_t expected = port.dims(static_cast<int>(axis)).size();
    fits = dims[axis] >= 0 && (expected < 0 || expected == dims[axis]) &&
           !__builtin_mul_overflow(elements, static_cast<uint64_t>(dims[axis]), &elements);
  }
  if (!fits || elements > (uint64_t(1) << 46)) {
    return fail(type.name + shapeText(dims));
  }
  return !tensor.data && elements > 0 ? fail("no data") : Status();
}

} // namespace

size_t elementTypeBytes(elah_element_type type) { return typeOf(type).bytes; }

const char *elementTypeName(elah_element_type type) { return typeOf(type).name; }

void TensorList::add(const std::string &name, elah_element_type type, std::vector<int64_t> dims, const void *data) {
  names.push_back(std::make_unique<std::string>(name));
  sizes.push_back(std::make_unique<std::vector<int64_t>>(std::move(dims)));
  entries.push_back({names.back()->c_str(), type, sizes.back()->size(), sizes.back()->data(), data});
}

void TensorList::clear() {
  entries.clear();
  names.clear();
  sizes.clear();
}

TensorList describePorts(const google::protobuf::RepeatedPtrField<proto::Port> &ports) {
  TensorList list;
  for (const proto::Port &port : ports) {
    std::vector<int64_t> dims;
    for (const proto::Dimension &dim : port.dims()) {
      dims.push_back(dim.size());
    }
    list.add(port.name(), static_cast<elah_element_type>(port.type()), std::move(dims), nullptr);
  }
  return list;
}

Result<std::unique_ptr<GraphSession>> GraphSession::create(const Artifact &artifact,
                                                           const elah_session_options &options) {
  const proto::Manifest &manifest = artifact.manifest();
  if (options.device && std::string_view(options.device) != "cpu") {
    return failure(ELAH_UNSUPPORTED, "a plain graph runs on the CPU, not on device '%s'", options.device);
  }
  ELAH_RETURN_IF_ERROR(artifact.checkUnchanged());
  std::unique_ptr<GraphSession> session(new GraphSession(artifact));
  Result<std::unique_ptr<CpuObject>> object = CpuObject::load(artifact);
  if (!object.ok()) {
    return object.status();
  }
  session->object = std::move(*object);
  Result<void *> symbol = session->object->find(manifest.graph().symbol());
  if (!symbol.ok()) {
    return symbol.status();
  }
  session->graph = reinterpret_cast<elah_cpu_graph>(*symbol);
  auto bytes = reinterpret_cast<const uint8_t *>(artifact.section(ELAH_SECTION_WEIGHTS).data());
  bool isCopied =
      options.weights_place == ELAH_WEIGHTS_COPIED || options.weights_place == ELAH_WEIGHTS_COPIED_MEANWHILE;
  if (isCopied && manifest.weights_size() > 0) {
    unsigned threads = options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
    Result<std::shared_ptr<const PackedWeights>> packed = artifact.packWeights(options.model_folder, threads);
    if (!packed.ok()) {
      return packed.status();
    }
    session->packedWeights = std::move(*packed);
    bytes = session->packedWeights->data();
  }
  for (const proto::Weight &weight : manifest.weights()) {
    session->weights.push_back(bytes + weight.offset());
  }
  return session;
}

Status GraphSession::run(std::span<const elah_tensor> inputs) {
  const proto::Graph &ports = model.manifest().graph();
  ELAH_RETURN_IF_ERROR(model.checkUnchanged());
  std::vector<const elah_tensor *> given(static_cast<size_t>(ports.inputs_size()));
  for (const elah_tensor &tensor : inputs) {
    int index = 0;
    while (index < ports.inputs_size() && ports.inputs(index).name() != tensor.name) {
      ++index;
    }
    if (index == ports.inputs_size()) {
      std::string names;
      for (const proto::Port &port : ports.inputs()) {
        names += (names.empty() ? "'" : ", '") + port.name() + "'";
      }
      return failure(ELAH_INVALID_ARGUMENT, "the graph has no input '%s'; its inputs are %s", tensor.name,
                     names.empty() ? "none" : names.c_str());
    }
    if (given[static_cast<size_t>(index)]) {
      return failure(ELAH_INVALID_ARGUMENT, "input '%s' is given twice", tensor.name);
    }
    ELAH_RETURN_IF_ERROR(checkInput(ports.inputs(index), tensor));
    given[static_cast<size_t>(index)] = &tensor;
  }
  // The code reads its inputs in whole vectors, from addresses that it may trust to be aligned.
  std::vector<elah_graph_tensor> arguments;
  std::vector<std::unique_ptr<void, GraphOutput::Free>> copies;
  std::vector<std::vector<int64_t>> dims;
  for (size_t index = 0; index < given.size(); ++index) {
    const proto::Port &port = ports.inputs(static_cast<int>(index));
    if (!given[index]) {
      return failure(ELAH_INVALID_ARGUMENT, "input '%s' is missing; it is %s", port.name().c_str(),
                     describePort(port).c_str());
    }
    const elah_tensor &tensor = *given[index];
    dims.emplace_back(tensor.dims, tensor.dims + tensor.rank);
    void *data = const_cast<void *>(tensor.data);
    if (reinterpret_cast<uintptr_t>(data) % 64 != 0) {
      uint64_t bytes = elementTypeBytes(tensor.type);
      for (int64_t size : dims.back()) {
        bytes *= static_cast<uint64_t>(size);
      }
      void *copy = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
      if (!copy) {
        return failure(ELAH_OUT_OF_MEMORY, "no memory for input '%s'", port.name().c_str());
      }
      std::copy_n(static_cast<const uint8_t *>(data), bytes, static_cast<uint8_t *>(copy));
      copies.emplace_back(copy);
      data = copy;
    }
    arguments.push_back({data, nullptr});
  }
  for (size_t index = 0; index < dims.size(); ++index) {
    arguments[index].dims = dims[index].data();
  }
  std::vector<GraphOutput> outputs(static_cast<size_t>(ports.outputs_size()));
  for (size_t index = 0; index < outputs.size(); ++index) {
    outputs[index].dims.resize(static_cast<size_t>(ports.outputs(static_cast<int>(index)).dims_size()));
  }
  ELAH_RETURN_IF_ERROR(callGraph(graph, weights, arguments, outputs));
  memory = std::move(outputs);
  results.clear();
  for (size_t index = 0; index < memory.size(); ++index) {
    const proto::Port &port = ports.outputs(static_cast<int>(index));
    results.add(port.name(), static_cast<elah_element_type>(port.type()), memory[index].dims, memory[index].data.get());
  }
  return Status();
}

} // namespace elah
