// wgmma's descriptors: bit fields, and where CuTe's canonical layouts put elements (offsets that its host code gives
// for tile_to_shape of the GMMA atoms with 16-bit elements).
#include "ops/matrix_descriptor.h"
#include <gtest/gtest.h>
#include <set>

using namespace emulator;

namespace {

MatrixDescriptor descriptor(SwizzleSpan span, uint32_t leading, uint32_t stride, uint32_t start = 0) {
  MatrixDescriptor result;
  result.span = span;
  result.leading = leading;
  result.stride = stride;
  result.start = start;
  return result;
}

uint32_t kMajor(const MatrixDescriptor &tile, uint32_t row, uint32_t k) {
  return tile.kMajor(row, k * 2 / 16) + k * 2 % 16;
}
uint32_t mnMajor(const MatrixDescriptor &tile, uint32_t mn, uint32_t k) { return tile.mnMajor(mn / 8, k) + mn % 8 * 2; }

} // namespace

TEST(MatrixDescriptor, ReadsItsFields) {
  // Address 0x1230, LBO 16, SBO 1024, base offset 5, 128-byte swizzle.
  MatrixDescriptor tile =
      MatrixDescriptor::decode(0x123 | uint64_t(1) << 16 | uint64_t(64) << 32 | uint64_t(5) << 49 | uint64_t(1) << 62);
  EXPECT_EQ(tile.start, 0x1230u);
  EXPECT_EQ(tile.leading, 16u);
  EXPECT_EQ(tile.stride, 1024u);
  EXPECT_EQ(tile.phase, 5u);
  EXPECT_EQ(tile.span, SwizzleSpan::B128);
  EXPECT_EQ(MatrixDescriptor::decode(uint64_t(2) << 62).span, SwizzleSpan::B64);
  EXPECT_EQ(MatrixDescriptor::decode(uint64_t(3) << 62).span, SwizzleSpan::B32);
  EXPECT_EQ(MatrixDescriptor::decode(0).span, SwizzleSpan::None);
}

TEST(MatrixDescriptor, EncodesWhatItDecodes) {
  for (uint64_t bits : {uint64_t(0), uint64_t(0x4002'0040'0001'0123), uint64_t(0xC00A'0010'0008'3FFF)}) {
    EXPECT_EQ(MatrixDescriptor::decode(bits).encode(), bits);
  }
}

TEST(MatrixDescriptor, KMajor128) {
  MatrixDescriptor tile = descriptor(SwizzleSpan::B128, 16, 1024);
  EXPECT_EQ(kMajor(tile, 1, 0), 144u);
  // Elements behind the first 16 are reached by a start address that advances inside of the swizzle atom.
  MatrixDescriptor second = descriptor(SwizzleSpan::B128, 16, 1024, 32);
  EXPECT_EQ(kMajor(second, 3, 17 - 16), 402u);
  MatrixDescriptor fourth = descriptor(SwizzleSpan::B128, 16, 1024, 96);
  EXPECT_EQ(kMajor(fourth, 7, 63 - 48), 910u);
  EXPECT_EQ(kMajor(tile, 9, 8), 1152u);
  MatrixDescriptor third = descriptor(SwizzleSpan::B128, 16, 1024, 64);
  EXPECT_EQ(kMajor(third, 15, 40 - 32), 1952u);
}

TEST(MatrixDescriptor, KMajor64) {
  MatrixDescriptor tile = descriptor(SwizzleSpan::B64, 16, 512), second = descriptor(SwizzleSpan::B64, 16, 512, 32);
  EXPECT_EQ(kMajor(tile, 1, 0), 64u);
  EXPECT_EQ(kMajor(second, 3, 17 - 16), 242u);
  EXPECT_EQ(kMajor(second, 7, 31 - 16), 462u);
  EXPECT_EQ(kMajor(tile, 9, 8), 592u);
  EXPECT_EQ(kMajor(second, 15, 24 - 16), 960u);
}

