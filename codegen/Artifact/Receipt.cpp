// What an artifact was made of. Small files and graphs are named by the SHA-256 of their bytes, shards by that
// of their headers: embedded weights are covered by the artifact's own checksums, and to refer to
// them must not need their bytes.
#include "codegen/Artifact/Receipt.h"
#include "codegen/Artifact/StatusError.h"
#include "dialects/Exec/Exec.h"
#include "elah/artifact.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"

namespace elah {
namespace {

std::string sha256(llvm::ArrayRef<uint8_t> bytes) { return llvm::toHex(llvm::SHA256::hash(bytes), /*LowerCase=*/true); }

/// What a model says of whole steps: one of a token of each sequence, all at the longest context, and the longest
/// prompt's.
llvm::json::Object predictedSteps(const ArtifactContents &contents) {
  mlir::ModuleOp module = contents.module;
  llvm::ArrayRef<int64_t> limits = module->getAttrOfType<mlir::DenseI64ArrayAttr>("exec.limits").asArrayRef();
  const CudaCode &code = *contents.cuda;
  llvm::json::Object steps{{"by", "a model; no GPU was asked"}};
  auto add = [&](const char *name, const std::string &what, size_t bucket) {
    double seconds = 0;
    module.walk([&](exec::LaunchOp launch) { seconds += code.seconds.at(launch.getKernel().str())[bucket]; });
    steps[name] = llvm::formatv("{0}: {1:f2} ms, {2:f0} tokens/s", what, seconds * 1e3,
                                static_cast<double>(code.buckets[bucket]) / seconds)
                      .str();
  };
  auto decode = llvm::find_if(code.buckets, [&](int64_t tokens) { return tokens >= limits[1]; });
  if (decode != code.buckets.end() && *decode == limits[1]) {
    add("decode", llvm::formatv("{0} sequences at a context of {1}", limits[1], limits[0]),
        static_cast<size_t>(decode - code.buckets.begin()));
  }
  add("prefill", llvm::formatv("{0} tokens", code.buckets.back()), code.buckets.size() - 1);
  return steps;
}

} // namespace

llvm::Expected<std::string> buildReceipt(const ArtifactContents &contents, const ModelFiles &modelFiles,
                                         const proto::Manifest &manifest, const ShardFiles &shards) {
  llvm::json::Object inputs;
  for (const auto &[name, bytes] : modelFiles) {
    inputs[name] = sha256(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  }
  if (!contents.graph.empty()) {
    auto graph = llvm::MemoryBuffer::getFile(contents.graph, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!graph) {
      return llvm::createStringError(graph.getError(), "%s: cannot read: %s", contents.graph.c_str(),
                                     graph.getError().message().c_str());
    }
    inputs[llvm::sys::path::filename(contents.graph)] = sha256(llvm::arrayRefFromStringRef((*graph)->getBuffer()));
  }
  llvm::json::Object headers;
  for (int i = 0; i < manifest.shards_size(); ++i) {
    const proto::Shard &shard = manifest.shards(i);
    if (shard.header_size() == 0) { // Not a shard of a checkpoint: embedded, so the checksums cover its bytes.
      continue;
    }
    constexpr uint64_t lengthBytes = 8;
    std::vector<uint8_t> header(shard.header_size() - lengthBytes);
    if (Status status = shards.read(static_cast<uint32_t>(i), lengthBytes, header); !status.ok()) {
      return toError(status);
    }
    headers[shard.name()] = sha256(header);
  }
  llvm::json::Object flags;
  for (const auto &[name, value] : contents.flags) {
    flags[name] = value;
  }
  llvm::json::Object receipt{
      {"elah", ELAH_VERSION},      {"format", ELAH_ARTIFACT_VERSION}, {"llvm", LLVM_VERSION_STRING},
      {"flags", std::move(flags)}, {"inputs", std::move(inputs)},     {"shard_headers", std::move(headers)},
  };
  if (contents.cuda) {
    receipt["predicted"] = predictedSteps(contents);
  }
  return llvm::formatv("{0:2}\n", llvm::json::Value(std::move(receipt))).str();
}

} // namespace elah
