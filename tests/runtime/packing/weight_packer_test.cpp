// Every kind of recipe against the description of #kernel.packing read literally: one output element
// after the other, each looked up in the sources.
#include "runtime/packing/element_format.h"
#include "runtime/packing/recipe.h"
#include "runtime/packing/weight_packer.h"
#include "shard_folder.h"
#include <cstring>
#include <gtest/gtest.h>

using namespace elah;

namespace {

constexpr proto::ElementFormat F32 = proto::ELEMENT_FORMAT_F32, BF16 = proto::ELEMENT_FORMAT_BF16,
                               F16 = proto::ELEMENT_FORMAT_F16, F8 = proto::ELEMENT_FORMAT_F8E4M3,
                               U4 = proto::ELEMENT_FORMAT_U4, U8 = proto::ELEMENT_FORMAT_U8;

using Bytes = std::vector<uint8_t>;

proto::Source asTransposed(proto::Source source) {
  source.set_transposed(true);
  return source;
}

class WeightPackerTest : public testing::Test {
protected:
  /// An integer of a row that begins at that place.
  unsigned integer(proto::ElementFormat format, uint32_t shard, uint64_t rowOffset, uint64_t index) const {
    return format == U8 ? *folder.bytes(shard, rowOffset + index)
                        : *folder.bytes(shard, rowOffset + index / 2) >> (index % 2 * 4) & 15;
  }
  unsigned integer(const proto::Source &source, uint64_t row, uint64_t column) const {
    return integer(source.format(), source.shard(), source.offset() + row * source.pitch(), column);
  }
  /// Of the block that element (row, column) is in; what it counts from.
  float scaleOf(const proto::Source &source, uint64_t row, uint64_t column) const {
    const proto::BlockScales &scales = source.scales();
    uint64_t bytes = bytesOf(scales.format(), 1);
    float scale;
    widen(scales.format(),
          folder.bytes(scales.shard(), scales.offset() + row * scales.pitch() + column / scales.columns() * bytes),
          {&scale, 1});
    return scale;
  }
  float zeroOf(const proto::Source &source, uint64_t row, uint64_t column) const {
    if (!source.has_zeros()) {
      return source.format() == U4 ? 8 : 128;
    }
    uint64_t first = source.zeros().offset() + row * source.zeros().pitch();
    return static_cast<float>(
        integer(source.format(), source.zeros().shard(), first, column / source.scales().columns()));
  }

  float value(const proto::Source &source, uint64_t index) const {
    float result;
    if (isInteger(source.format())) {
      uint64_t row = index / source.shape(1), column = index % source.shape(1);
      float number = static_cast<float>(integer(source, row, column));
      return (number - zeroOf(source, row, column)) * scaleOf(source, row, column);
    }
    widen(source.format(), folder.bytes(source.shard(), source.offset() + index * bytesOf(source.format(), 1)),
          {&result, 1});
    if (source.has_scales()) {
      uint64_t row = index / source.shape(1), column = index % source.shape(1);
      uint64_t perRow = (source.shape(1) + source.scales().columns() - 1) / source.scales().columns();
      uint64_t block = row / source.scales().rows() * perRow + column / source.scales().columns();
      float scale;
      std::memcpy(&scale, folder.bytes(source.scales().shard(), source.scales().offset() + 4 * block), 4);
      result *= scale;
    }
    return result;
  }

  /// The element (row, column) of a source in the packing's format.
  Bytes element(const proto::Source &source, uint64_t row, uint64_t column, proto::ElementFormat format) const {
    uint64_t index = source.transposed() ? column * source.shape(0) + row : row * source.shape(1) + column;
    Bytes bytes(bytesOf(format, 1));
    if (source.format() == format) {
      std::memcpy(bytes.data(), folder.bytes(source.shard(), source.offset() + index * bytes.size()), bytes.size());
    } else {
      float wide = value(source, index);
      narrow(format, {&wide, 1}, bytes.data());
    }
    return bytes;
  }

