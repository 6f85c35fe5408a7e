// The conversation formats of the family, by what the models' own templates give for the same turns.
#include "src/json.h"
#include "src/tokenizer/chat.h"
#include "tests/runtime/tokenizer/small_tokenizer.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace elah;
using testing::HasSubstr;

namespace {

// What tells the templates apart, in the order of the originals.
constexpr char r1Template[] =
    "{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', "
    "is_first_sp=true) %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}"
    "{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = "
    "false %}{%- else %}"
    "{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- "
    "endif %}{%- endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == "
    "'user' %}"
    "{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' %}{% "
    "if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + "
    "'<｜end▁of▁sentence｜>'}}{%- endif %}{%- if message['role'] == 'tool' "
    "%}{{'<｜tool▁outputs▁begin｜>"
    "<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>'}}{%- endif %}{%- "
    "endfor -%}"
    "{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}"
    "{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}";

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string config(const std::string &chatTemplate, const std::string &bos = R"("<｜begin▁of▁sentence｜>")") {
  std::string json = "{\"bos_token\":" + bos + ",\"chat_template\":";
  appendJsonString(json, chatTemplate);
  return json + "}";
}

using Turns = std::vector<elah_message>;

std::string render(const std::string &chatTemplate, const Turns &turns) {
  Result<ChatFormat> format = ChatFormat::fromTokenizerConfig(config(chatTemplate));
  if (!format.ok()) {
    return format.status().message();
  }
  Result<std::string> text = format->render(turns);
  return text.ok() ? *text : text.status().message();
}

TEST(Chat, r1) {
  EXPECT_EQ(render(r1Template, {{"user", "What is 2 + 3?"}}),
            "<｜begin▁of▁sentence｜><｜User｜>What is 2 + 3?<｜Assistant｜><think>\n");
  EXPECT_EQ(render(r1Template, {{"system", "Be brief."}, {"user", "Hi"}, {"system", "Be kind."}}),
            "<｜begin▁of▁sentence｜>Be brief.\n\nBe kind.<｜User｜>Hi<｜Assistant｜><think>\n");
}

TEST(Chat, pastThoughtIsDropped) {
  EXPECT_EQ(render(r1Template, {{"user", "a"}, {"assistant", "<think>\nx</think>y</think>\n\nb"}, {"user", "c"}}),
            "<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>\n\nb<｜end▁of▁sentence｜><｜User｜>c<"
            "｜Assistant｜><think>\n");
}

TEST(Chat, distillsTakeTheLastSystemText) {
  std::string distill = r1Template;
  for (size_t at; (at = distill.find("is_first_sp")) != std::string::npos;) {
    distill.replace(at, 11, "x");
  }
  EXPECT_EQ(render(distill, {{"system", "one"}, {"system", "two"}, {"user", "Hi"}}),
            "<｜begin▁of▁sentence｜>two<｜User｜>Hi<｜Assistant｜><think>\n");
}

TEST(Chat, v3DoesNotThink) {
  std::string v3 = replaced(r1Template, "<｜Assistant｜><think>\\n", "<｜Assistant｜>");
  v3 = replaced(replaced(v3, "</think>", ""), "</think>", "");
  EXPECT_EQ(render(v3, {{"user", "a"}, {"assistant", "x</think>b"}, {"user", "c"}}),
            "<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>x</"
            "think>b<｜end▁of▁sentence｜><｜User｜>c<｜Assistant｜>");
}

TEST(Chat, toolOutputs) {
  Turns turns = {{"user", "Weather?"},
                 {"assistant", "<｜tool▁calls▁begin｜>...<｜tool▁calls▁end｜>"},
                 {"tool", "12"},
                 {"tool", "rain"}};
  std::string text = "<｜begin▁of▁sentence｜><｜User｜>Weather?<｜Assistant｜><"
                     "｜tool▁calls▁begin｜>...<｜tool▁calls▁end｜>"
                     "<｜end▁of▁sentence｜><｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>12<"
                     "｜tool▁output▁end｜>\n"
                     "<｜tool▁output▁begin｜>rain<｜tool▁output▁end｜><｜tool▁outputs▁end｜>";
  EXPECT_EQ(render(r1Template, turns), text);
  turns.push_back({"assistant", "Cold."});
  turns.push_back({"user", "Thanks"});
  EXPECT_EQ(render(r1Template, turns), text + "Cold.<｜end▁of▁sentence｜><｜User｜>Thanks<｜Assistant｜><think>\n");
}

TEST(Chat, unknownRoles) {
  EXPECT_THAT(render(r1Template, {{"critic", "x"}}), HasSubstr("expected the role system, user, tool or assistant"));
  std::string plain = replaced(r1Template, "<｜tool▁outputs▁begin｜>", "");
  EXPECT_THAT(render(plain, {{"tool", "x"}}), HasSubstr("found 'tool'"));
}

TEST(Chat, refusesOtherFamilies) {
  auto error = [](const std::string &json) {
    Result<ChatFormat> format = ChatFormat::fromTokenizerConfig(json);
    return format.ok() ? "" : format.status().message();
  };
  EXPECT_THAT(error(config("{{'<|im_start|>'}}")), HasSubstr("not of the DeepSeek-R1 family"));
  EXPECT_THAT(error(config(std::string(r1Template) + "{%- if not thinking %}{{'</think>'}}")),
              HasSubstr("not of the DeepSeek-R1 family"));
  EXPECT_THAT(error("{}"), HasSubstr("has no chat_template"));
  EXPECT_THAT(error("[]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(error("{"), HasSubstr("tokenizer_config.json: line 1"));
  EXPECT_THAT(error(R"({"chat_template":7})"), HasSubstr("has no chat_template"));
}

TEST(Chat, templatesByNameAndTokensAsObjects) {
  std::string json = "{\"bos_token\":{\"content\":\"<b>\"},\"chat_template\":[{\"name\":\"tool_"
                     "use\",\"template\":\"\"},"
                     "{\"name\":\"default\",\"template\":";
  appendJsonString(json, r1Template);
  Result<ChatFormat> format = ChatFormat::fromTokenizerConfig(json + "}]}");
  ASSERT_TRUE(format.ok()) << format.status().message();
  elah_message turn = {"user", "Hi"};
  EXPECT_EQ(*format->render({&turn, 1}), "<b><｜User｜>Hi<｜Assistant｜><think>\n");
}

TEST(Chat, oneBeginOfSentence) {
  SmallTokenizer small;
  small.addedTokens = "[" + SmallTokenizer::added(300, "<｜begin▁of▁sentence｜>", "\"special\":true") + "]";
  std::vector<uint32_t> ids = small.encode(render(r1Template, {{"user", "Hi"}}));
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 300u), 1);
  EXPECT_EQ(ids.front(), 300u);
}

} // namespace
