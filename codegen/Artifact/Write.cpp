// Puts an artifact together: header, manifest, page-aligned sections, checksums. Weights are streamed from the
// checkpoint through their recipes by a few threads, each with a few MiB in hand.
#include "codegen/Artifact/Write.h"
#include "codegen/Artifact/Manifest.h"
#include "codegen/Artifact/OutputFile.h"
#include "codegen/Artifact/PackWeight.h"
#include "codegen/Artifact/Receipt.h"
#include "elah/artifact.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

using namespace mlir;

namespace elah {
namespace {

uint64_t checksum(llvm::ArrayRef<char> bytes) {
  return llvm::xxh3_64bits(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
}

template <typename T> llvm::ArrayRef<char> bytesOf(const T &value) {
  return {reinterpret_cast<const char *>(&value), sizeof(value)};
}

/// A section whose bytes are at hand; the weights section's are not.
struct Section {
  elah_section_kind kind;
  uint64_t size;
  std::string bytes;
  uint64_t offset = 0;
};

std::optional<std::string> readIfThere(llvm::StringRef folder, llvm::StringRef file) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, file);
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? std::optional((*buffer)->getBuffer().str()) : std::nullopt;
}

std::string serialize(const proto::Manifest &manifest) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  manifest.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

/// Streams every weight through its recipe into the section at `sectionOffset`.
llvm::Error writeWeights(const ArtifactContents &contents, const proto::Manifest &manifest, uint64_t sectionOffset,
                         const WriteOptions &options, OutputFile &output) {
  WeightFiles files(contents.modelFolder);
  std::vector<WeightPacker> packers;
  for (exec::WeightOp weight : ModuleOp(contents.module).getOps<exec::WeightOp>()) {
    packers.emplace_back(weight.getRecipe(), files);
  }
  std::vector<std::pair<uint32_t, uint64_t>> pieces;
  for (auto [index, packer] : llvm::enumerate(packers)) {
    for (uint64_t piece = 0; piece < packer.pieces(); ++piece) {
      pieces.emplace_back(index, piece);
    }
  }
  uint64_t total = weightsSectionSize(manifest);
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done{0};
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  std::atomic<bool> hasFailed{false};
  auto work = [&] {
    for (size_t i = next++; i < pieces.size() && !hasFailed; i = next++) {
      auto [weight, piece] = pieces[i];
      uint64_t base = sectionOffset + manifest.weights(static_cast<int>(weight)).offset();
      llvm::Error error = packers[weight].pack(piece, [&](uint64_t offset, llvm::ArrayRef<char> bytes) {
        done += bytes.size();
        return output.write(base + offset, bytes);
      });
      std::lock_guard<std::mutex> lock(mutex);
      if (error) {
        hasFailed = true;
        failure = llvm::joinErrors(std::move(failure), std::move(error));
      } else if (options.progress) {
        options.progress(done, total);
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < options.threads; ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread &thread : threads) {
    thread.join();
  }
  return failure;
}

} // namespace

llvm::Error writeArtifact(const ArtifactContents &contents, const WriteOptions &options) {
  proto::Manifest manifest = buildManifest(contents.module, contents.target, contents.scratchBytes);
  std::string manifestBytes = serialize(manifest);

  std::vector<Section> sections;
  if (uint64_t size = weightsSectionSize(manifest)) {
    sections.push_back({ELAH_SECTION_WEIGHTS, size, {}});
  }
  auto add = [&](elah_section_kind kind, std::optional<std::string> bytes) {
    if (bytes && !bytes->empty()) {
      uint64_t size = bytes->size();
      sections.push_back({kind, size, std::move(*bytes)});
    }
  };
  add(ELAH_SECTION_CPU_OBJECT, contents.object);
  add(ELAH_SECTION_TOKENIZER, readIfThere(contents.modelFolder, "tokenizer.json"));
  add(ELAH_SECTION_TOKENIZER_CONFIG, readIfThere(contents.modelFolder, "tokenizer_config.json"));
  add(ELAH_SECTION_GENERATION_CONFIG, readIfThere(contents.modelFolder, "generation_config.json"));
  llvm::Expected<std::string> receipt = buildReceipt(contents);
  if (!receipt) {
    return receipt.takeError();
  }
  add(ELAH_SECTION_RECEIPT, *receipt);

  std::string runner;
  if (!options.runnerPath.empty()) {
    auto buffer = llvm::MemoryBuffer::getFile(options.runnerPath);
    if (!buffer) {
      return llvm::createStringError(buffer.getError(), "%s: cannot read the runner: %s", options.runnerPath.c_str(),
                                     buffer.getError().message().c_str());
    }
    runner = (*buffer)->getBuffer().str();
  }
  const uint64_t start = llvm::alignTo(runner.size(), ELAH_ARTIFACT_PAGE);

  elah_artifact_header header = {};
  std::memcpy(header.magic, ELAH_ARTIFACT_MAGIC, sizeof(header.magic));
  header.version = ELAH_ARTIFACT_VERSION;
  header.section_count = sections.size();
  header.manifest_offset = sizeof(header);
  header.manifest_size = manifestBytes.size();
  header.manifest_checksum = checksum(manifestBytes);
  uint64_t end = header.manifest_offset + header.manifest_size;
  uint64_t blocks = 0;
  for (auto [index, section] : llvm::enumerate(sections)) {
    section.offset = llvm::alignTo(end, ELAH_ARTIFACT_PAGE);
    end = section.offset + section.size;
    blocks += llvm::divideCeil(section.size, ELAH_ARTIFACT_BLOCK);
    header.sections[index] = {static_cast<uint32_t>(section.kind), 0, section.offset, section.size};
  }
  header.checksums_offset = llvm::alignTo(end, 8);
  header.checksums_size = 8 * blocks;
  header.file_size = header.checksums_offset + header.checksums_size;

  llvm::Expected<OutputFile> output = OutputFile::create(options.outputPath);
  if (!output) {
    return output.takeError();
  }
  uint64_t total = start + header.file_size + (runner.empty() ? 0 : sizeof(elah_artifact_trailer));
  if (llvm::Error error = output->reserve(total)) {
    return error;
  }
  if (llvm::Error error = output->write(0, runner)) {
    return error;
  }
  if (llvm::Error error = output->write(start + header.manifest_offset, manifestBytes)) {
    return error;
  }
  for (const Section &section : sections) {
    llvm::Error error = section.kind == ELAH_SECTION_WEIGHTS
                            ? writeWeights(contents, manifest, start + section.offset, options, *output)
                            : output->write(start + section.offset, section.bytes);
    if (error) {
      return error;
    }
  }

  // Checksums of what the file now holds: they cover the way to the disk, too.
  std::vector<uint64_t> checksums;
  std::vector<char> block;
  for (const Section &section : sections) {
    for (uint64_t offset = 0; offset < section.size; offset += ELAH_ARTIFACT_BLOCK) {
      block.resize(std::min<uint64_t>(ELAH_ARTIFACT_BLOCK, section.size - offset));
      if (llvm::Error error = output->read(start + section.offset + offset, block)) {
        return error;
      }
      checksums.push_back(checksum(block));
    }
  }
  llvm::ArrayRef<char> table(reinterpret_cast<const char *>(checksums.data()), checksums.size() * 8);
  header.checksums_checksum = checksum(table);
  header.header_checksum = checksum(bytesOf(header).drop_back(sizeof(header.header_checksum)));
  if (llvm::Error error = output->write(start + header.checksums_offset, table)) {
    return error;
  }
  if (llvm::Error error = output->write(start, bytesOf(header))) {
    return error;
  }
  if (!runner.empty()) {
    elah_artifact_trailer trailer = {start, header.file_size, {}};
    std::memcpy(trailer.magic, ELAH_ARTIFACT_MAGIC, sizeof(trailer.magic));
    if (llvm::Error error = output->write(start + header.file_size, bytesOf(trailer))) {
      return error;
    }
    if (llvm::Error error = output->makeExecutable()) {
      return error;
    }
  }
  return output->commit();
}

} // namespace elah
