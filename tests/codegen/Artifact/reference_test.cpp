// Artifacts that refer to their weights: what the compiler leaves out, the runtime makes, bit for bit.
#include "artifact_fixture.h"
#include "artifact_parts.h"
#include <cstring>
#include <elah/elah.h>
#include <functional>
#include <sstream>

using namespace elah;
namespace fs = std::filesystem;

namespace {

/// What a session on an artifact computes, or why there is none.
struct Outcome {
  elah_code code;
  std::string message;
  std::vector<float> logits;
};

class ReferenceTest : public ArtifactFixture {
protected:
  std::string writeReference() { return write(WeightMode::Reference); }

  static Outcome run(const fs::path &path, uint32_t threads = 2, const char *modelFolder = nullptr) {
    elah_artifact *artifact;
    if (elah_code code = elah_artifact_open(path.c_str(), &artifact)) {
      return {code, elah_last_error(), {}};
    }
    Outcome outcome = run(artifact, threads, modelFolder);
    elah_artifact_close(artifact);
    return outcome;
  }

  static Outcome run(const elah_artifact *artifact, uint32_t threads, const char *modelFolder) {
    elah_session_options options = {threads, 0, modelFolder};
    elah_session *session;
    if (elah_code code = elah_session_create(artifact, &options, &session)) {
      return {code, elah_last_error(), {}};
    }
    Outcome outcome = {ELAH_OK, "", step(session)};
    elah_session_free(session);
    return outcome;
  }

  static std::vector<float> step(elah_session *session) {
    uint32_t sequence, tokens[] = {1, 2, 3};
    elah_sequence_create(session, &sequence);
    elah_chunk chunk = {sequence, tokens, 3, ELAH_LOGITS_ALL};
    const float *logits;
    size_t rows;
    EXPECT_EQ(elah_session_step(session, &chunk, 1, &logits, &rows), ELAH_OK) << elah_last_error();
    EXPECT_EQ(rows, 3u);
    return std::vector<float>(logits, logits + rows * 48);
  }

  std::string describe() const {
    elah_artifact *artifact;
    EXPECT_EQ(elah_artifact_open(outputPath().c_str(), &artifact), ELAH_OK) << elah_last_error();
    char *text;
    EXPECT_EQ(elah_artifact_describe(artifact, &text), ELAH_OK);
    std::string description = text;
    elah_string_free(text);
    elah_artifact_close(artifact);
    return description;
  }

  std::string identity() const {
    std::string description = describe();
    size_t begin = description.find("\"identity\": \"");
    EXPECT_NE(begin, std::string::npos) << description;
    return description.substr(begin + 13, 32);
  }

  fs::path shard(uint32_t index) const { return model.path / ShardFolder::nameOf(index); }

