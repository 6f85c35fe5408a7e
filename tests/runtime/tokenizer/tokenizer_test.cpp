#include "tests/runtime/tokenizer/small_tokenizer.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace elah;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using Ids = std::vector<uint32_t>;

TEST(Tokenizer, mergesByRankThenLeftmost) {
  SmallTokenizer small;
  small.merges = {{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "a"}};
  EXPECT_EQ(small.encode("abc"), Ids({258}));
  EXPECT_EQ(small.encode("bc"), Ids({257}));
  EXPECT_EQ(small.encode("aaa"), Ids({259, 'a'}));  // the left pair of equals
  EXPECT_EQ(small.encode("aabc"), Ids({'a', 258})); // (a b) before (a a)
}

TEST(Tokenizer, shortAndLongPiecesAgree) {
  // Pieces above 26 bytes go another way; both must give what the definition gives.
  SmallTokenizer small;
  small.merges = {{"a", "b"}, {"b", "a"}, {"ab", "ab"}, {"a", "a"}, {"abab", "a"}, {"ba", "ba"}};
  uint32_t state = 1;
  for (int round = 0; round < 500; ++round) {
    std::string text;
    size_t size = 1 + round % 60;
    for (size_t i = 0; i < size; ++i) {
      state = state * 1664525 + 1013904223;
      text += (state >> 16) % 5 < 2 ? 'b' : 'a';
    }
    // The definition: apply the best merge there is, leftmost first, again and again.
    std::vector<std::string> parts;
    for (char c : text) {
      parts.emplace_back(1, c);
    }
    while (true) {
      size_t best = small.merges.size(), place = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        for (size_t rank = 0; rank < best; ++rank) {
          if (small.merges[rank] == std::pair(parts[i], parts[i + 1])) {
            best = rank;
            place = i;
          }
        }
      }
      if (best == small.merges.size()) {
        break;
      }
      parts[place] += parts[place + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(place) + 1);
    }
    Ids expected;
    for (const std::string &part : parts) {
      expected.push_back(static_cast<uint8_t>(part[0]));
      for (size_t rank = 0; rank < small.merges.size(); ++rank) {
        if (small.merges[rank].first + small.merges[rank].second == part) {
          expected.back() = 256 + static_cast<uint32_t>(rank);
        }
      }
    }
    ASSERT_EQ(small.encode(text), expected) << text;
  }
}

TEST(Tokenizer, mergesAsStringsOrPairs) {
  SmallTokenizer small;
  small.merges = {{" ", "a"}, {"\xc3", "\xa9"}};
  EXPECT_EQ(small.encode(" a\xc3\xa9"), Ids({256, 257}));
  small.mergesAsPairs = true;
  EXPECT_EQ(small.encode(" a\xc3\xa9"), Ids({256, 257}));
}

TEST(Tokenizer, ignoreMergesTakesWholePieces) {
  SmallTokenizer small;
  small.merges = {{"b", "c"}, {"a", "b"}, {"ab", "c"}}; // "abc" cannot be reached: (b c) goes first
  EXPECT_EQ(small.encode("abc"), Ids({'a', 256}));
  small.ignoresMerges = true;
  EXPECT_EQ(small.encode("abc"), Ids({258}));
}

TEST(Tokenizer, addedTokensLongestLeftmost) {
  SmallTokenizer small;
  small.addedTokens = "[" + SmallTokenizer::added(300, "<t>") + "," + SmallTokenizer::added(301, "<t><u>") + "," +
                      SmallTokenizer::added(302, "t><u><v>") + "," + SmallTokenizer::added(303, "<") + "]";
  EXPECT_EQ(small.encode("<t><u>x"), Ids({301, 'x'}));
  EXPECT_EQ(small.encode("<t><u><v>"), Ids({301, 303, 'v', '>'})); // leftmost before longest
  EXPECT_EQ(small.encode("t><u><v><t"), Ids({302, 303, 't'}));
  EXPECT_EQ(small.encode(""), Ids());
}

