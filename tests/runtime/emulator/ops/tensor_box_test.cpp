// The rows of a tensor copy's box: clipping, element strides, pitches, im2col.
#include "ops/tensor_box.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

using namespace emulator;

namespace {

TensorMap matrix(uint64_t columns, uint64_t rows, uint32_t boxColumns, uint32_t boxRows) {
  TensorMap map;
  map.type = TensorType::U16;
  map.rank = 2;
  map.address = 1000;
  map.dims[0] = columns;
  map.dims[1] = rows;
  map.strides[1] = 256;
  map.box[0] = boxColumns;
  map.box[1] = boxRows;
  map.elementStrides[0] = map.elementStrides[1] = 1;
  return map;
}

std::vector<BoxRow> rowsOf(const TensorMap &map, std::vector<int32_t> coordinates, std::vector<int32_t> offsets = {}) {
  int32_t at[maxTensorRank] = {}, shift[3] = {};
  std::copy(coordinates.begin(), coordinates.end(), at);
  std::copy(offsets.begin(), offsets.end(), shift);
  std::vector<BoxRow> rows;
  forEachRow(map, at, shift, [&](const BoxRow &row) { rows.push_back(row); });
  return rows;
}

} // namespace

TEST(TensorBox, Inside) {
  std::vector<BoxRow> rows = rowsOf(matrix(100, 10, 16, 3), {8, 2});
  ASSERT_EQ(rows.size(), 3u);
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[i].offset, i * 32);
    EXPECT_EQ(rows[i].address, 1000 + 16 + (2 + i) * 256);
    EXPECT_EQ(rows[i].begin, 0u);
    EXPECT_EQ(rows[i].end, 32u);
  }
}

TEST(TensorBox, ClippedOnEverySide) {
  std::vector<BoxRow> left = rowsOf(matrix(100, 10, 16, 3), {-5, -1});
  EXPECT_EQ(left[0].begin, left[0].end);
  EXPECT_EQ(left[1].begin, 10u);
  EXPECT_EQ(left[1].end, 32u);
  EXPECT_EQ(left[1].address + left[1].begin, 1000u);
  std::vector<BoxRow> right = rowsOf(matrix(100, 10, 16, 3), {96, 8});
  EXPECT_EQ(right[0].begin, 0u);
  EXPECT_EQ(right[0].end, 8u);
  EXPECT_EQ(right[2].begin, right[2].end);
  std::vector<BoxRow> far = rowsOf(matrix(100, 10, 16, 3), {200, 0});
  EXPECT_EQ(far[0].begin, far[0].end);
}

TEST(TensorBox, ElementStrides) {
  TensorMap map = matrix(100, 10, 16, 5);
  map.elementStrides[1] = 2; // ceil(5 / 2) rows
  std::vector<BoxRow> rows = rowsOf(map, {0, 5});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].address, 1000u + 7 * 256);
  EXPECT_EQ(rows[1].offset, 32u);
  EXPECT_EQ(rows[2].address, 1000u + 9 * 256);
  EXPECT_EQ(map.boxBytes(), 3 * 32u);
}

TEST(TensorBox, SwizzledRowsTakeTheirSpan) {
  TensorMap map = matrix(100, 10, 16, 2);
  map.swizzle = 3;
  EXPECT_EQ(rowsOf(map, {0, 0})[1].offset, 128u);
  EXPECT_EQ(map.boxBytes(), 64u);
}

TEST(TensorBox, FiveDimensions) {
  TensorMap map;
  map.type = TensorType::U32;
  map.rank = 5;
  for (unsigned i = 0; i < 5; ++i) {
    map.dims[i] = 4;
    map.strides[i] = 16u << (2 * i) >> 2;
    map.box[i] = i == 0 ? 4 : 2;
    map.elementStrides[i] = 1;
  }
  std::vector<BoxRow> rows = rowsOf(map, {0, 1, 2, 3, 1});
  ASSERT_EQ(rows.size(), 16u);
  EXPECT_EQ(rows[0].address, 1 * 16 + 2 * 64 + 3 * 256 + 1 * 1024u);
  EXPECT_EQ(rows[1].address, rows[0].address + 16);
  EXPECT_EQ(rows[2].address, rows[0].address + 64);
  EXPECT_EQ(rows[3].address, rows[0].address + 64 + 16);
  EXPECT_EQ(rows[4].begin, rows[4].end) << "dimension 3 ends";
  EXPECT_EQ(rows[8].address, rows[0].address + 1024);
  EXPECT_GT(rows[8].end, rows[8].begin);
}

TEST(TensorBox, Im2colRunsThroughTheBoundingBox) {
  // NHWC 2 x 3 x 4 pixels of 8 channels; a 3 x 3 filter with padding 1: base pixels -1..W-2, -1..H-2.
  TensorMap map;
  map.type = TensorType::U16;
  map.rank = 4;
  map.im2col = true;
  map.dims[0] = 8, map.dims[1] = 4, map.dims[2] = 3, map.dims[3] = 2;
  map.strides[1] = 16, map.strides[2] = 64, map.strides[3] = 192;
  for (unsigned i = 0; i < 4; ++i) {
    map.elementStrides[i] = map.box[i] = 1;
  }
  map.lowerCorner[0] = map.lowerCorner[1] = map.upperCorner[0] = map.upperCorner[1] = -1;
  map.channelsPerPixel = 8;
  map.pixelsPerColumn = 14;
  // The filter's centre tap sees every pixel of the image in order, then the next image.
  std::vector<BoxRow> rows = rowsOf(map, {0, -1, -1, 0}, {1, 1});
  ASSERT_EQ(rows.size(), 14u);
  for (unsigned i = 0; i < 14; ++i) {
    EXPECT_EQ(rows[i].address, i * 16u) << i;
    EXPECT_EQ(rows[i].end, 16u) << i;
    EXPECT_EQ(rows[i].offset, i * 16u) << i;
  }
  // Its upper left tap sees padding in the first row and column.
  std::vector<BoxRow> corner = rowsOf(map, {0, -1, -1, 0}, {0, 0});
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_EQ(corner[i].begin, corner[i].end) << i;
  }
  EXPECT_EQ(corner[5].address, 0u);
  EXPECT_EQ(corner[5].end, 16u);
}

TEST(TensorBox, Fill) {
  TensorMap map = matrix(1, 1, 8, 1);
  uint16_t row[4] = {1, 2, 3, 4};
  fillOutOfBounds(map, reinterpret_cast<std::byte *>(row), 4);
  EXPECT_THAT(row, testing::ElementsAre(0, 0, 3, 4));
  map.type = TensorType::BF16;
  map.fill = 1;
  fillOutOfBounds(map, reinterpret_cast<std::byte *>(row), 6);
  EXPECT_THAT(row, testing::ElementsAre(0x7FFF, 0x7FFF, 0x7FFF, 4));
  float value = 1;
  map.type = TensorType::F32;
  fillOutOfBounds(map, reinterpret_cast<std::byte *>(&value), 4);
  EXPECT_NE(value, value);
}
