// What an artifact was made of. Small files are named by the SHA-256 of their bytes, shards by that of their headers:
// a shard's weights are covered by the artifact's own checksums once they are embedded.
#include "codegen/Artifact/Receipt.h"
#include "codegen/Artifact/WeightFiles.h"
#include "dialects/Exec/Exec.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include <set>

using namespace mlir;

namespace elah {
namespace {

std::string sha256(llvm::StringRef bytes) {
  return llvm::toHex(llvm::SHA256::hash(llvm::ArrayRef(bytes.bytes_begin(), bytes.size())), /*LowerCase=*/true);
}

} // namespace

llvm::Expected<std::string> buildReceipt(const ArtifactContents &contents) {
  std::set<std::string> shards;
  ModuleOp module = contents.module;
  module.walk([&](exec::WeightOp weight) {
    for (r1::WeightAttr source : weight.getRecipe().getWeights()) {
      shards.insert(source.getFile().getValue().str());
      if (r1::WeightAttr scales = source.getScales()) {
        shards.insert(scales.getFile().getValue().str());
      }
    }
  });
  llvm::json::Object inputs;
  for (const char *file : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}) {
    llvm::SmallString<256> path(contents.modelFolder);
    llvm::sys::path::append(path, file);
    if (auto buffer = llvm::MemoryBuffer::getFile(path)) {
      inputs[file] = sha256((*buffer)->getBuffer());
    }
  }
  WeightFiles files(contents.modelFolder);
  llvm::json::Object headers;
  for (const std::string &shard : shards) {
    char lengthBytes[8];
    if (llvm::Error error = files.read(shard, 0, lengthBytes)) {
      return std::move(error);
    }
    std::string header(llvm::support::endian::read64le(lengthBytes), '\0');
    if (llvm::Error error = files.read(shard, 8, llvm::MutableArrayRef<char>(header.data(), header.size()))) {
      return std::move(error);
    }
    headers[shard] = sha256(header);
  }
  llvm::json::Object flags;
  for (const auto &[name, value] : contents.flags) {
    flags[name] = value;
  }
  llvm::json::Object receipt{
      {"elah", ELAH_VERSION},
      {"llvm", LLVM_VERSION_STRING},
      {"flags", std::move(flags)},
      {"inputs", std::move(inputs)},
      {"shard_headers", std::move(headers)},
  };
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << llvm::formatv("{0:2}", llvm::json::Value(std::move(receipt))) << "\n";
  return text;
}

} // namespace elah