TEST(MatrixDescriptor, KMajor32) {
  MatrixDescriptor tile = descriptor(SwizzleSpan::B32, 16, 256);
  EXPECT_EQ(kMajor(tile, 1, 0), 32u);
  EXPECT_EQ(kMajor(tile, 4, 9), 130u);
  EXPECT_EQ(kMajor(tile, 7, 15), 238u);
  EXPECT_EQ(kMajor(tile, 9, 8), 304u);
  EXPECT_EQ(kMajor(tile, 15, 0), 496u);
}

TEST(MatrixDescriptor, KMajorWithoutSwizzle) {
  // Core matrices of 128 bytes: the second along K at LBO, the next 8 rows at SBO.
  MatrixDescriptor tile = descriptor(SwizzleSpan::None, 2048, 128);
  EXPECT_EQ(kMajor(tile, 3, 2), 3 * 16 + 4u);
  EXPECT_EQ(kMajor(tile, 3, 9), 2048 + 3 * 16 + 2u);
  EXPECT_EQ(kMajor(tile, 17, 9), 2048 + 2 * 128 + 16 + 2u);
}

TEST(MatrixDescriptor, MnMajor128) {
  // 64 elements a row; the next 64 at LBO (after 64 rows of K here: 16 rows take 2048 bytes), 8 further K at SBO.
  MatrixDescriptor tile = descriptor(SwizzleSpan::B128, 1024, 2048);
  EXPECT_EQ(mnMajor(tile, 1, 0), 2u);
  EXPECT_EQ(mnMajor(tile, 17, 3), 402u);
  EXPECT_EQ(mnMajor(tile, 63, 7), 910u);
  EXPECT_EQ(mnMajor(tile, 64, 0), 1024u);
  EXPECT_EQ(mnMajor(tile, 72, 9), 3200u);
  EXPECT_EQ(mnMajor(tile, 127, 15), 3982u);
}

TEST(MatrixDescriptor, MnMajor64) {
  MatrixDescriptor tile = descriptor(SwizzleSpan::B64, 512, 1024);
  EXPECT_EQ(mnMajor(tile, 17, 3), 242u);
  EXPECT_EQ(mnMajor(tile, 32, 0), 512u);
  EXPECT_EQ(mnMajor(tile, 40, 9), 1616u);
  EXPECT_EQ(mnMajor(tile, 63, 15), 1998u);
}

TEST(MatrixDescriptor, MnMajorWithoutSwizzle) {
  MatrixDescriptor tile = descriptor(SwizzleSpan::None, 4096, 256);
  EXPECT_EQ(mnMajor(tile, 9, 3), 256 + 3 * 16 + 2u);
  EXPECT_EQ(mnMajor(tile, 9, 11), 4096 + 256 + 3 * 16 + 2u);
}

TEST(MatrixDescriptor, BaseOffsetMovesThePattern) {
  // A tile whose pattern starts in row 3 of a 1,024-byte block: with base offset 3 its rows count from there.
  MatrixDescriptor shifted = descriptor(SwizzleSpan::B128, 16, 1024, 3 * 128);
  shifted.phase = 3;
  for (uint32_t row = 0; row < 8; ++row) {
    EXPECT_EQ(shifted.kMajor(row, 0), 3 * 128 + row * 128 + (row % 8) * 16) << row;
  }
}

TEST(MatrixDescriptor, PiecesNeverMeet) {
  for (SwizzleSpan span : {SwizzleSpan::B32, SwizzleSpan::B64, SwizzleSpan::B128}) {
    const uint32_t bytes = static_cast<uint32_t>(span);
    std::set<uint32_t> seen;
    for (uint32_t step = 0; step < bytes / 32; ++step) {
      MatrixDescriptor tile = descriptor(span, 16, 8 * bytes, step * 32);
      for (uint32_t row = 0; row < 64; ++row) {
        for (uint32_t piece = 0; piece < 2; ++piece) {
          EXPECT_TRUE(seen.insert(tile.kMajor(row, piece)).second);
        }
      }
    }
    EXPECT_EQ(seen.size(), 64 * bytes / 16);
    EXPECT_LT(*seen.rbegin(), 64 * bytes);
  }
}
