// The C API's handles with an end, its failures as exit statuses, and JSON strings: what every verb needs.
#ifndef RUNTIME_COMMANDS_HANDLES_H
#define RUNTIME_COMMANDS_HANDLES_H

#include <cstdio>
#include <elah/elah.h>
#include <memory>
#include <string>
#include <string_view>

struct CloseHandle {
  void operator()(elah_artifact *artifact) const { elah_artifact_close(artifact); }
  void operator()(elah_tokenizer *tokenizer) const { elah_tokenizer_close(tokenizer); }
  void operator()(elah_session *session) const { elah_session_free(session); }
  void operator()(char *string) const { elah_string_free(string); }
};

template <typename T> using Handle = std::unique_ptr<T, CloseHandle>;

inline int exitStatus(elah_code code) {
  switch (code) {
  case ELAH_OK:
    return 0;
  case ELAH_INVALID_DATA:
  case ELAH_OUT_OF_RANGE:
    return 65;
  case ELAH_NOT_FOUND:
    return 66;
  case ELAH_UNSUPPORTED:
    return 69;
  case ELAH_INTERNAL:
    return 70;
  case ELAH_IO:
    return 74;
  case ELAH_CANCELLED:
    return 130;
  default:
    return 1;
  }
}

/// Prints the last error and gives the exit status for it.
inline int reportError(elah_code code) {
  std::fprintf(stderr, "error: %s\n", elah_last_error());
  return exitStatus(code);
}

/// `text` as a JSON string, quotes included. The text must be UTF-8.
inline std::string jsonString(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    char escaped[8];
    switch (c) {
    case '"':
      result += "\\\"";
      break;
    case '\\':
      result += "\\\\";
      break;
    case '\n':
      result += "\\n";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
        result += escaped;
      } else {
        result += c;
      }
    }
  }
  return result + "\"";
}

#endif
