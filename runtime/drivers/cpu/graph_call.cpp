// What the code of a plain graph asks of the runtime: memory, the mathematical library, and a way out when the data
// breaks a rule that could only be checked while running.
#include "drivers/cpu/graph_call.h"
#include <cmath>
#include <csetjmp>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace elah {
namespace {

struct Element {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> dims;
  elah_graph_element view;
};

struct Sequence {
  std::vector<std::shared_ptr<const Element>> elements; ///< Shared with copies of the sequence: elements never change.
};

struct Call {
  std::unordered_set<void *> memory; ///< Allocated by the code, and not yet released.
  std::unordered_map<void *, std::unique_ptr<Sequence>> sequences;
  std::string message;
  elah_code code = ELAH_OK;
  std::jmp_buf end;
};

void *allocate(void *state, int64_t bytes) {
  Call &call = *static_cast<Call *>(state);
  // Sizes are products of dimensions: a negative one has wrapped.
  void *memory = nullptr;
  if (bytes >= 0 && bytes < (int64_t(1) << 46)) {
    memory = std::aligned_alloc(64, (static_cast<size_t>(bytes) + 64) / 64 * 64);
  }
  if (!memory) {
    call.code = ELAH_OUT_OF_MEMORY;
    call.message = "no memory for a tensor of " + std::to_string(bytes) + " bytes";
    std::longjmp(call.end, 1);
  }
  call.memory.insert(memory);
  return memory;
}

void release(void *state, void *memory) {
  static_cast<Call *>(state)->memory.erase(memory);
  std::free(memory);
}

void fail(void *state, const char *text, int64_t first, int64_t second) {
  Call &call = *static_cast<Call *>(state);
  call.code = ELAH_INVALID_ARGUMENT;
  call.message = text;
  constexpr std::string_view place = "%lld";
  size_t from = 0;
  for (int64_t number : {first, second}) {
    size_t at = call.message.find(place, from);
    if (at != std::string::npos) {
      std::string digits = std::to_string(number);
      call.message.replace(at, place.size(), digits);
      from = at + digits.size();
    }
  }
  std::longjmp(call.end, 1);
}

void *sequenceCreate(void *state) {
  auto sequence = std::make_unique<Sequence>();
  void *handle = sequence.get();
  static_cast<Call *>(state)->sequences[handle] = std::move(sequence);
  return handle;
}

void sequenceAppend(void *, void *sequence, const void *data, int64_t bytes, int64_t rank, const int64_t *dims) {
  auto element = std::make_shared<Element>();
  auto from = static_cast<const uint8_t *>(data);
  element->bytes.assign(from, from + bytes);
  element->dims.assign(dims, dims + rank);
  element->view = {element->bytes.data(), element->dims.data(), rank};
  static_cast<Sequence *>(sequence)->elements.push_back(std::move(element));
}

int64_t sequenceLength(void *sequence) {
  return static_cast<int64_t>(static_cast<Sequence *>(sequence)->elements.size());
}

const elah_graph_element *sequenceAt(void *sequence, int64_t position) {
  return &static_cast<Sequence *>(sequence)->elements[static_cast<size_t>(position)]->view;
}

void sequenceTake(void *sequence, void *from, int64_t position) {
  static_cast<Sequence *>(sequence)->elements.push_back(
      static_cast<Sequence *>(from)->elements[static_cast<size_t>(position)]);
}

void *sequenceCopy(void *state, void *sequence) {
  void *copy = sequenceCreate(state);
  *static_cast<Sequence *>(copy) = *static_cast<Sequence *>(sequence);
  return copy;
}

void sequenceRelease(void *state, void *sequence) { static_cast<Call *>(state)->sequences.erase(sequence); }

} // namespace

Status callGraph(elah_cpu_graph graph, std::span<const void *const> weights, std::span<const elah_graph_tensor> inputs,
                 std::span<GraphOutput> outputs) {
  Call call;
  elah_graph_services services = {&call,
                                  allocate,
                                  release,
                                  fail,
                                  {std::exp, std::log, std::sin, std::cos, std::tanh, std::erf},
                                  {std::exp, std::log, std::sin, std::cos, std::tanh, std::erf},
                                  std::pow,
                                  std::fmod,
                                  sequenceCreate,
                                  sequenceAppend,
                                  sequenceLength,
                                  sequenceAt,
                                  sequenceTake,
                                  sequenceCopy,
                                  sequenceRelease};
  std::vector<elah_graph_tensor> results;
  for (GraphOutput &output : outputs) {
    results.push_back({nullptr, output.dims.data()});
  }
  // The code between here and the jump back is C's in all but name: nothing in it has a destructor.
  if (setjmp(call.end) == 0) {
    graph(&services, weights.data(), inputs.data(), results.data());
  }
  if (call.code != ELAH_OK) {
    for (void *memory : call.memory) {
      std::free(memory);
    }
    return failure(call.code, "%s", call.message.c_str());
  }
  for (size_t index = 0; index < outputs.size(); ++index) {
    outputs[index].data.reset(results[index].data);
  }
  return Status();
}

} // namespace elah
