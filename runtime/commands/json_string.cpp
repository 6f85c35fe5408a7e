#include "commands/json_string.h"
#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>

std::string jsonString(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