  /// Expects that a session cannot be made, for that reason.
  void expectFails(elah_code code, const std::string &message) {
    Outcome outcome = run(outputPath());
    EXPECT_EQ(outcome.code, code);
    EXPECT_EQ(outcome.message, message);
  }
};

TEST_F(ReferenceTest, ComputesWhatEmbeddedWeightsCompute) {
  write();
  Outcome embedded = run(outputPath());
  ASSERT_EQ(embedded.code, ELAH_OK) << embedded.message;
  std::string bytes = writeReference();
  for (uint32_t threads : {1, 2, 5}) {
    Outcome referenced = run(outputPath(), threads);
    ASSERT_EQ(referenced.code, ELAH_OK) << referenced.message;
    EXPECT_EQ(std::memcmp(referenced.logits.data(), embedded.logits.data(), 4 * embedded.logits.size()), 0);
  }
  // The kernel's results do depend on the weight.
  EXPECT_NE(embedded.logits[0], embedded.logits[1]);
  proto::Manifest manifest = ArtifactParts::read(bytes).manifest;
  const proto::Source &head = manifest.weights(1).recipe().sources(0);
  model.contents[head.shard()][head.offset() + 2] ^= 0x40;
  model.write();
  Outcome changed = run(outputPath());
  ASSERT_EQ(changed.code, ELAH_OK) << "equal headers are all that is asked for: " << changed.message;
  EXPECT_NE(std::memcmp(changed.logits.data(), embedded.logits.data(), 4 * embedded.logits.size()), 0);
}

TEST_F(ReferenceTest, HoldsRecipesAndNoWeights) {
  ArtifactParts parts = ArtifactParts::read(writeReference());
  EXPECT_FALSE(parts.sections.count(ELAH_SECTION_WEIGHTS));
  EXPECT_EQ(parts.sections.size(), 4u);
  EXPECT_EQ(parts.manifest.model_folder(), "../" + model.path.filename().string());
  ASSERT_EQ(parts.manifest.shards_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(parts.manifest.shards(i).name(), ShardFolder::nameOf(static_cast<uint32_t>(i)));
    EXPECT_EQ(parts.manifest.shards(i).size(), model.contents[i].size());
    EXPECT_EQ(parts.manifest.shards(i).header_size(), 62u);
  }
  for (const proto::Weight &weight : parts.manifest.weights()) {
    EXPECT_TRUE(weight.has_recipe());
  }
  std::string description = describe();
  EXPECT_NE(description.find("\"reference\""), std::string::npos) << description;
  EXPECT_NE(description.find(parts.manifest.model_folder()), std::string::npos) << description;
}

TEST_F(ReferenceTest, ReadsHeadersOnly) {
  auto bytesRead = [] {
    std::string text = readFile("/proc/self/io");
    return std::stoull(text.substr(text.find("rchar: ") + 7));
  };
  unsigned long long before = bytesRead();
  writeReference();
  EXPECT_LT(bytesRead() - before, 1'000'000u);
  before = bytesRead();
  write();
  EXPECT_GT(bytesRead() - before, 6'000'000u);
}

TEST_F(ReferenceTest, WeightsThatAreNotThereYetMayComeLater) {
  Outcome embedded = (write(), run(outputPath()));
  std::string whole = readFile(shard(0));
  fs::resize_file(shard(0), 62);
  fs::resize_file(shard(0), whole.size()); // a hole
  std::string sparse = writeReference();
  model.write();
  EXPECT_TRUE(writeReference() == sparse);
  EXPECT_EQ(run(outputPath()).logits, embedded.logits);
}

TEST_F(ReferenceTest, FindsAFolderThatMovedAlong) {
  writeReference();
  std::vector<float> logits = run(outputPath()).logits;
  ShardFolder elsewhere;
  fs::path moved = elsewhere.path / "artifacts" / "model.elah";
  fs::create_directory(elsewhere.path / "artifacts");
  fs::rename(outputPath(), moved);
  Outcome outcome = run(moved);
  EXPECT_EQ(outcome.code, ELAH_NOT_FOUND);
  std::string expected = fs::canonical(elsewhere.path / "artifacts").string() + "/../" +
                         model.path.filename().string() +
                         "/model-0.safetensors: cannot open: No such file or directory; the artifact takes its weights "
                         "from this shard (" +
                         std::to_string(model.contents[0].size()) +
                         " bytes); if the model's folder is elsewhere, name it (--model-folder, "
                         "elah_session_options.model_folder)";
  EXPECT_EQ(outcome.message, expected);
  EXPECT_EQ(run(moved, 1, model.path.c_str()).logits, logits);
  fs::rename(model.path, elsewhere.path / model.path.filename());
  EXPECT_EQ(run(moved).logits, logits);
  // By a link to it as well.
  fs::create_symlink(moved, outputPath());
  EXPECT_EQ(run(outputPath()).logits, logits);
}

TEST_F(ReferenceTest, TheFolderInsideAndAround) {
  ArtifactContents all = contents();
  WriteOptions options;
  options.weights = WeightMode::Reference;
  for (auto [path, folder] : {std::pair(model.path / "model.elah", std::string(".")),
                              std::pair(model.path / "artifacts" / "model.elah", std::string(".."))}) {
    fs::create_directories(path.parent_path());
    options.outputPath = path.string();
    ASSERT_EQ(messageOf(writeArtifact(all, options)), "");
    EXPECT_EQ(ArtifactParts::read(readFile(path)).manifest.model_folder(), folder);
    EXPECT_EQ(run(path).code, ELAH_OK);
  }
}

TEST_F(ReferenceTest, RefusesOtherShards) {
  writeReference();
  std::string whole = readFile(shard(1));
  fs::resize_file(shard(1), whole.size() - 1);
  expectFails(ELAH_INVALID_DATA,
              fs::canonical(outputs.path).string() + "/../" + model.path.filename().string() +
                  "/model-1.safetensors: expected the shard that the artifact was compiled from, of " +
                  std::to_string(whole.size()) + " bytes, found " + std::to_string(whole.size() - 1));
  whole[12] = '\t';
  std::ofstream(shard(1), std::ios::binary) << whole;
  Outcome outcome = run(outputPath());
  EXPECT_EQ(outcome.code, ELAH_INVALID_DATA);
  EXPECT_NE(outcome.message.find("model-1.safetensors: the header is not the one that the artifact was compiled from"),
            std::string::npos)
      << outcome.message;
}

TEST_F(ReferenceTest, SessionsShareTheWeights) {
  writeReference();
  elah_artifact *artifact;
  ASSERT_EQ(elah_artifact_open(outputPath().c_str(), &artifact), ELAH_OK);
  elah_session *first;
  ASSERT_EQ(elah_session_create(artifact, nullptr, &first), ELAH_OK) << elah_last_error();
  std::vector<float> logits = step(first);
  fs::rename(shard(0), outputPath("away"));
  EXPECT_EQ(run(artifact, 1, nullptr).logits, logits);
  elah_session_free(first);
  EXPECT_EQ(run(artifact, 1, nullptr).code, ELAH_NOT_FOUND); // the weights ended with the last session
  elah_artifact_close(artifact);
}

// Scripts read it: what is new may only come behind.
TEST_F(ReferenceTest, TheDescriptionKeepsItsOrder) {
  write();
  std::string keys;
  std::istringstream lines(describe());
  for (std::string line; std::getline(lines, line);) {
    if (llvm::StringRef(line).starts_with("  \"")) {
      keys += line.substr(3, line.find('"', 3) - 3) + " ";
    }
  }
  EXPECT_EQ(keys, "identity architecture target cpu cpu_features parameters active_weight_bytes flops_per_token "
                  "vocabulary limits cache weights sections kernels receipt ");
}

TEST_F(ReferenceTest, IdentityIsThatOfTheContent) {
  write();
  std::string embedded = identity();
  EXPECT_EQ(embedded.find_first_not_of("0123456789abcdef"), std::string::npos) << embedded;
  std::ofstream(outputPath("runner")) << "runner";
  WriteOptions program;
  program.runnerPath = outputPath("runner").string();
  write(program);
  EXPECT_EQ(identity(), embedded);
  writeReference();
  EXPECT_NE(identity(), embedded);
  model.contents[0].back() ^= 1;
  model.write();
  write();
  EXPECT_NE(identity(), embedded);
}

// A manifest with right checksums and wrong content: each rule broken once.
TEST_F(ReferenceTest, RefusesHostileManifests) {
  const ArtifactParts good = ArtifactParts::read(writeReference());
  auto expectRefused = [&](const char *message, const std::function<void(ArtifactParts &)> &breakRule) {
    ArtifactParts parts = good;
    breakRule(parts);
    std::ofstream(outputPath(), std::ios::binary) << parts.write();
    Outcome outcome = run(outputPath());
    EXPECT_EQ(outcome.code, ELAH_INVALID_DATA) << message;
    EXPECT_NE(outcome.message.find(message), std::string::npos) << outcome.message;
  };
  std::ofstream(outputPath(), std::ios::binary) << good.write();
  ASSERT_EQ(run(outputPath()).code, ELAH_OK);

  auto weight = [](ArtifactParts &parts) { return parts.manifest.mutable_weights(1); };
  auto source = [&](ArtifactParts &parts) { return weight(parts)->mutable_recipe()->mutable_sources(0); };
  auto lastShard = [](ArtifactParts &parts) { return parts.manifest.mutable_shards(1); };
  expectRefused("both a weights section and shards",
                [](ArtifactParts &parts) { parts.sections[ELAH_SECTION_WEIGHTS] = std::string(7'000'000, 'w'); });
  for (const char *name : {"", "..", "../model-1.safetensors", "/etc/passwd"}) {
    expectRefused("is no shard's plain file name", [&](ArtifactParts &parts) { lastShard(parts)->set_name(name); });
  }
  expectRefused("the sizes of shard 'model-1.safetensors' are out of range",
                [&](ArtifactParts &parts) { lastShard(parts)->set_size(UINT64_MAX); });
  expectRefused("the sizes of shard 'model-1.safetensors' are out of range",
                [&](ArtifactParts &parts) { lastShard(parts)->set_header_size(lastShard(parts)->size() + 1); });
  expectRefused("has a NUL in its name",
                [&](ArtifactParts &parts) { parts.manifest.set_model_folder(std::string("a\0b", 3)); });
  expectRefused("weight 'tensor.2': a recipe needs at least one source",
                [&](ArtifactParts &parts) { weight(parts)->clear_recipe(); });
  expectRefused("weight 'tensor.2': a source is in shard 2 of 2",
                [&](ArtifactParts &parts) { source(parts)->set_shard(2); });
  expectRefused("lies outside its shard", [&](ArtifactParts &parts) { source(parts)->set_offset(UINT64_MAX - 7); });
  expectRefused("weight 'tensor.2' has 3649 bytes at offset 448, its recipe makes 3648",
                [&](ArtifactParts &parts) { weight(parts)->set_size(3'649); });
  expectRefused("the weight before it ends at 424", [&](ArtifactParts &parts) { weight(parts)->set_offset(384); });
  expectRefused("manifest: weight 'tensor.2'",
                [&](ArtifactParts &parts) { weight(parts)->set_offset(uint64_t(1) << 63); });
  expectRefused("manifest: weight 'tensor.3'", [&](ArtifactParts &parts) { weight(parts)->set_offset(1 << 20); });
  // Shards gone, recipes left: then the weights must be in a section, which there is none.
  expectRefused("lies outside the weights section", [](ArtifactParts &parts) { parts.manifest.clear_shards(); });
  // The header's bounds and hash are those of the file, whatever they are.
  expectRefused("the header is not the one", [&](ArtifactParts &parts) { lastShard(parts)->set_header_size(8); });
  expectRefused("it has no header", [&](ArtifactParts &parts) { lastShard(parts)->set_header_size(0); });
  expectRefused("the header is not the one", [&](ArtifactParts &parts) { lastShard(parts)->set_header_hash(1); });
}

} // namespace