TEST(Tokenizer, addedTokenFlags) {
  SmallTokenizer small;
  small.addedTokens = "[" + SmallTokenizer::added(300, "[L]", "\"lstrip\":true") + "," +
                      SmallTokenizer::added(301, "[R]", "\"rstrip\":true") + "," +
                      SmallTokenizer::added(302, "word", "\"single_word\":true") + "]";
  EXPECT_EQ(small.encode("a \t\xe3\x80\x80[L] b"), Ids({'a', 300, ' ', 'b'}));
  EXPECT_EQ(small.encode("a [R]\xc2\xa0\n b"), Ids({'a', ' ', 301, 'b'}));
  EXPECT_EQ(small.encode("[R]  [L]"), Ids({301, 300})); // one takes the blanks, the other has none left
  EXPECT_EQ(small.encode("word word-x"), Ids({302, ' ', 302, '-', 'x'}));
  EXPECT_EQ(small.encode("wordy"), Ids({'w', 'o', 'r', 'd', 'y'}));
  EXPECT_EQ(small.encode("\xc3\xa9word"), Ids({0xc3, 0xa9, 'w', 'o', 'r', 'd'})); // a letter before
  EXPECT_EQ(small.encode("_word"), Ids({'_', 'w', 'o', 'r', 'd'}));
}

TEST(Tokenizer, normalizedTokensAreFoundBehindNfc) {
  SmallTokenizer small;
  small.normalizer = R"({"type":"NFC"})";
  std::string composed = "\xc3\xa9", decomposed = "e\xcc\x81";
  EXPECT_EQ(small.encode(decomposed), Ids({0xc3, 0xa9}));
  small.addedTokens = "[" + SmallTokenizer::added(300, decomposed, "\"normalized\":true") + "]";
  EXPECT_EQ(small.encode(composed), Ids({300}));
  EXPECT_EQ(small.encode(decomposed), Ids({300}));
  small.addedTokens = "[" + SmallTokenizer::added(300, decomposed, "\"normalized\":false") + "]";
  EXPECT_EQ(small.encode(composed), Ids({0xc3, 0xa9}));
  EXPECT_EQ(small.encode(decomposed), Ids({300}));
}

TEST(Tokenizer, splitBehaviors) {
  auto split = [](const char *behavior, const char *invert) {
    SmallTokenizer small;
    small.merges = {{"a", "-"}, {"-", "-"}, {"-", "b"}, {"a", "b"}};
    small.preTokenizer =
        std::string(R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"String":"-"},)") +
        "\"behavior\":\"" + behavior + "\",\"invert\":" + invert +
        R"(},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})";
    return small.encode("a--b");
  };
  EXPECT_EQ(split("Isolated", "false"), Ids({'a', '-', '-', 'b'}));
  EXPECT_EQ(split("Removed", "false"), Ids({'a', 'b'}));
  EXPECT_EQ(split("Removed", "true"), Ids({'-', '-'}));
  EXPECT_EQ(split("MergedWithNext", "false"), Ids({UINT32_MAX}));
}

TEST(Tokenizer, byteLevelsOwnPatternAndPrefixSpace) {
  SmallTokenizer small;
  small.merges = {{" ", "a"}, {"a", " "}};
  small.preTokenizer = R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})";
  EXPECT_EQ(small.encode("a a"), Ids({256, 256}));
  EXPECT_EQ(small.encode(" a"), Ids({256}));
}

TEST(Tokenizer, whiteSpaceIsUnicodesProperty) {
  SmallTokenizer small;
  small.merges = {{"a", "\xe1"}};
  small.preTokenizer = R"({"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Removed","pattern":{"Regex":)"
                       R"("\\s+"}},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})";
  EXPECT_EQ(small.encode("a\xc2\x85\xe3\x80\x80\t b"), Ids({'a', 'b'}));
  EXPECT_EQ(small.encode("a\xe1\xa0\x8e"), Ids({256, 0xa0, 0x8e})); // U+180E is none
}

TEST(Tokenizer, brokenUtf8IsReplaced) {
  SmallTokenizer small;
  EXPECT_EQ(small.encode("a\xff"), Ids({'a', 0xef, 0xbf, 0xbd}));
  EXPECT_EQ(small.encode("\xe4\xb8"), Ids({0xef, 0xbf, 0xbd}));
  EXPECT_EQ(small.encode(std::string("a\0b", 3)), Ids({'a', 0, 'b'}));
}

