// A recipe may come out of a hostile artifact: every rule of checkRecipe, broken once.
#include "runtime/packing/recipe.h"
#include <functional>
#include <gtest/gtest.h>

using namespace elah;

namespace {

constexpr uint64_t huge = uint64_t(1) << 63;

Shards oneShard(uint64_t size) {
  Shards shards;
  shards.Add()->set_size(size);
  return shards;
}

proto::Source matrix(uint64_t rows, uint64_t columns, proto::ElementFormat format) {
  proto::Source source;
  source.set_format(format);
  source.add_shape(rows);
  source.add_shape(columns);
  return source;
}

/// A good recipe of each kind, on a shard of 64 KiB.
proto::Recipe good(proto::RecipeKind kind) {
  proto::Recipe recipe;
  recipe.set_kind(kind);
  *recipe.add_sources() = matrix(48, 32, proto::ELEMENT_FORMAT_BF16);
  if (kind == proto::RECIPE_KIND_SCALES) {
    recipe.mutable_sources(0)->set_format(proto::ELEMENT_FORMAT_F8E4M3);
    recipe.mutable_sources(0)->mutable_scales()->set_rows(16);
    recipe.mutable_sources(0)->mutable_scales()->set_columns(10);
  }
  if (kind == proto::RECIPE_KIND_COLUMN_SCALES) { // Rows of 2 blocks of 16, 20 bytes apart, with zero points.
    proto::Source *source = recipe.mutable_sources(0);
    source->set_format(proto::ELEMENT_FORMAT_U4);
    source->set_pitch(20);
    source->mutable_scales()->set_rows(1);
    source->mutable_scales()->set_columns(16);
    source->mutable_scales()->set_format(proto::ELEMENT_FORMAT_F16);
    source->mutable_zeros()->set_offset(32);
  }
  if (kind == proto::RECIPE_KIND_PANELS || kind == proto::RECIPE_KIND_HEAD_PANELS ||
      kind == proto::RECIPE_KIND_COLUMN_SCALES) {
    proto::Packing *packing = recipe.mutable_packing();
    packing->set_format(proto::ELEMENT_FORMAT_BF16);
    packing->set_n(48);
    packing->set_k(32);
    packing->set_panel(16);
    packing->set_step(2);
    packing->set_batch(1);
  }
  if (kind == proto::RECIPE_KIND_COLUMN_SCALES) {
    recipe.mutable_packing()->set_format(proto::ELEMENT_FORMAT_U4);
    recipe.mutable_packing()->set_block_k(16);
    recipe.mutable_packing()->set_zeros(true);
  }
  if (kind == proto::RECIPE_KIND_HEAD_PANELS) {
    recipe.mutable_packing()->set_n(8);
    recipe.mutable_packing()->set_batch(4);
    recipe.set_head_stride(12);
    recipe.set_head_first(4);
  }
  return recipe;
}

TEST(Recipe, GivesTheBytesThatItMakes) {
  const std::pair<proto::RecipeKind, uint64_t> sizes[] = {
      {proto::RECIPE_KIND_VECTOR, 48 * 32 * 4},          {proto::RECIPE_KIND_TABLE, 48 * 32 * 2},
      {proto::RECIPE_KIND_PANELS, 48 * 32 * 2},          {proto::RECIPE_KIND_SCALES, 3 * 4 * 4},
      {proto::RECIPE_KIND_HEAD_PANELS, 4 * 16 * 32 * 2}, {proto::RECIPE_KIND_COLUMN_SCALES, 48 * 2 * 2 * 4},
  };
  for (auto [kind, size] : sizes) {
    Result<uint64_t> bytes = checkRecipe(good(kind), oneShard(65'536));
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    EXPECT_EQ(*bytes, size);
  }
}

using Break = std::function<void(proto::Recipe &)>;

void expectRefused(proto::RecipeKind kind, const char *message, const Break &breakRule) {
  proto::Recipe recipe = good(kind);
  breakRule(recipe);
  Result<uint64_t> bytes = checkRecipe(recipe, oneShard(65'536));
  ASSERT_FALSE(bytes.ok()) << "expected: " << message;
  EXPECT_EQ(bytes.status().code(), ELAH_INVALID_DATA);
  EXPECT_NE(bytes.status().message().find(message), std::string::npos) << bytes.status().message();
}

TEST(Recipe, RefusesBrokenSources) {
  proto::RecipeKind kind = proto::RECIPE_KIND_TABLE;
  auto source = [](proto::Recipe &recipe) { return recipe.mutable_sources(0); };
  expectRefused(kind, "at least one source", [&](auto &r) { r.clear_sources(); });
  expectRefused(kind, "unknown element format 9",
                [&](auto &r) { source(r)->set_format(static_cast<proto::ElementFormat>(9)); });
  expectRefused(kind, "1 to 8 dimensions", [&](auto &r) { source(r)->clear_shape(); });
  expectRefused(kind, "none of which is 0", [&](auto &r) { source(r)->set_shape(1, 0); });
  expectRefused(kind, "1 to 8 dimensions", [&](auto &r) {
    for (int i = 0; i < 8; ++i) {
      source(r)->add_shape(1);
    }
  });
  expectRefused(kind, "in shard 1 of 1", [&](auto &r) { source(r)->set_shard(1); });
  expectRefused(kind, "3072 bytes at offset 62465 lies outside its shard of 65536 bytes",
                [&](auto &r) { source(r)->set_offset(65'536 - 3'072 + 1); });
  expectRefused(kind, "lies outside", [&](auto &r) { source(r)->set_offset(huge); });
  expectRefused(kind, "lies outside", [&](auto &r) { source(r)->set_offset(UINT64_MAX); });
  expectRefused(kind, "lies outside", [&](auto &r) { source(r)->set_shape(0, huge); });
  expectRefused(kind, "lies outside", [&](auto &r) {
    source(r)->set_shape(0, uint64_t(1) << 32);
    source(r)->set_shape(1, uint64_t(1) << 32); // the product is 2^64
  });
}

TEST(Recipe, RefusesBrokenTransposedSources) {
  auto transpose = [](proto::Recipe &r) { r.mutable_sources(0)->set_transposed(true); };
  EXPECT_TRUE(checkRecipe(
                  [&] {
                    proto::Recipe recipe = good(proto::RECIPE_KIND_PANELS);
                    transpose(recipe);
                    return recipe;
                  }(),
                  oneShard(65'536))
                  .ok());
  for (proto::RecipeKind kind : {proto::RECIPE_KIND_VECTOR, proto::RECIPE_KIND_TABLE}) {
    expectRefused(kind, "only panels and head panels have transposed sources", transpose);
  }
  expectRefused(proto::RECIPE_KIND_SCALES, "a transposed source is a matrix without block scales", transpose);
  expectRefused(proto::RECIPE_KIND_PANELS, "a transposed source is a matrix", [&](auto &r) {
    transpose(r);
    r.mutable_sources(0)->add_shape(1);
  });
}

TEST(Recipe, RefusesBrokenScales) {
  proto::RecipeKind kind = proto::RECIPE_KIND_SCALES;
  auto scales = [](proto::Recipe &recipe) { return recipe.mutable_sources(0)->mutable_scales(); };
  expectRefused(kind, "sources with scales", [&](auto &r) { r.mutable_sources(0)->clear_scales(); });
  expectRefused(kind, "at least one element", [&](auto &r) { scales(r)->set_rows(0); });
  expectRefused(kind, "at least one element", [&](auto &r) { scales(r)->set_columns(0); });
  expectRefused(kind, "at least one element", [&](auto &r) { scales(r)->set_columns(UINT64_MAX); });
  expectRefused(kind, "need a matrix", [&](auto &r) { r.mutable_sources(0)->add_shape(1); });
  expectRefused(kind, "in shard 7 of 1", [&](auto &r) { scales(r)->set_shard(7); });
  expectRefused(kind, "outside its shard", [&](auto &r) { scales(r)->set_offset(65'536 - 47); });
  expectRefused(proto::RECIPE_KIND_VECTOR, "have no scales", [&](auto &r) {
    scales(r)->set_rows(1);
    scales(r)->set_columns(1);
  });
}

TEST(Recipe, RefusesBrokenKinds) {
  expectRefused(proto::RECIPE_KIND_TABLE, "unknown kind of recipe 77",
                [](auto &r) { r.set_kind(static_cast<proto::RecipeKind>(77)); });
  expectRefused(proto::RECIPE_KIND_TABLE, "have a packing", [](auto &r) { r.mutable_packing(); });
  expectRefused(proto::RECIPE_KIND_PANELS, "have a packing", [](auto &r) { r.clear_packing(); });
  for (proto::RecipeKind kind : {proto::RECIPE_KIND_TABLE, proto::RECIPE_KIND_HEAD_PANELS}) {
    expectRefused(kind, "have one source, found 2", [](auto &r) { *r.add_sources() = r.sources(0); });
  }
}

TEST(Recipe, RefusesBrokenPackings) {
  proto::RecipeKind kind = proto::RECIPE_KIND_PANELS;
  auto packing = [](proto::Recipe &recipe) { return recipe.mutable_packing(); };
  for (uint64_t step : {uint64_t(0), uint64_t(3), uint64_t(4), huge}) {
    expectRefused(kind, "steps of 1, 2 or 4 bytes", [&](auto &r) { packing(r)->set_step(step); });
  }
  expectRefused(kind, "steps of 1, 2 or 4 bytes",
                [&](auto &r) { packing(r)->set_format(static_cast<proto::ElementFormat>(9)); });
  for (uint64_t size : {uint64_t(0), huge}) {
    expectRefused(kind, "out of range", [&](auto &r) { packing(r)->set_n(size); });
    expectRefused(kind, "out of range", [&](auto &r) { packing(r)->set_k(size); });
    expectRefused(kind, "out of range", [&](auto &r) { packing(r)->set_panel(size); });
    expectRefused(kind, "out of range", [&](auto &r) { packing(r)->set_batch(size); });
  }
  expectRefused(kind, "x 32 elements is out of range",
                [&](auto &r) { packing(r)->set_panel(uint64_t(1) << 32); }); // a panel in memory
  expectRefused(kind, "out of range", [&](auto &r) {
    packing(r)->set_n(uint64_t(1) << 32);
    packing(r)->set_batch(1u << 20);
  });
  expectRefused(kind, "even", [&](auto &r) {
    packing(r)->set_swiglu(true);
    packing(r)->set_n(47);
  });
  expectRefused(kind, "even", [&](auto &r) {
    packing(r)->set_swiglu(true);
    packing(r)->set_panel(15);
  });
}

TEST(Recipe, RefusesSourcesThatDoNotMakeTheirPanels) {
  proto::RecipeKind kind = proto::RECIPE_KIND_PANELS;
  auto packing = [](proto::Recipe &recipe) { return recipe.mutable_packing(); };
  expectRefused(kind, "panels of 2 matrices cannot be made of 1 sources", [&](auto &r) { packing(r)->set_batch(2); });
  expectRefused(kind, "panels of 2 matrices cannot be made of 1 sources",
                [&](auto &r) { packing(r)->set_swiglu(true); });
  expectRefused(kind, "32 wide", [&](auto &r) { r.mutable_sources(0)->set_shape(1, 31); });
  expectRefused(kind, "32 wide", [&](auto &r) { r.mutable_sources(0)->add_shape(1); });
  expectRefused(kind, "of f8 elements or integers if the panels are of these",
                [&](auto &r) { packing(r)->set_format(proto::ELEMENT_FORMAT_F8E4M3); });
  expectRefused(kind, "needs 48 rows, its sources have 47", [&](auto &r) { r.mutable_sources(0)->set_shape(0, 47); });
  // 96 rows in all, but not 48 in each matrix.
  expectRefused(kind, "needs 48 rows, its sources have 40", [&](auto &r) {
    packing(r)->set_batch(2);
    *r.add_sources() = r.sources(0);
    r.mutable_sources(0)->set_shape(0, 40);
    r.mutable_sources(1)->set_shape(0, 56);
  });
}

TEST(Recipe, RefusesBrokenColumnScales) {
  proto::RecipeKind kind = proto::RECIPE_KIND_COLUMN_SCALES;
  auto source = [](proto::Recipe &recipe) { return recipe.mutable_sources(0); };
  const char *scales = "one for each row and 16 columns", *outside = "lies outside its shard";
  expectRefused(kind, scales, [&](auto &r) { source(r)->mutable_scales()->set_rows(2); });
  expectRefused(kind, scales, [&](auto &r) { source(r)->mutable_scales()->set_columns(8); });
  expectRefused(kind, "rows of zero points begin with a byte",
                [&](auto &r) { source(r)->mutable_scales()->set_columns(32); });
  expectRefused(kind, scales, [&](auto &r) { source(r)->clear_zeros(); });
  expectRefused(kind, "scales of columns need", [&](auto &r) { r.mutable_packing()->set_block_k(0); });
  expectRefused(kind, "block scales are f32, bf16 or f16",
                [&](auto &r) { source(r)->mutable_scales()->set_format(proto::ELEMENT_FORMAT_U8); });
  expectRefused(kind, "with block scales", [&](auto &r) { source(r)->clear_scales(); });
  expectRefused(kind, "with block scales", [&](auto &r) {
    source(r)->set_pitch(0);
    source(r)->set_shape(1, 31);
  });
  expectRefused(kind, "is at least the bytes of a row", [&](auto &r) { source(r)->set_pitch(15); });
  expectRefused(kind, "is less than a row's 4", [&](auto &r) { source(r)->mutable_scales()->set_pitch(3); });
  expectRefused(kind, outside, [&](auto &r) { source(r)->set_pitch(huge); });
  expectRefused(kind, outside, [&](auto &r) { source(r)->mutable_scales()->set_offset(65536 - 191); });
  expectRefused(kind, outside, [&](auto &r) { source(r)->mutable_zeros()->set_offset(65536 - 47); });
  expectRefused(kind, outside, [&](auto &r) { source(r)->mutable_zeros()->set_pitch(huge); });
  expectRefused(kind, "only integers have zero points", [&](auto &r) {
    source(r)->set_format(proto::ELEMENT_FORMAT_F8E4M3);
    source(r)->set_pitch(32);
  });
  expectRefused(kind, "steps of 2 elements and a multiple of 4 columns",
                [&](auto &r) { r.mutable_packing()->set_panel(6); });
  expectRefused(proto::RECIPE_KIND_VECTOR, "one after the other", [&](auto &r) { source(r)->set_pitch(100); });
}

TEST(Recipe, RefusesBrokenHeadPanels) {
  proto::RecipeKind kind = proto::RECIPE_KIND_HEAD_PANELS;
  auto packing = [](proto::Recipe &recipe) { return recipe.mutable_packing(); };
  const char *rows = "has the rows of all heads";
  expectRefused(kind, rows, [&](auto &r) { r.set_head_first(5); });
  expectRefused(kind, rows, [&](auto &r) { r.set_head_first(huge); });
  expectRefused(kind, rows, [&](auto &r) { r.set_head_first(UINT64_MAX); });
  expectRefused(kind, rows, [&](auto &r) { r.set_head_stride(13); });
  expectRefused(kind, rows, [&](auto &r) { r.set_head_stride(huge); });
  expectRefused(kind, rows, [&](auto &r) { packing(r)->set_batch(5); });
  expectRefused(kind, rows, [&](auto &r) { r.set_transposed(true); });
  expectRefused(kind, rows, [&](auto &r) { r.mutable_sources(0)->set_shape(0, 47); });
  expectRefused(kind, rows, [&](auto &r) { r.mutable_sources(0)->add_shape(1); });
  expectRefused(kind, "without gate", [&](auto &r) { packing(r)->set_swiglu(true); });
  expectRefused(kind, "f32, bf16 or f16", [&](auto &r) {
    packing(r)->set_format(proto::ELEMENT_FORMAT_F8E4M3);
    r.mutable_sources(0)->set_format(proto::ELEMENT_FORMAT_F8E4M3);
  });
}

} // namespace
