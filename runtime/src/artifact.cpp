// Opens artifacts. The file may come from anywhere, so nothing in it is used before it is checked: the header by its
// checksum and its bounds, the manifest by its checksum and then index by index, sections block by block.
#include "src/artifact.h"
#include "src/cuda_manifest.h"
#include "src/extent.h"
#include "src/self_test.h"
#define XXH_INLINE_ALL
#include <cerrno>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

namespace elah {
namespace {

uint64_t checksum(const uint8_t *bytes, uint64_t size) { return XXH3_64bits(bytes, size); }

bool isZero(const uint8_t *begin, uint64_t size) {
  for (uint64_t i = 0; i < size; ++i) {
    if (begin[i] != 0) {
      return false;
    }
  }
  return true;
}

// Far from any real model.
constexpr uint32_t maxLimit = 1u << 24;

/// The bytes of a slot in the largest step, as far as the artifact alone tells; saturates.
uint64_t largestSize(const proto::Slot &slot, const proto::Manifest &manifest) {
  // Cache rows are the session's choice, and at least one.
  const proto::Limits &limits = manifest.limits();
  uint64_t pages = (limits.max_context() - 1) / manifest.cache().page_tokens() + 1;
  return static_cast<uint64_t>(std::min<__int128_t>(
      bytesOf(slot, {limits.max_tokens(), limits.max_sequences(), limits.max_tokens(), 1, static_cast<int64_t>(pages)}),
      INT64_MAX));
}

/// The caller reads logits without a kernel between: they must lie in the arena, whatever the step.
bool logitsFit(const proto::Manifest &manifest) {
  if (manifest.logits() >= static_cast<uint32_t>(manifest.buffers_size())) {
    return false;
  }
  const proto::Buffer &buffer = manifest.buffers(static_cast<int>(manifest.logits()));
  if (buffer.place_case() != proto::Buffer::kSlot) {
    return false;
  }
  for (const proto::Extent &size : manifest.slots(static_cast<int>(buffer.slot())).sizes()) {
    auto coefficient = [&](int dim) { return dim < size.coefficients_size() ? size.coefficients(dim) : 0; };
    // There are no more logit rows than tokens.
    int64_t bytesOfRow = coefficient(ELAH_DIM_LOGIT_ROWS) + coefficient(ELAH_DIM_TOKENS);
    if (bytesOfRow >= int64_t(4) * manifest.vocabulary() &&
        size.constant() >= static_cast<int64_t>(buffer.byte_offset())) {
      return true;
    }
  }
  return false;
}

/// Names that the caller finds tensors by, types and sizes that exist.
Status checkPorts(const google::protobuf::RepeatedPtrField<proto::Port> &ports, const char *what) {
  std::set<std::string> names;
  for (const proto::Port &port : ports) {
    bool fits = !port.name().empty() && port.name().find('\0') == std::string::npos &&
                names.insert(port.name()).second && port.type() != proto::ELEMENT_TYPE_NONE &&
                proto::ElementType_IsValid(port.type()) && port.dims_size() <= 64;
    for (const proto::Dimension &dim : port.dims()) {
      fits = fits && dim.size() >= -1 && dim.size() <= maxCoefficient;
    }
    if (!fits) {
      return failure(ELAH_INVALID_DATA, "manifest: %s '%s' has no name of its own, type or shape", what,
                     port.name().c_str());
    }
  }
  return Status();
}

} // namespace

const char *sectionName(uint32_t kind) {
  switch (kind) {
  case ELAH_SECTION_WEIGHTS:
    return "weights";
  case ELAH_SECTION_CPU_OBJECT:
    return "cpu_object";
  case ELAH_SECTION_TOKENIZER:
    return "tokenizer";
  case ELAH_SECTION_TOKENIZER_CONFIG:
    return "tokenizer_config";
  case ELAH_SECTION_GENERATION_CONFIG:
    return "generation_config";
  case ELAH_SECTION_RECEIPT:
    return "receipt";
  case ELAH_SECTION_CUDA_MODULES:
    return "cuda_modules";
  case ELAH_SECTION_SELF_TEST:
    return "self_test";
  default:
    return nullptr;
  }
}

Result<std::unique_ptr<Artifact>> Artifact::open(const char *path) {
  std::unique_ptr<Artifact> artifact(new Artifact());
  artifact->descriptor = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (artifact->descriptor < 0) {
    return failure(errno == ENOENT ? ELAH_NOT_FOUND : ELAH_IO, "%s: cannot open: %s", path, std::strerror(errno));
  }
  struct stat status;
  if (::fstat(artifact->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    return failure(ELAH_INVALID_DATA, "%s: expected a regular file", path);
  }
  uint64_t fileSize = static_cast<uint64_t>(status.st_size);
  if (fileSize < sizeof(elah_artifact_header)) {
    return failure(ELAH_INVALID_DATA, "%s: expected an artifact of at least %zu bytes, found %" PRIu64, path,
                   sizeof(elah_artifact_header), fileSize);
  }
  void *mapping = ::mmap(nullptr, fileSize, PROT_READ, MAP_PRIVATE, artifact->descriptor, 0);
  if (mapping == MAP_FAILED) {
    return failure(ELAH_IO, "%s: cannot map: %s", path, std::strerror(errno));
  }
  // File systems that keep files in large pages bring them in and map them so if they are asked before.
  ::madvise(mapping, fileSize, MADV_HUGEPAGE);
  if (char *real = ::realpath(path, nullptr)) {
    artifact->folder = std::string(real, static_cast<size_t>(std::strrchr(real, '/') - real));
    std::free(real);
  }
  artifact->modifiedSeconds = status.st_mtim.tv_sec;
  artifact->modifiedNanoseconds = status.st_mtim.tv_nsec;
  artifact->mapping = mapping;
  artifact->mappingSize = fileSize;
  artifact->bytes = static_cast<const uint8_t *>(mapping);
  artifact->size = fileSize;
  if (std::memcmp(mapping, ELAH_ARTIFACT_MAGIC, 8) != 0) {
    // A self-contained program: the trailer says where the artifact begins.
    elah_artifact_trailer trailer;
    std::memcpy(&trailer, artifact->bytes + fileSize - sizeof(trailer), sizeof(trailer));
    if (std::memcmp(trailer.magic, ELAH_ARTIFACT_MAGIC, 8) != 0) {
      return failure(ELAH_INVALID_DATA, "%s: this is no Elah artifact: the magic number is missing", path);
    }
    uint64_t end = fileSize - sizeof(trailer);
    if (trailer.artifact_offset % ELAH_ARTIFACT_PAGE != 0 || trailer.artifact_offset > end ||
        trailer.artifact_size != end - trailer.artifact_offset ||
        trailer.artifact_size < sizeof(elah_artifact_header)) {
      return failure(ELAH_INVALID_DATA, "%s: the trailer's offset and size do not fit the file", path);
    }
    artifact->bytes += trailer.artifact_offset;
    artifact->size = trailer.artifact_size;
  }
  if (Status loaded = artifact->load(); !loaded.ok()) {
    return Status(loaded.code(), std::string(path) + ": " + loaded.message());
  }
  return artifact;
}

Result<std::unique_ptr<Artifact>> Artifact::fromMemory(const uint8_t *bytes, uint64_t size) {
  std::unique_ptr<Artifact> artifact(new Artifact());
  if (size < sizeof(elah_artifact_header)) {
    return failure(ELAH_INVALID_DATA, "expected an artifact of at least %zu bytes, found %" PRIu64,
                   sizeof(elah_artifact_header), size);
  }
  artifact->bytes = bytes;
  artifact->size = size;
  ELAH_RETURN_IF_ERROR(artifact->load());
  return artifact;
}

Artifact::~Artifact() {
  if (mapping) {
    ::munmap(mapping, mappingSize);
  }
  if (descriptor >= 0) {
    ::close(descriptor);
  }
}

Status Artifact::checkUnchanged() const {
  struct stat status;
  bool isSame =
      descriptor < 0 || (::fstat(descriptor, &status) == 0 && static_cast<uint64_t>(status.st_size) == mappingSize &&
                         status.st_mtim.tv_sec == modifiedSeconds && status.st_mtim.tv_nsec == modifiedNanoseconds);
  return isSame ? Status() : failure(ELAH_IO, "the artifact's file was changed while it was in use");
}

Status Artifact::load() {
  head = reinterpret_cast<const elah_artifact_header *>(bytes);
  ELAH_RETURN_IF_ERROR(checkLayout());
  if (head->manifest_size > (16u << 20) ||
      !content.ParseFromArray(bytes + head->manifest_offset, static_cast<int>(head->manifest_size))) {
    return failure(ELAH_INVALID_DATA, "the manifest is not a manifest of version %u", ELAH_ARTIFACT_VERSION);
  }
  ELAH_RETURN_IF_ERROR(checkManifest());
  for (uint32_t i = 0; i < head->section_count; ++i) {
    if (head->sections[i].kind != ELAH_SECTION_WEIGHTS) {
      ELAH_RETURN_IF_ERROR(verifySection(i));
    }
  }
  return Status();
}

Status Artifact::checkLayout() const {
  if (std::memcmp(head->magic, ELAH_ARTIFACT_MAGIC, 8) != 0) {
    return failure(ELAH_INVALID_DATA, "this is no Elah artifact: the magic number is missing");
  }
  if (head->version != ELAH_ARTIFACT_VERSION) {
    return failure(ELAH_UNSUPPORTED, "the artifact has format version %u, this runtime reads version %u", head->version,
                   ELAH_ARTIFACT_VERSION);
  }
  if (checksum(bytes, sizeof(*head) - 8) != head->header_checksum) {
    return failure(ELAH_INVALID_DATA, "header (offset 0): the checksum does not match");
  }
  if (head->file_size != size) {
    return failure(ELAH_INVALID_DATA, "the header says %" PRIu64 " bytes, the file has %" PRIu64, head->file_size,
                   size);
  }
  if (head->section_count > ELAH_ARTIFACT_MAX_SECTIONS || head->manifest_offset != sizeof(*head) ||
      head->manifest_size > size - sizeof(*head)) {
    return failure(ELAH_INVALID_DATA, "header: section count or manifest do not fit the file");
  }
  if (checksum(bytes + head->manifest_offset, head->manifest_size) != head->manifest_checksum) {
    return failure(ELAH_INVALID_DATA, "manifest (offset %" PRIu64 "): the checksum does not match",
                   head->manifest_offset);
  }
  uint64_t end = head->manifest_offset + head->manifest_size;
  uint64_t blocks = 0;
  uint64_t kinds = 0;
  auto gapIsZero = [&](uint64_t to) { return isZero(bytes + end, to - end); };
  for (uint32_t i = 0; i < head->section_count; ++i) {
    const elah_section &section = head->sections[i];
    const char *name = sectionName(section.kind);
    if (!name) {
      return failure(ELAH_UNSUPPORTED, "section %u is of the unknown kind %u", i, section.kind);
    }
    if (kinds & (uint64_t(1) << section.kind)) {
      return failure(ELAH_INVALID_DATA, "there are two sections '%s'", name);
    }
    kinds |= uint64_t(1) << section.kind;
    if (section.reserved != 0 || section.offset % ELAH_ARTIFACT_PAGE != 0 || section.offset < end ||
        section.offset > size || section.size == 0 || section.size > size - section.offset ||
        section.offset - end >= ELAH_ARTIFACT_PAGE) {
      return failure(ELAH_INVALID_DATA, "section '%s': offset %" PRIu64 " and size %" PRIu64 " do not fit the file",
                     name, section.offset, section.size);
    }
    if (!gapIsZero(section.offset)) {
      return failure(ELAH_INVALID_DATA, "the gap before section '%s' (offset %" PRIu64 ") is not zero", name, end);
    }
    end = section.offset + section.size;
    blocks += (section.size - 1) / ELAH_ARTIFACT_BLOCK + 1;
  }
  if (head->checksums_offset % 8 != 0 || head->checksums_offset < end || head->checksums_offset - end >= 8 ||
      head->checksums_size != 8 * blocks || head->checksums_offset > size ||
      head->checksums_size != size - head->checksums_offset) {
    return failure(ELAH_INVALID_DATA, "the checksum table does not fit the file");
  }
  if (!gapIsZero(head->checksums_offset)) {
    return failure(ELAH_INVALID_DATA, "the gap before the checksum table (offset %" PRIu64 ") is not zero", end);
  }
  if (checksum(bytes + head->checksums_offset, head->checksums_size) != head->checksums_checksum) {
    return failure(ELAH_INVALID_DATA, "checksum table (offset %" PRIu64 "): the checksum does not match",
                   head->checksums_offset);
  }
  return Status();
}

Status Artifact::checkManifest() const {
  ELAH_RETURN_IF_ERROR(checkWeights());
  return content.has_graph() ? checkGraph() : checkProgram();
}

Status Artifact::checkGraph() const {
  const proto::Graph &graph = content.graph();
  if (graph.symbol().empty() || content.launches_size() != 0) {
    return failure(ELAH_INVALID_DATA, "manifest: a plain graph has a symbol and no launches");
  }
  if (refersToWeights()) {
    return failure(ELAH_INVALID_DATA, "manifest: a plain graph has its weights with it");
  }
  ELAH_RETURN_IF_ERROR(checkPorts(graph.inputs(), "input"));
  return checkPorts(graph.outputs(), "output");
}

Status Artifact::checkWeights() const {
  uint64_t weightsSize = section(ELAH_SECTION_WEIGHTS).size();
  if (refersToWeights()) {
    if (weightsSize != 0) {
      return failure(ELAH_INVALID_DATA, "manifest: there are both a weights section and shards");
    }
    ELAH_RETURN_IF_ERROR(checkReferences(content));
    weightsSize = maxPackedBytes;
  }
  for (int i = 0; i < content.weights_size(); ++i) {
    const proto::Weight &weight = content.weights(i);
    if (weight.offset() % (isForCuda(content) ? 256 : 64) != 0 || weight.offset() > weightsSize ||
        weight.size() > weightsSize - weight.offset()) {
      return failure(ELAH_INVALID_DATA, "manifest: weight '%s' lies outside the weights section",
                     weight.name().c_str());
    }
  }
  return Status();
}

Status Artifact::checkProgram() const {
  const proto::Limits &limits = content.limits();
  if (limits.max_context() == 0 || limits.max_context() > maxLimit || limits.max_sequences() == 0 ||
      limits.max_sequences() > maxLimit || limits.max_tokens() == 0 || limits.max_tokens() > maxLimit ||
      content.vocabulary() == 0 || content.vocabulary() > maxLimit) {
    return failure(ELAH_INVALID_DATA, "manifest: a limit or the vocabulary is out of range");
  }
  const proto::Cache &cache = content.cache();
  if (cache.layers() > 65536 || cache.page_tokens() == 0 || cache.page_tokens() > 65536 ||
      cache.pool_row_bytes_size() > 8) {
    return failure(ELAH_INVALID_DATA, "manifest: the cache layout is out of range");
  }
  for (uint32_t rowBytes : cache.pool_row_bytes()) {
    if (rowBytes == 0 || rowBytes > (1u << 28)) {
      return failure(ELAH_INVALID_DATA, "manifest: a cache row of %u bytes is out of range", rowBytes);
    }
  }
  for (int i = 0; i < content.slots_size(); ++i) {
    for (const proto::Extent &extent : content.slots(i).sizes()) {
      ELAH_RETURN_IF_ERROR(checkExtent(extent, "slot", i));
    }
  }
  for (int i = 0; i < content.buffers_size(); ++i) {
    const proto::Buffer &buffer = content.buffers(i);
    bool fits = false;
    switch (buffer.place_case()) {
    case proto::Buffer::kWeight:
      fits = buffer.weight() < static_cast<uint32_t>(content.weights_size()) &&
             buffer.byte_offset() < content.weights(static_cast<int>(buffer.weight())).size();
      break;
    case proto::Buffer::kSlot:
      fits = buffer.slot() < static_cast<uint32_t>(content.slots_size()) &&
             buffer.byte_offset() < largestSize(content.slots(static_cast<int>(buffer.slot())), content);
      break;
    case proto::Buffer::kInput:
      fits = proto::Input_IsValid(buffer.input()) && buffer.byte_offset() == 0;
      break;
    case proto::Buffer::kCache:
      fits = buffer.cache().pool() < static_cast<uint32_t>(cache.pool_row_bytes_size()) &&
             buffer.cache().layer() < cache.layers() &&
             buffer.byte_offset() < cache.pool_row_bytes(static_cast<int>(buffer.cache().pool()));
      break;
    case proto::Buffer::PLACE_NOT_SET:
      break;
    }
    if (!fits) {
      return failure(ELAH_INVALID_DATA, "manifest: buffer %d leads nowhere", i);
    }
  }
  for (int i = 0; i < content.kernels_size(); ++i) {
    const proto::Kernel &kernel = content.kernels(i);
    if (kernel.symbol().empty() || kernel.scratch_bytes() > (uint64_t(1) << 32)) {
      return failure(ELAH_INVALID_DATA, "manifest: kernel %d has no symbol or too much scratch memory", i);
    }
  }
  for (int i = 0; i < content.launches_size(); ++i) {
    const proto::Launch &launch = content.launches(i);
    bool fits = isForCuda(content) ||
                (launch.kernel() < static_cast<uint32_t>(content.kernels_size()) && launch.grid().row_tile() > 0 &&
                 launch.grid().outer() > 0 && launch.grid().outer() <= static_cast<uint64_t>(maxCoefficient));
    for (uint32_t buffer : launch.buffers()) {
      fits = fits && buffer < static_cast<uint32_t>(content.buffers_size());
    }
    if (!fits) {
      return failure(ELAH_INVALID_DATA, "manifest: launch %d ('%s') leads nowhere", i, launch.name().c_str());
    }
    ELAH_RETURN_IF_ERROR(checkExtent(launch.grid().rows(), "launch", i));
  }
  if (content.launches_size() > 0 && !logitsFit(content)) {
    return failure(ELAH_INVALID_DATA, "manifest: expected logits in a slot that holds [logit rows, vocabulary] of f32");
  }
  ELAH_RETURN_IF_ERROR(checkProbes(content));
  if (isForCuda(content)) {
    return checkCudaProgram(content, section(ELAH_SECTION_CUDA_MODULES).size());
  }
  return Status();
}

std::string Artifact::identity() const {
  // The manifest and the checksums of all else.
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, bytes + head->manifest_offset, head->manifest_size);
  XXH3_128bits_update(&state, bytes + head->checksums_offset, head->checksums_size);
  XXH128_hash_t hash = XXH3_128bits_digest(&state);
  char text[33];
  std::snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
  return text;
}

Result<std::shared_ptr<const PackedWeights>> Artifact::packWeights(const char *modelFolder, unsigned threads,
                                                                   const std::atomic<bool> *stops) const {
  std::lock_guard<std::mutex> lock(packedMutex);
  if (std::shared_ptr<const PackedWeights> shared = packed.lock()) {
    return shared;
  }
  if (!refersToWeights()) {
    Result<std::shared_ptr<const PackedWeights>> copied = PackedWeights::copy(*this, threads, stops);
    if (copied.ok()) {
      packed = *copied;
    }
    return copied;
  }
  if (!modelFolder && folder.empty()) {
    return failure(ELAH_INVALID_ARGUMENT, "the artifact refers to a model's folder relative to its own, and is in no "
                                          "folder; name the model's (elah_session_options.model_folder)");
  }
  Result<std::shared_ptr<const PackedWeights>> loaded =
      PackedWeights::load(content, modelFolder ? modelFolder : folder + "/" + content.model_folder(), threads);
  if (loaded.ok()) {
    packed = *loaded;
  }
  return loaded;
}

std::string_view Artifact::section(elah_section_kind kind) const {
  for (uint32_t i = 0; i < head->section_count; ++i) {
    const elah_section &section = head->sections[i];
    if (section.kind == static_cast<uint32_t>(kind)) {
      return {reinterpret_cast<const char *>(bytes + section.offset), section.size};
    }
  }
  return {};
}

Status Artifact::verifySection(uint32_t index) const {
  uint64_t first = 0;
  for (uint32_t i = 0; i < index; ++i) {
    first += (head->sections[i].size - 1) / ELAH_ARTIFACT_BLOCK + 1;
  }
  const elah_section &section = head->sections[index];
  const uint8_t *table = bytes + head->checksums_offset + 8 * first;
  for (uint64_t offset = 0; offset < section.size; offset += ELAH_ARTIFACT_BLOCK, table += 8) {
    uint64_t expected;
    std::memcpy(&expected, table, 8);
    uint64_t blockSize = std::min<uint64_t>(ELAH_ARTIFACT_BLOCK, section.size - offset);
    if (checksum(bytes + section.offset + offset, blockSize) != expected) {
      return failure(ELAH_INVALID_DATA,
                     "section '%s': the checksum of the block at file offset %" PRIu64 " does not match",
                     sectionName(section.kind), section.offset + offset);
    }
  }
  return Status();
}

Status Artifact::verify() const {
  ELAH_RETURN_IF_ERROR(checkUnchanged());
  for (uint32_t i = 0; i < head->section_count; ++i) {
    ELAH_RETURN_IF_ERROR(verifySection(i));
  }
  if (mapping) { // Else all of a large file would count as this process's memory; who needs a page maps it again.
    ::madvise(mapping, mappingSize, MADV_DONTNEED);
  }
  return Status();
}

} // namespace elah
