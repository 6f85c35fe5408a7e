// A file from outside is an artifact or gets one error: every byte flipped, every length cut, and then files whose
// checksums are right and whose contents are not.
#include "src/artifact.h"
#include "src/describe.h"
#include "src/json.h"
#include "src/session.h"
#include "tests/runtime/artifact/small_artifact.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace elah;
using testing::HasSubstr;

namespace {

Status open(const std::string &bytes, bool verifies = true) {
  // Artifacts are mapped in life: on a page's boundary, and with nothing readable behind them.
  static struct Place {
    char *memory = static_cast<char *>(std::aligned_alloc(4096, 1 << 20));
  } place;
  std::memcpy(place.memory, bytes.data(), bytes.size());
  Result<std::unique_ptr<Artifact>> artifact =
      Artifact::fromMemory(reinterpret_cast<const uint8_t *>(place.memory), bytes.size());
  return !artifact.ok() ? artifact.status() : verifies ? (*artifact)->verify() : Status();
}

std::string errorOf(const std::string &bytes) {
  Status status = open(bytes);
  EXPECT_TRUE(status.ok() || status.code() == ELAH_INVALID_DATA || status.code() == ELAH_UNSUPPORTED)
      << status.code() << ": " << status.message();
  return status.message();
}

/// What a session on the artifact fails with.
std::string sessionErrorOf(const SmallArtifact &small) {
  std::string bytes = small.bytes();
  Result<std::unique_ptr<Artifact>> artifact =
      Artifact::fromMemory(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  if (!artifact.ok()) {
    return artifact.status().message();
  }
  elah_session_options options = {};
  options.threads = 1;
  Result<std::unique_ptr<Session>> session = Session::create(**artifact, options);
  return session.ok() ? "" : session.status().message();
}

/// The error of the echo model with a changed manifest.
std::string withManifest(const std::function<void(proto::Manifest &)> &change) {
  SmallArtifact small = echoModel();
  change(small.manifest);
  return errorOf(small.bytes());
}

/// The error of the echo model with a changed header, its checksums made right again.
std::string withHeader(const std::function<void(elah_artifact_header &)> &change) {
  std::string bytes = echoModel().bytes();
  elah_artifact_header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  change(header);
  std::memcpy(bytes.data(), &header, sizeof(header));
  SmallArtifact::seal(bytes);
  return errorOf(bytes);
}

TEST(Artifact, opensWhatItShould) {
  SmallArtifact small = echoModel();
  std::string bytes = small.bytes();
  EXPECT_EQ(errorOf(bytes), "");
  EXPECT_LE(bytes.size(), size_t(64) << 10);
  Result<std::unique_ptr<Artifact>> artifact =
      Artifact::fromMemory(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  ASSERT_TRUE(artifact.ok());
  for (const auto &[kind, content] : small.sections) {
    EXPECT_EQ((*artifact)->section(static_cast<elah_section_kind>(kind)), content);
  }
  EXPECT_EQ((*artifact)->manifest().SerializeAsString(), small.manifest.SerializeAsString());
  Result<JsonDocument> description = JsonDocument::parse(describe(**artifact));
  ASSERT_TRUE(description.ok());
  EXPECT_EQ(description->root().member("kernels").size(), 3u);
  EXPECT_EQ(description->root().member("kernels").item(1).member("launches").unsignedInteger(), 1u);
  EXPECT_EQ(description->root().member("receipt").member("elah").string(), "test");
}

TEST(Artifact, opensOneThatRefersToItsWeights) {
  EXPECT_EQ(errorOf(referringEchoModel().bytes()), "");
  EXPECT_THAT(sessionErrorOf(referringEchoModel()), HasSubstr("is in no folder"));
  auto error = [](const std::function<void(proto::Manifest &)> &change) {
    SmallArtifact small = referringEchoModel();
    change(small.manifest);
    return errorOf(small.bytes());
  };
  EXPECT_THAT(error([](auto &m) { m.mutable_shards(0)->set_name("../x"); }), HasSubstr("no shard's plain file name"));
  EXPECT_THAT(error([](auto &m) { m.mutable_shards(0)->set_size(1000); }), HasSubstr("weight 'bias'"));
  EXPECT_THAT(error([](auto &m) { m.mutable_weights(1)->set_offset(1024); }), HasSubstr("weight 'matrix'"));
  EXPECT_THAT(error([](auto &m) { m.mutable_weights(1)->mutable_recipe()->mutable_packing()->set_k(5); }),
              HasSubstr("weight 'matrix'"));
}

TEST(Artifact, everyFlippedByteIsFound) {
  std::string bytes = echoModel().bytes();
  size_t missed = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char original = bytes[i];
    for (char value : {'\x00', '\xff', static_cast<char>(original ^ 1), static_cast<char>(original ^ 0x80)}) {
      if (value == original) {
        continue;
      }
      bytes[i] = value;
      if (open(bytes).ok()) {
        ADD_FAILURE() << "byte " << i << " = " << static_cast<int>(value);
        ASSERT_LT(++missed, 10u);
      }
    }
    bytes[i] = original;
  }
}

TEST(Artifact, everyCutIsFound) {
  std::string bytes = echoModel().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(open(bytes.substr(0, size), false).ok()) << size;
  }
}

TEST(Artifact, everyExtensionIsFound) {
  std::string bytes = echoModel().bytes();
  for (size_t more = 1; more <= 4096; more += more < 32 ? 1 : 61) {
    ASSERT_FALSE(open(bytes + std::string(more, '\0'), false).ok()) << more;
  }
  EXPECT_FALSE(open(bytes + bytes, false).ok());
}

TEST(Artifact, namesTheBlock) {
  SmallArtifact small = echoModel();
  small.sections[ELAH_SECTION_WEIGHTS].resize((size_t(5) << 18) + 7, 'w'); // a block and a quarter
  std::string bytes = small.bytes();
  std::string file = bytes;
  elah_artifact_header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  uint64_t offset = header.sections[0].offset + ELAH_ARTIFACT_BLOCK;
  file[offset + 5] ^= 1;
  Result<std::unique_ptr<Artifact>> artifact =
      Artifact::fromMemory(reinterpret_cast<const uint8_t *>(file.data()), file.size());
  ASSERT_TRUE(artifact.ok()) << "weights are verified on demand";
  EXPECT_EQ((*artifact)->verify().message(), "section 'weights': the checksum of the block at file offset " +
                                                 std::to_string(offset) + " does not match");
}

TEST(ArtifactHeader, partsThatDoNotFit) {
  EXPECT_THAT(withHeader([](auto &h) { h.version = 2; }), HasSubstr("format version 2, this runtime reads version 1"));
  EXPECT_THAT(withHeader([](auto &h) { h.file_size += 1; }), HasSubstr("the header says"));
  EXPECT_THAT(withHeader([](auto &h) { h.section_count = 65; }), HasSubstr("section count"));
  EXPECT_THAT(withHeader([](auto &h) { h.section_count = 0; }), HasSubstr("checksum table"));
  EXPECT_THAT(withHeader([](auto &h) { h.manifest_offset = 4104; }), HasSubstr("manifest"));
  EXPECT_THAT(withHeader([](auto &h) { h.manifest_size = UINT64_MAX; }), HasSubstr("manifest"));
  EXPECT_THAT(withHeader([](auto &h) { h.manifest_size = 0; }), HasSubstr("do not fit"));
  EXPECT_THAT(withHeader([](auto &h) { h.manifest_size -= 1; }), HasSubstr("is not zero"));
  EXPECT_THAT(withHeader([](auto &h) { h.checksums_offset = UINT64_MAX - 7; }), HasSubstr("checksum table"));
  EXPECT_THAT(withHeader([](auto &h) { h.checksums_offset -= 8; }), HasSubstr("checksum table"));
  EXPECT_THAT(withHeader([](auto &h) { h.checksums_size += 8; }), HasSubstr("checksum table"));
  EXPECT_THAT(withHeader([](auto &h) { h.checksums_size = 0; }), HasSubstr("checksum table"));
}

TEST(ArtifactHeader, sectionsThatDoNotFit) {
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].kind = 9; }), HasSubstr("section 0 is of the unknown kind 9"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].kind = 0; }), HasSubstr("unknown kind 0"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].kind = UINT32_MAX; }), HasSubstr("unknown kind"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[1].kind = h.sections[0].kind; }),
              HasSubstr("there are two sections 'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[1].reserved = 1; }), HasSubstr("section 'cpu_object'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[1].offset = h.sections[0].offset; }), HasSubstr("'cpu_object'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].offset = 0; }), HasSubstr("'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].offset += 8; }), HasSubstr("'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].offset = UINT64_MAX - 4095; }), HasSubstr("'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].size = UINT64_MAX; }), HasSubstr("'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].size = 0; }), HasSubstr("'weights'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].size = 4097; }), HasSubstr("'cpu_object'"));
  EXPECT_THAT(withHeader([](auto &h) { h.sections[0].size -= 1; }), HasSubstr("is not zero"));
  EXPECT_THAT(withHeader([](auto &h) { std::swap(h.sections[0], h.sections[1]); }), HasSubstr("do not fit"));
}

