#include "src/json.h"
#include "src/tokenizer/utf8.h"
#include <algorithm>
#include <charconv>
#include <cstring>

namespace elah {

/// Recursive descent over the document's own copy of the text. Escapes are resolved in place: what they stand for is
/// never longer.
class JsonParser {
public:
  explicit JsonParser(JsonDocument &document)
      : document(document), text(document.text.data()), end(static_cast<uint32_t>(document.text.size())) {}

  Status parse() {
    document.nodes.reserve(end / 16 + 1);
    skipSpace();
    ELAH_RETURN_IF_ERROR(parseValue(0));
    skipSpace();
    return at < end ? expected("the end of the text") : Status();
  }

private:
  static constexpr int maxDepth = 64;

  Status expected(const char *what) const {
    if (at >= end) {
      return failure(ELAH_INVALID_DATA, "line %u: expected %s, found the end of the text", line, what);
    }
    uint8_t found = static_cast<uint8_t>(text[at]);
    return found > 0x20 && found < 0x7f
               ? failure(ELAH_INVALID_DATA, "line %u (byte %u): expected %s, found '%c'", line, at, what, found)
               : failure(ELAH_INVALID_DATA, "line %u (byte %u): expected %s, found the byte 0x%02x", line, at, what,
                         found);
  }

  void skipSpace() {
    while (at < end && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) {
      line += text[at++] == '\n';
    }
  }

  bool take(char c) {
    if (at < end && text[at] == c) {
      ++at;
      return true;
    }
    return false;
  }

  uint32_t add(JsonValue::Kind kind) {
    uint32_t index = static_cast<uint32_t>(document.nodes.size());
    document.nodes.push_back({kind, false, index + 1, 0, 0});
    return index;
  }

  Status parseValue(int depth) {
    if (at >= end) {
      return expected("a value");
    }
    switch (text[at]) {
    case '{':
    case '[':
      return depth < maxDepth ? parseContainer(depth) : expected("at most 64 levels of nesting");
    case '"':
      return parseString();
    case 't':
      return parseWord("true", JsonValue::Boolean, true);
    case 'f':
      return parseWord("false", JsonValue::Boolean, false);
    case 'n':
      return parseWord("null", JsonValue::Null, false);
    default:
      return parseNumber();
    }
  }

  Status parseContainer(int depth) {
    bool isObject = text[at++] == '{';
    char close = isObject ? '}' : ']';
    uint32_t container = add(isObject ? JsonValue::Object : JsonValue::Array), count = 0;
    skipSpace();
    if (!take(close)) {
      do {
        skipSpace();
        if (isObject) {
          if (at >= end || text[at] != '"') {
            return expected("a key in quotes");
          }
          ELAH_RETURN_IF_ERROR(parseString());
          skipSpace();
          if (!take(':')) {
            return expected("':'");
          }
          skipSpace();
        }
        ELAH_RETURN_IF_ERROR(parseValue(depth + 1));
        skipSpace();
        ++count;
      } while (take(','));
      if (!take(close)) {
        return expected(isObject ? "',' or '}'" : "',' or ']'");
      }
    }
    document.nodes[container].size = count;
    document.nodes[container].next = static_cast<uint32_t>(document.nodes.size());
    return Status();
  }

  Status parseWord(const char *word, JsonValue::Kind kind, bool isTrue) {
    size_t size = std::strlen(word);
    if (size > end - at || std::memcmp(text + at, word, size) != 0) {
      return expected("a value");
    }
    at += static_cast<uint32_t>(size);
    document.nodes[add(kind)].isTrue = isTrue;
    return Status();
  }

  bool takeDigits() {
    uint32_t first = at;
    while (at < end && text[at] >= '0' && text[at] <= '9') {
      ++at;
    }
    return at > first;
  }

  Status parseNumber() {
    uint32_t begin = at;
    take('-');
    if (!take('0') && !takeDigits()) {
      at = begin;
      return expected("a value");
    }
    if (take('.') && !takeDigits()) {
      return expected("a digit");
    }
    if (at < end && (text[at] == 'e' || text[at] == 'E')) {
      ++at;
      if (!take('+')) {
        take('-');
      }
      if (!takeDigits()) {
        return expected("a digit");
      }
    }
    uint32_t index = add(JsonValue::Number);
    document.nodes[index].begin = begin;
    document.nodes[index].size = at - begin;
    return Status();
  }

  bool takeHex(uint32_t &value) {
    if (end - at < 4) {
      return false;
    }
    auto [stop, error] = std::from_chars(text + at, text + at + 4, value, 16);
    if (error != std::errc() || stop != text + at + 4) {
      return false;
    }
    at += 4;
    return true;
  }

  /// What stands behind a backslash.
  Status parseEscape(char *&out) {
    static constexpr char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char name = at < end ? text[at] : '\0';
    if (name == 'u') {
      ++at;
      uint32_t character, low;
      if (!takeHex(character)) {
        return expected("four hexadecimal digits");
      }
      if (character >= 0xd800 && character < 0xe000) {
        if (character >= 0xdc00 || !take('\\') || !take('u') || !takeHex(low) || low < 0xdc00 || low >= 0xe000) {
          return expected("a pair of surrogates");
        }
        character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
      }
      std::string encoded;
      appendUtf8(encoded, character);
      out = std::copy(encoded.begin(), encoded.end(), out);
      return Status();
    }
    const char *found = name ? std::strchr(names, name) : nullptr;
    if (!found) {
      return expected("an escape");
    }
    ++at;
    *out++ = values[found - names];
    return Status();
  }

