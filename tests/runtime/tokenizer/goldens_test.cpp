// The official ids of 1,500 strings for each tokenizer of the family. The tokenizers are not ours to ship: the test
// looks for them beside the repository and says so if they are not there.
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/utf8.h"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace elah;

namespace {

/// Beside the repository, or beside the repository that this is a work tree of.
std::filesystem::path tokenizerFolder() {
  for (std::filesystem::path folder = ELAH_SOURCE_DIR; folder != folder.root_path(); folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "shared/data/tokenizers")) {
      return folder / "shared/data/tokenizers";
    }
  }
  return {};
}

std::string fromHex(const std::string &digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

class TokenizerGoldens : public testing::TestWithParam<const char *> {};

TEST_P(TokenizerGoldens, officialIdsAndBack) {
  std::filesystem::path folder = tokenizerFolder() / GetParam();
  if (tokenizerFolder().empty() || !std::filesystem::exists(folder)) {
    GTEST_SKIP() << "there is no shared/data/tokenizers/" << GetParam() << " beside the repository";
  }
  std::ifstream file(folder / "tokenizer.json");
  std::stringstream json;
  json << file.rdbuf();
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(json.str());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  bool composes = std::string(GetParam()) == "qwen3"; // NFC: the text may come back in another, equivalent form

  std::ifstream goldens(folder / "golden_ids.tsv");
  size_t count = 0;
  for (std::string line; std::getline(goldens, line); ++count) {
    size_t tab = line.find('\t');
    ASSERT_NE(tab, std::string::npos) << "line " << count + 1;
    std::string text = fromHex(line.substr(0, tab));
    std::vector<uint32_t> expected, found;
    std::istringstream ids(line.substr(tab + 1));
    for (uint32_t id; ids >> id;) {
      expected.push_back(id);
    }
    Status status = (*tokenizer)->encode(text, found);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(found, expected) << "line " << count + 1 << ": " << text;

    Detokenizer detokenizer(**tokenizer, /*keepSpecial=*/true);
    std::string back;
    for (uint32_t id : found) {
      std::string part = detokenizer.add(id);
      EXPECT_EQ(part, repairUtf8(part)) << "a broken character was given out: line " << count + 1;
      back += part;
    }
    back += detokenizer.finish();
    if (!composes) {
      EXPECT_EQ(back, text) << "line " << count + 1;
    }
    std::vector<uint32_t> again;
    ASSERT_TRUE((*tokenizer)->encode(back, again).ok());
    EXPECT_EQ(again, found) << "line " << count + 1;
  }
  EXPECT_EQ(count, 1500u);
}

INSTANTIATE_TEST_SUITE_P(Family, TokenizerGoldens, testing::Values("deepseek-v3", "llama3.1", "qwen3"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

} // namespace
