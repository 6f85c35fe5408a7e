// Every rule of the safetensors format, broken once: what is wrong must be said, with the file's and the tensor's name.
#include "frontends/HuggingFace/Safetensors.h"
#include "TemporaryFolder.h"
#include "gtest/gtest.h"
#include <ctime>
#include <sys/stat.h>

namespace elah {
namespace {

/// What parsing `header`, before `dataSize` bytes of data, complains about; "" if it does not.
std::string complaint(const std::string &header, uint64_t dataSize) {
  auto entries = parseSafetensorsHeader(header, 8 + header.size() + dataSize, "a.safetensors");
  return entries ? "" : llvm::toString(entries.takeError());
}

std::string tensor(const std::string &dtype, const std::string &shape, uint64_t begin, uint64_t end) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[)" + std::to_string(begin) + "," +
         std::to_string(end) + "]}";
}

struct Broken {
  const char *name;
  std::string header;
  uint64_t dataSize;
  std::string message;
};

std::ostream &operator<<(std::ostream &stream, const Broken &broken) { return stream << broken.name; }

std::string repeated(const std::string &text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) {
    result += text;
  }
  return result;
}

class BrokenHeader : public testing::TestWithParam<Broken> {};

TEST_P(BrokenHeader, IsRefused) {
  const Broken &broken = GetParam();
  EXPECT_EQ(complaint(broken.header, broken.dataSize), "a.safetensors: " + broken.message);
}