  Status parseString() {
    uint32_t begin = ++at;
    char *out = text + begin;
    while (at < end && text[at] != '"') {
      uint8_t byte = static_cast<uint8_t>(text[at]);
      if (byte == '\\') {
        ++at;
        ELAH_RETURN_IF_ERROR(parseEscape(out));
      } else if (byte < 0x20) {
        return expected("no control characters in a string");
      } else if (byte < 0x80) {
        *out++ = text[at++];
      } else {
        size_t length = utf8SequenceLength({text + at, end - at});
        if (length == 0) {
          return expected("UTF-8");
        }
        std::memmove(out, text + at, length);
        out += length;
        at += static_cast<uint32_t>(length);
      }
    }
    if (!take('"')) {
      return expected("'\"'");
    }
    uint32_t index = add(JsonValue::String);
    document.nodes[index].begin = begin;
    document.nodes[index].size = static_cast<uint32_t>(out - text) - begin;
    return Status();
  }

  JsonDocument &document;
  char *text;
  uint32_t at = 0, end, line = 1;
};

Result<JsonDocument> JsonDocument::parse(std::string text) {
  if (text.size() > (size_t(1) << 30)) {
    return failure(ELAH_INVALID_DATA, "expected at most 1 GiB of JSON, found %zu bytes", text.size());
  }
  JsonDocument document;
  document.text = std::move(text);
  ELAH_RETURN_IF_ERROR(JsonParser(document).parse());
  return document;
}

JsonValue::Kind JsonValue::kind() const { return document ? document->nodes[index].kind : Null; }

bool JsonValue::boolean(bool fallback) const { return kind() == Boolean ? document->nodes[index].isTrue : fallback; }

std::string_view JsonValue::string(std::string_view fallback) const {
  if (kind() != String) {
    return fallback;
  }
  const JsonDocument::Node &node = document->nodes[index];
  return std::string_view(document->text).substr(node.begin, node.size);
}

double JsonValue::number(double fallback) const {
  if (kind() != Number) {
    return fallback;
  }
  const JsonDocument::Node &node = document->nodes[index];
  const char *begin = document->text.data() + node.begin;
  double value;
  return std::from_chars(begin, begin + node.size, value).ec == std::errc() ? value : fallback;
}

std::optional<uint64_t> JsonValue::unsignedInteger() const {
  if (kind() != Number) {
    return std::nullopt;
  }
  const JsonDocument::Node &node = document->nodes[index];
  const char *begin = document->text.data() + node.begin;
  uint64_t value;
  auto [stop, error] = std::from_chars(begin, begin + node.size, value);
  return error == std::errc() && stop == begin + node.size ? std::optional(value) : std::nullopt;
}

size_t JsonValue::size() const { return isArray() || isObject() ? document->nodes[index].size : 0; }

JsonValue JsonValue::member(std::string_view key) const {
  JsonValue found;
  if (isObject()) {
    for (Iterator entry = begin(); entry != end(); ++entry) {
      if (entry.key() == key) {
        found = *entry;
      }
    }
  }
  return found;
}

JsonValue JsonValue::item(size_t wanted) const {
  if (isArray()) {
    for (JsonValue value : *this) {
      if (wanted-- == 0) {
        return value;
      }
    }
  }
  return JsonValue();
}

JsonValue::Iterator &JsonValue::Iterator::operator++() {
  index = document->nodes[index + isObject].next;
  return *this;
}

JsonValue::Iterator JsonValue::begin() const {
  bool isContainer = isArray() || isObject();
  return Iterator(document, isContainer ? index + 1 : index, isObject());
}

JsonValue::Iterator JsonValue::end() const {
  bool isContainer = isArray() || isObject();
  return Iterator(document, isContainer ? document->nodes[index].next : index, isObject());
}

void JsonValue::write(std::string &out, int indent) const {
  switch (kind()) {
  case Null:
    out += "null";
    return;
  case Boolean:
    out += boolean(false) ? "true" : "false";
    return;
  case Number:
    out.append(document->text, document->nodes[index].begin, document->nodes[index].size);
    return;
  case String:
    appendJsonString(out, string());
    return;
  case Array:
  case Object:
    break;
  }
  out += isObject() ? '{' : '[';
  bool isFirst = true;
  for (Iterator entry = begin(); entry != end(); ++entry) {
    out += isFirst ? "" : ",";
    isFirst = false;
    if (indent >= 0) {
      out.append("\n").append(static_cast<size_t>(indent) + 2, ' ');
    }
    if (isObject()) {
      appendJsonString(out, entry.key());
      out += indent >= 0 ? ": " : ":";
    }
    (*entry).write(out, indent >= 0 ? indent + 2 : -1);
  }
  if (indent >= 0 && !isFirst) {
    out.append("\n").append(static_cast<size_t>(indent), ' ');
  }
  out += isObject() ? '}' : ']';
}

std::string JsonValue::excerpt() const {
  constexpr size_t longest = 80;
  std::string text;
  if (size() > longest) {
    text = isObject() ? "an object of " : "a list of ";
    return text + std::to_string(size()) + " values";
  }
  write(text);
  if (text.size() > longest) {
    text = repairUtf8(text.substr(0, longest)) + "...";
  }
  return text;
}

void appendJsonString(std::string &out, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (char c : repairUtf8(text)) {
    uint8_t byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

} // namespace elah
