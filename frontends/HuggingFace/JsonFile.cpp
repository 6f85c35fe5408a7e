// config.json, its index and their like: small JSON files, read with what strangers may have put into them in mind.
#include "frontends/HuggingFace/JsonFile.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <vector>

using llvm::formatv;
using nlohmann::json;

namespace elah {
namespace {

/// Takes everything and keeps nothing but where the text stops being JSON.
struct FirstError : nlohmann::json_sax<json> {
  size_t position = 0;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t &) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t where, const std::string &, const nlohmann::detail::exception &) override {
    position = where;
    return false;
  }
};

} // namespace

llvm::Expected<json> readJsonObject(const ModelFolder &folder, llvm::StringRef name) {
  constexpr int maxDepth = 64;
  std::string file = folder.pathOf(name);
  auto reject = [&](const std::string &message) {
    return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s: %s", file.c_str(),
                                   message.c_str());
  };
  llvm::Expected<std::string> text = folder.read(name);
  if (!text) {
    return text.takeError();
  }
  // nlohmann takes a zero byte for the end of the text.
  if (text->find('\0') != std::string::npos) {
    return reject("not valid JSON: a zero byte");
  }
  bool tooDeep = false;
  std::string twice;
  std::vector<llvm::StringSet<>> keys;
  auto watch = [&](int depth, json::parse_event_t event, json &value) {
    switch (event) {
    case json::parse_event_t::object_start:
      keys.emplace_back();
      break;
    case json::parse_event_t::object_end:
      keys.pop_back();
      break;
    case json::parse_event_t::key:
      if (!keys.back().insert(value.get_ref<const std::string &>()).second && twice.empty()) {
        twice = value.dump();
      }
      break;
    default:
      break;
    }
    tooDeep |= depth > maxDepth;
    return depth <= maxDepth;
  };
  json value = json::parse(*text, watch, /*allow_exceptions=*/false);
  if (tooDeep) {
    return reject(formatv("expected at most {0} levels of nesting", maxDepth).str());
  }
  if (value.is_discarded()) {
    FirstError error;
    json::sax_parse(*text, &error);
    return reject(formatv("not valid JSON at byte {0}", error.position).str());
  }
  if (!value.is_object()) {
    return reject(formatv("expected a JSON object, found {0}", value.type_name()).str());
  }
  if (!twice.empty()) {
    return reject(formatv("the key {0} stands twice", twice).str());
  }
  return value;
}

} // namespace elah
