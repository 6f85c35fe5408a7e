// What an index may say, and where the links of a model's folder may lead.
#include "frontends/HuggingFace/Checkpoint.h"
#include "TemporaryFolder.h"
#include "TestCheckpoint.h"
#include "gtest/gtest.h"
#include <sys/stat.h>

namespace elah {
namespace {

namespace fs = std::filesystem;

constexpr char indexName[] = "model.safetensors.index.json";

std::string complaint(const std::string &path) {
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(path);
  return checkpoint ? "" : llvm::toString(checkpoint.takeError());
}

/// A folder with one tensor in each of two shards.
struct TwoShards : TemporaryFolder {
  TwoShards() {
    write("a.safetensors", safetensorsFile({{"x", "F32", {2}}}));
    write("b.safetensors", safetensorsFile({{"y", "F32", {3}}}));
    write(indexName, indexFile({{"x", "a.safetensors"}, {"y", "b.safetensors"}}));
  }
  std::string index() const { return path + "/" + indexName; }
  std::string a() const { return path + "/a.safetensors"; }
  std::string b() const { return path + "/b.safetensors"; }
};

TEST(Checkpoint, OneFile) {
  TemporaryFolder folder;
  folder.write("model.safetensors", safetensorsFile({{"x", "BF16", {2, 3}}, {"y", "F32", {}}}));
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(static_cast<bool>(checkpoint)) << llvm::toString(checkpoint.takeError());
  EXPECT_EQ(checkpoint->tensors().size(), 2u);
  ASSERT_TRUE(checkpoint->find("x"));
  EXPECT_EQ(checkpoint->find("x")->file, "model.safetensors");
  EXPECT_EQ(checkpoint->find("x")->entry.dtype, "BF16");
  EXPECT_FALSE(checkpoint->find("z"));
}

TEST(Checkpoint, Shards) {
  TwoShards folder;
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(static_cast<bool>(checkpoint)) << llvm::toString(checkpoint.takeError());
  ASSERT_TRUE(checkpoint->find("x") && checkpoint->find("y"));
  EXPECT_EQ(checkpoint->find("x")->file, "a.safetensors");
  EXPECT_EQ(checkpoint->find("y")->file, "b.safetensors");
}

TEST(Checkpoint, SingleFileWinsOverIndex) {
  TwoShards folder;
  folder.write("model.safetensors", safetensorsFile({{"z", "F32", {2}}}));
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(static_cast<bool>(checkpoint)) << llvm::toString(checkpoint.takeError());
  EXPECT_TRUE(checkpoint->find("z"));
  EXPECT_FALSE(checkpoint->find("x"));
}

TEST(Checkpoint, NoWeights) {
  TemporaryFolder folder;
  EXPECT_EQ(complaint(folder.path),
            folder.path + ": expected model.safetensors or model.safetensors.index.json, found neither");
  EXPECT_EQ(complaint(folder.path + "/none"),
            folder.path + "/none: cannot open the model's folder: No such file or directory");
}

TEST(Checkpoint, ShardsArePlainNames) {
  TwoShards folder;
  const std::pair<std::string, std::string> names[] = {
      {"../a.safetensors", "../a.safetensors"},
      {"/etc/passwd", "/etc/passwd"},
      {"./a.safetensors", "./a.safetensors"},
      {"sub/a.safetensors", "sub/a.safetensors"},
      {"", ""},
      {".", "."},
      {"..", ".."},
      {R"(..\\a.safetensors)", R"(..\a.safetensors)"},
      {R"(a\u0000.safetensors)", R"(a\x00.safetensors)"},
      {R"(a\u001b[2J)", R"(a\x1b[2J)"},
  };
  for (const auto &[written, shown] : names) {
    folder.write(indexName, indexFile({{"x", written}, {"y", "b.safetensors"}}));
    EXPECT_EQ(complaint(folder.path),
              folder.index() + ": expected the plain name of a file in the folder, found '" + shown + "'");
  }
}

TEST(Checkpoint, IndexIsHeldToItsForm) {
  TwoShards folder;
  const std::pair<std::string, std::string> cases[] = {
      {"", "not valid JSON at byte 1"},
      {"[]", "expected a JSON object, found array"},
      {"{}", "expected an object 'weight_map', found none"},
      {R"({"weight_map":[]})", "expected an object 'weight_map', found array"},
      {R"({"weight_map":null})", "expected an object 'weight_map', found null"},
      {R"({"weight_map":{}})", "weight_map names no tensor"},
      {R"({"weight_map":{"x":1}})", "weight_map: expected a file name for 'x', found number"},
      {R"({"weight_map":{"x":["a.safetensors"]}})", "weight_map: expected a file name for 'x', found array"},
      {R"({"weight_map":{"x":"a.safetensors","x":"b.safetensors"}})", "the key \"x\" stands twice"},
      {R"({"weight_map":{"x":"a.safetensors"},"weight_map":{"y":"b.safetensors"}})",
       "the key \"weight_map\" stands twice"},
  };
  for (const auto &[text, message] : cases) {
    folder.write(indexName, text);
    EXPECT_EQ(complaint(folder.path), folder.index() + ": " + message);
  }
  // What the index says of sizes is of no use.
  folder.write(indexName, R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  EXPECT_EQ(complaint(folder.path), "");
  folder.write(indexName, R"({"metadata":{"total_size":-1},"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  EXPECT_EQ(complaint(folder.path), "");
}

TEST(Checkpoint, IndexAndShardsAgree) {
  TwoShards folder;
  std::string missing = ": cannot open (named by " + folder.index() + "): No such file or directory";
  folder.write(indexName, indexFile({{"x", "a.safetensors"}, {"y", "c.safetensors"}}));
  EXPECT_EQ(complaint(folder.path), folder.path + "/c.safetensors" + missing);

  folder.write(indexName, indexFile({{"x", "a.safetensors"}, {"y", "a.safetensors"}}));
  EXPECT_EQ(complaint(folder.path),
            folder.a() + ": tensor 'y' is missing, " + folder.index() + " says that it is here");

  folder.write(indexName, indexFile({{"x", "b.safetensors"}, {"y", "b.safetensors"}}));
  EXPECT_EQ(complaint(folder.path),
            folder.b() + ": tensor 'x' is missing, " + folder.index() + " says that it is here");

  folder.write(indexName, indexFile({{"x", "a.safetensors"}, {"y", "b.safetensors"}}));
  folder.write("a.safetensors", safetensorsFile({{"x", "F32", {2}}, {"z", "F32", {2}}}));
  EXPECT_EQ(complaint(folder.path), folder.a() + ": tensor 'z' is here, " + folder.index() + " does not say so");

  folder.write("a.safetensors", safetensorsFile({{"x", "F32", {2}}}));
  folder.write("b.safetensors", safetensorsFile({{"x", "F32", {2}}, {"y", "F32", {3}}}));
  EXPECT_EQ(complaint(folder.path), folder.b() + ": tensor 'x' is also in a.safetensors");
}

TEST(Checkpoint, BrokenShardIsNamed) {
  TwoShards folder;
  folder.write("b.safetensors", "short");
  EXPECT_EQ(complaint(folder.path), folder.b() + ": expected at least the 8 bytes of the header's length, found 5");
}

TEST(Checkpoint, OnlyRegularFilesAreRead) {
  TwoShards folder;
  fs::remove(folder.b());
  ASSERT_EQ(::mkfifo(folder.b().c_str(), 0600), 0);
  EXPECT_EQ(complaint(folder.path), folder.b() + ": expected a regular file");
  fs::remove(folder.b());
  fs::create_directory(folder.b());
  EXPECT_EQ(complaint(folder.path), folder.b() + ": expected a regular file");

  fs::remove(folder.index());
  ASSERT_EQ(::mkfifo(folder.index().c_str(), 0600), 0);
  EXPECT_EQ(complaint(folder.path), folder.index() + ": expected a regular file");
  std::string single = folder.path + "/model.safetensors";
  ASSERT_EQ(::mkfifo(single.c_str(), 0600), 0);
  EXPECT_EQ(complaint(folder.path), single + ": expected a regular file");
}

TEST(Checkpoint, LinksStayInTheFolder) {
  TwoShards folder;
  TemporaryFolder outside;
  std::string target = outside.write("b.safetensors", safetensorsFile({{"y", "F32", {3}}}));
  fs::remove(folder.b());
  fs::create_symlink(target, folder.b());
  EXPECT_EQ(complaint(folder.path),
            folder.b() + ": links to " + target + ", outside of the model's folder " + folder.path);

  fs::remove(folder.b());
  fs::create_symlink("/dev/zero", folder.b());
  EXPECT_EQ(complaint(folder.path), folder.b() + ": links to /dev/zero, outside of the model's folder " + folder.path);

  fs::remove(folder.b());
  fs::create_symlink("nowhere", folder.b());
  EXPECT_EQ(complaint(folder.path),
            folder.b() + ": cannot open (named by " + folder.index() + "): No such file or directory");

  fs::remove(folder.b());
  fs::create_symlink("b.safetensors", folder.b());
  EXPECT_EQ(complaint(folder.path),
            folder.b() + ": cannot open (named by " + folder.index() + "): Too many levels of symbolic links");

  fs::remove(folder.b());
  folder.write("stored/b", safetensorsFile({{"y", "F32", {3}}}));
  fs::create_symlink("stored/b", folder.b());
  EXPECT_EQ(complaint(folder.path), "");

  // A folder whose name begins like the model's is another one.
  std::string sibling = folder.path + "-other";
  fs::create_directory(sibling);
  fs::rename(target, sibling + "/b");
  fs::remove(folder.b());
  fs::create_symlink(sibling + "/b", folder.b());
  EXPECT_EQ(complaint(folder.path),
            folder.b() + ": links to " + sibling + "/b, outside of the model's folder " + folder.path);
  fs::remove_all(sibling);
}

TEST(Checkpoint, DanglingLinkIsNotTakenForNoFile) {
  TemporaryFolder folder;
  std::string single = folder.path + "/model.safetensors";
  fs::create_symlink("gone", single);
  EXPECT_EQ(complaint(folder.path), single + ": cannot open (named by " + folder.path + "): No such file or directory");
}

// models--ORG--NAME/snapshots/REVISION/FILE is a link to ../../blobs/HASH.
TEST(Checkpoint, HubCache) {
  TemporaryFolder cache;
  std::string model = cache.path + "/models--org--name";
  std::string snapshot = model + "/snapshots/0123abcd";
  cache.write("models--org--name/blobs/1111", safetensorsFile({{"x", "F32", {2}}}));
  cache.write("models--org--name/blobs/2222", indexFile({{"x", "model-00001-of-000001.safetensors"}}));
  fs::create_directories(snapshot);
  fs::create_symlink("../../blobs/1111", snapshot + "/model-00001-of-000001.safetensors");
  fs::create_symlink("../../blobs/2222", snapshot + "/" + indexName);
  EXPECT_EQ(complaint(snapshot), "");
  EXPECT_EQ(complaint(snapshot + "/"), "");
  EXPECT_EQ(complaint(snapshot + "/../0123abcd"), "");

  // Through a link to the snapshot, too.
  fs::create_symlink(snapshot, cache.path + "/link");
  EXPECT_EQ(complaint(cache.path + "/link"), "");

  // Another model's blobs are outside.
  cache.write("models--org--other/blobs/1111", safetensorsFile({{"x", "F32", {2}}}));
  std::string shard = snapshot + "/model-00001-of-000001.safetensors";
  fs::remove(shard);
  fs::create_symlink("../../../models--org--other/blobs/1111", shard);
  EXPECT_EQ(complaint(snapshot), shard + ": links to " + cache.path +
                                     "/models--org--other/blobs/1111, outside of the model's folder " + model);
}

} // namespace
} // namespace elah
