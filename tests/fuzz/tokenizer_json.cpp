// tokenizer.json from outside, and behind its last NUL a text to encode with it.
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/utf8.h"
#include <cstdlib>

using namespace elah;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t end = input.rfind('\0');
  std::string_view text = end == std::string_view::npos ? "Hello, w\xc3\xb6rld 1234 <think>" : input.substr(end + 1);
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(input.substr(0, end));
  std::vector<uint32_t> ids;
  if (!tokenizer.ok() || !(*tokenizer)->encode(text.substr(0, 512), ids).ok()) {
    return 0;
  }
  Detokenizer detokenizer(**tokenizer, true);
  for (uint32_t id : ids) {
    std::string part = detokenizer.add(id);
    if (part != repairUtf8(part)) {
      std::abort(); // broken UTF-8 was given out
    }
  }
  detokenizer.finish();
  return 0;
}