const Broken brokenHeaders[] = {
    // The text.
    {"Empty", "", 0, "the header must begin with '{', found nothing"},
    {"NoBrace", "[]", 0, "the header must begin with '{', found byte 91"},
    {"SpaceBeforeBrace", " {}", 0, "the header must begin with '{', found byte 32"},
    {"ByteOrderMark", "\xEF\xBB\xBF{}", 0, "the header must begin with '{', found byte 239"},
    {"Unfinished", R"({"a":)", 0, "the header is not valid JSON at its byte 6"},
    {"TrailingGarbage", "{} x", 0, "the header is not valid JSON at its byte 4"},
    {"SecondObject", "{}{}", 0, "the header is not valid JSON at its byte 3"},
    {"ZeroPadding", std::string("{}\0\0", 4), 0, "the header is not valid JSON at its byte 3: a zero byte"},
    {"ZeroThenGarbage", std::string("{}\0{]", 5), 0, "the header is not valid JSON at its byte 3: a zero byte"},
    {"TrailingComma", R"({"a":)" + tensor("U8", "[1]", 0, 1) + ",}", 1, "the header is not valid JSON at its byte 54"},
    {"Comment", "{/* no */}", 0, "the header is not valid JSON at its byte 2"},
    {"SingleQuotes", "{'a':1}", 0, "the header is not valid JSON at its byte 2"},
    {"NotUtf8", "{\"a\xFF\":{}}", 0, "the header is not valid UTF-8 at its byte 4"},
    {"OverlongUtf8", "{\"\xC0\xAF\":{}}", 0, "the header is not valid UTF-8 at its byte 3"},
    {"LoneSurrogate", R"({"\uD800":{}})", 0, "the header is not valid JSON at its byte 9"},
    {"NotANumber", R"({"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}})", 1,
     "the header is not valid JSON at its byte 29"},
    // Names.
    {"DuplicateTensor", R"({"a":)" + tensor("U8", "[1]", 0, 1) + R"(,"a":)" + tensor("U8", "[1]", 1, 2) + "}", 2,
     "the key 'a' stands twice"},
    {"DuplicateAfterUnescape",
     R"({"a":)" + tensor("U8", "[1]", 0, 1) + R"(,"\u0061":)" + tensor("U8", "[1]", 1, 2) + "}", 2,
     "the key 'a' stands twice"},
    {"DuplicateMetadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "the key '__metadata__' stands twice"},
    {"DuplicateMember", R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
     "tensor 'a': the key 'dtype' stands twice"},
    {"DuplicateMetadataKey", R"({"__metadata__":{"k":"1","k":"2"}})", 0, "__metadata__: the key 'k' stands twice"},
    {"ControlCharacter", R"({"a\u001b[2J":)" + tensor("U8", "[1]", 0, 1) + "}", 1,
     "tensor 0: a name must be at most 1024 bytes without control characters"},
    {"ZeroInName", R"({"a\u0000":)" + tensor("U8", "[1]", 0, 1) + "}", 1,
     "tensor 0: a name must be at most 1024 bytes without control characters"},
    {"LongName", R"({")" + repeated("x", 1025) + R"(":)" + tensor("U8", "[1]", 0, 1) + "}", 1,
     "tensor 0: a name must be at most 1024 bytes without control characters"},
    {"LongDtype", R"({"a":)" + tensor(repeated("x", 9999), "[1]", 0, 1) + "}", 1,
     "tensor 'a': unknown dtype of 9999 bytes"},
    // Metadata.
    {"MetadataNumber", R"({"__metadata__":{"k":1}})", 0, "__metadata__: expected a string for 'k', found the number 1"},
    {"MetadataNull", R"({"__metadata__":{"k":null}})", 0, "__metadata__: expected a string for 'k', found null"},
    {"MetadataNested", R"({"__metadata__":{"k":{}}})", 0, "__metadata__: expected a string for 'k', found an object"},
    {"MetadataList", R"({"__metadata__":{"k":[]}})", 0, "__metadata__: expected a string for 'k', found an array"},
    {"MetadataString", R"({"__metadata__":"x"})", 0, "'__metadata__': expected an object, found the string 'x'"},
    // A tensor's members.
    {"TensorNumber", R"({"a":1})", 0, "'a': expected an object, found the number 1"},
    {"TensorNull", R"({"a":null})", 0, "'a': expected an object, found null"},
    {"TensorList", R"({"a":[]})", 0, "'a': expected an object, found an array"},
    {"MissingDtype", R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "tensor 'a': the key dtype is missing"},
    {"MissingShape", R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "tensor 'a': the key shape is missing"},
    {"MissingOffsets", R"({"a":{"dtype":"U8","shape":[1]}})", 1, "tensor 'a': the key data_offsets is missing"},
    {"ExtraMember", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}})", 1,
     "tensor 'a': expected the keys dtype, shape and data_offsets, found 'strides'"},
    {"UnknownDtype", R"({"a":)" + tensor("F128", "[1]", 0, 16) + "}", 16, "tensor 'a': unknown dtype 'F128'"},
    {"LowercaseDtype", R"({"a":)" + tensor("f32", "[1]", 0, 4) + "}", 4, "tensor 'a': unknown dtype 'f32'"},
    {"DtypeNumber", R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", 4,
     "tensor 'a': unexpected value of dtype: the number 32"},
    {"DtypeList", R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", 4,
     "tensor 'a': unexpected value of dtype: an array"},
    {"ShapeNumber", R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value of shape: the number 1"},
    {"ShapeString", R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value of shape: the string '1'"},
    {"ShapeNested", R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value of shape: an array"},
    {"ShapeBoolean", R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value of shape: a boolean"},
    {"NegativeDimension", R"({"a":)" + tensor("U8", "[-1]", 0, 1) + "}", 1,
     "tensor 'a': unexpected value of shape: the negative number -1"},
    {"FloatDimension", R"({"a":)" + tensor("U8", "[1.0]", 0, 1) + "}", 1,
     "tensor 'a': unexpected value of shape: the number 1.0, which is no 64-bit integer"},
    {"HugeDimension", R"({"a":)" + tensor("U8", "[1e30]", 0, 1) + "}", 1,
     "tensor 'a': unexpected value of shape: the number 1e30, which is no 64-bit integer"},
    {"InfiniteDimension", R"({"a":)" + tensor("U8", "[1e999]", 0, 1) + "}", 1,
     "the header is not valid JSON at its byte 33"},
    {"LeadingZero", R"({"a":)" + tensor("U8", "[01]", 0, 1) + "}", 1, "the header is not valid JSON at its byte 30"},
    {"PlusSign", R"({"a":)" + tensor("U8", "[+1]", 0, 1) + "}", 1, "the header is not valid JSON at its byte 29"},
    {"DimensionOf2To63", R"({"a":)" + tensor("U8", "[0,9223372036854775808]", 0, 0) + "}", 0,
     "tensor 'a': a dimension must be below 2^63, found 9223372036854775808"},
    {"DimensionOf2To64", R"({"a":)" + tensor("U8", "[18446744073709551616]", 0, 0) + "}", 0,
     "tensor 'a': unexpected value of shape: the number 18446744073709551616, which is no 64-bit integer"},
    {"ShapeOverflow", R"({"a":)" + tensor("U8", "[4294967296,4294967296]", 0, 0) + "}", 0,
     "tensor 'a': the number of bits in shape [4294967296, 4294967296] does not fit 64 bits"},
    {"BitsOverflow", R"({"a":)" + tensor("F64", "[1152921504606846976]", 0, 0) + "}", 0,
     "tensor 'a': the number of bits in shape [1152921504606846976] does not fit 64 bits"},
    {"Rank65", R"({"a":)" + tensor("U8", "[" + repeated("1,", 64) + "1]", 0, 1) + "}", 1,
     "tensor 'a': expected at most 64 dimensions"},
    {"OddF4", R"({"a":)" + tensor("F4", "[3]", 0, 2) + "}", 2, "tensor 'a': its 12 bits are no whole number of bytes"},
    {"OddF6", R"({"a":)" + tensor("F6_E2M3", "[1]", 0, 1) + "}", 1,
     "tensor 'a': its 6 bits are no whole number of bytes"},
    {"OneOffset", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1,
     "tensor 'a': data_offsets must be two numbers, found 1"},
    {"NoOffsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[]}})", 1,
     "tensor 'a': data_offsets must be two numbers, found 0"},
    {"ThreeOffsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1,
     "tensor 'a': data_offsets must be two numbers, found more"},
    {"NegativeOffset", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1,
     "tensor 'a': unexpected value of data_offsets: the negative number -1"},
    {"FloatOffset", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}})", 1,
     "tensor 'a': unexpected value of data_offsets: the number 1.0, which is no 64-bit integer"},
    {"DecreasingOffsets", R"({"a":)" + tensor("U8", "[1]", 1, 0) + "}", 1,
     "tensor 'a': data_offsets must not decrease, found [1, 0]"},
    {"DeepNesting", repeated(R"({"dtype":)", 100000), 0, "tensor 'dtype': unexpected value of dtype: an object"},
    {"DeepArrays", R"({"a":{"shape":)" + repeated("[", 100000), 0, "tensor 'a': unexpected value of shape: an array"},
    // How the tensors lie in the file.
    {"TooFewBytes", R"({"a":)" + tensor("F32", "[2,2]", 0, 15) + "}", 15,
     "tensor 'a': F32 of shape [2, 2] needs 16 bytes, found data_offsets of 15 bytes"},
    {"TooManyBytes", R"({"a":)" + tensor("BF16", "[2,2]", 0, 9) + "}", 9,
     "tensor 'a': BF16 of shape [2, 2] needs 8 bytes, found data_offsets of 9 bytes"},
    {"ScalarOfNoBytes", R"({"a":)" + tensor("U8", "[]", 0, 0) + "}", 0,
     "tensor 'a': U8 of shape [] needs 1 bytes, found data_offsets of 0 bytes"},
    {"FirstNotAtZero", R"({"a":)" + tensor("U8", "[2]", 1, 3) + "}", 3,
     "tensor 'a': its data must begin at byte 0, where the tensor before it ends; found 1"},
    {"Hole", R"({"a":)" + tensor("U8", "[2]", 0, 2) + R"(,"b":)" + tensor("U8", "[2]", 3, 5) + "}", 5,
     "tensor 'b': its data must begin at byte 2, where the tensor before it ends; found 3"},
    {"Overlap", R"({"a":)" + tensor("U8", "[2]", 0, 2) + R"(,"b":)" + tensor("U8", "[2]", 1, 3) + "}", 3,
     "tensor 'b': its data must begin at byte 2, where the tensor before it ends; found 1"},
    {"SameBytesTwice", R"({"a":)" + tensor("U8", "[2]", 0, 2) + R"(,"b":)" + tensor("U8", "[2]", 0, 2) + "}", 2,
     "tensor 'b': its data must begin at byte 2, where the tensor before it ends; found 0"},
    {"EmptyTensorInside", R"({"a":)" + tensor("U8", "[2]", 0, 2) + R"(,"b":)" + tensor("U8", "[0]", 1, 1) + "}", 2,
     "tensor 'b': its data must begin at byte 2, where the tensor before it ends; found 1"},
    {"EndsBehindFile", R"({"a":)" + tensor("U8", "[4]", 0, 4) + "}", 3,
     "tensor 'a': its data ends at byte 4, the file's data at byte 3"},
    {"EndsFarBehindFile", R"({"a":)" + tensor("U8", "[2305843009213693951]", 0, 2305843009213693951) + "}", 3,
     "tensor 'a': its data ends at byte 2305843009213693951, the file's data at byte 3"},
    {"EndsBeforeFile", R"({"a":)" + tensor("U8", "[4]", 0, 4) + "}", 5,
     "the tensors cover 4 bytes of data, the file has 5"},
    {"DataWithoutTensors", "{}", 1, "the tensors cover 0 bytes of data, the file has 1"},
};

