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

/// The bytes from the first row's first to the last row's last.
uint64_t spanOf(uint64_t rows, uint64_t rowBytes, uint64_t pitch) {
  uint64_t before = product(rows - 1, pitch == 0 ? rowBytes : pitch);
  return before > maxBytes || rowBytes > maxBytes ? UINT64_MAX : before + rowBytes;
}

uint64_t sourceBytes(const proto::Source &source) {
  uint64_t elements = elementsOf(source);
  if (elements > maxBytes) {
    return UINT64_MAX;
  }
  uint64_t columns = source.shape(source.shape_size() - 1);
  return source.pitch() == 0 ? bytesOf(source.format(), elements)
                             : spanOf(elements / columns, bytesOf(source.format(), columns), source.pitch());
}

uint64_t scaleCountOf(const proto::Source &source) {
  return product(ceilDiv(source.shape(0), source.scales().rows()), ceilDiv(source.shape(1), source.scales().columns()));
}

/// Checks that rows of one element for each block lie in their shard.
Status checkBlockRows(const proto::Source &source, proto::ElementFormat format, uint32_t shard, uint64_t offset,
                      uint64_t pitch, const Shards &shards) {
  uint64_t rowBytes = bytesOf(format, ceilDiv(source.shape(1), source.scales().columns()));
  if (pitch != 0 && pitch < rowBytes) {
    return failure(ELAH_INVALID_DATA, "a pitch of %" PRIu64 " bytes is less than a row's %" PRIu64, pitch, rowBytes);
  }
  return checkRange(shards, shard, offset, spanOf(ceilDiv(source.shape(0), source.scales().rows()), rowBytes, pitch));
}

Status checkSource(const proto::Source &source, const Shards &shards) {
  if (elementBits(source.format()) == 0) {
    return failure(ELAH_INVALID_DATA, "a source has the unknown element format %d", source.format());
  }
  if (source.shape().empty() || source.shape_size() > 8 || elementsOf(source) == 0) {
    return failure(ELAH_INVALID_DATA, "a source needs 1 to 8 dimensions, none of which is 0");
  }
  if (source.pitch() != 0) {
    uint64_t columns = source.shape(source.shape_size() - 1);
    if (source.shape_size() != 2 || columns > maxBytes || source.pitch() < bytesOf(source.format(), columns)) {
      return failure(ELAH_INVALID_DATA, "a pitch needs a matrix, and is at least the bytes of a row, found %" PRIu64,
                     source.pitch());
    }
  }
  ELAH_RETURN_IF_ERROR(checkRange(shards, source.shard(), source.offset(), sourceBytes(source)));
  if (source.has_scales()) {
    const proto::BlockScales &scales = source.scales();
    if (source.shape_size() != 2 || scales.rows() == 0 || scales.columns() == 0 || scales.rows() > maxBytes ||
        scales.columns() > maxBytes) {
      return failure(ELAH_INVALID_DATA, "block scales need a matrix and blocks of at least one element");
    }
    bool isFloat = scales.format() == proto::ELEMENT_FORMAT_F32 || scales.format() == proto::ELEMENT_FORMAT_BF16 ||
                   scales.format() == proto::ELEMENT_FORMAT_F16;
    if (!isFloat) {
      return failure(ELAH_INVALID_DATA, "block scales are f32, bf16 or f16, found format %d", scales.format());
    }
    ELAH_RETURN_IF_ERROR(
        checkBlockRows(source, scales.format(), scales.shard(), scales.offset(), scales.pitch(), shards));
  }
  if (isInteger(source.format())) {
    // So that a row, and each of its blocks' zero points, begins with a byte.
    bool isRows = source.shape_size() == 2 && source.has_scales() &&
                  (source.format() == proto::ELEMENT_FORMAT_U8 ||
                   (source.shape(1) % 2 == 0 || source.pitch() != 0 || source.shape(0) == 1));
    if (!isRows) {
      return failure(ELAH_INVALID_DATA, "integers are matrices of rows of whole bytes with block scales");
    }
  }
  if (source.has_zeros()) {
    if (!isInteger(source.format())) {
      return failure(ELAH_INVALID_DATA, "only integers have zero points, found format %d", source.format());
    }
    const proto::ZeroPoints &zeros = source.zeros();
    uint64_t blocks = ceilDiv(source.shape(1), source.scales().columns());
    if (source.format() == proto::ELEMENT_FORMAT_U4 && blocks % 2 != 0 && zeros.pitch() == 0 && source.shape(0) != 1) {
      return failure(ELAH_INVALID_DATA, "rows of zero points begin with a byte");
    }
    ELAH_RETURN_IF_ERROR(checkBlockRows(source, source.format(), zeros.shard(), zeros.offset(), zeros.pitch(), shards));
  }
  if (source.transposed() && (source.shape_size() != 2 || source.has_scales() || source.pitch() != 0)) {
    return failure(ELAH_INVALID_DATA, "a transposed source is a matrix without block scales and pitch");
  }
  return Status();
}