TEST(ArtifactHeader, gapsAreZero) {
  std::string bytes = echoModel().bytes();
  elah_artifact_header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  for (uint64_t at : {header.sections[0].offset - 1, header.sections[1].offset - 1}) {
    std::string changed = bytes;
    changed[at] = 1;
    SmallArtifact::seal(changed);
    EXPECT_THAT(errorOf(changed), HasSubstr("is not zero"));
  }
}

TEST(ArtifactManifest, notOne) {
  std::string bytes = echoModel().bytes();
  for (size_t i = 0; i < 64; ++i) {
    bytes[sizeof(elah_artifact_header) + i] = '\xff';
  }
  SmallArtifact::seal(bytes);
  EXPECT_THAT(errorOf(bytes), HasSubstr("not a manifest"));
}

TEST(ArtifactManifest, limitsOutOfRange) {
  for (uint32_t value : {0u, (1u << 24) + 1, UINT32_MAX}) {
    EXPECT_THAT(withManifest([&](auto &m) { m.mutable_limits()->set_max_context(value); }), HasSubstr("limit"));
    EXPECT_THAT(withManifest([&](auto &m) { m.mutable_limits()->set_max_sequences(value); }), HasSubstr("limit"));
    EXPECT_THAT(withManifest([&](auto &m) { m.mutable_limits()->set_max_tokens(value); }), HasSubstr("limit"));
    EXPECT_THAT(withManifest([&](auto &m) { m.set_vocabulary(value); }), HasSubstr("vocabulary"));
    EXPECT_THAT(withManifest([&](auto &m) { m.mutable_cache()->set_page_tokens(value); }), HasSubstr("cache"));
    EXPECT_THAT(withManifest([&](auto &m) { m.mutable_cache()->set_pool_row_bytes(0, value | 1u << 29); }),
                HasSubstr("cache row"));
  }
  EXPECT_THAT(withManifest([&](auto &m) { m.mutable_cache()->set_layers(65537); }), HasSubstr("cache"));
}

