// Finds a model's tensors: which shard holds what, without reading a weight. The index and the shards both say where a
// tensor is; they must agree, or two readers of the checkpoint would see two models.
#include "frontends/HuggingFace/Checkpoint.h"
#include "frontends/HuggingFace/JsonFile.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using llvm::formatv;

namespace elah {
namespace {

constexpr llvm::StringLiteral singleName = "model.safetensors";
constexpr llvm::StringLiteral indexName = "model.safetensors.index.json";

llvm::Error checkpointError(const std::string &message) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s", message.c_str());
}

/// Shards by name, with the tensors that the index promises in each.
using Shards = std::map<std::string, llvm::StringSet<>>;

llvm::Expected<Shards> readIndex(const ModelFolder &folder) {
  std::string indexPath = folder.pathOf(indexName);
  llvm::Expected<nlohmann::json> index = readJsonObject(folder, indexName);
  if (!index) {
    return index.takeError();
  }
  auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object()) {
    return checkpointError(formatv("{0}: expected an object 'weight_map', found {1}", indexPath,
                                   map == index->end() ? "none" : map->type_name())
                               .str());
  }
  if (map->empty()) {
    return checkpointError(formatv("{0}: weight_map names no tensor", indexPath).str());
  }
  Shards shards;
  for (const auto &[name, file] : map->items()) {
    if (!file.is_string()) {
      return checkpointError(
          formatv("{0}: weight_map: expected a file name for '{1}', found {2}", indexPath, name, file.type_name())
              .str());
    }
    shards[file.get_ref<const std::string &>()].insert(name);
  }
  return shards;
}

} // namespace

llvm::Expected<Checkpoint> Checkpoint::open(llvm::StringRef path) {
  llvm::Expected<ModelFolder> folder = ModelFolder::open(path);
  if (!folder) {
    return folder.takeError();
  }
  // A folder with both is read as transformers reads it.
  bool isSingle = folder->has(singleName);
  Shards shards;
  std::string namedBy = folder->path().str();
  if (isSingle) {
    shards[singleName.str()];
  } else if (folder->has(indexName)) {
    llvm::Expected<Shards> index = readIndex(*folder);
    if (!index) {
      return index.takeError();
    }
    shards = std::move(*index);
    namedBy = folder->pathOf(indexName);
  } else {
    return checkpointError(formatv("{0}: expected {1} or {2}, found neither", path, singleName, indexName).str());
  }

  Checkpoint checkpoint;
  for (const auto &[file, promised] : shards) {
    llvm::Expected<std::string> shard = folder->find(file, namedBy);
    if (!shard) {
      return shard.takeError();
    }
    llvm::Expected<std::vector<TensorEntry>> entries = readSafetensorsHeader(*shard);
    if (!entries) {
      return entries.takeError();
    }
    for (TensorEntry &entry : *entries) {
      std::string name = entry.name;
      auto [place, isNew] = checkpoint.byName.try_emplace(name, CheckpointTensor{std::move(entry), file});
      if (!isNew) {
        return checkpointError(formatv("{0}: tensor '{1}' is also in {2}", *shard, name, place->second.file).str());
      }
      if (!isSingle && !promised.contains(name)) {
        return checkpointError(formatv("{0}: tensor '{1}' is here, {2} does not say so", *shard, name, namedBy).str());
      }
    }
    for (const auto &name : promised) {
      const CheckpointTensor *tensor = checkpoint.find(name.getKey());
      if (!tensor || tensor->file != file) {
        return checkpointError(
            formatv("{0}: tensor '{1}' is missing, {2} says that it is here", *shard, name.getKey(), namedBy).str());
      }
    }
  }
  return checkpoint;
}

const CheckpointTensor *Checkpoint::find(llvm::StringRef name) const {
  auto place = byName.find(name);
  return place == byName.end() ? nullptr : &place->second;
}

} // namespace elah