  /// The element of matrix `batch` of the result for output column `n` and input `k`.
  Bytes panelElement(const proto::Recipe &recipe, uint64_t batch, uint64_t n, uint64_t k) const {
    const proto::Packing &packing = recipe.packing();
    if (recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS) {
      uint64_t first = batch * recipe.head_stride() + recipe.head_first();
      return recipe.transposed() ? element(recipe.sources(0), first + k, n, packing.format())
                                 : element(recipe.sources(0), first + n, k, packing.format());
    }
    int perBatch = static_cast<int>(recipe.sources_size() / packing.batch());
    for (int i = static_cast<int>(batch) * perBatch;; ++i) {
      uint64_t height = recipe.sources(i).shape(0);
      if (n < height) {
        return element(recipe.sources(i), n, k, packing.format());
      }
      n -= height;
    }
  }

  Bytes expectedPanels(const proto::Recipe &recipe) const {
    const proto::Packing &packing = recipe.packing();
    uint64_t size = bytesOf(packing.format(), 1);
    uint64_t halves = packing.swiglu() && packing.panel() > 1 ? 2 : 1;
    uint64_t columns = packing.n() / halves, width = packing.panel() / halves;
    Bytes bytes;
    for (uint64_t batch = 0; batch < packing.batch(); ++batch) {
      for (uint64_t panel = 0; panel * width < columns; ++panel) {
        for (uint64_t step = 0; step * packing.step() < packing.k(); ++step) {
          for (uint64_t column = 0; column < packing.panel(); ++column) {
            uint64_t n = panel * width + column % width;
            bool isPadding = n >= columns;
            n += column / width * columns; // the up projection's rows follow the gate's
            for (uint64_t i = 0; i < packing.step(); ++i) {
              uint64_t k = step * packing.step() + i;
              Bytes one = isPadding || k >= packing.k() ? Bytes(size) : panelElement(recipe, batch, n, k);
              bytes.insert(bytes.end(), one.begin(), one.end());
            }
          }
        }
      }
      if (packing.panel() > 1) {
        bytes.resize((bytes.size() + 63) / 64 * 64);
      }
    }
    return bytes;
  }

  /// Of column `n` of the result in matrix `batch`: the source and the row of it.
  std::pair<const proto::Source *, uint64_t> rowOf(const proto::Recipe &recipe, uint64_t batch, uint64_t n) const {
    int i = static_cast<int>(batch * (static_cast<uint64_t>(recipe.sources_size()) / recipe.packing().batch()));
    for (; n >= recipe.sources(i).shape(0); ++i) {
      n -= recipe.sources(i).shape(0);
    }
    return {&recipe.sources(i), n};
  }

  /// Panels of u4 and scales of columns, whose places follow from a column's index in its panel.
  void expectIntegerPanels(const proto::Recipe &recipe, const Bytes &packed) const {
    const proto::Packing &packing = recipe.packing();
    uint64_t halves = packing.swiglu() && packing.panel() > 1 ? 2 : 1, panel = packing.panel(), width = panel / halves;
    uint64_t columns = packing.n() / halves, panels = (columns + width - 1) / width;
    uint64_t blocks = (packing.k() + packing.block_k() - 1) / packing.block_k(), parts = packing.zeros() ? 2 : 1;
    uint64_t steps = (packing.k() + packing.step() - 1) / packing.step();
    uint64_t panelBytes = steps * packing.step() * panel / 2, matrixBytes = (panels * panelBytes + 63) / 64 * 64;
    for (uint64_t batch = 0; batch < packing.batch(); ++batch) {
      for (uint64_t half = 0; half < halves; ++half) {
        for (uint64_t column = 0; column < columns; ++column) {
          auto [source, row] = rowOf(recipe, batch, half * columns + column);
          uint64_t index = half * width + column % width;
          for (uint64_t k = 0; k < packing.k(); ++k) {
            if (recipe.kind() == proto::RECIPE_KIND_COLUMN_SCALES) {
              uint64_t first = ((batch * panels + column / width) * blocks + k / packing.block_k()) * panel * parts;
              float found[2];
              std::memcpy(&found[0], &packed[(first + index) * 4], 4);
              std::memcpy(&found[1], &packed[(first + (parts - 1) * panel + index) * 4], 4);
              ASSERT_EQ(found[0], scaleOf(*source, row, k)) << "column " << column << ", k " << k;
              ASSERT_TRUE(parts == 1 || found[1] == zeroOf(*source, row, k)) << "column " << column << ", k " << k;
              continue;
            }
            uint64_t word =
                batch * matrixBytes + column / width * panelBytes + (k / 2 * (panel / 4) + index % (panel / 4)) * 4;
            uint32_t bits;
            std::memcpy(&bits, &packed[word], 4);
            unsigned found = bits >> (k % 2 * 16 + index / (panel / 4) * 4) & 15;
            ASSERT_EQ(found, integer(*source, row, k)) << "column " << column << ", k " << k;
          }
        }
      }
    }
  }