TEST(ArtifactManifest, indicesThatLeadNowhere) {
  using M = proto::Manifest;
  EXPECT_THAT(withManifest([](M &m) { m.set_logits(12); }), HasSubstr("logits"));
  EXPECT_THAT(withManifest([](M &m) { m.set_logits(0); }), HasSubstr("logits"));
  EXPECT_THAT(withManifest([](M &m) { m.set_logits(9); }), HasSubstr("logits"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_slots(1)->mutable_sizes(0)->set_coefficients(2, 262 * 4 - 1); }),
              HasSubstr("logits"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(11)->set_byte_offset(4); }), HasSubstr("logits"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(9)->set_slot(2); }), HasSubstr("buffer 9 leads nowhere"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(10)->set_weight(1); }), HasSubstr("buffer 10"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(10)->set_byte_offset(262 * 4); }), HasSubstr("buffer 10"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(10)->set_byte_offset(UINT64_MAX); }), HasSubstr("buffer 10"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(9)->set_byte_offset(8 * 8); }), HasSubstr("buffer 9"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(0)->set_byte_offset(4); }), HasSubstr("buffer 0"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(8)->set_byte_offset(4); }), HasSubstr("buffer 8"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(0)->set_input(static_cast<proto::Input>(8)); }),
              HasSubstr("buffer 0"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(8)->mutable_cache()->set_layer(2); }), HasSubstr("buffer 8"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(8)->mutable_cache()->set_pool(1); }), HasSubstr("buffer 8"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_buffers(8)->clear_cache(); }), HasSubstr("buffer 8"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_launches(0)->set_kernel(3); }), HasSubstr("launch 0"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_launches(1)->set_buffers(0, 12); }), HasSubstr("launch 1"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_launches(1)->mutable_grid()->set_row_tile(0); }),
              HasSubstr("launch 1"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_launches(1)->mutable_grid()->set_outer(0); }), HasSubstr("launch 1"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_launches(1)->clear_grid(); }), HasSubstr("launch 1"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_kernels(0)->clear_symbol(); }), HasSubstr("kernel 0"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_kernels(0)->set_scratch_bytes(UINT64_MAX); }), HasSubstr("kernel 0"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_weights(0)->set_offset(65); }), HasSubstr("weight 'bias'"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_weights(0)->set_offset(128); }), HasSubstr("weight 'bias'"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_weights(0)->set_size(UINT64_MAX); }), HasSubstr("weight 'bias'"));
  EXPECT_THAT(withManifest([](M &m) { m.mutable_weights(0)->set_offset(UINT64_MAX - 63); }),
              HasSubstr("weight 'bias'"));
}