TEST(Tokenizer, aMegabyteWithoutABreak) {
  SmallTokenizer small;
  small.merges = {{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}};
  small.preTokenizer = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
  EXPECT_EQ(small.encode(std::string(1 << 20, 'a')), Ids((1 << 20) / 8, 258));
  EXPECT_EQ(small.encode(std::string(1 << 20, ' ')).size(), size_t(1 << 20));
}

TEST(Detokenizer, givesOutWholeCharacters) {
  SmallTokenizer small;
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(small.json());
  ASSERT_TRUE(tokenizer.ok());
  std::string text = "a\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb\xe4\xb8\xad\xc3\xa9z", got;
  Detokenizer detokenizer(**tokenizer, true);
  for (char byte : text) {
    std::string part = detokenizer.add(static_cast<uint8_t>(byte));
    EXPECT_EQ(part, repairUtf8(part));
    EXPECT_TRUE(part.empty() || utf8SequenceLength(part) == part.size()) << "one character at a time";
    got += part;
  }
  EXPECT_EQ(got, text);
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, brokenPartsBecomeReplacements) {
  SmallTokenizer small;
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(small.json());
  ASSERT_TRUE(tokenizer.ok());
  auto decode = [&](std::initializer_list<uint32_t> ids) {
    Detokenizer detokenizer(**tokenizer, true);
    std::string text;
    for (uint32_t id : ids) {
      text += detokenizer.add(id);
    }
    return text + detokenizer.finish();
  };
  EXPECT_EQ(decode({0xe4, 0xb8, 'a'}), "\xef\xbf\xbd"
                                       "a");
  EXPECT_EQ(decode({0xff, 'a'}), "\xef\xbf\xbd"
                                 "a");
  EXPECT_EQ(decode({'a', 0xf0, 0x9f}), "a\xef\xbf\xbd");
  EXPECT_EQ(decode({'a', 99999, 'b'}), "ab"); // an id that is not there
}

TEST(Detokenizer, specialTokens) {
  SmallTokenizer small;
  small.addedTokens =
      "[" + SmallTokenizer::added(300, "<e>", "\"special\":true") + "," + SmallTokenizer::added(301, "<think>") + "]";
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(small.json());
  ASSERT_TRUE(tokenizer.ok());
  for (bool keep : {false, true}) {
    Detokenizer detokenizer(**tokenizer, keep);
    EXPECT_EQ(detokenizer.add(300), keep ? "<e>" : "");
    EXPECT_EQ(detokenizer.add(301), "<think>");
  }
}

std::string errorOf(const std::string &json) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(json);
  return tokenizer.ok() ? "" : tokenizer.status().message();
}

TEST(TokenizerJson, refusesWhatItDoesNotKnow) {
  auto with = [](auto change) {
    SmallTokenizer small;
    change(small);
    return errorOf(small.json());
  };
  EXPECT_EQ(with([](SmallTokenizer &) {}), "");
  EXPECT_THAT(with([](SmallTokenizer &t) { t.normalizer = R"({"type":"NFKC"})"; }),
              HasSubstr(R"(normalizer: expected null, a Sequence or NFC, found {"type":"NFKC"})"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.preTokenizer = "null"; }), HasSubstr("pre_tokenizer: expected"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.preTokenizer = R"({"type":"Metaspace"})"; }), HasSubstr("Metaspace"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.decoder = "null"; }), HasSubstr("decoder: expected ByteLevel"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.modelExtra = ",\"byte_fallback\":true"; }), HasSubstr("byte_fallback"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.modelExtra = ",\"end_of_word_suffix\":\"</w>\""; }),
              HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = "{}"; }), HasSubstr("added_tokens: expected a list"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = R"([{"id":-1,"content":"x"}])"; }),
              HasSubstr("added_tokens[0].id: expected a token id, found -1"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = R"([{"id":1e3,"content":"x"}])"; }), HasSubstr("1e3"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = R"([{"id":99999999999,"content":"x"}])"; }),
              HasSubstr("99999999999"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = R"([{"id":1,"content":""}])"; }),
              HasSubstr("added_tokens[0].content: expected a text"));
  EXPECT_THAT(with([](SmallTokenizer &t) { t.addedTokens = "[7]"; }), HasSubstr("added_tokens[0].id"));
}