  Bytes expected(const proto::Recipe &recipe) const {
    Bytes bytes;
    for (const proto::Source &source : recipe.sources()) {
      uint64_t count = 1;
      for (uint64_t size : source.shape()) {
        count *= size;
      }
      if (recipe.kind() == proto::RECIPE_KIND_TABLE) {
        const uint8_t *begin = folder.bytes(source.shard(), source.offset());
        return Bytes(begin, begin + count * bytesOf(source.format(), 1));
      }
      if (recipe.kind() == proto::RECIPE_KIND_SCALES) {
        const uint8_t *begin = folder.bytes(source.scales().shard(), source.scales().offset());
        uint64_t blocks = (source.shape(0) + source.scales().rows() - 1) / source.scales().rows() *
                          ((source.shape(1) + source.scales().columns() - 1) / source.scales().columns());
        bytes.insert(bytes.end(), begin, begin + 4 * blocks);
      } else if (recipe.kind() == proto::RECIPE_KIND_VECTOR) {
        for (uint64_t i = 0; i < count; ++i) {
          float wide = value(source, i);
          bytes.insert(bytes.end(), reinterpret_cast<uint8_t *>(&wide), reinterpret_cast<uint8_t *>(&wide) + 4);
        }
      } else {
        return expectedPanels(recipe);
      }
    }
    return bytes;
  }

  void expectPacks(const proto::Recipe &recipe) {
    SCOPED_TRACE(describe(recipe));
    folder.write();
    ShardFiles files(folder.path.string());
    Shards shards;
    for (uint32_t i = 0; i < 2; ++i) {
      Result<proto::Shard> shard = files.open(ShardFolder::nameOf(i));
      ASSERT_TRUE(shard.ok()) << shard.status().message();
      *shards.Add() = *shard;
    }
    Result<uint64_t> size = checkRecipe(recipe, shards);
    ASSERT_TRUE(size.ok()) << size.status().message();
    bool isU4 = recipe.packing().format() == U4 && recipe.packing().panel() > 1;
    bool isPlaced = recipe.kind() == proto::RECIPE_KIND_COLUMN_SCALES || isU4;
    Bytes wanted = isPlaced ? Bytes(*size) : expected(recipe);
    ASSERT_EQ(*size, wanted.size());

    WeightPacker packer(recipe, files);
    Bytes packed(*size);
    uint64_t end = 0;
    for (const WeightPacker::Piece &piece : packer.pieces()) {
      ASSERT_GE(piece.offset, end);
      ASSERT_GT(piece.size, 0u);
      end = piece.offset + piece.size;
      ASSERT_LE(end, packed.size());
      std::span<uint8_t> output(&packed[piece.offset], piece.size);
      std::fill(output.begin(), output.end(), uint8_t(0xaa)); // a piece writes all of itself
      Status status = packer.pack(piece, output);
      ASSERT_TRUE(status.ok()) << status.message();
    }
    pieces = packer.pieces().size();
    if (isPlaced) {
      expectIntegerPanels(recipe, packed);
      return;
    }
    ASSERT_TRUE(packed == wanted) << "first difference at byte "
                                  << std::mismatch(packed.begin(), packed.end(), wanted.begin()).first - packed.begin();
  }

  static std::string describe(const proto::Recipe &recipe) {
    const proto::Packing &packing = recipe.packing();
    return "format " + std::to_string(packing.format()) + " n " + std::to_string(packing.n()) + " k " +
           std::to_string(packing.k()) + " panel " + std::to_string(packing.panel()) + " step " +
           std::to_string(packing.step()) + " batch " + std::to_string(packing.batch()) +
           (packing.swiglu() ? " swiglu" : "") + " from format " + std::to_string(recipe.sources(0).format());
  }

