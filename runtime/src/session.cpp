// Sequences share one paged KV cache: a sequence takes a page when it needs one and gives all back at its end, so
// memory follows what is in use. A step is checked whole before anything of it is done.
#include "src/session.h"
#include "drivers/cpu/program.h"
#include "drivers/cuda/program.h"
#include "src/background_copy.h"
#include "src/cuda_manifest.h"
#include <algorithm>
#include <cstring>
#include <thread>

namespace elah {
namespace {

/// The device that a session is to run on: "cpu", "cuda:1", "emulator".
Result<std::string> deviceFor(const proto::Manifest &manifest, const elah_session_options &options) {
  bool forCuda = isForCuda(manifest);
  std::string device = options.device ? options.device : forCuda ? "cuda" : "cpu";
  if (forCuda && device == "cpu") {
    return failure(ELAH_UNSUPPORTED,
                   "the artifact was compiled for %s: it runs on a GPU (--device cuda) or, slowly, on "
                   "the emulator (--device emulator), not on the CPU",
                   manifest.device().c_str());
  }
  if (!forCuda && device != "cpu") {
    return failure(ELAH_UNSUPPORTED, "the artifact was compiled for a CPU (%s), and does not run on device '%s'",
                   manifest.cpu().c_str(), device.c_str());
  }
  return device;
}

} // namespace

Session::Session(const Artifact &artifact) : model(artifact) {}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(const Artifact &artifact, const elah_session_options &options) {
  const proto::Manifest &manifest = artifact.manifest();
  uint64_t tokens = options.cache_tokens;
  uint64_t pageTokens = manifest.cache().page_tokens();
  if (tokens == 0) {
    // Each sequence may leave a part of its last page unused.
    uint64_t pagesOfSequence = (manifest.limits().max_context() + pageTokens - 1) / pageTokens;
    tokens = pagesOfSequence * pageTokens * manifest.limits().max_sequences();
  }
  if (tokens > static_cast<uint64_t>(INT32_MAX) - pageTokens) {
    return failure(ELAH_OUT_OF_RANGE,
                   "a KV cache may hold at most %d tokens, found %llu; choose how many it holds "
                   "(elah_session_options.cache_tokens)",
                   INT32_MAX, static_cast<unsigned long long>(tokens));
  }
  uint64_t pages = (tokens + pageTokens - 1) / pageTokens;
  unsigned threads = options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  if (threads > 4096) {
    return failure(ELAH_INVALID_ARGUMENT, "expected at most 4096 threads, found %u", threads);
  }
  ELAH_RETURN_IF_ERROR(artifact.checkUnchanged());
  Result<std::string> device = deviceFor(manifest, options);
  if (!device.ok()) {
    return device.status();
  }
  std::unique_ptr<Session> session(new Session(artifact));
  session->cacheRowCount = pages * pageTokens;
  session->pageCount = pages;
  auto weights = reinterpret_cast<const uint8_t *>(artifact.section(ELAH_SECTION_WEIGHTS).data());
  unsigned place; // C's enumerations may hold numbers that C++'s may not.
  std::memcpy(&place, &options.weights_place, sizeof(place));
  if (place > ELAH_WEIGHTS_COPIED_MEANWHILE) {
    return failure(ELAH_INVALID_ARGUMENT, "%u is no elah_weights_place", place);
  }
  bool isCopied = options.weights_place == ELAH_WEIGHTS_COPIED && *device == "cpu";
  if (artifact.refersToWeights() || isCopied) {
    Result<std::shared_ptr<const PackedWeights>> packed = artifact.packWeights(options.model_folder, threads);
    if (!packed.ok()) {
      return packed.status();
    }
    session->packedWeights = std::move(*packed);
    weights = session->packedWeights->data();
  }
  if (*device == "cpu") {
    Result<std::unique_ptr<CpuProgram>> program =
        CpuProgram::create(artifact, weights, threads, session->cacheRowCount);
    if (!program.ok()) {
      return program.status();
    }
    session->cpuProgram = program->get();
    session->program = std::move(*program);
    uint64_t weightBytes = artifact.section(ELAH_SECTION_WEIGHTS).size();
    if (!session->packedWeights && (options.weights_place == ELAH_WEIGHTS_COPIED_MEANWHILE ||
                                    (options.weights_place == ELAH_WEIGHTS_AUTO &&
                                     BackgroundCopy::isWorthwhile(weightBytes, availableMemory())))) {
      session->copy = std::make_unique<BackgroundCopy>(artifact);
    }
    return session;
  }
  Result<std::unique_ptr<cuda::Device>> opened = cuda::Device::open(*device);
  if (!opened.ok()) {
    return opened.status();
  }
  Result<std::unique_ptr<CudaProgram>> program =
      CudaProgram::create(artifact, weights, std::move(*opened), threads, session->cacheRowCount);
  if (!program.ok()) {
    return program.status();
  }
  if (!(*program)->readsWeightsInPlace()) {
    session->packedWeights.reset(); // They are on the device now.
  }
  session->program = std::move(*program);
  return session;
}

int32_t Session::takePage() {
  if (returnedPages.empty()) {
    return static_cast<int32_t>(firstUnusedPage++);
  }
  int32_t page = returnedPages.back();
  returnedPages.pop_back();
  return page;
}

Result<uint32_t> Session::createSequence() {
  uint32_t id = 0;
  for (const auto &entry : sequences) {
    if (entry.first != id) {
      break;
    }
    ++id;
  }
  sequences[id];
  return id;
}

Status Session::freeSequence(uint32_t id) {
  auto entry = sequences.find(id);
  if (entry == sequences.end()) {
    return failure(ELAH_INVALID_ARGUMENT, "there is no sequence %u", id);
  }
  returnedPages.insert(returnedPages.end(), entry->second.pages.rbegin(), entry->second.pages.rend());
  sequences.erase(entry);
  return Status();
}

Result<uint32_t> Session::lengthOf(uint32_t id) const {
  auto entry = sequences.find(id);
  if (entry == sequences.end()) {
    return failure(ELAH_INVALID_ARGUMENT, "there is no sequence %u", id);
  }
  return entry->second.length;
}

Status Session::checkStep(std::span<const elah_chunk> chunks) const {
  const proto::Manifest &manifest = model.manifest();
  const proto::Limits &limits = manifest.limits();
  uint64_t pageTokens = manifest.cache().page_tokens();
  if (chunks.empty() || chunks.size() > limits.max_sequences()) {
    return failure(ELAH_OUT_OF_RANGE, "a step takes 1 to %u sequences, found %zu", limits.max_sequences(),
                   chunks.size());
  }
  uint64_t tokens = 0, pages = 0, logitRows = 0;
  std::vector<uint32_t> ids;
  for (const elah_chunk &chunk : chunks) {
    auto entry = sequences.find(chunk.sequence);
    if (entry == sequences.end()) {
      return failure(ELAH_INVALID_ARGUMENT, "there is no sequence %u", chunk.sequence);
    }
    ids.push_back(chunk.sequence);
    if (chunk.count == 0 || !chunk.tokens) {
      return failure(ELAH_INVALID_ARGUMENT, "the chunk of sequence %u has no tokens", chunk.sequence);
    }
    uint64_t length = entry->second.length + static_cast<uint64_t>(chunk.count);
    if (length > limits.max_context()) {
      return failure(ELAH_OUT_OF_RANGE,
                     "sequence %u would have %llu tokens, the artifact was compiled for a context of %u",
                     chunk.sequence, static_cast<unsigned long long>(length), limits.max_context());
    }
    for (size_t i = 0; i < chunk.count; ++i) {
      if (chunk.tokens[i] >= manifest.vocabulary()) {
        return failure(ELAH_OUT_OF_RANGE, "token %u is outside the vocabulary of %u", chunk.tokens[i],
                       manifest.vocabulary());
      }
    }
    tokens += chunk.count;
    logitRows += chunk.logits == ELAH_LOGITS_ALL ? chunk.count : chunk.logits == ELAH_LOGITS_LAST;
    pages += (length + pageTokens - 1) / pageTokens - entry->second.pages.size();
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return failure(ELAH_INVALID_ARGUMENT, "a sequence may have one chunk in a step");
  }
  if (tokens > limits.max_tokens()) {
    return failure(ELAH_OUT_OF_RANGE, "a step takes at most %u tokens, found %llu", limits.max_tokens(),
                   static_cast<unsigned long long>(tokens));
  }
  if (logitRows > maxLogitRows(limits)) {
    return failure(ELAH_OUT_OF_RANGE, "a step gives at most %u rows of logits, found %llu", maxLogitRows(limits),
                   static_cast<unsigned long long>(logitRows));
  }
  if (pages > freePages()) {
    return failure(ELAH_OUT_OF_MEMORY, "the KV cache has %llu free pages of %llu tokens, the step needs %llu",
                   static_cast<unsigned long long>(freePages()), static_cast<unsigned long long>(pageTokens),
                   static_cast<unsigned long long>(pages));
  }
  return Status();
}

void Session::useCopy() {
  if (copy && copy->isFinished()) {
    packedWeights = copy->take();
    copy.reset();
    if (packedWeights) {
      cpuProgram->moveWeights(packedWeights->data());
    }
  }
}

Status Session::step(std::span<const elah_chunk> chunks, LaunchWatcher *watcher) {
  ELAH_RETURN_IF_ERROR(model.checkUnchanged());
  ELAH_RETURN_IF_ERROR(checkStep(chunks));
  useCopy();
  const proto::Manifest &manifest = model.manifest();
  uint32_t pageTokens = manifest.cache().page_tokens();
  size_t pagesPerSequence = 1;
  for (std::vector<int32_t> *input :
       {&tokenIds, &positions, &tokenSequence, &cacheRows, &sequenceStarts, &contextLengths, &logitTokens}) {
    input->clear();
  }
  for (const elah_chunk &chunk : chunks) {
    Sequence &sequence = sequences[chunk.sequence];
    int32_t index = static_cast<int32_t>(sequenceStarts.size());
    sequenceStarts.push_back(static_cast<int32_t>(tokenIds.size()));
    for (size_t i = 0; i < chunk.count; ++i) {
      uint32_t position = sequence.length++;
      if (position / pageTokens == sequence.pages.size()) {
        sequence.pages.push_back(takePage());
      }
      bool wantsLogits = chunk.logits == ELAH_LOGITS_ALL || (chunk.logits == ELAH_LOGITS_LAST && i + 1 == chunk.count);
      if (wantsLogits) {
        logitTokens.push_back(static_cast<int32_t>(tokenIds.size()));
      }
      tokenIds.push_back(static_cast<int32_t>(chunk.tokens[i]));
      positions.push_back(static_cast<int32_t>(position));
      tokenSequence.push_back(index);
      cacheRows.push_back(sequence.pages[position / pageTokens] * static_cast<int32_t>(pageTokens) +
                          static_cast<int32_t>(position % pageTokens));
    }
    contextLengths.push_back(static_cast<int32_t>(sequence.length));
    pagesPerSequence = std::max(pagesPerSequence, sequence.pages.size());
  }
  sequenceStarts.push_back(static_cast<int32_t>(tokenIds.size()));
  pageTable.assign(chunks.size() * pagesPerSequence, 0);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const std::vector<int32_t> &pages = sequences[chunks[i].sequence].pages;
    std::copy(pages.begin(), pages.end(), pageTable.begin() + static_cast<ptrdiff_t>(i * pagesPerSequence));
  }
  Dims dims = {static_cast<int64_t>(tokenIds.size()), static_cast<int64_t>(chunks.size()),
               static_cast<int64_t>(logitTokens.size()), static_cast<int64_t>(cacheRowCount),
               static_cast<int64_t>(pagesPerSequence)};
  Status status = program->run(
      dims, {tokenIds, positions, tokenSequence, cacheRows, sequenceStarts, contextLengths, pageTable, logitTokens},
      watcher);
  if (!status.ok()) {
    takeBack(chunks);
  }
  return status;
}

void Session::takeBack(std::span<const elah_chunk> chunks) {
  uint32_t pageTokens = model.manifest().cache().page_tokens();
  for (const elah_chunk &chunk : chunks) {
    Sequence &sequence = sequences[chunk.sequence];
    sequence.length -= static_cast<uint32_t>(chunk.count);
    while (sequence.pages.size() > (uint64_t(sequence.length) + pageTokens - 1) / pageTokens) {
      returnedPages.push_back(sequence.pages.back());
      sequence.pages.pop_back();
    }
  }
  logitTokens.clear();
}

} // namespace elah
