// Fatbins: the containers that nvcc writes, and damaged ones.
#include "ptx/module.h"
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>

using namespace emulator::ptx;
using testing::HasSubstr;

namespace {

enum class Compression { None, Lz4, Zstd };

template <typename T> void put(std::string &bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

/// An image as fatbinary writes it: a header of 80 bytes, the payload padded to 8.
std::string image(uint16_t kind, uint32_t target, const std::string &text, Compression compression) {
  std::string payload = text;
  uint64_t flags = 0x11;
  if (compression == Compression::Lz4) {
    payload.resize(LZ4_compressBound(static_cast<int>(text.size())));
    payload.resize(LZ4_compress_default(text.data(), payload.data(), static_cast<int>(text.size()),
                                        static_cast<int>(payload.size())));
    flags |= 0x2000;
  } else if (compression == Compression::Zstd) {
    payload.resize(ZSTD_compressBound(text.size()));
    payload.resize(ZSTD_compress(payload.data(), payload.size(), text.data(), text.size(), 3));
    flags |= 0x8000;
  }
  bool plain = compression == Compression::None;
  uint64_t padded = (payload.size() + 7) / 8 * 8;
  std::string bytes(80, '\0');
  put<uint16_t>(bytes, 0, kind);
  put<uint16_t>(bytes, 2, 0x101);
  put<uint32_t>(bytes, 4, 80);
  put<uint64_t>(bytes, 8, padded);
  put<uint32_t>(bytes, 16, plain ? 0 : static_cast<uint32_t>(payload.size()));
  put<uint32_t>(bytes, 20, 64);
  put<uint16_t>(bytes, 26, 9);
  put<uint32_t>(bytes, 28, target);
  put<uint64_t>(bytes, 40, flags);
  put<uint64_t>(bytes, 56, plain ? 0 : text.size());
  payload.resize(padded);
  return bytes + payload;
}

std::string container(const std::string &images) {
  std::string bytes(16, '\0');
  put<uint32_t>(bytes, 0, 0xba55ed50);
  put<uint16_t>(bytes, 4, 1);
  put<uint16_t>(bytes, 6, 16);
  put<uint64_t>(bytes, 8, images.size());
  return bytes + images;
}

std::string ptxFor(const std::string &target) {
  return "\n\n.version 9.0\n.target " + target + "\n.address_size 64\n// " + std::string(500, 'x') + "\n";
}

std::string contents(const std::string &bytes, unsigned sm = 90) {
  std::variant<std::string, Error> result = ptxOfFatbin(bytes.data(), bytes.size(), sm);
  if (const Error *error = std::get_if<Error>(&result)) {
    return "error: " + error->text;
  }
  return std::get<std::string>(result);
}

} // namespace

TEST(Fatbin, Compressions) {
  std::string text = ptxFor("sm_90a");
  for (Compression compression : {Compression::None, Compression::Lz4, Compression::Zstd}) {
    EXPECT_EQ(contents(container(image(1, 90, text, compression))), text);
  }
}

TEST(Fatbin, Wrapper) {
  std::string text = ptxFor("sm_90"), inner = container(image(1, 90, text, Compression::Lz4));
  struct {
    uint32_t magic = 0x466243b1, version = 1;
    const void *data = nullptr, *unused = nullptr;
  } wrapper;
  wrapper.data = inner.data();
  std::string bytes(reinterpret_cast<const char *>(&wrapper), sizeof(wrapper));
  EXPECT_EQ(contents(bytes), text);
  wrapper.data = nullptr;
  bytes.assign(reinterpret_cast<const char *>(&wrapper), sizeof(wrapper));
  EXPECT_EQ(contents(bytes), "error: fatbin: the wrapper points to nothing");
  EXPECT_EQ(contents(bytes.substr(0, 8)), "error: fatbin: expected a wrapper of 24 bytes, found 8");
}

TEST(Fatbin, ChoosesTheNewestThatRuns) {
  std::string old = ptxFor("sm_70"), portable = ptxFor("sm_90"), own = ptxFor("sm_90a"), next = ptxFor("sm_100a");
  std::string all = image(2, 90, "ELF", Compression::None) + image(1, 70, old, Compression::Zstd) +
                    image(1, 90, portable, Compression::Lz4) + image(1, 90, own, Compression::Zstd) +
                    image(1, 100, next, Compression::None);
  EXPECT_EQ(contents(container(all), 90), own);
  EXPECT_EQ(contents(container(all), 89), old);
  EXPECT_EQ(contents(container(all), 120), portable); // sm_90a and sm_100a are of their own machines only.
  EXPECT_EQ(contents(container(all), 60), "error: fatbin: expected PTX for sm_60 or older, found sm_90 (cubin), "
                                          "compute_70 (PTX), compute_90 (PTX), compute_90 (PTX), compute_100 (PTX)");
  EXPECT_EQ(contents(container(""), 90), "error: fatbin: expected PTX for sm_90 or older, found no image");
}

TEST(Fatbin, Damaged) {
  EXPECT_EQ(contents(""), "error: fatbin: expected at least 4 bytes, found 0");
  EXPECT_EQ(contents("\x7f"
                     "ELF\x02\x01"),
            "error: fatbin: expected the word 0xba55ed50 or 0x466243b1, found 0x464c457f");
  std::string good = container(image(1, 90, ptxFor("sm_90a"), Compression::Zstd));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(contents(good.substr(0, size)), HasSubstr("error: fatbin: ")) << size;
  }
  std::string bad = good;
  put<uint16_t>(bad, 4, 2);
  EXPECT_THAT(contents(bad), HasSubstr("found version 2"));
  bad = good;
  put<uint64_t>(bad, 16 + 8, UINT64_MAX);
  EXPECT_THAT(contents(bad), HasSubstr("an image's size is out of range"));
  bad = good;
  put<uint64_t>(bad, 16 + 56, uint64_t(1) << 40);
  EXPECT_THAT(contents(bad), HasSubstr("the sizes of a compressed image are out of range"));
  bad = good;
  put<uint64_t>(bad, 16 + 56, uint64_t(100) << 20);
  EXPECT_THAT(contents(bad), HasSubstr("a compressed image is too small for what it says it holds"));
  bad = good;
  bad[16 + 80 + 1] ^= 0x55;
  EXPECT_THAT(contents(bad), HasSubstr("the Zstandard image is damaged"));
  bad = container(image(1, 90, ptxFor("sm_90a"), Compression::Lz4));
  put<uint64_t>(bad, 16 + 56, 600);
  EXPECT_EQ(contents(bad), "error: fatbin: the LZ4 image is damaged");
  EXPECT_THAT(contents(container(image(1, 90, "no PTX", Compression::None))), HasSubstr("names no target"));
}
