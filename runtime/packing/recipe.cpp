// Recipes come from the compiler, or out of an artifact that came from anywhere. So all that the
// packer relies on is checked here, once, for both: a wrong recipe becomes a sentence, not a wild
// read.
#include "packing/recipe.h"
#include "packing/element_format.h"
#include <cinttypes>

namespace elah {
namespace {

// No weight, and no file, is larger than this; so sums of two sizes never wrap.
constexpr uint64_t maxBytes = uint64_t(1) << 46;
// What the packer holds in memory of one panel or one head.
constexpr uint64_t maxPanelBytes = uint64_t(1) << 28, maxHeadElements = uint64_t(1) << 28;

uint64_t ceilDiv(uint64_t value, uint64_t divisor) { return (value + divisor - 1) / divisor; }

/// a * b, or more than maxBytes.
uint64_t product(uint64_t a, uint64_t b) {
  uint64_t result;
  return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX : result;
}

Status checkRange(const Shards &shards, uint32_t shard, uint64_t offset, uint64_t bytes) {
  if (shard >= static_cast<uint32_t>(shards.size())) {
    return failure(ELAH_INVALID_DATA, "a source is in shard %u of %d", shard, shards.size());
  }
  uint64_t size = shards[static_cast<int>(shard)].size();
  if (bytes > maxBytes || offset > size || bytes > size - offset) {
    return failure(ELAH_INVALID_DATA,
                   "a source of %" PRIu64 " bytes at offset %" PRIu64 " lies outside its shard of %" PRIu64 " bytes",
                   bytes, offset, size);
  }
  return Status();
}

uint64_t elementsOf(const proto::Source &source) {
  uint64_t elements = 1;
  for (uint64_t size : source.shape()) {
    elements = product(elements, size);
  }
  return elements;
}

uint64_t bytesOf(const proto::Source &source) { return product(elementsOf(source), elementBytes(source.format())); }

uint64_t scaleCountOf(const proto::Source &source) {
  return product(ceilDiv(source.shape(0), source.scales().rows()), ceilDiv(source.shape(1), source.scales().columns()));
}

Status checkSource(const proto::Source &source, const Shards &shards) {
  if (elementBytes(source.format()) == 0) {
    return failure(ELAH_INVALID_DATA, "a source has the unknown element format %d", source.format());
  }
  if (source.shape().empty() || source.shape_size() > 8 || elementsOf(source) == 0) {
    return failure(ELAH_INVALID_DATA, "a source needs 1 to 8 dimensions, none of which is 0");
  }
  ELAH_RETURN_IF_ERROR(checkRange(shards, source.shard(), source.offset(), bytesOf(source)));
  if (source.has_scales()) {
    const proto::BlockScales &scales = source.scales();
    if (source.shape_size() != 2 || scales.rows() == 0 || scales.columns() == 0 || scales.rows() > maxBytes ||
        scales.columns() > maxBytes) {
      return failure(ELAH_INVALID_DATA, "block scales need a matrix and blocks of at least one element");
    }
    ELAH_RETURN_IF_ERROR(checkRange(shards, scales.shard(), scales.offset(), product(scaleCountOf(source), 4)));
  }
  if (source.transposed() && (source.shape_size() != 2 || source.has_scales())) {
    return failure(ELAH_INVALID_DATA, "a transposed source is a matrix without block scales");
  }
  return Status();
}

Status checkPacking(const proto::Packing &packing) {
  unsigned bytes = packing.format() == proto::ELEMENT_FORMAT_BYTES ? 0 : elementBytes(packing.format());
  uint64_t unit = product(packing.step(), bytes);
  // Rows as they lie are padded to a tensor map's pitch: steps of up to 16 bytes.
  bool isUnit = unit == 1 || unit == 2 || unit == 4 || (packing.panel() == 1 && (unit == 8 || unit == 16));
  if (!isUnit) {
    return failure(ELAH_INVALID_DATA,
                   "a packing needs steps of 1, 2 or 4 bytes, or up to 16 in panels of one column, found %" PRIu64
                   " elements of format %d",
                   packing.step(), packing.format());
  }
  constexpr uint64_t maxSize = uint64_t(1) << 32, maxBatch = uint64_t(1) << 20;
  if (packing.n() == 0 || packing.n() > maxSize || packing.k() == 0 || packing.k() > maxSize || packing.batch() == 0 ||
      packing.batch() > maxBatch || packing.panel() == 0 || packing.panel() > maxSize) {
    return failure(ELAH_INVALID_DATA, "a size of a packing is out of range");
  }
  if (packing.swiglu() && (packing.n() % 2 != 0 || (packing.panel() % 2 != 0 && packing.panel() != 1))) {
    return failure(ELAH_INVALID_DATA, "a packing of gate and up projection needs an even n and an even panel");
  }
  PanelLayout layout(packing);
  if (layout.panelBytes > maxPanelBytes ||
      product(product(layout.panels, layout.panelBytes), packing.batch()) > maxBytes ||
      product(layout.matrixBytes, packing.batch()) > maxBytes) {
    return failure(ELAH_INVALID_DATA, "a packing of %" PRIu64 " x %" PRIu64 " x %" PRIu64 " elements is out of range",
                   packing.batch(), packing.n(), packing.k());
  }
  return Status();
}

/// Whether a source of `format` can become elements of the packing: f8 weights are never made anew.
bool converts(proto::ElementFormat format, const proto::Packing &packing) {
  return packing.format() != proto::ELEMENT_FORMAT_F8E4M3 || format == packing.format();
}

Status checkPanels(const proto::Recipe &recipe) {
  const proto::Packing &packing = recipe.packing();
  uint64_t groups = packing.batch() * (packing.swiglu() ? 2 : 1);
  uint64_t count = static_cast<uint64_t>(recipe.sources_size());
  if (count % groups != 0) {
    return failure(ELAH_INVALID_DATA, "panels of %" PRIu64 " matrices cannot be made of %" PRIu64 " sources", groups,
                   count);
  }
  uint64_t perGroup = count / groups, expected = packing.n() / (packing.swiglu() ? 2 : 1);
  for (uint64_t group = 0; group < groups; ++group) {
    uint64_t rows = 0;
    for (uint64_t i = 0; i < perGroup; ++i) {
      const proto::Source &source = recipe.sources(static_cast<int>(group * perGroup + i));
      if (source.shape_size() != 2 || source.shape(1) != packing.k() || !converts(source.format(), packing)) {
        return failure(ELAH_INVALID_DATA,
                       "panels need matrices %" PRIu64 " wide, of f8 elements if the panels are of f8", packing.k());
      }
      rows += source.shape(0);
    }
    if (rows != expected) {
      return failure(ELAH_INVALID_DATA, "a matrix of panels needs %" PRIu64 " rows, its sources have %" PRIu64,
                     expected, rows);
    }
  }
  return Status();
}

Status checkHeadPanels(const proto::Recipe &recipe) {
  const proto::Packing &packing = recipe.packing();
  const proto::Source &source = recipe.sources(0);
  uint64_t rows = recipe.transposed() ? packing.k() : packing.n();
  uint64_t width = recipe.transposed() ? packing.n() : packing.k();
  uint64_t lastHead = product(packing.batch() - 1, recipe.head_stride());
  if (packing.swiglu() || packing.format() == proto::ELEMENT_FORMAT_F8E4M3 || product(rows, width) > maxHeadElements) {
    return failure(ELAH_INVALID_DATA,
                   "head panels are of f32, bf16 or f16, without gate, and of at most %" PRIu64 " elements",
                   maxHeadElements);
  }
  if (source.shape_size() != 2 || source.shape(1) != width || lastHead > maxBytes || recipe.head_first() > maxBytes ||
      source.shape(0) < lastHead + recipe.head_first() + rows) {
    return failure(ELAH_INVALID_DATA,
                   "head panels need a source that is %" PRIu64 " wide and has the rows of all heads", width);
  }
  return Status();
}

} // namespace

PanelLayout::PanelLayout(const proto::Packing &packing)
    : elementBytes(elah::elementBytes(packing.format())), halves(packing.swiglu() && packing.panel() > 1 ? 2 : 1),
      panelColumns(packing.panel() / halves), columns(packing.n() / halves), panels(ceilDiv(columns, panelColumns)),
      panelBytes(product(ceilDiv(packing.k(), packing.step()) * packing.step() * elementBytes, packing.panel())),
      matrixBytes(packing.panel() == 1 ? product(panels, panelBytes)
                                       : product(ceilDiv(product(panels, panelBytes), 64), 64)) {}

Result<uint64_t> checkRecipe(const proto::Recipe &recipe, const Shards &shards) {
  if (recipe.sources().empty()) {
    return failure(ELAH_INVALID_DATA, "a recipe needs at least one source");
  }
  for (const proto::Source &source : recipe.sources()) {
    ELAH_RETURN_IF_ERROR(checkSource(source, shards));
    if (source.format() == proto::ELEMENT_FORMAT_BYTES && recipe.kind() != proto::RECIPE_KIND_TABLE) {
      return failure(ELAH_INVALID_DATA, "only tables are made of bytes as they lie");
    }
    bool isPanelled = recipe.kind() == proto::RECIPE_KIND_PANELS || recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS;
    if (source.transposed() && !isPanelled) {
      return failure(ELAH_INVALID_DATA, "only panels and head panels have transposed sources");
    }
  }
  bool isPanels = recipe.kind() == proto::RECIPE_KIND_PANELS;
  bool isHeadPanels = recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS;
  if (recipe.has_packing() != (isPanels || isHeadPanels)) {
    return failure(ELAH_INVALID_DATA, "panels and head panels have a packing, and no other recipe has one");
  }
  if ((isHeadPanels || recipe.kind() == proto::RECIPE_KIND_TABLE) && recipe.sources_size() != 1) {
    return failure(ELAH_INVALID_DATA, "a table and head panels have one source, found %d", recipe.sources_size());
  }
  uint64_t bytes = 0;
  switch (recipe.kind()) {
  case proto::RECIPE_KIND_VECTOR:
    for (const proto::Source &source : recipe.sources()) {
      if (source.has_scales()) {
        return failure(ELAH_INVALID_DATA, "the sources of a vector have no scales");
      }
      bytes += product(elementsOf(source), 4);
      if (bytes > maxBytes) {
        return failure(ELAH_INVALID_DATA, "a vector of %" PRIu64 " bytes is out of range", bytes);
      }
    }
    return bytes;
  case proto::RECIPE_KIND_SCALES:
    for (const proto::Source &source : recipe.sources()) {
      if (!source.has_scales()) {
        return failure(ELAH_INVALID_DATA, "scales need sources with scales");
      }
      bytes += product(scaleCountOf(source), 4);
      if (bytes > maxBytes) {
        return failure(ELAH_INVALID_DATA, "scales of %" PRIu64 " bytes are out of range", bytes);
      }
    }
    return bytes;
  case proto::RECIPE_KIND_TABLE:
    return bytesOf(recipe.sources(0));
  case proto::RECIPE_KIND_PANELS:
  case proto::RECIPE_KIND_HEAD_PANELS:
    ELAH_RETURN_IF_ERROR(checkPacking(recipe.packing()));
    ELAH_RETURN_IF_ERROR(isPanels ? checkPanels(recipe) : checkHeadPanels(recipe));
    return recipe.packing().batch() * PanelLayout(recipe.packing()).matrixBytes;
  default:
    return failure(ELAH_INVALID_DATA, "unknown kind of recipe %d", recipe.kind());
  }
}

} // namespace elah
