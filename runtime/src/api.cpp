// The C API: handles around the C++ inside, failures turned into codes and a sentence for the thread that asked.
#include "src/artifact.h"
#include "src/cuda_manifest.h"
#include "src/describe.h"
#include "src/generate.h"
#include "src/graph_session.h"
#include "src/record_section.h"
#include "src/sampling.h"
#include "src/self_test.h"
#include "src/session.h"
#include "src/tokenizer/chat.h"
#include "src/tokenizer/tokenizer.h"
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace elah;

struct elah_artifact {
  std::unique_ptr<Artifact> content;
  TensorList inputs, outputs;
};

struct elah_tokenizer {
  std::unique_ptr<Tokenizer> content;
  std::vector<uint32_t> ids;
  std::string text;
};

struct elah_session {
  std::unique_ptr<Session> content; ///< Of a language model; else null.
  std::unique_ptr<GraphSession> graph;
  SelfTestReport selfTest;
};

namespace {

thread_local std::string lastError;

elah_code report(const Status &status) {
  if (!status.ok()) {
    lastError = status.message();
  }
  return status.code();
}

char *copyString(const std::string &text) {
  char *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy) {
    std::memcpy(copy, text.c_str(), text.size() + 1);
  }
  return copy;
}

elah_code giveString(const std::string &text, char **out) {
  *out = copyString(text);
  return *out ? ELAH_OK : report(failure(ELAH_OUT_OF_MEMORY, "no memory for a string"));
}

Result<std::string> readFile(const char *path) {
  int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return failure(errno == ENOENT ? ELAH_NOT_FOUND : ELAH_IO, "%s: cannot open: %s", path, std::strerror(errno));
  }
  std::string text;
  char buffer[1 << 16];
  ssize_t got;
  while ((got = ::read(descriptor, buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(descriptor);
  if (got < 0) {
    return failure(ELAH_IO, "%s: cannot read: %s", path, std::strerror(errno));
  }
  return text;
}

elah_code openTokenizer(std::string_view json, elah_tokenizer **out) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(json);
  if (!tokenizer.ok()) {
    return report(tokenizer.status());
  }
  *out = new elah_tokenizer{std::move(*tokenizer), {}, {}};
  return ELAH_OK;
}

const Status isNoLanguageModel(ELAH_UNSUPPORTED, "the artifact holds a plain graph: it has no sequences and no logits, "
                                                 "only named tensors (elah_session_run)");
const Status isNoGraph(ELAH_UNSUPPORTED, "the artifact holds a language model, not a plain graph with named tensors");

elah_code givePorts(const elah_artifact *artifact, const TensorList &list, const elah_tensor **tensors, size_t *count) {
  if (!artifact->content->manifest().has_graph()) {
    return report(isNoGraph);
  }
  *tensors = list.tensors().data();
  *count = list.tensors().size();
  return ELAH_OK;
}

} // namespace

const char *elah_last_error(void) { return lastError.c_str(); }

const char *elah_version(void) { return ELAH_VERSION; }

elah_code elah_artifact_open(const char *path, elah_artifact **out) {
  Result<std::unique_ptr<Artifact>> artifact = Artifact::open(path);
  if (!artifact.ok()) {
    return report(artifact.status());
  }
  const proto::Graph &graph = (*artifact)->manifest().graph();
  *out = new elah_artifact{std::move(*artifact), describePorts(graph.inputs()), describePorts(graph.outputs())};
  return ELAH_OK;
}

elah_code elah_artifact_inputs(const elah_artifact *artifact, const elah_tensor **tensors, size_t *count) {
  return givePorts(artifact, artifact->inputs, tensors, count);
}

elah_code elah_artifact_outputs(const elah_artifact *artifact, const elah_tensor **tensors, size_t *count) {
  return givePorts(artifact, artifact->outputs, tensors, count);
}

size_t elah_element_bytes(elah_element_type type) { return elementTypeBytes(type); }

