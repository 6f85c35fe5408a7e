// Shards that are not there, are not what they were, or never were shards.
#include "runtime/packing/shard_files.h"
#include "shard_folder.h"
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace elah;
using namespace std::string_view_literals;

namespace {

class ShardFilesTest : public testing::Test {
protected:
  ShardFilesTest() {
    folder.addTensor(proto::ELEMENT_FORMAT_BF16, {16, 16});
    folder.addTensor(proto::ELEMENT_FORMAT_BF16, {16, 16});
    folder.write();
  }

  std::string shard(uint32_t index) const { return (folder.path / ShardFolder::nameOf(index)).string(); }

  void expectFails(const Status &status, elah_code code, const std::string &message) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), message);
  }

  ShardFolder folder;
};

TEST_F(ShardFilesTest, DescribesAShardByItsHeader) {
  ShardFiles files(folder.path.string());
  Result<proto::Shard> first = files.open("model-0.safetensors");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->name(), "model-0.safetensors");
  EXPECT_EQ(first->size(), 62u + 512u);
  EXPECT_EQ(first->header_size(), 62u);

  // Other weights, same description; another header, another description.
  folder.contents[0].back() ^= 1;
  folder.write();
  ShardFiles again(folder.path.string());
  EXPECT_EQ(again.open("model-0.safetensors")->header_hash(), first->header_hash());
  EXPECT_TRUE(ShardFiles(folder.path.string()).openExpected(*first).ok());
  folder.contents[0][20] = '\n';
  folder.write();
  expectFails(ShardFiles(folder.path.string()).openExpected(*first), ELAH_INVALID_DATA, [&] {
    char text[512];
    ShardFiles changed(folder.path.string());
    std::snprintf(text, sizeof(text),
                  "%s: the header is not the one that the artifact was compiled from: expected 62 bytes "
                  "with checksum %016llx, found 62 with %016llx",
                  shard(0).c_str(), static_cast<unsigned long long>(first->header_hash()),
                  static_cast<unsigned long long>(changed.open("model-0.safetensors")->header_hash()));
    return std::string(text);
  }());
}

TEST_F(ShardFilesTest, RefusesAShardOfAnotherSize) {
  proto::Shard expected = *ShardFiles(folder.path.string()).open("model-1.safetensors");
  std::filesystem::resize_file(shard(1), 573);
  expectFails(ShardFiles(folder.path.string()).openExpected(expected), ELAH_INVALID_DATA,
              shard(1) + ": expected the shard that the artifact was compiled from, of 574 bytes, found 573");
}

TEST_F(ShardFilesTest, SaysWhatIsMissing) {
  proto::Shard expected = *ShardFiles(folder.path.string()).open("model-1.safetensors");
  std::filesystem::remove(shard(1));
  expectFails(ShardFiles(folder.path.string()).openExpected(expected), ELAH_NOT_FOUND,
              shard(1) + ": cannot open: No such file or directory; the artifact takes its weights from this shard "
                         "(574 bytes)");
}

TEST_F(ShardFilesTest, RefusesWhatIsNoShard) {
  ShardFiles files(folder.path.string());
  std::filesystem::create_directory(folder.path / "folder");
  expectFails(files.open("folder").status(), ELAH_INVALID_DATA,
              (folder.path / "folder").string() + ": expected a regular file");
  ::mkfifo((folder.path / "pipe").c_str(), 0600);
  expectFails(files.open("pipe").status(), ELAH_INVALID_DATA,
              (folder.path / "pipe").string() + ": expected a regular file");
  std::ofstream(folder.path / "short.safetensors") << "1234567";
  expectFails(files.open("short.safetensors").status(), ELAH_INVALID_DATA,
              (folder.path / "short.safetensors").string() +
                  ": expected at least the 8 bytes of the header's length, found 7");
  std::ofstream(folder.path / "long.safetensors") << std::string(8, '\xff') << "{}";
  expectFails(files.open("long.safetensors").status(), ELAH_INVALID_DATA,
              (folder.path / "long.safetensors").string() +
                  ": a header of 18446744073709551615 bytes does not fit the file of 10 bytes");
}

TEST_F(ShardFilesTest, TakesFilesOfOtherKindsAsTheyLie) {
  ShardFiles files(folder.path.string());
  std::ofstream(folder.path / "graph.onnx") << "123";
  Result<proto::Shard> opened = files.open("graph.onnx");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->size(), 3u);
  EXPECT_EQ(opened->header_size(), 0u);
}

TEST_F(ShardFilesTest, ReadsExactlyWhatIsThere) {
  ShardFiles files(folder.path.string());
  ASSERT_TRUE(files.open("model-0.safetensors").ok());
  std::vector<uint8_t> all(574), more(575);
  ASSERT_TRUE(files.read(0, 0, all).ok());
  EXPECT_EQ(0, std::memcmp(all.data(), folder.contents[0].data(), 574));
  expectFails(files.read(0, 0, more), ELAH_INVALID_DATA,
              shard(0) + ": expected 575 bytes at offset 0, found the end of the file at 574");
  EXPECT_FALSE(files.read(0, uint64_t(1) << 63, all).ok());
}

TEST(ShardFiles, PlainFileNames) {
  for (const char *name : {"a", ".a", "model-00001-of-000163.safetensors", "..a"}) {
    EXPECT_TRUE(isPlainFileName(name)) << name;
  }
  for (std::string_view name : {""sv, "."sv, ".."sv, "/a"sv, "a/b"sv, "../a"sv, "a\0b"sv}) {
    EXPECT_FALSE(isPlainFileName(name)) << name;
  }
}

} // namespace