INSTANTIATE_TEST_SUITE_P(Rules, BrokenHeader, testing::ValuesIn(brokenHeaders),
                         [](const auto &info) { return std::string(info.param.name); });

struct Valid {
  const char *name;
  std::string header;
  uint64_t dataSize;
  std::vector<std::string> names; ///< In the order of their offsets.
};

class ValidHeader : public testing::TestWithParam<Valid> {};

TEST_P(ValidHeader, IsRead) {
  const Valid &valid = GetParam();
  auto entries = parseSafetensorsHeader(valid.header, 8 + valid.header.size() + valid.dataSize, "a.safetensors");
  ASSERT_TRUE(static_cast<bool>(entries)) << llvm::toString(entries.takeError());
  std::vector<std::string> names;
  uint64_t expected = 8 + valid.header.size();
  for (const TensorEntry &entry : *entries) {
    names.push_back(entry.name);
    EXPECT_EQ(entry.offset, expected) << entry.name;
    expected += entry.size;
  }
  EXPECT_EQ(names, valid.names);
  EXPECT_EQ(expected, 8 + valid.header.size() + valid.dataSize);
}

const Valid validHeaders[] = {
    {"Nothing", "{}", 0, {}},
    {"OnlyMetadata", R"({"__metadata__":{"format":"pt","":""}})", 0, {}},
    {"SpacePadding", R"({"a":)" + tensor("U8", "[1]", 0, 1) + "}        ", 1, {"a"}},
    {"OtherWhitespace", "{\n\t\"a\" :\r\n" + tensor("U8", "[1]", 0, 1) + "\n}\n", 1, {"a"}},
    {"Scalar", R"({"a":)" + tensor("F32", "[]", 0, 4) + "}", 4, {"a"}},
    {"EmptyTensor", R"({"a":)" + tensor("F32", "[7,0,9]", 0, 0) + "}", 0, {"a"}},
    {"EmptyTensorsBetween",
     R"({"c":)" + tensor("U8", "[0]", 2, 2) + R"(,"b":)" + tensor("U8", "[2]", 2, 4) + R"(,"a":)" +
         tensor("U8", "[2]", 0, 2) + R"(,"d":)" + tensor("U8", "[0]", 4, 4) + "}",
     4,
     {"a", "c", "b", "d"}},
    {"OutOfOrder",
     R"({"b":)" + tensor("F16", "[3]", 4, 10) + R"(,"a":)" + tensor("F32", "[1]", 0, 4) + "}",
     10,
     {"a", "b"}},
    {"MembersInAnyOrder", R"({"a":{"data_offsets":[0,2],"shape":[2],"dtype":"I8"}})", 2, {"a"}},
    {"EscapedName", R"({"caf\u00e9\/\ud83d\ude00":)" + tensor("U8", "[1]", 0, 1) + "}", 1, {"caf\u00e9/\U0001F600"}},
    {"EmptyName", R"({"":)" + tensor("U8", "[1]", 0, 1) + "}", 1, {""}},
    {"EvenF4", R"({"a":)" + tensor("F4", "[3,2]", 0, 3) + "}", 3, {"a"}},
    {"FourF6", R"({"a":)" + tensor("F6_E3M2", "[4]", 0, 3) + "}", 3, {"a"}},
    {"Rank64", R"({"a":)" + tensor("U8", "[" + repeated("1,", 63) + "1]", 0, 1) + "}", 1, {"a"}},
};

