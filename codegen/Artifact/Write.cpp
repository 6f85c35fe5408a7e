// Puts an artifact together: header, manifest, page-aligned sections, checksums.
#include "codegen/Artifact/Write.h"
#include "codegen/Artifact/Manifest.h"
#include "codegen/Artifact/OutputFile.h"
#include "codegen/Artifact/Receipt.h"
#include "codegen/Artifact/StatusError.h"
#include "codegen/Artifact/WriteWeights.h"
#include "elah/artifact.h"
#include "runtime/packing/recipe.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"
#include <cstring>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sys/stat.h>

using namespace mlir;
namespace path = llvm::sys::path;

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

std::string join(llvm::StringRef folder, llvm::StringRef file) {
  llvm::SmallString<256> whole(folder);
  path::append(whole, file);
  return whole.str().str();
}

llvm::Expected<std::string> readWhole(const std::string &file) {
  auto buffer = llvm::MemoryBuffer::getFile(file);
  if (!buffer) {
    return llvm::createStringError(buffer.getError(), "%s: cannot read: %s", file.c_str(),
                                   buffer.getError().message().c_str());
  }
  return (*buffer)->getBuffer().str();
}

const std::string &filesFolderOf(const ArtifactContents &contents) {
  return contents.filesFolder.empty() ? contents.modelFolder : contents.filesFolder;
}

/// The model's small files, those of them that there are.
llvm::Expected<ModelFiles> readModelFiles(llvm::StringRef folder) {
  ModelFiles files;
  for (const char *name : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}) {
    std::string file = join(folder, name);
    if (!llvm::sys::fs::exists(file)) {
      continue;
    }
    llvm::Expected<std::string> bytes = readWhole(file);
    if (!bytes) {
      return bytes.takeError();
    }
    files[name] = std::move(*bytes);
  }
  return files;
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

/// Opens the shards, fills in what they are, and checks every recipe against them.
llvm::Error openShards(proto::Manifest &manifest, ShardFiles &shards) {
  for (proto::Shard &shard : *manifest.mutable_shards()) {
    Result<proto::Shard> opened = shards.open(shard.name());
    if (!opened.ok()) {
      return toError(opened.status());
    }
    shard = std::move(*opened);
  }
  for (const proto::Weight &weight : manifest.weights()) {
    Result<uint64_t> bytes = checkRecipe(weight.recipe(), manifest.shards());
    Status status = bytes.ok() && *bytes != weight.size()
                        ? Status(ELAH_INVALID_DATA, "its recipe makes " + std::to_string(*bytes) + " bytes, not " +
                                                        std::to_string(weight.size()))
                        : bytes.status();
    if (!status.ok()) {
      return toError(Status(status.code(), "weight '" + weight.name() + "': " + status.message()));
    }
  }
  return llvm::Error::success();
}

/// The way from the output's folder to the model's, both without links: it stays right when both
/// are moved together.
llvm::Expected<std::string> relativeModelFolder(llvm::StringRef modelFolder, llvm::StringRef outputPath) {
  llvm::SmallString<256> model, output;
  llvm::StringRef outputFolder = path::parent_path(outputPath);
  for (auto [folder, real] :
       {std::pair(modelFolder, &model), std::pair(outputFolder.empty() ? "." : outputFolder, &output)}) {
    if (std::error_code code = llvm::sys::fs::real_path(folder, *real)) {
      return llvm::createStringError(code, "%s: cannot open the folder: %s", folder.str().c_str(),
                                     code.message().c_str());
    }
  }
  auto from = path::begin(output), to = path::begin(model);
  while (from != path::end(output) && to != path::end(model) && *from == *to) {
    ++from;
    ++to;
  }
  llvm::SmallString<256> way;
  for (; from != path::end(output); ++from) {
    path::append(way, "..");
  }
  for (; to != path::end(model); ++to) {
    path::append(way, *to);
  }
  return way.empty() ? "." : way.str().str();
}