  static proto::Recipe makeRecipe(proto::RecipeKind kind, std::vector<proto::Source> sources) {
    proto::Recipe recipe;
    recipe.set_kind(kind);
    for (proto::Source &source : sources) {
      *recipe.add_sources() = std::move(source);
    }
    return recipe;
  }

  static void setPacking(proto::Recipe &recipe, proto::ElementFormat format, uint64_t n, uint64_t k, uint64_t panel,
                         uint64_t step, uint64_t batch = 1, bool swiglu = false) {
    proto::Packing *packing = recipe.mutable_packing();
    packing->set_format(format);
    packing->set_n(n);
    packing->set_k(k);
    packing->set_panel(panel);
    packing->set_step(step);
    packing->set_batch(batch);
    packing->set_swiglu(swiglu);
  }

  ShardFolder folder;
  size_t pieces = 0;
};

TEST_F(WeightPackerTest, VectorsOfEveryFormat) {
  for (proto::ElementFormat format : {F32, BF16, F16, F8}) {
    expectPacks(makeRecipe(proto::RECIPE_KIND_VECTOR, {folder.addTensor(format, {37})}));
  }
  expectPacks(makeRecipe(proto::RECIPE_KIND_VECTOR, {folder.addTensor(BF16, {5}), folder.addTensor(F32, {2, 3}),
                                                     folder.addTensor(F16, {1}), folder.addTensor(BF16, {64})}));
}

TEST_F(WeightPackerTest, LargeVectorsComeInPieces) {
  expectPacks(
      makeRecipe(proto::RECIPE_KIND_VECTOR, {folder.addTensor(BF16, {1'300'001}), folder.addTensor(F32, {1'048'577})}));
  EXPECT_EQ(pieces, 4u);
}

TEST_F(WeightPackerTest, Tables) {
  for (proto::ElementFormat format : {F32, BF16, F16}) {
    expectPacks(makeRecipe(proto::RECIPE_KIND_TABLE, {folder.addTensor(format, {33, 7})}));
  }
  expectPacks(makeRecipe(proto::RECIPE_KIND_TABLE, {folder.addTensor(BF16, {2'100, 1'001})}));
  EXPECT_EQ(pieces, 2u);
}

TEST_F(WeightPackerTest, ScalesWithPartialBlocks) {
  expectPacks(makeRecipe(proto::RECIPE_KIND_SCALES, {folder.addScaled(130, 300, 128, 128), folder.addScaled(1, 1, 4, 4),
                                                     folder.addScaled(128, 128, 128, 128)}));
}

TEST_F(WeightPackerTest, PanelsOfEveryFormatAndStepOverRaggedShapes) {
  struct Case {
    proto::ElementFormat format;
    uint64_t step;
  };
  for (auto [format, step] : {Case{F32, 1}, {BF16, 1}, {BF16, 2}, {F16, 1}, {F16, 2}, {F8, 1}, {F8, 2}, {F8, 4}}) {
    for (auto [n, k] : {std::pair<uint64_t, uint64_t>{1, 1}, {16, 32}, {17, 33}, {15, 67}, {64, 2}, {40, 129}}) {
      for (uint64_t panel : {1, 16, 48}) {
        proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, {folder.addTensor(format, {n, k})});
        setPacking(recipe, format, n, k, panel, step);
        expectPacks(recipe);
      }
    }
  }
}

TEST_F(WeightPackerTest, RowsPaddedToSixteenBytes) {
  for (auto [format, step] : {std::pair<proto::ElementFormat, uint64_t>{BF16, 8}, {F8, 16}}) {
    for (auto [n, k] : {std::pair<uint64_t, uint64_t>{2, 1}, {6, 32}, {34, 33}}) {
      // Gate and up projection of two experts, one row after the other.
      proto::Recipe recipe =
          makeRecipe(proto::RECIPE_KIND_PANELS, {folder.addTensor(format, {n, k}), folder.addTensor(format, {n, k}),
                                                 folder.addTensor(format, {n, k}), folder.addTensor(format, {n, k})});
      setPacking(recipe, format, 2 * n, k, 1, step);
      recipe.mutable_packing()->set_batch(2);
      recipe.mutable_packing()->set_swiglu(true);
      expectPacks(recipe);
    }
  }
}

