// Tensor maps: every check that cuda.h documents for their encoding, and what the bytes keep.
#include "ops/tensor_map.h"
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

using namespace emulator;
using testing::HasSubstr;

namespace {

enum Type : uint32_t { u8, u16, u32, s32, u64, s64, f16, f32, f64, bf16, f32Ftz, tf32, tf32Ftz, u4, u4p, u6p };

struct Parameters {
  uint32_t type = bf16, rank = 2;
  uint64_t address = 0x10000;
  std::vector<uint64_t> dims = {256, 100, 3, 2, 2};
  std::vector<uint64_t> strides = {512, 51200, 153600, 307200};
  std::vector<uint32_t> box = {64, 32, 1, 1, 1}, elementStrides = {1, 1, 1, 1, 1};
  uint32_t interleave = 0, swizzle = 3, promotion = 0, fill = 0;
  std::vector<int32_t> lower = {0, 0, 0}, upper = {0, 0, 0};
  uint32_t channels = 64, pixels = 32;
};

struct alignas(64) Bytes {
  unsigned char bytes[192] = {};
};

/// Why it is refused; "" if not.
std::string tiled(const std::function<void(Parameters &)> &change, void *map = nullptr) {
  Parameters p;
  change(p);
  Bytes own;
  return encodeTiled(map ? map : own.bytes, p.type, p.rank, p.address, p.dims.data(), p.strides.data(), p.box.data(),
                     p.elementStrides.data(), p.interleave, p.swizzle, p.promotion, p.fill)
      .value_or("");
}

std::string im2col(const std::function<void(Parameters &)> &change, void *map = nullptr) {
  Parameters p;
  p.rank = 4;
  change(p);
  Bytes own;
  return encodeIm2col(map ? map : own.bytes, p.type, p.rank, p.address, p.dims.data(), p.strides.data(), p.lower.data(),
                      p.upper.data(), p.channels, p.pixels, p.elementStrides.data(), p.interleave, p.swizzle,
                      p.promotion, p.fill)
      .value_or("");
}

void nothing(Parameters &) {}

} // namespace

TEST(TensorMap, AcceptsWhatIsRight) {
  EXPECT_EQ(tiled(nothing), "");
  for (uint32_t rank = 1; rank <= 5; ++rank) {
    EXPECT_EQ(tiled([&](Parameters &p) { p.rank = rank; }), "") << rank;
  }
  EXPECT_EQ(tiled([](Parameters &p) { p.dims[0] = uint64_t(1) << 32; }), "");
  EXPECT_EQ(tiled([](Parameters &p) { p.strides[0] = (uint64_t(1) << 40) - 16; }), "");
  EXPECT_EQ(tiled([](Parameters &p) { p.box[1] = 256; }), "");
  EXPECT_EQ(tiled([](Parameters &p) { p.elementStrides[1] = 8; }), "");
  EXPECT_EQ(im2col(nothing), "");
}

TEST(TensorMap, AddressOfTheMap) {
  Bytes bytes;
  EXPECT_THAT(tiled(nothing, bytes.bytes + 32), HasSubstr("multiple of 64"));
  EXPECT_EQ(tiled(nothing, bytes.bytes + 64), "");
}

