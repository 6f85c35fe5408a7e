// Recipes from outside: whatever passes the checks is packed, and must read and write within bounds. Numbers are drawn
// so that most fit each other: bytes of a serialized manifest would seldom get past the first check.
#include "packing/recipe.h"
#include "packing/weight_packer.h"
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

using namespace elah;

namespace {

constexpr uint64_t shardSize = 1 << 16;

/// A shard without a name in any folder: the input itself is all that a run leaves behind.
std::string shardName() {
  int descriptor = ::memfd_create("shard", 0);
  std::string bytes(shardSize, '\0');
  for (uint64_t i = 0; i < shardSize; ++i) {
    bytes[i] = static_cast<char>(i * 7 + i / 251);
  }
  uint64_t length = 56;
  std::memcpy(bytes.data(), &length, sizeof(length));
  if (descriptor < 0 || ::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  return std::to_string(descriptor);
}

class Input {
public:
  Input(const uint8_t *data, size_t size) : data(data), size(size) {}

  uint8_t byte() {
    if (size == 0) {
      return 0;
    }
    --size;
    return *data++;
  }
  /// Mostly small numbers, some of a few hundred, some that overflow what they are multiplied with.
  uint64_t number() {
    uint8_t kind = byte();
    switch (kind) {
    case 255:
      return uint64_t(1) << byte() % 64;
    case 254:
      return UINT64_MAX - byte();
    case 253:
      return byte() * 256u + byte();
    default:
      return kind % 48;
    }
  }

private:
  const uint8_t *data;
  size_t size;
};

proto::Recipe readRecipe(Input &input) {
  proto::Recipe recipe;
  recipe.set_kind(static_cast<proto::RecipeKind>(input.byte() % 7));
  uint64_t rows = input.number(), columns = input.number(), step = input.byte() % 5, batch = 1 + input.byte() % 3;
  bool swiglu = input.byte() % 4 == 0;
  if (input.byte() % 8 != 0 &&
      (recipe.kind() == proto::RECIPE_KIND_PANELS || recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS ||
       recipe.kind() == proto::RECIPE_KIND_COLUMN_SCALES)) {
    proto::Packing *packing = recipe.mutable_packing();
    packing->set_format(static_cast<proto::ElementFormat>(input.byte() % 7));
    packing->set_n(input.byte() % 4 ? rows * (swiglu ? 2 : 1) : input.number());
    packing->set_k(input.byte() % 4 ? columns : input.number());
    packing->set_panel(input.number());
    packing->set_step(step);
    packing->set_batch(input.byte() % 16 ? batch : input.number());
    packing->set_swiglu(swiglu);
    packing->set_block_k(input.byte() % 2 ? 0 : input.number());
    packing->set_zeros(input.byte() % 4 == 0);
  }
  recipe.set_head_first(input.number());
  recipe.set_head_stride(input.number());
  recipe.set_transposed(input.byte() % 2);
  for (uint64_t i = 0, count = input.byte() % 4 ? batch * (swiglu ? 2 : 1) : input.byte() % 8; i < count; ++i) {
    proto::Source *source = recipe.add_sources();
    source->set_shard(input.byte() % 32 == 0);
    source->set_offset(input.byte() % 4 ? 64 : input.number());
    source->set_format(static_cast<proto::ElementFormat>(input.byte() % 7));
    source->add_shape(input.byte() % 4 ? rows : input.number());
    if (input.byte() % 16) {
      source->add_shape(input.byte() % 4 ? columns : input.number());
    }
    if (input.byte() % 2) {
      source->mutable_scales()->set_offset(input.number());
      source->mutable_scales()->set_rows(input.number());
      source->mutable_scales()->set_columns(input.number());
    }
    if (input.byte() % 4 == 0) {
      source->set_pitch(input.number());
      source->mutable_scales()->set_pitch(input.number());
      source->mutable_scales()->set_format(static_cast<proto::ElementFormat>(input.byte() % 7));
    }
    if (input.byte() % 4 == 0) {
      source->mutable_zeros()->set_offset(input.number());
      source->mutable_zeros()->set_pitch(input.number());
    }
  }
  return recipe;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string name = shardName();
  static ShardFiles files("/proc/self/fd");
  static const proto::Shard shard = [] {
    Result<proto::Shard> opened = files.open(name);
    if (!opened.ok()) {
      std::abort();
    }
    return *opened;
  }();
  Shards shards;
  *shards.Add() = shard;
  Input input(data, size);
  proto::Recipe recipe = readRecipe(input);
  Result<uint64_t> bytes = checkRecipe(recipe, shards);
  if (!bytes.ok() || *bytes > (64u << 20)) {
    return 0;
  }
  WeightPacker packer(recipe, files);
  uint64_t end = 0;
  for (const WeightPacker::Piece &piece : packer.pieces()) {
    if (piece.offset < end || piece.size == 0 || piece.size > *bytes || piece.offset > *bytes - piece.size) {
      std::abort(); // pieces are disjoint and within the weight
    }
    end = piece.offset + piece.size;
    std::vector<uint8_t> output(piece.size);
    if (!packer.pack(piece, output).ok()) {
      std::abort(); // all bytes are there: that was checked
    }
  }
  return 0;
}
