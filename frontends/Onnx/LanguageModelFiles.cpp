// A graph holds a model's mathematics and nothing else: how long its context is and which token ends an answer is in
// the files that exporters leave beside it. None of them has to be there, and keys that nothing here reads may say
// anything.
#include "frontends/Onnx/LanguageModelFiles.h"
#include "frontends/HuggingFace/JsonFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using nlohmann::json;

namespace elah {
namespace {

/// Longer than any model's context; as long as a session's may be.
constexpr int64_t maxContext = int64_t(1) << 24;

/// Some integers of one object. What is there has to be in range; null is as good as nothing.
class Integers {
public:
  Integers(const json &object, std::string file, llvm::Error &error) : object(object), file(file), error(error) {}

  /// One integer or a list of them.
  std::vector<int64_t> list(const char *key, int64_t least, int64_t most) {
    std::vector<int64_t> numbers;
    auto found = object.find(key);
    if (found == object.end() || found->is_null()) {
      return numbers;
    }
    json all = found->is_array() ? *found : json::array({*found});
    for (const json &element : all) {
      bool isInteger = element.is_number_integer();
      int64_t number = isInteger ? element.get<int64_t>() : -1;
      if (!isInteger || number < least || number > most) {
        std::string text = element.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
        error = llvm::joinErrors(std::move(error),
                                 llvm::createStringError(llvm::formatv("{0}: '{1}': expected {2} to {3}, found {4}",
                                                                       file, key, least, most, text.substr(0, 64))
                                                             .str()));
        return {};
      }
      numbers.push_back(number);
    }
    return numbers;
  }

  std::optional<int64_t> one(const char *key, int64_t least, int64_t most) {
    std::vector<int64_t> numbers = list(key, least, most);
    return numbers.empty() ? std::nullopt : std::optional(numbers.front());
  }

private:
  const json &object;
  std::string file;
  llvm::Error &error;
};

} // namespace

std::string languageModelFolder(llvm::StringRef path) {
  llvm::StringRef parent = llvm::sys::path::parent_path(path);
  std::string folder = parent.empty() ? "." : parent.str();
  auto holds = [](llvm::StringRef where, llvm::StringRef name) {
    llvm::SmallString<256> file(where);
    llvm::sys::path::append(file, name);
    return llvm::sys::fs::exists(file);
  };
  if (llvm::sys::path::filename(folder) != "onnx" || holds(folder, "tokenizer.json") || holds(folder, "config.json")) {
    return folder;
  }
  llvm::StringRef up = llvm::sys::path::parent_path(folder);
  std::string above = up.empty() ? "." : up.str();
  return holds(above, "tokenizer.json") || holds(above, "config.json") ? above : folder;
}

llvm::Expected<LanguageModelFiles> readLanguageModelFiles(llvm::StringRef path, int64_t vocabulary) {
  llvm::Expected<ModelFolder> folder = ModelFolder::open(path);
  if (!folder) {
    return folder.takeError();
  }
  for (const char *name : {"tokenizer.json", "tokenizer_config.json"}) {
    if (folder->has(name)) {
      if (llvm::Error error = folder->find(name, path).takeError()) {
        return std::move(error);
      }
    }
  }
  LanguageModelFiles files;
  // What generation is told overrules what the model is described as.
  for (const char *name : {"genai_config.json", "config.json", "generation_config.json"}) {
    if (!folder->has(name)) {
      continue;
    }
    llvm::Expected<json> object = readJsonObject(*folder, name);
    if (!object) {
      return object.takeError();
    }
    auto model = object->find("model");
    bool isNested = model != object->end() && model->is_object();
    llvm::Error error = llvm::Error::success();
    Integers members(isNested ? *model : *object, folder->pathOf(name), error);
    std::optional<int64_t> context =
        members.one(isNested ? "context_length" : "max_position_embeddings", 1, maxContext);
    std::optional<int64_t> bos = members.one("bos_token_id", 0, vocabulary - 1);
    std::vector<int64_t> eos = members.list("eos_token_id", 0, vocabulary - 1);
    if (error) {
      return std::move(error);
    }
    files.maxContext = context ? context : files.maxContext;
    files.bosToken = bos.value_or(files.bosToken);
    files.eosTokens = eos.empty() ? files.eosTokens : eos;
    auto names = object->find("architectures");
    if (names != object->end() && names->is_array() && names->size() == 1 && names->front().is_string()) {
      files.architecture = names->front().get<std::string>();
    }
  }
  return files;
}

} // namespace elah
