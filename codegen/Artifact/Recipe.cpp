// The packer is shared with the runtime, which knows no MLIR: recipes reach it as messages.
#include "codegen/Artifact/Recipe.h"

using namespace mlir;

namespace elah {
namespace {

/// Whether the packer can compute with elements; others it only copies.
bool isConvertible(Type element) {
  return element.isF32() || element.isBF16() || element.isF16() || isa<Float8E4M3FNType>(element) ||
         element.isUnsignedInteger(4) || element.isUnsignedInteger(8);
}

proto::ElementFormat formatOf(Type element) {
  if (element.isF32()) {
    return proto::ELEMENT_FORMAT_F32;
  }
  if (element.isBF16()) {
    return proto::ELEMENT_FORMAT_BF16;
  }
  if (element.isF16()) {
    return proto::ELEMENT_FORMAT_F16;
  }
  if (isa<Float8E4M3FNType>(element)) {
    return proto::ELEMENT_FORMAT_F8E4M3;
  }
  assert(isConvertible(element) && "weights that are converted are f32, bf16, f16, e4m3, ui4 or ui8");
  return element.isUnsignedInteger(4) ? proto::ELEMENT_FORMAT_U4 : proto::ELEMENT_FORMAT_U8;
}

proto::ElementFormat formatOf(kernel::Format format) {
  switch (format) {
  case kernel::Format::F32:
    return proto::ELEMENT_FORMAT_F32;
  case kernel::Format::BF16:
    return proto::ELEMENT_FORMAT_BF16;
  case kernel::Format::F16:
    return proto::ELEMENT_FORMAT_F16;
  case kernel::Format::F8:
    return proto::ELEMENT_FORMAT_F8E4M3;
  case kernel::Format::U4:
    return proto::ELEMENT_FORMAT_U4;
  case kernel::Format::U8:
    return proto::ELEMENT_FORMAT_U8;
  }
  llvm_unreachable("unknown packing format");
}

proto::RecipeKind kindOf(exec::RecipeKind kind) {
  switch (kind) {
  case exec::RecipeKind::Vector:
    return proto::RECIPE_KIND_VECTOR;
  case exec::RecipeKind::Table:
    return proto::RECIPE_KIND_TABLE;
  case exec::RecipeKind::Panels:
    return proto::RECIPE_KIND_PANELS;
  case exec::RecipeKind::Scales:
    return proto::RECIPE_KIND_SCALES;
  case exec::RecipeKind::HeadPanels:
    return proto::RECIPE_KIND_HEAD_PANELS;
  case exec::RecipeKind::ColumnScales:
    return proto::RECIPE_KIND_COLUMN_SCALES;
  }
  llvm_unreachable("unknown kind of recipe");
}

} // namespace

proto::Recipe describeRecipe(exec::RecipeAttr recipe, llvm::function_ref<uint32_t(StringRef)> shardIndex) {
  proto::Recipe message;
  message.set_kind(kindOf(recipe.getKind()));
  for (r1::WeightAttr weight : recipe.getWeights()) {
    proto::Source *source = message.add_sources();
    source->set_shard(shardIndex(weight.getFile().getValue()));
    source->set_offset(weight.getOffset());
    Type element = weight.getType().getElementType();
    if (recipe.getKind() == exec::RecipeKind::Table && (isa<IntegerType>(element) || !isConvertible(element))) {
      source->set_format(proto::ELEMENT_FORMAT_BYTES);
      source->add_shape(weight.getSize());
      continue;
    }
    source->set_format(formatOf(element));
    for (int64_t size : weight.getType().getShape()) {
      source->add_shape(static_cast<uint64_t>(size));
    }
    source->set_transposed(weight.getTransposed());
    source->set_pitch(weight.getPitch());
    if (r1::WeightAttr scales = weight.getScales()) {
      auto blocks = cast<r1::BlocksAttr>(weight.getType().getEncoding());
      source->mutable_scales()->set_shard(shardIndex(scales.getFile().getValue()));
      source->mutable_scales()->set_offset(scales.getOffset());
      source->mutable_scales()->set_rows(static_cast<uint64_t>(blocks.getRows()));
      source->mutable_scales()->set_columns(static_cast<uint64_t>(blocks.getColumns()));
      source->mutable_scales()->set_format(formatOf(scales.getType().getElementType()));
      source->mutable_scales()->set_pitch(scales.getPitch());
    }
    if (r1::WeightAttr zeros = weight.getZeros()) {
      source->mutable_zeros()->set_shard(shardIndex(zeros.getFile().getValue()));
      source->mutable_zeros()->set_offset(zeros.getOffset());
      source->mutable_zeros()->set_pitch(zeros.getPitch());
    }
  }
  if (kernel::PackingAttr packing = recipe.getPacking()) {
    proto::Packing *layout = message.mutable_packing();
    layout->set_format(formatOf(packing.getFormat()));
    layout->set_n(static_cast<uint64_t>(packing.getN()));
    layout->set_k(static_cast<uint64_t>(packing.getK()));
    layout->set_panel(static_cast<uint64_t>(packing.getPanel()));
    layout->set_step(static_cast<uint64_t>(packing.getStep()));
    layout->set_batch(static_cast<uint64_t>(packing.getBatch()));
    layout->set_swiglu(packing.getSwiglu());
    if (packing.hasColumnScales()) {
      layout->set_block_k(static_cast<uint64_t>(packing.getBlockK()));
      layout->set_zeros(packing.getZeros());
    }
  }
  message.set_head_stride(static_cast<uint64_t>(recipe.getHeadStride()));
  message.set_head_first(static_cast<uint64_t>(recipe.getHeadFirst()));
  message.set_transposed(recipe.getTransposed());
  return message;
}

} // namespace elah