TEST(ArtifactManifest, extentsThatOverflow) {
  using M = proto::Manifest;
  for (int64_t value : {int64_t(-1), INT64_MIN, INT64_MAX, (int64_t(1) << 40) + 1}) {
    EXPECT_THAT(withManifest([&](M &m) { m.mutable_slots(0)->mutable_sizes(0)->set_constant(value); }),
                HasSubstr("slot 0 has an extent out of range"));
    EXPECT_THAT(withManifest([&](M &m) { m.mutable_slots(0)->mutable_sizes(0)->set_coefficients(1, value); }),
                HasSubstr("slot 0"));
    EXPECT_THAT(withManifest([&](M &m) { m.mutable_launches(0)->mutable_grid()->mutable_rows()->set_constant(value); }),
                HasSubstr("launch 0"));
  }
  EXPECT_THAT(withManifest([&](M &m) {
                for (int i = 0; i < 6; ++i) {
                  m.mutable_slots(0)->mutable_sizes(0)->add_coefficients(0);
                }
              }),
              HasSubstr("slot 0"));
}

TEST(ArtifactManifest, whatNoMachineHolds) {
  // In range one by one, too much together: found when a session knows its dimensions.
  auto error = [](const std::function<void(proto::Manifest &)> &change) {
    SmallArtifact small = echoModel();
    change(small.manifest);
    return sessionErrorOf(small);
  };
  using M = proto::Manifest;
  EXPECT_EQ(error([](M &) {}), "");
  EXPECT_THAT(error([](M &m) {
                m.mutable_slots(0)->mutable_sizes(0)->set_coefficients(0, int64_t(1) << 40);
                m.mutable_limits()->set_max_tokens(1 << 20);
              }),
              HasSubstr("larger than an address space"));
  EXPECT_THAT(error([](M &m) {
                m.mutable_launches(0)->mutable_grid()->set_outer(uint64_t(1) << 40);
                m.mutable_launches(0)->mutable_grid()->mutable_rows()->set_coefficients(0, int64_t(1) << 40);
              }),
              HasSubstr("launch 0"));
  EXPECT_THAT(error([](M &m) {
                m.mutable_cache()->set_pool_row_bytes(0, 1 << 28);
                m.mutable_cache()->set_layers(65536);
              }),
              HasSubstr("KV cache"));
  EXPECT_THAT(error([](M &m) {
                m.mutable_limits()->set_max_context(1 << 24);
                m.mutable_limits()->set_max_sequences(1 << 24);
              }),
              HasSubstr("KV cache"));
  EXPECT_THAT(error([](M &m) { m.clear_launches(); }), HasSubstr("no program"));
  EXPECT_THAT(error([](M &m) { m.mutable_kernels(0)->set_symbol("echo_forget"); }),
              HasSubstr("the CPU object lacks echo_forget"));
  EXPECT_THAT(error([](M &m) { m.add_cpu_features("avx9000"); }), HasSubstr("needs avx9000"));
}

TEST(ArtifactSections, missingOnes) {
  SmallArtifact small = echoModel();
  small.sections.erase(ELAH_SECTION_CPU_OBJECT);
  EXPECT_THAT(sessionErrorOf(small), HasSubstr("no code for a CPU"));
  small.sections[ELAH_SECTION_CPU_OBJECT] = "this is no ELF file";
  EXPECT_THAT(sessionErrorOf(small), HasSubstr("cannot load the CPU object"));
  small = echoModel();
  small.sections.erase(ELAH_SECTION_WEIGHTS);
  EXPECT_THAT(errorOf(small.bytes()), HasSubstr("weight 'bias' lies outside the weights section"));
}

