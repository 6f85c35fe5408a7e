// What a runtime function says about its success: an elah_code and, for a failure, one sentence. No exceptions.
#ifndef RUNTIME_SRC_STATUS_H
#define RUNTIME_SRC_STATUS_H

#include <cstdarg>
#include <cstdio>
#include <elah/elah.h>
#include <optional>
#include <string>
#include <utility>

namespace elah {

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(elah_code code, std::string message) : errorCode(code), text(std::move(message)) {}

  bool ok() const { return errorCode == ELAH_OK; }
  elah_code code() const { return errorCode; }
  const std::string &message() const { return text; }

private:
  elah_code errorCode = ELAH_OK;
  std::string text;
};

/// A failure with a printf-formatted message.
__attribute__((format(printf, 2, 3))) inline Status failure(elah_code code, const char *format, ...) {
  char buffer[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof(buffer), format, arguments);
  va_end(arguments);
  return Status(code, buffer);
}

/// A value, or why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::move(value)) {}
  Result(Status status) : error(std::move(status)) {}

  bool ok() const { return content.has_value(); }
  const Status &status() const { return error; }
  T &operator*() { return *content; }
  const T &operator*() const { return *content; }
  T *operator->() { return &*content; }

private:
  std::optional<T> content;
  Status error;
};

/// Leaves the function with the failure of `expression`, if it failed.
#define ELAH_RETURN_IF_ERROR(expression)                                                                               \
  do {                                                                                                                 \
    if (::elah::Status elahStatus = (expression); !elahStatus.ok()) {                                                  \
      return elahStatus;                                                                                               \
    }                                                                                                                  \
  } while (false)

} // namespace elah

#endif
