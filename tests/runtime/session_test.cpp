// Sessions on the echo model, whose every logit depends on every token before it through pages and positions.
#include "src/background_copy.h"
#include "src/generate.h"
#include "src/session.h"
#include "tests/runtime/echo_session.h"
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

using namespace elah;
using testing::HasSubstr;

namespace {

class SessionTest : public EchoSession {
protected:
  void SetUp() override { create(2, 0); }

  void create(uint32_t threads, uint64_t cacheTokens) {
    Result<std::unique_ptr<Artifact>> opened =
        Artifact::fromMemory(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    session.reset();
    artifact = std::move(*opened);
    elah_session_options options = {};
    options.threads = threads;
    options.cache_tokens = cacheTokens;
    Result<std::unique_ptr<Session>> created = Session::create(*artifact, options);
    ASSERT_TRUE(created.ok()) << created.status().message();
    session = std::move(*created);
  }

  std::string bytes = echoModel().bytes();
};

TEST_F(SessionTest, oneSequenceAcrossPages) {
  std::map<uint32_t, Ids> histories;
  uint32_t s = *session->createSequence();
  check({{s, {1, 2, 3, 4, 5, 6, 7}, ELAH_LOGITS_ALL}}, histories);
  for (uint32_t token = 8; token <= 32; ++token) {
    check({{s, {token}}}, histories);
  }
}

TEST_F(SessionTest, prefillInPiecesIsTheSame) {
  for (size_t piece : {1, 2, 3, 5, 8}) {
    std::map<uint32_t, Ids> histories;
    uint32_t s = *session->createSequence();
    Ids all(30);
    std::iota(all.begin(), all.end(), 40);
    for (size_t done = 0; done < all.size(); done += piece) {
      Ids part(all.begin() + static_cast<ptrdiff_t>(done),
               all.begin() + static_cast<ptrdiff_t>(std::min(done + piece, all.size())));
      check({{s, part, done % 2 ? ELAH_LOGITS_ALL : ELAH_LOGITS_LAST}}, histories);
    }
    ASSERT_TRUE(session->freeSequence(s).ok());
  }
}

TEST_F(SessionTest, raggedBatches) {
  std::map<uint32_t, Ids> histories;
  uint32_t a = *session->createSequence(), b = *session->createSequence(), c = *session->createSequence();
  EXPECT_EQ(Ids({a, b, c}), Ids({0, 1, 2}));
  check({{b, {10, 11, 12, 13, 14}, ELAH_LOGITS_NONE}, {a, {1, 2}}}, histories);
  check({{c, {20}}, {a, {3, 4, 5}, ELAH_LOGITS_ALL}, {b, {15, 16, 17, 18}, ELAH_LOGITS_NONE}}, histories);
  check({{a, {6}}, {b, {19}}, {c, {21}}}, histories);
  check({{b, {1}, ELAH_LOGITS_NONE}}, histories);
  EXPECT_EQ(session->logitRows(), 0u);
}

TEST_F(SessionTest, randomBatchesWithPagesUsedAgain) {
  for (uint32_t threads : {1, 2, 4}) {
    create(threads, 44); // eleven pages for three sequences of up to eight
    std::map<uint32_t, Ids> histories;
    uint32_t state = threads;
    auto random = [&](uint32_t below) {
      state = state * 1664525 + 1013904223;
      return (state >> 16) % below;
    };
    int refused = 0;
    for (int round = 0; round < 2000; ++round) {
      if (histories.size() < 3 && random(2)) {
        Ids &fresh = histories[*session->createSequence()];
        EXPECT_TRUE(fresh.empty());
      }
      std::vector<Part> parts;
      size_t total = 0, pages = 0, used = 0;
      for (auto &[id, history] : histories) {
        used += (history.size() + 3) / 4;
        size_t count = 1 + random(4);
        if (random(3) && total + count <= 8 && history.size() + count <= 32) {
          Part part = {id, {}, static_cast<elah_logits>(random(3))};
          for (size_t i = 0; i < count; ++i) {
            part.tokens.push_back(random(262));
          }
          pages += (history.size() + count + 3) / 4 - (history.size() + 3) / 4;
          total += count;
          parts.push_back(part);
        }
      }
      if (used + pages > 11) {
        Status status = step(parts);
        ASSERT_EQ(status.code(), ELAH_OUT_OF_MEMORY);
        ++refused;
        uint32_t victim = histories.begin()->first;
        ASSERT_TRUE(session->freeSequence(victim).ok());
        histories.erase(victim);
      } else if (!parts.empty()) {
        check(parts, histories);
      }
      if (!histories.empty() && random(20) == 0) {
        uint32_t victim = histories.begin()->first;
        ASSERT_TRUE(session->freeSequence(victim).ok());
        histories.erase(victim);
      }
    }
    EXPECT_GT(refused, 10);
  }
}

TEST_F(SessionTest, refusesAndStaysAsItWas) {
  std::map<uint32_t, Ids> histories;
  uint32_t a = *session->createSequence(), b = *session->createSequence();
  check({{a, {1, 2, 3}}}, histories);
  auto error = [&](elah_code code, const std::vector<Part> &parts) {
    Status status = step(parts);
    EXPECT_EQ(status.code(), code) << status.message();
    return status.message();
  };
  EXPECT_THAT(error(ELAH_OUT_OF_RANGE, {}), HasSubstr("1 to 3 sequences, found 0"));
  EXPECT_THAT(error(ELAH_INVALID_ARGUMENT, {{a, {}}}), HasSubstr("has no tokens"));
  EXPECT_THAT(error(ELAH_INVALID_ARGUMENT, {{7, {1}}}), HasSubstr("there is no sequence 7"));
  EXPECT_THAT(error(ELAH_INVALID_ARGUMENT, {{a, {1}}, {b, {1}}, {a, {1}}}), HasSubstr("one chunk in a step"));
  EXPECT_THAT(error(ELAH_OUT_OF_RANGE, {{a, {4}}, {b, {262}}}),
              HasSubstr("token 262 is outside the vocabulary of 262"));
  EXPECT_THAT(error(ELAH_OUT_OF_RANGE, {{a, {1, 2, 3, 4, 5}}, {b, {1, 2, 3, 4}}}),
              HasSubstr("a step takes at most 8 tokens, found 9"));
  EXPECT_EQ(*session->lengthOf(a), 3u);
  EXPECT_EQ(*session->lengthOf(b), 0u);
  for (int i = 0; i < 3; ++i) {
    check({{a, Ids(8, 9)}}, histories);
  }
  EXPECT_THAT(error(ELAH_OUT_OF_RANGE, {{a, Ids(6, 1)}}),
              HasSubstr("33 tokens, the artifact was compiled for a context of 32"));
  check({{a, Ids(5, 1)}, {b, {1}}}, histories);
  EXPECT_EQ(session->lengthOf(9).status().code(), ELAH_INVALID_ARGUMENT);
  EXPECT_EQ(session->freeSequence(9).code(), ELAH_INVALID_ARGUMENT);
}

TEST_F(SessionTest, sequenceNumbersAreUsedAgain) {
  EXPECT_EQ(*session->createSequence(), 0u);
  EXPECT_EQ(*session->createSequence(), 1u);
  EXPECT_EQ(*session->createSequence(), 2u);
  EXPECT_TRUE(session->freeSequence(1).ok());
  EXPECT_EQ(*session->createSequence(), 1u);
  EXPECT_EQ(*session->createSequence(), 3u); // more sequences may wait than a step takes
}

TEST_F(SessionTest, options) {
  auto code = [&](uint32_t threads, uint64_t cacheTokens) {
    elah_session_options options = {};
    options.threads = threads;
    options.cache_tokens = cacheTokens;
    return Session::create(*artifact, options).status().code();
  };
  EXPECT_EQ(code(0, 0), ELAH_OK);
  EXPECT_EQ(code(1, 1), ELAH_OK);
  EXPECT_EQ(code(4097, 0), ELAH_INVALID_ARGUMENT);
  EXPECT_EQ(code(1, uint64_t(1) << 31), ELAH_OUT_OF_RANGE);
  EXPECT_EQ(code(1, UINT64_MAX), ELAH_OUT_OF_RANGE);
}

TEST_F(SessionTest, copiedWeightsGiveTheSame) {
  const Ids prompt = {5, 9, 200, 31};
  auto create = [&](elah_weights_place place) {
    elah_session_options options = {};
    options.threads = 2;
    options.weights_place = place;
    Result<std::unique_ptr<Session>> created = Session::create(*artifact, options);
    EXPECT_TRUE(created.ok()) << created.status().message();
    session = std::move(*created);
  };
  auto logits = [&] {
    uint32_t sequence = *session->createSequence();
    Status status = step({{sequence, prompt}});
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(session->freeSequence(sequence).ok());
    return std::vector<float>(session->logits(), session->logits() + 262);
  };
  create(ELAH_WEIGHTS_MAPPED);
  std::vector<float> mapped = logits();
  EXPECT_NE(mapped, std::vector<float>(262, 0.0f));
  create(ELAH_WEIGHTS_COPIED);
  EXPECT_EQ(logits(), mapped);
  create(ELAH_WEIGHTS_COPIED_MEANWHILE);
  for (int i = 0; i < 20; ++i) { // Before the copy is made, and after.
    EXPECT_EQ(logits(), mapped);
  }
  elah_session_options options = {};
  const int none = 4;
  std::memcpy(&options.weights_place, &none, sizeof(none));
  EXPECT_EQ(Session::create(*artifact, options).status().code(), ELAH_INVALID_ARGUMENT);
}

TEST_F(SessionTest, copiesWeightsMeanwhile) {
  BackgroundCopy copy(*artifact);
  while (!copy.isFinished()) {
    std::this_thread::yield();
  }
  std::shared_ptr<const PackedWeights> copied = copy.take();
  ASSERT_TRUE(copied);
  std::string_view section = artifact->section(ELAH_SECTION_WEIGHTS);
  EXPECT_EQ(std::memcmp(copied->data(), section.data(), section.size()), 0);

  std::atomic<bool> stops{true};
  copied.reset();
  EXPECT_EQ(artifact->packWeights(nullptr, 2, &stops).status().code(), ELAH_CANCELLED);
}

TEST(BackgroundCopy, isForLargeWeightsThatFit) {
  constexpr uint64_t gib = uint64_t(1) << 30;
  EXPECT_TRUE(BackgroundCopy::isWorthwhile(3 * gib, 6 * gib));
  EXPECT_FALSE(BackgroundCopy::isWorthwhile(3 * gib, 6 * gib - 1));
  EXPECT_FALSE(BackgroundCopy::isWorthwhile(gib / 16, 6 * gib));
  EXPECT_GT(availableMemory(), uint64_t(1) << 20);
}

class GenerateTest : public SessionTest {
protected:
  struct Said {
    std::string thought, answer;
    Ids tokens;
    size_t stopsAfter = SIZE_MAX;

