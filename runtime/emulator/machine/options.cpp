#include "machine/options.h"
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace emulator {

template <typename T> using Choices = std::initializer_list<std::pair<std::string_view, T>>;

template <typename T> static void choose(const char *variable, T &value, Choices<T> choices) {
  const char *text = std::getenv(variable);
  if (!text || !*text) {
    return;
  }
  std::string expected;
  for (const auto &[word, meaning] : choices) {
    if (word == text) {
      value = meaning;
      return;
    }
    expected += (expected.empty() ? "" : ", ") + std::string(word);
  }
  std::fprintf(stderr, "%s: found '%s', expected one of: %s\n", variable, text, expected.c_str());
}

template <typename T> static void number(const char *variable, T &value) {
  const char *text = std::getenv(variable);
  if (!text || !*text) {
    return;
  }
  char *end = nullptr;
  unsigned long long parsed = std::strtoull(text, &end, 0);
  if (*end || *text == '-') {
    std::fprintf(stderr, "%s: found '%s', expected a number\n", variable, text);
    return;
  }
  value = static_cast<T>(parsed);
}

RunOptions RunOptions::fromEnvironment() {
  RunOptions options;
  choose<Order>("ELAH_EMULATOR_ORDER", options.order,
                {{"eager", Order::Eager}, {"lazy", Order::Lazy}, {"random", Order::Random}});
  number("ELAH_EMULATOR_SEED", options.seed);
  choose<bool>("ELAH_EMULATOR_ADVERSARIAL", options.adversarial, {{"0", false}, {"1", true}});
  choose<bool>("ELAH_EMULATOR_CHECK", options.check, {{"0", false}, {"1", true}});
  choose<Numerics>("ELAH_EMULATOR_NUMERICS", options.numerics,
                   {{"f32", Numerics::F32}, {"hardware", Numerics::Hardware}});
  number("ELAH_EMULATOR_THREADS", options.threads);
  number("ELAH_EMULATOR_PATIENCE", options.patience);
  if (const char *file = std::getenv("ELAH_EMULATOR_COUNTERS")) {
    options.count = *file != '\0';
  }
  if (const char *file = std::getenv("ELAH_EMULATOR_TRACE")) {
    options.trace = file;
  }
  return options;
}

} // namespace emulator
