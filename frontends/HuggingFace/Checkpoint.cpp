// Finds a model's tensors: which shard holds what, without reading a weight. The index comes from strangers as the
// shards do, so its file names are held to the folder.
#include "frontends/HuggingFace/Checkpoint.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#define JSON_NOEXCEPTION
#include <map>
#include <nlohmann/json.hpp>

using llvm::formatv;
namespace path = llvm::sys::path;

namespace elah {
namespace {

llvm::Error checkpointError(const std::string &message) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s", message.c_str());
}

/// The folder that no link may lead out of: the model's folder, or in a hub cache the `models--*` folder around it,
/// where snapshots are links to blobs.
std::string containmentRoot(llvm::StringRef realFolder) {
  for (llvm::StringRef parent = realFolder; !parent.empty(); parent = path::parent_path(parent)) {
    if (path::filename(parent).starts_with("models--")) {
      return parent.str();
    }
  }
  return realFolder.str();
}

llvm::Expected<std::string> resolveShard(llvm::StringRef folder, llvm::StringRef root, llvm::StringRef file,
                                         llvm::StringRef namedBy) {
  if (file.empty() || file == "." || file == ".." || file.contains('/') || file.contains('\\') || file.contains('\0')) {
    return checkpointError(formatv("{0}: a shard must be a plain file name, found '{1}'", namedBy, file).str());
  }
  llvm::SmallString<256> whole(folder);
  path::append(whole, file);
  llvm::SmallString<256> real;
  if (std::error_code code = llvm::sys::fs::real_path(whole, real)) {
    return checkpointError(formatv("{0}: cannot open (named by {1}): {2}", whole, namedBy, code.message()).str());
  }
  if (!llvm::StringRef(real).starts_with((root + "/").str())) {
    return checkpointError(formatv("{0}: links to {1}, outside the model's folder {2}", whole, real, root).str());
  }
  return whole.str().str();
}

/// The index's map from tensor to shard, ordered by shard.
llvm::Expected<std::map<std::string, llvm::StringSet<>>> readIndex(const std::string &indexPath) {
  auto buffer = llvm::MemoryBuffer::getFile(indexPath);
  if (!buffer) {
    return checkpointError(formatv("{0}: cannot read: {1}", indexPath, buffer.getError().message()).str());
  }
  llvm::StringRef text = (*buffer)->getBuffer();
  nlohmann::json index = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (index.is_discarded() || !index.is_object()) {
    return checkpointError(formatv("{0}: expected a JSON object", indexPath).str());
  }
  auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) {
    return checkpointError(formatv("{0}: expected an object 'weight_map'", indexPath).str());
  }
  std::map<std::string, llvm::StringSet<>> shards;
  for (const auto &[name, file] : map->items()) {
    if (!file.is_string()) {
      return checkpointError(formatv("{0}: weight_map: expected a file name for '{1}', found {2}", indexPath, name,
                                     file.type_name())
                                 .str());
    }
    shards[file.get<std::string>()].insert(name);
  }
  return shards;
}

} // namespace

llvm::Expected<Checkpoint> Checkpoint::open(llvm::StringRef folder) {
  llvm::SmallString<256> real;
  if (std::error_code code = llvm::sys::fs::real_path(folder, real)) {
    return checkpointError(formatv("{0}: cannot open the model's folder: {1}", folder, code.message()).str());
  }
  std::string root = containmentRoot(real);
  llvm::SmallString<256> indexPath(folder);
  path::append(indexPath, "model.safetensors.index.json");
  std::map<std::string, llvm::StringSet<>> shards;
  std::string namedBy = folder.str();
  bool hasIndex = llvm::sys::fs::exists(indexPath);
  if (hasIndex) {
    auto read = readIndex(indexPath.str().str());
    if (!read) {
      return read.takeError();
    }
    shards = std::move(*read);
    namedBy = indexPath.str().str();
  } else {
    llvm::SmallString<256> single(folder);
    path::append(single, "model.safetensors");
    if (!llvm::sys::fs::exists(single)) {
      return checkpointError(
          formatv("{0}: expected model.safetensors or model.safetensors.index.json, found neither", folder).str());
    }
    shards["model.safetensors"];
  }

  Checkpoint checkpoint;
  for (const auto &[file, expected] : shards) {
    llvm::Expected<std::string> shard = resolveShard(folder, root, file, namedBy);
    if (!shard) {
      return shard.takeError();
    }
    auto entries = readSafetensorsHeader(*shard);
    if (!entries) {
      return entries.takeError();
    }
    for (TensorEntry &entry : *entries) {
      std::string name = entry.name;
      auto [place, isNew] = checkpoint.byName.try_emplace(name, CheckpointTensor{std::move(entry), file});
      if (!isNew) {
        return checkpointError(formatv("{0}: tensor '{1}' is also in {2}", *shard, name, place->second.file).str());
      }
    }
    for (const auto &name : expected) {
      const CheckpointTensor *tensor = checkpoint.find(name.getKey());
      if (!tensor || tensor->file != file) {
        return checkpointError(formatv("{0}: tensor '{1}' is missing, the index says that it is here", *shard,
                                       name.getKey())
                                   .str());
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