Status checkPacking(const proto::Packing &packing) {
  unsigned bits = packing.format() == proto::ELEMENT_FORMAT_BYTES ? 0 : elementBits(packing.format());
  uint64_t unit = product(packing.step(), bits);
  // Rows as they lie are padded to a tensor map's pitch: steps of up to 16 bytes.
  bool isRows = packing.panel() == 1;
  bool isUnit = unit == 8 || unit == 16 || unit == 32 || (isRows && (unit == 64 || unit == 128));
  if (!isUnit) {
    return failure(ELAH_INVALID_DATA,
                   "a packing needs steps of 1, 2 or 4 bytes, or up to 16 in panels of one column, found %" PRIu64
                   " elements of format %d",
                   packing.step(), packing.format());
  }
  if (packing.format() == proto::ELEMENT_FORMAT_U4 && !isRows && (packing.step() != 2 || packing.panel() % 4 != 0)) {
    return failure(ELAH_INVALID_DATA, "panels of u4 need steps of 2 elements and a multiple of 4 columns");
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
      product(layout.matrixBytes, packing.batch()) > maxBytes || layout.panelScaleBytes > maxPanelBytes ||
      product(product(layout.panels, layout.panelScaleBytes), packing.batch()) > maxBytes) {
    return failure(ELAH_INVALID_DATA, "a packing of %" PRIu64 " x %" PRIu64 " x %" PRIu64 " elements is out of range",
                   packing.batch(), packing.n(), packing.k());
  }
  return Status();
}

/// Whether a source of `format` can become elements of the packing: f8 weights and integers are never made anew.
bool converts(proto::ElementFormat format, const proto::Packing &packing) {
  return elementBits(packing.format()) > 8 || format == packing.format();
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
                       "panels need matrices %" PRIu64 " wide, of f8 elements or integers if the panels are of these",
                       packing.k());
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

/// Of a recipe whose sources are those of panels.
Status checkColumnScales(const proto::Recipe &recipe) {
  const proto::Packing &packing = recipe.packing();
  for (const proto::Source &source : recipe.sources()) {
    bool fits = packing.block_k() != 0 && source.has_scales() && source.scales().rows() == 1 &&
                source.scales().columns() == packing.block_k() && source.has_zeros() == packing.zeros();
    if (!fits) {
      return failure(ELAH_INVALID_DATA,
                     "scales of columns need sources with one for each row and %" PRIu64 " columns, and zero points %s",
                     packing.block_k(), packing.zeros() ? "as many" : "in none");
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
  if (packing.swiglu() || elementBits(packing.format()) < 16 || product(rows, width) > maxHeadElements) {
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
    : rowBytes(bytesOf(packing.format(), packing.k())),
      unitBytes(product(packing.step(), elementBits(packing.format())) / 8),
      steps(packing.step() == 0 ? 0 : ceilDiv(packing.k(), packing.step())),
      halves(packing.swiglu() && packing.panel() > 1 ? 2 : 1), panelColumns(packing.panel() / halves),
      columns(packing.n() / halves), panels(ceilDiv(columns, panelColumns)),
      panelBytes(product(product(steps, unitBytes), packing.panel())),
      matrixBytes(packing.panel() == 1 ? product(panels, panelBytes)
                                       : product(ceilDiv(product(panels, panelBytes), 64), 64)),
      scaleBlocks(packing.block_k() == 0 ? 0 : ceilDiv(packing.k(), packing.block_k())),
      panelScaleBytes(product(scaleBlocks, product(packing.panel(), packing.zeros() ? 8 : 4))) {}

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
    bool isPlain = recipe.kind() == proto::RECIPE_KIND_VECTOR || recipe.kind() == proto::RECIPE_KIND_TABLE;
    if (isPlain && (isInteger(source.format()) || source.pitch() != 0)) {
      return failure(ELAH_INVALID_DATA, "vectors and tables are made of bytes one after the other, of no integers");
    }
  }
  bool isPanels = recipe.kind() == proto::RECIPE_KIND_PANELS;
  bool isHeadPanels = recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS;
  bool isColumnScales = recipe.kind() == proto::RECIPE_KIND_COLUMN_SCALES;
  if (recipe.has_packing() != (isPanels || isHeadPanels || isColumnScales)) {
    return failure(ELAH_INVALID_DATA, "panels, head panels and column scales have a packing, and no other recipe has");
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
      bool isF32 = source.scales().format() == proto::ELEMENT_FORMAT_F32 && source.scales().pitch() == 0;
      if (!source.has_scales() || !isF32) {
        return failure(ELAH_INVALID_DATA, "scales need sources with scales, f32 ones that lie one after the other");
      }
      bytes += product(scaleCountOf(source), 4);
      if (bytes > maxBytes) {
        return failure(ELAH_INVALID_DATA, "scales of %" PRIu64 " bytes are out of range", bytes);
      }
    }
    return bytes;
  case proto::RECIPE_KIND_TABLE:
    return sourceBytes(recipe.sources(0));
  case proto::RECIPE_KIND_PANELS:
  case proto::RECIPE_KIND_HEAD_PANELS:
    ELAH_RETURN_IF_ERROR(checkPacking(recipe.packing()));
    ELAH_RETURN_IF_ERROR(isPanels ? checkPanels(recipe) : checkHeadPanels(recipe));
    return recipe.packing().batch() * PanelLayout(recipe.packing()).matrixBytes;
  case proto::RECIPE_KIND_COLUMN_SCALES: {
    ELAH_RETURN_IF_ERROR(checkPacking(recipe.packing()));
    ELAH_RETURN_IF_ERROR(checkPanels(recipe));
    ELAH_RETURN_IF_ERROR(checkColumnScales(recipe));
    PanelLayout layout(recipe.packing());
    return recipe.packing().batch() * layout.panels * layout.panelScaleBytes;
  }
  default:
    return failure(ELAH_INVALID_DATA, "unknown kind of recipe %d", recipe.kind());
  }
}

} // namespace elah