TEST_F(WeightPackerTest, PanelsConvertTheirSources) {
  for (proto::ElementFormat target : {F32, BF16, F16}) {
    for (proto::ElementFormat stored : {F32, BF16, F16, F8}) {
      proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, {folder.addTensor(stored, {35, 19})});
      setPacking(recipe, target, 35, 19, 16, target == F32 ? 1 : 2);
      expectPacks(recipe);
    }
  }
}

TEST_F(WeightPackerTest, PanelsAreDequantizedByBlocks) {
  for (proto::ElementFormat target : {F32, BF16, F16}) {
    for (auto [rows, columns] : {std::pair<uint64_t, uint64_t>{7, 5}, {3, 16}, {128, 1}, {64, 64}}) {
      proto::Recipe recipe = makeRecipe(
          proto::RECIPE_KIND_PANELS, {folder.addScaled(70, 43, rows, columns), folder.addScaled(9, 43, rows, columns)});
      setPacking(recipe, target, 79, 43, 32, target == F32 ? 1 : 2);
      expectPacks(recipe);
    }
  }
}

TEST_F(WeightPackerTest, IntegersWithScalesAndZeroPointsOfTheirColumns) {
  for (proto::ElementFormat format : {U4, U8}) {
    for (bool hasZeros : {false, true}) {
      for (bool swiglu : {false, true}) {
        // Rows of whole blocks, or every other one of twice as many.
        for (uint64_t pitch : {format == U4 ? 40 : 80, 160}) {
          std::vector<proto::Source> sources;
          for (int i = 0; i < 4; ++i) {
            sources.push_back(folder.addIntegers(format, 30, 69, 16, pitch, i < 2 ? F32 : BF16, hasZeros));
          }
          proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, sources);
          setPacking(recipe, format, 60, 69, 16, 2, 2, swiglu);
          if (format == U4) {
            recipe.mutable_packing()->set_block_k(16);
            expectPacks(recipe);
          }
          recipe.set_kind(proto::RECIPE_KIND_COLUMN_SCALES);
          recipe.mutable_packing()->set_block_k(16);
          recipe.mutable_packing()->set_zeros(hasZeros);
          expectPacks(recipe);
          // Converted: less their zero point, scaled and rounded.
          recipe.set_kind(proto::RECIPE_KIND_PANELS);
          setPacking(recipe, BF16, 60, 69, 16, 2, 2, swiglu);
          expectPacks(recipe);
        }
      }
    }
  }
}

TEST_F(WeightPackerTest, StackedSourcesOfUnevenHeights) {
  proto::Recipe recipe =
      makeRecipe(proto::RECIPE_KIND_PANELS, {folder.addTensor(BF16, {3, 20}), folder.addTensor(F32, {50, 20}),
                                             folder.addTensor(BF16, {1, 20}), folder.addTensor(F16, {16, 20})});
  setPacking(recipe, BF16, 70, 20, 16, 2);
  expectPacks(recipe);
}

TEST_F(WeightPackerTest, BatchesOfStackedSources) {
  std::vector<proto::Source> sources;
  for (int batch = 0; batch < 3; ++batch) {
    sources.push_back(folder.addTensor(F8, {10, 21}));
    sources.push_back(folder.addTensor(F8, {13, 21}));
  }
  proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, sources);
  setPacking(recipe, F8, 23, 21, 16, 4, 3);
  expectPacks(recipe);
}

TEST_F(WeightPackerTest, GateAndUpProjectionShareAPanel) {
  for (uint64_t batch : {1, 4}) {
    for (uint64_t half : {1, 16, 19, 33}) {
      std::vector<proto::Source> sources;
      for (uint64_t i = 0; i < batch; ++i) {
        sources.push_back(folder.addScaled(half, 27, 16, 16));
        sources.push_back(folder.addScaled(half, 27, 16, 16));
      }
      proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, sources);
      setPacking(recipe, BF16, 2 * half, 27, 32, 2, batch, true);
      expectPacks(recipe);
      setPacking(recipe, F8, 2 * half, 27, 32, 4, batch, true);
      expectPacks(recipe);
    }
  }
}

