#include "src/json.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace elah;
using testing::HasSubstr;

namespace {

std::string errorOf(const std::string &text) {
  Result<JsonDocument> document = JsonDocument::parse(text);
  return document.ok() ? "" : document.status().message();
}

std::string rewritten(const std::string &text, int indent = -1) {
  Result<JsonDocument> document = JsonDocument::parse(text);
  std::string out;
  if (document.ok()) {
    document->root().write(out, indent);
  }
  return out;
}

TEST(Json, readsValues) {
  Result<JsonDocument> document = JsonDocument::parse(
      R"( {"a":[1,-2.5e3,true,false,null,"x"],"b":{},"c":[],"d":{"e":{"f":18446744073709551615}},"a2":0} )");
  ASSERT_TRUE(document.ok());
  JsonValue root = document->root(), a = root.member("a");
  EXPECT_EQ(root.size(), 5u);
  EXPECT_EQ(a.size(), 6u);
  EXPECT_EQ(a.item(0).unsignedInteger(), 1u);
  EXPECT_EQ(a.item(1).number(0), -2500);
  EXPECT_EQ(a.item(1).unsignedInteger(), std::nullopt);
  EXPECT_TRUE(a.item(2).boolean(false));
  EXPECT_FALSE(a.item(3).boolean(true));
  EXPECT_TRUE(a.item(4).isNull());
  EXPECT_EQ(a.item(5).string(), "x");
  EXPECT_TRUE(a.item(6).isNull());
  EXPECT_EQ(root.member("d").member("e").member("f").unsignedInteger(), UINT64_MAX);
  EXPECT_TRUE(root.member("z").member("y").item(3).isNull());
  EXPECT_EQ(root.string("no"), "no");
  for (JsonValue nothing : root.member("b")) {
    ADD_FAILURE() << nothing.excerpt();
  }
}

TEST(Json, lastOfEqualKeysCounts) {
  Result<JsonDocument> document = JsonDocument::parse(R"({"a":1,"a":2})");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->root().member("a").unsignedInteger(), 2u);
}

TEST(Json, resolvesEscapes) {
  Result<JsonDocument> document = JsonDocument::parse(R"(["\"\\\/\b\f\n\r\t\u0041\u00e9\u4e2d\ud83d\ude00\u0000z"])");
  ASSERT_TRUE(document.ok());
  using namespace std::string_view_literals;
  EXPECT_EQ(document->root().item(0).string(), "\"\\/\b\f\n\r\tA\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\0z"sv);
}

TEST(Json, writesWhatItRead) {
  std::string text = R"({"a":[1,-2.50e+3,true,null,"\"\\\n\u0001é"],"b":{},"c":[]})";
  EXPECT_EQ(rewritten(text), text);
  EXPECT_EQ(rewritten(R"({"a":[1,{}],"b":[]})", 0), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
  std::string out;
  appendJsonString(out, "\xff\x7f");
  EXPECT_EQ(out, "\"\xef\xbf\xbd\\u007f\"");
}

TEST(Json, refusesWhatIsNotJson) {
  EXPECT_EQ(errorOf(""), "line 1: expected a value, found the end of the text");
  EXPECT_EQ(errorOf("{\"a\":1,\n}"), "line 2 (byte 8): expected a key in quotes, found '}'");
  EXPECT_EQ(errorOf("[1 2]"), "line 1 (byte 3): expected ',' or ']', found '2'");
  for (const char *text : {"[1,]",
                           "[01]",
                           "[1.]",
                           "[.5]",
                           "[+1]",
                           "[1e]",
                           "[-]",
                           "[nul]",
                           "[truth]",
                           "{\"a\" 1}",
                           "{1:2}",
                           "[\"a]",
                           "[\"\\x\"]",
                           "[\"\\u12\"]",
                           "[\"\\u12g4\"]",
                           "[\"\\ud800\"]",
                           "[\"\\ud800\\u0041\"]",
                           "[\"\\udc00\"]",
                           "[\"\t\"]",
                           "[\"\xff\"]",
                           "[\"\xed\xa0\x80\"]",
                           "[\"\xc0\x80\"]",
                           "1 2",
                           "[]]",
                           "{\"a\":}",
                           "'a'",
                           "[NaN]",
                           "/**/1",
                           "\xef\xbb\xbf{}",
                           "[\"\\",
                           "[\"\\u"}) {
    EXPECT_NE(errorOf(text), "") << text;
  }
}

TEST(Json, limitsNesting) {
  EXPECT_EQ(errorOf(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_THAT(errorOf(std::string(65, '[') + std::string(65, ']')), HasSubstr("at most 64 levels"));
  EXPECT_THAT(errorOf(std::string(1 << 20, '[')), HasSubstr("at most 64 levels"));
  EXPECT_NE(errorOf(std::string(1 << 20, '{')), "");
}

TEST(Json, refusesAnythingCutShort) {
  std::string text = R"({"a":[1,{"b":"\u00e9\n"},true],"c":null})";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(errorOf(text.substr(0, size)), "") << size;
  }
}

} // namespace
