#include "machine/acceptance.h"
#include "machine/grid.h"
#include "ptx/module.h"

namespace emulator {

std::string refusalOf(const std::string &ptx) {
  auto described = [](const ptx::Error &error) {
    return "line " + std::to_string(error.place.line) + ": " + error.text;
  };
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(ptx);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    return described(*error);
  }
  std::variant<std::shared_ptr<LoadedModule>, ptx::Error> loaded =
      LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  const ptx::Error *error = std::get_if<ptx::Error>(&loaded);
  return error ? described(*error) : "";
}

} // namespace emulator