TEST_F(WeightPackerTest, TransposedSourcesAreReadTheOtherWay) {
  for (proto::ElementFormat target : {F32, BF16, F16}) {
    for (proto::ElementFormat stored : {F32, BF16, F16, F8}) {
      for (auto [n, k] : {std::pair<uint64_t, uint64_t>{1, 1}, {35, 19}, {16, 64}, {70, 33}}) {
        proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, {asTransposed(folder.addTensor(stored, {n, k})),
                                                                      folder.addTensor(stored, {5, k}),
                                                                      asTransposed(folder.addTensor(stored, {3, k}))});
        setPacking(recipe, target, n + 8, k, 16, target == F32 ? 1 : 2);
        expectPacks(recipe);
      }
    }
  }
}

TEST_F(WeightPackerTest, TransposedGateAndUpProjectionsOfABatch) {
  std::vector<proto::Source> sources;
  for (int i = 0; i < 6; ++i) {
    sources.push_back(asTransposed(folder.addTensor(BF16, {19, 27})));
  }
  proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, sources);
  setPacking(recipe, BF16, 38, 27, 32, 2, 3, true);
  expectPacks(recipe);
}

TEST_F(WeightPackerTest, LargeTransposedPanelsComeInPieces) {
  proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS, {asTransposed(folder.addTensor(F32, {1'495, 1'025})),
                                                                asTransposed(folder.addTensor(F32, {1'495, 1'025}))});
  setPacking(recipe, F32, 1'495, 1'025, 64, 1, 2);
  expectPacks(recipe);
  EXPECT_EQ(pieces, 4u);
}

TEST_F(WeightPackerTest, LargePanelsComeInPieces) {
  proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_PANELS,
                                    {folder.addTensor(BF16, {1'494, 1'025}), folder.addTensor(BF16, {1, 1'025}),
                                     folder.addTensor(BF16, {1'490, 1'025}), folder.addTensor(BF16, {5, 1'025})});
  setPacking(recipe, BF16, 1'495, 1'025, 64, 2, 2);
  expectPacks(recipe);
  EXPECT_EQ(pieces, 2u);
  setPacking(recipe, F32, 1'495, 1'025, 64, 1, 2);
  expectPacks(recipe);
  EXPECT_EQ(pieces, 4u);
}

TEST_F(WeightPackerTest, HeadPanelsInBothOrientations) {
  for (proto::ElementFormat target : {F32, BF16, F16}) {
    for (bool transposed : {false, true}) {
      for (auto [n, k] : {std::pair<uint64_t, uint64_t>{12, 20}, {17, 9}, {1, 1}, {32, 33}}) {
        constexpr uint64_t heads = 3;
        uint64_t height = transposed ? k : n, width = transposed ? n : k;
        uint64_t stride = height + 5, first = 4;
        for (const proto::Source &source :
             {folder.addTensor(BF16, {heads * stride, width}), folder.addTensor(F32, {heads * stride, width}),
              asTransposed(folder.addTensor(F32, {heads * stride, width})),
              folder.addScaled(heads * stride, width, 7, 6)}) {
          proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_HEAD_PANELS, {source});
          setPacking(recipe, target, n, k, 16, target == F32 ? 1 : 2, heads);
          recipe.set_head_stride(stride);
          recipe.set_head_first(first);
          recipe.set_transposed(transposed);
          expectPacks(recipe);
        }
      }
    }
  }
}

TEST_F(WeightPackerTest, AShardThatShrinksIsAnError) {
  proto::Recipe recipe = makeRecipe(proto::RECIPE_KIND_TABLE, {folder.addTensor(BF16, {64, 64})});
  folder.write();
  ShardFiles files(folder.path.string());
  ASSERT_TRUE(files.open(ShardFolder::nameOf(0)).ok());
  std::filesystem::resize_file(folder.path / ShardFolder::nameOf(0), 1'062);
  WeightPacker packer(recipe, files);
  Bytes output(packer.pieces()[0].size);
  Status status = packer.pack(packer.pieces()[0], output);
  EXPECT_EQ(status.code(), ELAH_INVALID_DATA);
  EXPECT_EQ(status.message(), folder.path.string() + "/model-0.safetensors: expected 8192 bytes at offset 62, found "
                                                     "the end of the file at 1062");
}

} // namespace