TEST(TokenizerJson, refusesBrokenModels) {
  auto model = [](const std::string &text) {
    return errorOf(R"({"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},)" +
                   text + "}");
  };
  EXPECT_THAT(model(R"("x":0)"), HasSubstr("model.type: expected BPE"));
  EXPECT_THAT(model(R"("model":{"type":"Unigram"})"), HasSubstr("found \"Unigram\""));
  EXPECT_THAT(model(R"("model":{"vocab":[],"merges":[]})"), HasSubstr("model.vocab: expected an object, found []"));
  EXPECT_THAT(model(R"("model":{"vocab":{"a":0},"merges":[]})"), HasSubstr("the token of byte 0x00 is missing"));
  EXPECT_THAT(model(R"("model":{"vocab":{"a":"b"},"merges":[]})"), HasSubstr("model.vocab['a']"));
  EXPECT_THAT(model(R"("model":{"vocab":{"a":4294967296},"merges":[]})"), HasSubstr("4294967296"));
  SmallTokenizer small;
  std::string json = small.json();
  auto withMerges = [&](const std::string &merges) {
    std::string changed = json;
    return errorOf(changed.replace(changed.find("\"merges\":[]"), 11, "\"merges\":" + merges));
  };
  EXPECT_THAT(withMerges("{}"), HasSubstr("model.merges: expected a list"));
  EXPECT_THAT(withMerges(R"(["a b"])"), HasSubstr("model.merges[0]: expected two tokens whose union is a token"));
  EXPECT_THAT(withMerges(R"(["ab"])"), HasSubstr("model.merges[0]"));
  EXPECT_THAT(withMerges("[7]"), HasSubstr("model.merges[0]"));
  EXPECT_THAT(withMerges(R"([["a"]])"), HasSubstr("model.merges[0]"));
}

TEST(TokenizerJson, refusesBadPatterns) {
  auto pattern = [](const std::string &regex) {
    SmallTokenizer small;
    std::string quoted;
    appendJsonString(quoted, regex);
    small.preTokenizer =
        R"({"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","pattern":{"Regex":)" + quoted +
        R"(}},{"type":"ByteLevel","add_prefix_space":false}]})";
    return errorOf(small.json());
  };
  EXPECT_EQ(pattern(R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|[]x]|[^]x]|[a[b]])"), "");
  EXPECT_THAT(pattern("(a"), HasSubstr("pre_tokenizer.pretokenizers[0]: the pattern '(a' cannot be compiled"));
  EXPECT_THAT(pattern("[a"), HasSubstr("cannot be compiled"));
  EXPECT_THAT(pattern(R"(\h)"), HasSubstr("\\h, which is not supported"));
  EXPECT_THAT(pattern(R"([\S])"), HasSubstr("\\S in a class"));
  EXPECT_THAT(pattern("[a&&b]"), HasSubstr("an intersection of classes"));
  EXPECT_THAT(pattern("[[:alpha:]]"), HasSubstr("a named class"));
  EXPECT_THAT(pattern("(*ACCEPT)a"), HasSubstr("a verb or a callout"));
  EXPECT_THAT(pattern(std::string(70000, 'a')), HasSubstr("at most 65536 bytes"));
  EXPECT_THAT(pattern(R"(\)"), HasSubstr("the pattern"));
}

TEST(TokenizerJson, explodingPatternsAreStopped) {
  SmallTokenizer small;
  small.preTokenizer =
      R"({"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","pattern":{"Regex":)"
      R"("(a+)+$"}},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})";
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(small.json());
  ASSERT_TRUE(tokenizer.ok());
  Ids ids;
  Status status = (*tokenizer)->encode(std::string(40, 'a') + "b", ids);
  EXPECT_EQ(status.code(), ELAH_INVALID_DATA);
  EXPECT_THAT(status.message(), HasSubstr("more work"));
}

TEST(TokenizerJson, refusesAnythingCutShort) {
  std::string json = SmallTokenizer().json();
  for (size_t size = 0; size < json.size(); size += 1 + size / 64) {
    EXPECT_NE(errorOf(json.substr(0, size)), "") << size;
  }
}

} // namespace
