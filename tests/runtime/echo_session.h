#ifndef TESTS_RUNTIME_ECHO_SESSION_H
#define TESTS_RUNTIME_ECHO_SESSION_H

#include "src/session.h"
#include "tests/runtime/artifact/small_artifact.h"
#include <gtest/gtest.h>
#include <map>

namespace elah {

using Ids = std::vector<uint32_t>;

/// A session on the echo model, on whichever device, whose logits are known from what went before.
class EchoSession : public testing::Test {
protected:
  struct Part {
    uint32_t sequence;
    Ids tokens;
    elah_logits logits = ELAH_LOGITS_LAST;
  };

  Status step(const std::vector<Part> &parts) {
    std::vector<elah_chunk> chunks;
    for (const Part &part : parts) {
      chunks.push_back({part.sequence, part.tokens.data(), part.tokens.size(), part.logits});
    }
    return session->step(chunks);
  }

  /// Runs a step and compares its logits with those of the histories, which it extends.
  void check(const std::vector<Part> &parts, std::map<uint32_t, Ids> &histories) {
    Status status = step(parts);
    ASSERT_TRUE(status.ok()) << status.message();
    size_t row = 0;
    for (const Part &part : parts) {
      Ids &history = histories[part.sequence];
      for (size_t i = 0; i < part.tokens.size(); ++i) {
        history.push_back(part.tokens[i]);
        bool wanted =
            part.logits == ELAH_LOGITS_ALL || (part.logits == ELAH_LOGITS_LAST && i + 1 == part.tokens.size());
        if (wanted) {
          const float *logits = session->logits() + row++ * 262;
          ASSERT_EQ(std::vector<float>(logits, logits + 262), echoLogits(history))
              << "sequence " << part.sequence << ", position " << history.size() - 1;
        }
      }
      EXPECT_EQ(*session->lengthOf(part.sequence), history.size());
    }
    EXPECT_EQ(session->logitRows(), row);
  }

  std::unique_ptr<Artifact> artifact;
  std::unique_ptr<Session> session;
};

} // namespace elah

#endif
