// Any bytes through a tokenizer like R1's: what comes back is what went in, broken UTF-8 repaired.
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/utf8.h"
#include "tests/runtime/tokenizer/small_tokenizer.h"
#include <cstdlib>

using namespace elah;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<Tokenizer> tokenizer = [] {
    SmallTokenizer small;
    small.merges = {{"e", " "}, {" ", "t"}, {"h", "e"}, {" t", "he"}, {"\xe4", "\xb8"}, {"\xf0", "\x9f"}, {"1", "2"}};
    small.preTokenizer = R"JSON({"type":"Sequence","pretokenizers":[
      {"type":"Split","behavior":"Isolated","pattern":{"Regex":"\\p{N}{1,3}"}},
      {"type":"Split","behavior":"Isolated","pattern":{"Regex":"[一-龥぀-ゟ゠-ヿ]+"}},
      {"type":"Split","behavior":"Isolated","pattern":{"Regex":
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
      {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})JSON";
    small.addedTokens =
        "[" + SmallTokenizer::added(300, "<think>") + "," + SmallTokenizer::added(301, "</think>") + "]";
    Result<std::unique_ptr<Tokenizer>> made = Tokenizer::fromJson(small.json());
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().message().c_str());
      std::abort();
    }
    return std::move(*made);
  }();
  std::string_view text(reinterpret_cast<const char *>(data), size);
  std::vector<uint32_t> ids;
  if (!tokenizer->encode(text, ids).ok()) {
    std::abort();
  }
  Detokenizer detokenizer(*tokenizer, true);
  std::string back;
  for (uint32_t id : ids) {
    back += detokenizer.add(id);
  }
  if (back + detokenizer.finish() != repairUtf8(text)) {
    std::abort();
  }
  return 0;
}
