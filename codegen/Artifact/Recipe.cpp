// The packer is shared with the runtime, which knows no MLIR: recipes reach it as messages.
#include "codegen/Artifact/Recipe.h"

using namespace mlir;

namespace elah {
namespace {

/// Whether the packer can compute with elements; others it only copies.
bool isConvertible(Type element) {
  return element.isF32() || element.isBF16() || element.isF16() || isa<Float8E4M3FNType>(element);
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
  assert(isConvertible(element) && "weights that are converted are f32, bf16, f16 or e4m3");
  return proto::ELEMENT_FORMAT_F8E4M3;
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
    if (recipe.getKind() == exec::RecipeKind::Table && !isConvertible(weight.getType().getElementType())) {
      source->set_format(proto::ELEMENT_FORMAT_BYTES);
      source->add_shape(weight.getSize());
      continue;
    }
    source->set_format(formatOf(weight.getType().getElementType()));
    for (int64_t size : weight.getType().getShape()) {
      source->add_shape(static_cast<uint64_t>(size));
    }
    source->set_transposed(weight.getTransposed());
    if (r1::WeightAttr scales = weight.getScales()) {
      auto blocks = cast<r1::BlocksAttr>(weight.getType().getEncoding());
      source->mutable_scales()->set_shard(shardIndex(scales.getFile().getValue()));
      source->mutable_scales()->set_offset(scales.getOffset());
      source->mutable_scales()->set_rows(static_cast<uint64_t>(blocks.getRows()));
      source->mutable_scales()->set_columns(static_cast<uint64_t>(blocks.getColumns()));
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
  }
  message.set_head_stride(static_cast<uint64_t>(recipe.getHeadStride()));
  message.set_head_first(static_cast<uint64_t>(recipe.getHeadFirst()));
  message.set_transposed(recipe.getTransposed());
  return message;
}

} // namespace elah