/// Refuses to write over what is read.
llvm::Error checkIsNoInput(const ArtifactContents &contents, const proto::Manifest &manifest,
                           const ModelFiles &modelFiles, const WriteOptions &options) {
  struct stat output, input;
  if (::stat(options.outputPath.c_str(), &output) != 0) {
    return llvm::Error::success();
  }
  std::vector<std::string> inputs = {options.runnerPath};
  for (const auto &entry : modelFiles) {
    inputs.push_back(join(filesFolderOf(contents), entry.first));
  }
  for (const proto::Shard &shard : manifest.shards()) {
    inputs.push_back(join(contents.modelFolder, shard.name()));
  }
  for (const std::string &file : inputs) {
    if (::stat(file.c_str(), &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
      return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                     "%s: the output would replace the input %s", options.outputPath.c_str(),
                                     file.c_str());
    }
  }
  return llvm::Error::success();
}

} // namespace

llvm::Error writeArtifact(const ArtifactContents &contents, const WriteOptions &options) {
  const bool embeds = options.weights == WeightMode::Embed;
  proto::Manifest manifest = buildManifest(contents.module, contents.target, contents.scratchBytes, contents.cuda);
  ShardFiles shards(contents.modelFolder);
  if (llvm::Error error = openShards(manifest, shards)) {
    return error;
  }
  llvm::Expected<ModelFiles> modelFiles = readModelFiles(filesFolderOf(contents));
  if (!modelFiles) {
    return modelFiles.takeError();
  }
  if (llvm::Error error = checkIsNoInput(contents, manifest, *modelFiles, options)) {
    return error;
  }

  proto::Manifest stored = manifest;
  if (embeds) {
    stored.clear_shards();
    for (proto::Weight &weight : *stored.mutable_weights()) {
      weight.clear_recipe();
    }
  } else {
    llvm::Expected<std::string> folder = relativeModelFolder(contents.modelFolder, options.outputPath);
    if (!folder) {
      return folder.takeError();
    }
    stored.set_model_folder(*folder);
  }
  std::string manifestBytes = serialize(stored);

  std::vector<Section> sections;
  uint64_t weightBytes = weightsSectionSize(manifest);
  if (embeds && weightBytes) {
    sections.push_back({ELAH_SECTION_WEIGHTS, weightBytes, {}});
  }
  auto add = [&](elah_section_kind kind, std::string bytes) {
    if (!bytes.empty()) {
      uint64_t size = bytes.size();
      sections.push_back({kind, size, std::move(bytes)});
    }
  };
  add(ELAH_SECTION_CPU_OBJECT, contents.object);
  if (contents.cuda) {
    add(ELAH_SECTION_CUDA_MODULES, cudaModules(*contents.cuda));
  }
  auto addFile = [&](elah_section_kind kind, const char *name) {
    if (auto file = modelFiles->find(name); file != modelFiles->end()) {
      add(kind, file->second);
    }
  };
  addFile(ELAH_SECTION_TOKENIZER, "tokenizer.json");
  addFile(ELAH_SECTION_TOKENIZER_CONFIG, "tokenizer_config.json");
  addFile(ELAH_SECTION_GENERATION_CONFIG, "generation_config.json");
  llvm::Expected<std::string> receipt = buildReceipt(contents, *modelFiles, manifest, shards);
  if (!receipt) {
    return receipt.takeError();
  }
  add(ELAH_SECTION_RECEIPT, *receipt);

  std::string runner;
  if (!options.runnerPath.empty()) {
    llvm::Expected<std::string> bytes = readWhole(options.runnerPath);
    if (!bytes) {
      return bytes.takeError();
    }
    runner = std::move(*bytes);
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
  std::vector<uint64_t> checksums;
  for (const Section &section : sections) {
    const SectionPlace place = {start + section.offset, section.size};
    if (section.kind == ELAH_SECTION_WEIGHTS) {
      llvm::Expected<std::vector<uint64_t>> written =
          writeWeights(manifest, shards, place, options.threads, options.progress, *output);
      if (!written) {
        return written.takeError();
      }
      checksums.insert(checksums.end(), written->begin(), written->end());
      continue;
    }
    if (llvm::Error error = output->write(place.offset, section.bytes)) {
      return error;
    }
    llvm::ArrayRef<char> bytes(section.bytes);
    for (; !bytes.empty(); bytes = bytes.drop_front(std::min<size_t>(bytes.size(), ELAH_ARTIFACT_BLOCK))) {
      checksums.push_back(checksum(bytes.take_front(ELAH_ARTIFACT_BLOCK)));
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