INSTANTIATE_TEST_SUITE_P(Format, ValidHeader, testing::ValuesIn(validHeaders),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(Safetensors, EveryDtypeHasItsSize) {
  const std::pair<const char *, uint64_t> bytesOfEight[] = {
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
  };
  for (auto [dtype, bytes] : bytesOfEight) {
    EXPECT_EQ(complaint(R"({"a":)" + tensor(dtype, "[8]", 0, bytes) + "}", bytes), "") << dtype;
    EXPECT_NE(complaint(R"({"a":)" + tensor(dtype, "[8]", 0, bytes + 1) + "}", bytes + 1), "") << dtype;
  }
}

TEST(Safetensors, EntriesHaveTypeShapeAndPlace) {
  std::string header = R"({"a":)" + tensor("BF16", "[2,3]", 4, 16) + R"(,"s":)" + tensor("F32", "[]", 0, 4) + "}";
  auto entries = parseSafetensorsHeader(header, 8 + header.size() + 16, "a.safetensors");
  ASSERT_TRUE(static_cast<bool>(entries));
  ASSERT_EQ(entries->size(), 2u);
  const TensorEntry &second = (*entries)[1];
  EXPECT_EQ(second.name, "a");
  EXPECT_EQ(second.dtype, "BF16");
  EXPECT_EQ(llvm::ArrayRef<int64_t>(second.shape), llvm::ArrayRef<int64_t>({2, 3}));
  EXPECT_EQ(second.offset, 8 + header.size() + 4);
  EXPECT_EQ(second.size, 12u);
}

/// The eight bytes of a header's length.
std::string lengthBytes(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>(length >> 8 * i);
  }
  return bytes;
}

