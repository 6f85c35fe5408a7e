// Artifacts from outside. Checksums would stop a fuzzer at the first changed byte, so the mutator makes them right
// again: what is fuzzed is what an attacker can do.
#include "src/artifact.h"
#include "src/describe.h"
#include "src/tokenizer/chat.h"
#include "tests/runtime/artifact/small_artifact.h"
#include <cstdlib>
#include <cstring>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

using namespace elah;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // In life the file is mapped: aligned, and nothing is behind it.
  uint8_t *bytes = static_cast<uint8_t *>(std::malloc(size ? size : 1));
  if (size) {
    std::memcpy(bytes, data, size);
  }
  if (Result<std::unique_ptr<Artifact>> artifact = Artifact::fromMemory(bytes, size); artifact.ok()) {
    Status verified = (*artifact)->verify();
    (void)verified;
    // All indices lead somewhere now.
    std::string description = describe(**artifact);
    if (description.empty()) {
      std::abort(); // it is always JSON
    }
    Result<ChatFormat> chat = ChatFormat::fromTokenizerConfig((*artifact)->section(ELAH_SECTION_TOKENIZER_CONFIG));
    if (chat.ok()) {
      elah_message message = {"user", "x"};
      Result<std::string> text = chat->render({&message, 1});
      (void)text;
    }
  }
  std::free(bytes);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  elah_artifact_header header;
  if (size < sizeof(header)) {
    return LLVMFuzzerMutate(data, size, maxSize);
  }
  std::memcpy(&header, data, sizeof(header));
  bool hasManifest = header.manifest_offset == sizeof(header) && header.manifest_size <= size - sizeof(header);
  std::string file(reinterpret_cast<char *>(data), size);
  switch (seed % 8) {
  case 0: // Anywhere.
    file.resize(maxSize);
    file.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(file.data()), size, maxSize));
    break;
  case 1:
  case 2: // The part of the header that is in use.
    LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(file.data()), 72 + 24 * 7, 72 + 24 * 7);
    break;
  case 3: { // Sections that are read as text.
    for (uint32_t i = 0; i < std::min(header.section_count, ELAH_ARTIFACT_MAX_SECTIONS); ++i) {
      const elah_section &section = header.sections[i];
      if (section.kind >= ELAH_SECTION_TOKENIZER_CONFIG && section.offset <= size &&
          section.size <= size - section.offset) {
        LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(file.data()) + section.offset, section.size, section.size);
      }
    }
    break;
  }
  default: // The manifest, which may grow into the gap behind it.
    if (hasManifest) {
      uint64_t end = header.sections[0].offset;
      uint64_t room = end > sizeof(header) && end <= size ? end - sizeof(header) : header.manifest_size;
      room = std::max(room, header.manifest_size);
      uint8_t *manifest = reinterpret_cast<uint8_t *>(file.data()) + sizeof(header);
      size_t mutated = LLVMFuzzerMutate(manifest, header.manifest_size, room);
      if (mutated < header.manifest_size) {
        std::memset(manifest + mutated, 0, header.manifest_size - mutated);
      }
      header.manifest_size = mutated;
      std::memcpy(file.data(), &header, sizeof(header));
    }
  }
  if (file.size() >= sizeof(header)) {
    std::memcpy(&header, file.data(), sizeof(header));
    if (seed % 3) {
      std::memcpy(header.magic, ELAH_ARTIFACT_MAGIC, 8);
      header.version = ELAH_ARTIFACT_VERSION;
      header.file_size = file.size();
      std::memcpy(file.data(), &header, sizeof(header));
    }
    SmallArtifact::seal(file);
  }
  std::memcpy(data, file.data(), file.size());
  return file.size();
}