const char *elah_element_name(elah_element_type type) { return elementTypeName(type); }

void elah_artifact_close(elah_artifact *artifact) { delete artifact; }

elah_code elah_artifact_verify(const elah_artifact *artifact) { return report(artifact->content->verify()); }

void elah_artifact_info(const elah_artifact *artifact, elah_model_info *out) {
  const proto::Manifest &manifest = artifact->content->manifest();
  *out = {manifest.architecture().c_str(),
          isForCuda(manifest) ? manifest.device().c_str() : manifest.cpu().c_str(),
          manifest.vocabulary(),
          manifest.limits().max_context(),
          manifest.limits().max_sequences(),
          manifest.limits().max_tokens(),
          maxLogitRows(manifest.limits()),
          manifest.parameters(),
          manifest.active_weight_bytes(),
          manifest.flops_per_token(),
          cacheBytesPerToken(manifest),
          computesInBF16(manifest),
          isForCuda(manifest)};
}

elah_code elah_artifact_describe(const elah_artifact *artifact, char **out) {
  return giveString(describe(*artifact->content), out);
}

void elah_string_free(char *string) { std::free(string); }

elah_code elah_tokenizer_open(const elah_artifact *artifact, elah_tokenizer **out) {
  std::string_view json = artifact->content->section(ELAH_SECTION_TOKENIZER);
  if (json.empty()) {
    return report(failure(ELAH_NOT_FOUND, "the artifact has no tokenizer"));
  }
  return openTokenizer(json, out);
}

elah_code elah_tokenizer_open_file(const char *path, elah_tokenizer **out) {
  Result<std::string> json = readFile(path);
  if (!json.ok()) {
    return report(json.status());
  }
  return openTokenizer(*json, out);
}

void elah_tokenizer_close(elah_tokenizer *tokenizer) { delete tokenizer; }

elah_code elah_tokenizer_encode(elah_tokenizer *tokenizer, const char *text, size_t size, const uint32_t **ids,
                                size_t *count) {
  tokenizer->ids.clear();
  if (Status status = tokenizer->content->encode({text, size}, tokenizer->ids); !status.ok()) {
    return report(status);
  }
  *ids = tokenizer->ids.data();
  *count = tokenizer->ids.size();
  return ELAH_OK;
}

elah_code elah_tokenizer_decode(elah_tokenizer *tokenizer, const uint32_t *ids, size_t count, bool keep_special,
                                const char **text, size_t *size) {
  Detokenizer detokenizer(*tokenizer->content, keep_special);
  tokenizer->text.clear();
  for (size_t i = 0; i < count; ++i) {
    tokenizer->text += detokenizer.add(ids[i]);
  }
  tokenizer->text += detokenizer.finish();
  *text = tokenizer->text.c_str();
  *size = tokenizer->text.size();
  return ELAH_OK;
}

elah_code elah_chat_render(const elah_artifact *artifact, const elah_message *messages, size_t count, char **out) {
  std::string_view json = artifact->content->section(ELAH_SECTION_TOKENIZER_CONFIG);
  if (json.empty()) {
    return report(failure(ELAH_UNSUPPORTED, "the artifact has no chat template"));
  }
  Result<ChatFormat> format = ChatFormat::fromTokenizerConfig(json);
  if (!format.ok()) {
    return report(format.status());
  }
  Result<std::string> text = format->render({messages, count});
  return text.ok() ? giveString(*text, out) : report(text.status());
}

elah_code elah_session_create(const elah_artifact *artifact, const elah_session_options *options, elah_session **out) {
  elah_session_options chosen = options ? *options : elah_session_options{0, 0, nullptr, ELAH_WEIGHTS_AUTO, nullptr};
  if (artifact->content->manifest().has_graph()) {
    Result<std::unique_ptr<GraphSession>> session = GraphSession::create(*artifact->content, chosen);
    if (!session.ok()) {
      return report(session.status());
    }
    *out = new elah_session{nullptr, std::move(*session)};
    return ELAH_OK;
  }
  Result<std::unique_ptr<Session>> session = Session::create(*artifact->content, chosen);
  if (!session.ok()) {
    return report(session.status());
  }
  *out = new elah_session{std::move(*session), nullptr};
  return ELAH_OK;
}