    static bool hear(void *user, uint32_t token, const char *text, size_t size, bool thinking) {
      Said &said = *static_cast<Said *>(user);
      said.tokens.push_back(token);
      (thinking ? said.thought : said.answer).append(text, size);
      return said.tokens.size() < said.stopsAfter;
    }
  };

  Status generate(const Ids &prompt, uint32_t maxTokens, Said &said, elah_stop &stop) {
    Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(artifact->section(ELAH_SECTION_TOKENIZER));
    if (!tokenizer.ok()) {
      return tokenizer.status();
    }
    sequence = *session->createSequence();
    elah_sampling greedy = {0, 1, 0, 0};
    return elah::generate(*session, **tokenizer, sequence, prompt, maxTokens, greedy, Said::hear, &said, stop);
  }
  uint32_t sequence = 0;
};

TEST_F(GenerateTest, thinksThenAnswers) {
  Said said;
  elah_stop stop;
  // bos, user, "2+é", assistant, <think>, line feed
  Status status = generate({256, 260, '2', '+', 0xc3, 0xa9, 261, 258, 10}, 100, said, stop);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(said.thought, "hm");
  EXPECT_EQ(said.answer, "2+\xc3\xa9");
  EXPECT_EQ(said.tokens, Ids({'h', 'm', 259, '2', '+', 0xc3, 0xa9, 257}));
  EXPECT_EQ(stop, ELAH_STOP_EOS);
}

TEST_F(GenerateTest, stopsAtTheLimit) {
  Said said;
  elah_stop stop;
  ASSERT_TRUE(generate({256, 260, 'a', 261, 258, 10}, 2, said, stop).ok());
  EXPECT_EQ(stop, ELAH_STOP_LENGTH);
  EXPECT_EQ(said.thought, "hm");
}

TEST_F(GenerateTest, stopsAtTheContext) {
  Said said;
  elah_stop stop;
  ASSERT_TRUE(generate(Ids(30, 'a'), 100, said, stop).ok());
  EXPECT_EQ(stop, ELAH_STOP_LENGTH);
  EXPECT_EQ(said.answer, "bc");
  EXPECT_LE(*session->lengthOf(sequence), 32u);
}

TEST_F(GenerateTest, stopsWhenAsked) {
  Said said;
  said.stopsAfter = 2;
  elah_stop stop;
  ASSERT_TRUE(generate({256, 260, 'a', 261, 258, 10}, 100, said, stop).ok());
  EXPECT_EQ(stop, ELAH_STOP_CANCELLED);
  EXPECT_EQ(said.tokens.size(), 2u);
}

TEST_F(GenerateTest, refusesWhatHasNoRoom) {
  Said said;
  elah_stop stop;
  Status status = generate(Ids(32, 'a'), 10, said, stop);
  EXPECT_EQ(status.code(), ELAH_OUT_OF_RANGE);
  EXPECT_THAT(status.message(), HasSubstr("the prompt of 32 tokens leaves no room for an answer"));
  EXPECT_THAT(status.message(), HasSubstr("a context of 32"));
  EXPECT_EQ(generate({}, 10, said, stop).code(), ELAH_INVALID_ARGUMENT);
  EXPECT_EQ(generate({300}, 10, said, stop).code(), ELAH_OUT_OF_RANGE);
  EXPECT_TRUE(said.tokens.empty());
}

} // namespace
