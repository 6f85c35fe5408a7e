// The first mistake that a new user makes is the model's path, so every likely one gets an answer of its own.
#include "compiler/Driver/ModelInput.h"
#include "elah/artifact.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <string_view>

namespace elah {
namespace {

constexpr llvm::StringLiteral expected =
    "expected a Hugging Face model folder (config.json, *.safetensors, tokenizer.json) or an ONNX graph (.onnx)";

ModelInputProblem bad(llvm::StringRef path, const llvm::Twine &message) { return {65, path.str(), message.str()}; }

/// What a file that is no folder is, by its first bytes and then by its name.
ModelInputProblem describeFile(llvm::StringRef path) {
  llvm::StringRef folder = llvm::sys::path::parent_path(path);
  std::string parent = folder.empty() ? "." : folder.str();
  std::string magic;
  if (auto file = llvm::MemoryBuffer::getFileSlice(path, 8, 0)) {
    magic = (*file)->getBuffer().str();
  }
  llvm::StringRef extension = llvm::sys::path::extension(path);
  if (magic == llvm::StringRef(ELAH_ARTIFACT_MAGIC, 8)) {
    return bad(path, "is compiled already; `elah run " + path + " --prompt ...` asks it");
  }
  if (llvm::StringRef(magic).starts_with("GGUF") || extension == ".gguf") {
    return bad(path, "found a GGUF file, " + expected + ", as the model was published before its conversion to GGUF");
  }
  if (extension == ".safetensors") {
    return bad(path, "found one file of a checkpoint, " + expected + "; give its folder: " + parent);
  }
  if (extension == ".json") {
    return bad(path, "found one file of a model, " + expected + "; give its folder: " + parent);
  }
  if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt") {
    return bad(path, "found a PyTorch pickle, which can hold any program, " + expected +
                         "; save the model with safe_serialization=True");
  }
  return bad(path, "found a file, " + expected);
}

} // namespace

bool isOnnxGraph(llvm::StringRef path) {
  return llvm::sys::path::extension(path) == ".onnx" && llvm::sys::fs::is_regular_file(path);
}

ModelInputProblem checkModelInput(llvm::StringRef path) {
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status)) {
    if (code != std::errc::no_such_file_or_directory) {
      return {66, path.str(), "cannot open: " + code.message()};
    }
    std::string message = "there is no such folder";
    // "owner/name" is how the Hub names a model.
    bool looksLikeHubName = path.count('/') == 1 && !path.starts_with(".") && !path.starts_with("/") &&
                            !path.ends_with("/") && !llvm::sys::fs::exists(llvm::sys::path::parent_path(path));
    if (looksLikeHubName) {
      message += "; a model on the Hugging Face Hub must be downloaded first, for example with `huggingface-cli "
                 "download " +
                 path.str() + " --local-dir " + llvm::sys::path::filename(path).str() + "`";
    }
    return {66, path.str(), message};
  }
  if (isOnnxGraph(path)) {
    return {};
  }
  if (!llvm::sys::fs::is_directory(status)) {
    return describeFile(path);
  }
  llvm::SmallString<256> config(path);
  llvm::sys::path::append(config, "config.json");
  if (!llvm::sys::fs::exists(config)) {
    std::error_code code;
    for (llvm::sys::fs::directory_iterator entry(path, code), end; entry != end && !code; entry.increment(code)) {
      llvm::StringRef extension = llvm::sys::path::extension(entry->path());
      if (extension == ".onnx") {
        return {66, path.str(),
                "there is no config.json in this folder; to compile the graph in it, give " + entry->path()};
      }
      if (extension == ".gguf") {
        ModelInputProblem problem = describeFile(entry->path());
        problem.message += "; there is no config.json beside it";
        return problem;
      }
    }
    return {66, path.str(), ("there is no config.json in this folder, " + expected).str()};
  }
  return {};
}

} // namespace elah