class ArtifactFile : public testing::Test {
protected:
  std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("artifact_test_" + std::to_string(getpid()) + ".elah");
  void write(const std::string &bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::string openError() {
    Result<std::unique_ptr<Artifact>> artifact = Artifact::open(path.c_str());
    return artifact.ok() ? "" : artifact.status().message();
  }
  ~ArtifactFile() override { std::filesystem::remove_all(path); }
};

TEST_F(ArtifactFile, notAFile) {
  EXPECT_THAT(openError(), HasSubstr("cannot open: No such file"));
  std::filesystem::create_directory(path);
  EXPECT_THAT(openError(), HasSubstr("expected a regular file"));
  std::filesystem::remove_all(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(openError(), HasSubstr("expected a regular file")); // and does not wait for a writer
  std::filesystem::remove_all(path);
  write("");
  EXPECT_THAT(openError(), HasSubstr("at least 4096 bytes, found 0"));
  write(std::string(5000, 'x'));
  EXPECT_THAT(openError(), HasSubstr("this is no Elah artifact"));
}

TEST_F(ArtifactFile, behindAProgram) {
  std::string artifact = echoModel().bytes(), program(3 * 4096, 'p');
  auto withTrailer = [&](uint64_t offset, uint64_t size) {
    elah_artifact_trailer trailer = {offset, size, {}};
    std::memcpy(trailer.magic, ELAH_ARTIFACT_MAGIC, 8);
    write(program + artifact + std::string(reinterpret_cast<const char *>(&trailer), sizeof(trailer)));
    return openError();
  };
  EXPECT_EQ(withTrailer(program.size(), artifact.size()), "");
  EXPECT_THAT(withTrailer(program.size(), artifact.size() - 1), HasSubstr("trailer"));
  EXPECT_THAT(withTrailer(program.size() - 4096, artifact.size() + 4096), HasSubstr("magic number is missing"));
  EXPECT_THAT(withTrailer(program.size() + 8, artifact.size() - 8), HasSubstr("trailer"));
  EXPECT_THAT(withTrailer(UINT64_MAX - 4095, artifact.size()), HasSubstr("trailer"));
  EXPECT_THAT(withTrailer(program.size() + artifact.size() / 4096 * 4096, artifact.size() % 4096),
              HasSubstr("trailer"));
}

TEST_F(ArtifactFile, changedUnderUs) {
  std::string bytes = echoModel().bytes();
  write(bytes);
  Result<std::unique_ptr<Artifact>> artifact = Artifact::open(path.c_str());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  elah_session_options options = {};
  options.threads = 1;
  Result<std::unique_ptr<Session>> session = Session::create(**artifact, options);
  ASSERT_TRUE(session.ok()) << session.status().message();
  uint32_t sequence = *(*session)->createSequence(), token = 1;
  elah_chunk chunk = {sequence, &token, 1, ELAH_LOGITS_LAST};
  EXPECT_TRUE((*session)->step({&chunk, 1}).ok());

  // Another file under its name is none of our business.
  std::filesystem::path other = path.string() + ".new";
  std::ofstream(other) << "other";
  std::filesystem::rename(other, path);
  EXPECT_TRUE((*session)->step({&chunk, 1}).ok());

  write(bytes);
  Result<std::unique_ptr<Artifact>> second = Artifact::open(path.c_str());
  ASSERT_TRUE(second.ok());
  Result<std::unique_ptr<Session>> secondSession = Session::create(**second, options);
  ASSERT_TRUE(secondSession.ok());
  sequence = *(*secondSession)->createSequence();
  std::filesystem::resize_file(path, 4096);
  Status status = (*secondSession)->step({&chunk, 1});
  EXPECT_EQ(status.code(), ELAH_IO);
  EXPECT_THAT(status.message(), HasSubstr("changed while it was in use"));
  EXPECT_EQ(Session::create(**second, options).status().code(), ELAH_IO);
  EXPECT_EQ((*second)->verify().code(), ELAH_IO);
}

} // namespace