TEST(TensorMap, Enumerators) {
  EXPECT_THAT(tiled([](Parameters &p) { p.type = 16; }), HasSubstr("data type 16"));
  EXPECT_THAT(tiled([](Parameters &p) { p.type = u6p; }), HasSubstr("compute capability 10.0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.interleave = 3; }), HasSubstr("interleave 3"));
  EXPECT_THAT(tiled([](Parameters &p) { p.swizzle = 7; }), HasSubstr("swizzle 7"));
  EXPECT_THAT(tiled([](Parameters &p) { p.swizzle = 4; }), HasSubstr("compute capability 10.0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.promotion = 4; }), HasSubstr("L2 promotion 4"));
  EXPECT_THAT(tiled([](Parameters &p) { p.fill = 2; }), HasSubstr("fill 2"));
}

TEST(TensorMap, Rank) {
  EXPECT_THAT(tiled([](Parameters &p) { p.rank = 0; }), HasSubstr("rank is 0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.rank = 6; }), HasSubstr("rank is 6"));
  EXPECT_THAT(tiled([](Parameters &p) { p.interleave = 1; }), HasSubstr("at least 3 with an interleaved"));
  EXPECT_EQ(tiled([](Parameters &p) { p.interleave = 1, p.rank = 3; }), "");
}

TEST(TensorMap, GlobalAddress) {
  EXPECT_THAT(tiled([](Parameters &p) { p.address += 8; }), HasSubstr("multiple of 16"));
  auto interleaved = [](Parameters &p) { p.interleave = 2, p.rank = 3, p.swizzle = 1, p.address = 0x10010; };
  EXPECT_THAT(tiled(interleaved), HasSubstr("multiple of 32"));
}

TEST(TensorMap, GlobalDims) {
  EXPECT_THAT(tiled([](Parameters &p) { p.dims[1] = 0; }), HasSubstr("globalDim[1] is 0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.dims[0] = (uint64_t(1) << 32) + 1; }), HasSubstr("globalDim[0]"));
}

TEST(TensorMap, GlobalStrides) {
  EXPECT_THAT(tiled([](Parameters &p) { p.strides[0] = 520; }), HasSubstr("globalStrides[0] is 520"));
  EXPECT_THAT(tiled([](Parameters &p) { p.strides[0] = uint64_t(1) << 40; }), HasSubstr("less than 2^40"));
  EXPECT_EQ(tiled([](Parameters &p) { p.strides[1] = 520; }), "") << "a stride that rank 2 does not have";
  auto interleaved = [](Parameters &p) { p.interleave = 2, p.rank = 3, p.swizzle = 1, p.strides[0] = 528; };
  EXPECT_THAT(tiled(interleaved), HasSubstr("multiple of 32"));
}

TEST(TensorMap, Box) {
  EXPECT_THAT(tiled([](Parameters &p) { p.box[1] = 0; }), HasSubstr("boxDim[1] is 0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.box[1] = 257; }), HasSubstr("boxDim[1] is 257"));
  EXPECT_THAT(tiled([](Parameters &p) { p.box[0] = 4; }), HasSubstr("multiple of 16"));
}

TEST(TensorMap, InnerBoxAndSwizzle) {
  EXPECT_THAT(tiled([](Parameters &p) { p.box[0] = 72; }), HasSubstr("144 bytes, more than the swizzle's 128"));
  EXPECT_THAT(tiled([](Parameters &p) { p.swizzle = 2; }), HasSubstr("128 bytes, more than the swizzle's 64"));
  EXPECT_THAT(tiled([](Parameters &p) { p.swizzle = 1; }), HasSubstr("128 bytes, more than the swizzle's 32"));
  EXPECT_EQ(tiled([](Parameters &p) { p.swizzle = 0, p.box[0] = 256; }), "");
}

TEST(TensorMap, ElementStrides) {
  EXPECT_THAT(tiled([](Parameters &p) { p.elementStrides[1] = 0; }), HasSubstr("elementStrides[1] is 0"));
  EXPECT_THAT(tiled([](Parameters &p) { p.elementStrides[1] = 9; }), HasSubstr("elementStrides[1] is 9"));
  EXPECT_EQ(tiled([](Parameters &p) { p.elementStrides[0] = 9; }), "") << "ignored without interleave";
  EXPECT_THAT(tiled([](Parameters &p) { p.elementStrides[0] = 9, p.interleave = 1, p.rank = 3; }),
              HasSubstr("elementStrides[0] is 9"));
}

TEST(TensorMap, Interleave32NeedsItsSwizzle) {
  EXPECT_THAT(tiled([](Parameters &p) { p.interleave = 2, p.rank = 3; }), HasSubstr("32-byte swizzle"));
}

TEST(TensorMap, NanFillNeedsFloats) {
  EXPECT_THAT(tiled([](Parameters &p) { p.fill = 1, p.type = u16; }), HasSubstr("floating-point"));
  EXPECT_EQ(tiled([](Parameters &p) { p.fill = 1; }), "");
}

TEST(TensorMap, Im2colChecks) {
  EXPECT_THAT(im2col([](Parameters &p) { p.rank = 2; }), HasSubstr("rank is 2, expected 3 to 5"));
  EXPECT_THAT(im2col([](Parameters &p) { p.lower[0] = -129; }), HasSubstr("pixelBoxLowerCorner[0] is -129"));
  EXPECT_THAT(im2col([](Parameters &p) { p.upper[1] = 128; }), HasSubstr("pixelBoxUpperCorner[1] is 128"));
  EXPECT_EQ(im2col([](Parameters &p) { p.rank = 3, p.lower[0] = -32768, p.upper[0] = 0; }), "");
  EXPECT_THAT(im2col([](Parameters &p) { p.rank = 5, p.lower[2] = 16; }), HasSubstr("-16 to 15"));
  EXPECT_THAT(im2col([](Parameters &p) { p.upper[1] = -100; }), HasSubstr("empty along dimension 2"));
  EXPECT_THAT(im2col([](Parameters &p) { p.channels = 257; }), HasSubstr("channelsPerPixel is 257"));
  EXPECT_THAT(im2col([](Parameters &p) { p.pixels = 1025; }), HasSubstr("pixelsPerColumn is 1025"));
  EXPECT_THAT(im2col([](Parameters &p) { p.channels = 72; }), HasSubstr("more than the swizzle's 128"));
}

TEST(TensorMap, KeepsEverything) {
  Bytes bytes;
  auto all = [](Parameters &p) {
    p.rank = 5;
    p.dims[0] = uint64_t(1) << 32;
    p.box = {64, 256, 2, 3, 4};
    p.elementStrides = {1, 2, 1, 3, 8};
    p.promotion = 2;
    p.fill = 1;
  };
  ASSERT_EQ(tiled(all, bytes.bytes), "");
  std::optional<TensorMap> map = TensorMap::unpack(bytes.bytes);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->type, TensorType::BF16);
  EXPECT_EQ(map->rank, 5u);
  EXPECT_EQ(map->address, 0x10000u);
  EXPECT_THAT(map->dims, testing::ElementsAre(uint64_t(1) << 32, 100, 3, 2, 2));
  EXPECT_THAT(map->strides, testing::ElementsAre(0, 512, 51200, 153600, 307200));
  EXPECT_THAT(map->box, testing::ElementsAre(64, 256, 2, 3, 4));
  EXPECT_THAT(map->elementStrides, testing::ElementsAre(1, 2, 1, 3, 8));
  EXPECT_EQ(map->span(), SwizzleSpan::B128);
  EXPECT_EQ(map->fill, 1u);
  EXPECT_EQ(map->l2Promotion, 2u);
  EXPECT_EQ(map->boxBytes(), 64u * 128 * 2 * 1 * 1 * 2);
}

TEST(TensorMap, OtherBytesAreNone) {
  Bytes bytes;
  EXPECT_FALSE(TensorMap::unpack(bytes.bytes));
  std::fill(std::begin(bytes.bytes), std::end(bytes.bytes), 0xFF);
  EXPECT_FALSE(TensorMap::unpack(bytes.bytes));
}

TEST(TensorMap, Replace) {
  Bytes bytes;
  ASSERT_EQ(tiled(nothing, bytes.bytes), "");
  EXPECT_FALSE(replaceAddress(bytes.bytes, 0x20000));
  EXPECT_THAT(*replaceAddress(bytes.bytes, 0x20001), HasSubstr("multiple of 16"));
  EXPECT_FALSE(replaceField(bytes.bytes, "rank", 0, 2));
  EXPECT_FALSE(replaceField(bytes.bytes, "global_dim", 1, 77));
  EXPECT_FALSE(replaceField(bytes.bytes, "global_stride", 0, 1024));
  EXPECT_FALSE(replaceField(bytes.bytes, "box_dim", 1, 16));
  EXPECT_FALSE(replaceField(bytes.bytes, "element_stride", 1, 2));
  EXPECT_FALSE(replaceField(bytes.bytes, "elemtype", 0, 6)); // f16
  EXPECT_FALSE(replaceField(bytes.bytes, "swizzle_mode", 0, 1));
  EXPECT_FALSE(replaceField(bytes.bytes, "fill_mode", 0, 1));
  TensorMap map = *TensorMap::unpack(bytes.bytes);
  EXPECT_EQ(map.address, 0x20000u);
  EXPECT_EQ(map.rank, 3u);
  EXPECT_EQ(map.dims[1], 77u);
  EXPECT_EQ(map.dims[2], 1u);
  EXPECT_EQ(map.strides[1], 1024u);
  EXPECT_EQ(map.box[1], 16u);
  EXPECT_EQ(map.elementStrides[1], 2u);
  EXPECT_EQ(map.type, TensorType::F16);
  EXPECT_EQ(map.span(), SwizzleSpan::B32);
  EXPECT_EQ(map.fill, 1u);
  EXPECT_THAT(*replaceField(bytes.bytes, "global_stride", 0, 1000), HasSubstr("multiple of 16"));
  EXPECT_THAT(*replaceField(bytes.bytes, "box_dim", 0, 300), HasSubstr("expected 1 to 256"));
  EXPECT_THAT(*replaceField(bytes.bytes, "box_dim", 5, 3), HasSubstr("dimension 5"));
}