void elah_session_free(elah_session *session) { delete session; }

elah_code elah_session_run(elah_session *session, const elah_tensor *inputs, size_t count, const elah_tensor **outputs,
                           size_t *output_count) {
  if (!session->graph) {
    return report(isNoGraph);
  }
  if (Status status = session->graph->run({inputs, count}); !status.ok()) {
    return report(status);
  }
  *outputs = session->graph->outputs().data();
  *output_count = session->graph->outputs().size();
  return ELAH_OK;
}

elah_code elah_sequence_create(elah_session *session, uint32_t *sequence) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  Result<uint32_t> id = session->content->createSequence();
  if (!id.ok()) {
    return report(id.status());
  }
  *sequence = *id;
  return ELAH_OK;
}

elah_code elah_sequence_free(elah_session *session, uint32_t sequence) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  return report(session->content->freeSequence(sequence));
}

elah_code elah_sequence_length(const elah_session *session, uint32_t sequence, uint32_t *length) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  Result<uint32_t> found = session->content->lengthOf(sequence);
  if (!found.ok()) {
    return report(found.status());
  }
  *length = *found;
  return ELAH_OK;
}

elah_code elah_session_step(elah_session *session, const elah_chunk *chunks, size_t count, const float **logits,
                            size_t *rows) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  if (Status status = session->content->step({chunks, count}); !status.ok()) {
    return report(status);
  }
  *logits = session->content->logits();
  *rows = session->content->logitRows();
  return ELAH_OK;
}

elah_code elah_session_self_test(elah_session *session, elah_self_test *out) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  Result<SelfTestReport> found = runSelfTest(*session->content);
  if (!found.ok()) {
    return report(found.status());
  }
  session->selfTest = std::move(*found);
  const SelfTestReport &test = session->selfTest;
  *out = {test.compared,        test.otherExperts, test.operation.c_str(),
          test.kernels.c_str(), test.tokens,       test.operation.empty() ? test.largest : test.difference};
  return ELAH_OK;
}

elah_code elah_session_record_self_test(elah_session *session, const char *path, size_t *bytes) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  Result<std::string> goldens = recordSelfTest(*session->content);
  if (!goldens.ok()) {
    return report(goldens.status());
  }
  if (Status status = recordSection(path, ELAH_SECTION_SELF_TEST, *goldens); !status.ok()) {
    return report(status);
  }
  *bytes = goldens->size();
  return ELAH_OK;
}

void elah_sampling_defaults(const elah_artifact *artifact, elah_sampling *out) {
  Result<elah_sampling> defaults = samplingDefaults(artifact->content->section(ELAH_SECTION_GENERATION_CONFIG));
  *out = defaults.ok() ? *defaults : elah_sampling{0, 1, 0, 0};
}

elah_code elah_sample(const float *logits, uint32_t vocabulary, const elah_sampling *sampling, uint64_t step,
                      uint32_t *token) {
  Result<uint32_t> drawn = sample({logits, vocabulary}, *sampling, step);
  if (!drawn.ok()) {
    return report(drawn.status());
  }
  *token = *drawn;
  return ELAH_OK;
}

elah_code elah_generate(elah_session *session, elah_tokenizer *tokenizer, uint32_t sequence, const uint32_t *tokens,
                        size_t count, uint32_t max_tokens, const elah_sampling *sampling, elah_on_token on_token,
                        void *user, elah_stop *stop) {
  if (!session->content) {
    return report(isNoLanguageModel);
  }
  return report(generate(*session->content, *tokenizer->content, sequence, {tokens, count}, max_tokens, *sampling,
                         on_token, user, *stop));
}