std::string fileComplaint(const std::string &path) {
  auto entries = readSafetensorsHeader(path);
  return entries ? "" : llvm::toString(entries.takeError());
}

TEST(SafetensorsFile, LengthsAreHeldToTheFile) {
  TemporaryFolder folder;
  const std::pair<std::string, std::string> cases[] = {
      {"", "expected at least the 8 bytes of the header's length, found 0"},
      {"1234567", "expected at least the 8 bytes of the header's length, found 7"},
      {lengthBytes(0), "the header must begin with '{', found nothing"},
      {lengthBytes(1) + "{", "the header is not valid JSON at its byte 2"},
      {lengthBytes(3) + "{}", "a header of 3 bytes does not fit the file of 10 bytes"},
      {lengthBytes(100'000'000) + "{}", "a header of 100000000 bytes does not fit the file of 10 bytes"},
      {lengthBytes(100'000'001) + "{}", "the header's length must be at most 100000000, found 100000001"},
      {lengthBytes(uint64_t(1) << 63) + "{}",
       "the header's length must be at most 100000000, found 9223372036854775808"},
      {lengthBytes(~uint64_t(0)) + "{}", "the header's length must be at most 100000000, found 18446744073709551615"},
  };
  for (const auto &[bytes, message] : cases) {
    std::string path = folder.write("a.safetensors", bytes);
    EXPECT_EQ(fileComplaint(path), path + ": " + message);
  }
  EXPECT_EQ(fileComplaint(folder.write("a.safetensors", lengthBytes(2) + "{}")), "");
}

TEST(SafetensorsFile, OnlyRegularFilesAreRead) {
  TemporaryFolder folder;
  EXPECT_EQ(fileComplaint(folder.path), folder.path + ": expected a regular file");
  std::string pipe = folder.path + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(fileComplaint(pipe), pipe + ": expected a regular file");
  EXPECT_EQ(fileComplaint("/dev/zero"), "/dev/zero: expected a regular file");
  EXPECT_EQ(fileComplaint(folder.path + "/none"), folder.path + "/none: cannot open: No such file or directory");
}

// The largest header that the format allows must be no way to stop a server.
TEST(SafetensorsFile, HundredMegabytesTakeTwoSeconds) {
  std::string header = "{";
  header.reserve(100'000'000);
  for (uint64_t i = 0; header.size() < 99'999'000; ++i) {
    header += (i ? "," : "") + ("\"layers." + std::to_string(i) + ".weight\":") + tensor("U8", "[1]", i, i + 1);
  }
  header += "}";
  std::clock_t begin = std::clock();
  auto entries = parseSafetensorsHeader(header, 8 + header.size(), "a.safetensors");
  double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ASSERT_FALSE(static_cast<bool>(entries));
  EXPECT_EQ(llvm::toString(entries.takeError()),
            "a.safetensors: tensor 'layers.0.weight': its data ends at byte 1, the file's data at byte 0");
  RecordProperty("seconds", std::to_string(seconds));
  // Two seconds for the release build; this one is hardly optimised.
  EXPECT_LT(seconds, 5);
}

} // namespace
} // namespace elah
