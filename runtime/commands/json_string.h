#ifndef RUNTIME_COMMANDS_JSON_STRING_H
#define RUNTIME_COMMANDS_JSON_STRING_H

#include <string>
#include <string_view>

/// `text` as a JSON string, quotes included. What is not UTF-8 becomes U+FFFD.
std::string jsonString(std::string_view text);

#endif
