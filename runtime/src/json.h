// JSON in the runtime. Tokenizers are JSON of ten megabytes, read at every start: values lie in one array in the order
// of the text, strings stay where they stand in a copy of it, and nothing is allocated per value.
#ifndef RUNTIME_SRC_JSON_H
#define RUNTIME_SRC_JSON_H

#include "src/status.h"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elah {

class JsonDocument;

/// A value of a document, valid while the document is. Asking a value for what it is not gives the fallback: a document
/// of the wrong shape is never more than an error.
class JsonValue {
public:
  enum Kind : uint8_t { Null, Boolean, Number, String, Array, Object };

  JsonValue() = default; ///< null
  Kind kind() const;
  bool isNull() const { return kind() == Null; }
  bool isString() const { return kind() == String; }
  bool isArray() const { return kind() == Array; }
  bool isObject() const { return kind() == Object; }

  bool boolean(bool fallback) const;
  double number(double fallback) const;
  std::string_view string(std::string_view fallback = "") const;
  /// The number, if it is one without sign, fraction and exponent that fits.
  std::optional<uint64_t> unsignedInteger() const;

  /// The member of an object; null if there is none. Of equal keys the last counts.
  JsonValue member(std::string_view key) const;
  /// The item of an array; null if there is none.
  JsonValue item(size_t index) const;
  /// Items of an array or members of an object.
  size_t size() const;

  class Iterator {
  public:
    Iterator(const JsonDocument *document, uint32_t index, bool isObject)
        : document(document), index(index), isObject(isObject) {}
    JsonValue operator*() const { return JsonValue(document, index + isObject); }
    std::string_view key() const { return JsonValue(document, index).string(); }
    Iterator &operator++();
    bool operator!=(const Iterator &other) const { return index != other.index; }

  private:
    const JsonDocument *document;
    uint32_t index;
    bool isObject;
  };
  Iterator begin() const;
  Iterator end() const;

  /// Appends the value as JSON, on one line or, with `indent` >= 0, over several.
  void write(std::string &out, int indent = -1) const;
  /// The value for a message: its first characters.
  std::string excerpt() const;

private:
  friend class JsonDocument;
  JsonValue(const JsonDocument *document, uint32_t index) : document(document), index(index) {}

  const JsonDocument *document = nullptr;
  uint32_t index = 0;
};

/// A text, parsed.
class JsonDocument {
public:
  /// Strict RFC 8259 in UTF-8, nested at most 64 deep; the failure says where and why not.
  static Result<JsonDocument> parse(std::string text);
  JsonValue root() const { return JsonValue(this, 0); }

private:
  friend class JsonValue;
  friend class JsonParser;
  struct Node {
    JsonValue::Kind kind;
    bool isTrue;
    uint32_t next; ///< The node behind this value and all that is in it.
    uint32_t begin,
        size; ///< Of a string or number, its place in `text`; of a container, `size` is its count.
  };
  std::string text;
  std::vector<Node> nodes; ///< In an object, keys and values by turns.
};

/// Appends `text` as a JSON string, quotes included; broken UTF-8 becomes U+FFFD.
void appendJsonString(std::string &out, std::string_view text);

} // namespace elah

#endif
