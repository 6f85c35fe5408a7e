// Repacks weights into the layout that the kernels read (kernel.packing). By default this is done
// once, by the compiler, and at run time the bytes are mapped and used as they lie; with `--weights
// reference` the runtime does it when a session begins. What each recipe means is in the
// description of #exec.recipe.
#include "packing/weight_packer.h"
#include "packing/element_format.h"
#include "packing/recipe.h"
#include <algorithm>
#include <cassert>
#include <cstring>

namespace elah {
namespace {

constexpr uint64_t pieceBytes = 4 << 20;
/// The least that is read at once of a row of a transposed matrix: less, and a file is read many times over, by pages.
/// Where that needs larger pieces, they may grow to this.
constexpr uint64_t runBytes = 2048, largestPieceBytes = 64 << 20;

std::span<uint8_t> bytesOf(std::span<float> values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size_bytes()};
}

/// The columns of a panel, each a row of k elements: `first` of them lie one after the other, and the others elsewhere.
struct PanelRows {
  const uint8_t *rows, *others;
  uint64_t first;

  const uint8_t *row(uint64_t column, uint64_t rowBytes) const {
    return column < first ? rows + column * rowBytes : others + (column - first) * rowBytes;
  }
};

/// Turns `panel` rows into steps of [column][Unit]; a Unit holds one column's elements of a step.
template <typename Unit>
void interleave(const PanelRows &rows, uint64_t rowBytes, uint64_t panel, uint64_t wholeSteps, uint8_t *output) {
  constexpr uint64_t tile = 64 / sizeof(Unit); // a cache line of each row at a time
  for (uint64_t firstStep = 0; firstStep < wholeSteps; firstStep += tile) {
    uint64_t lastStep = std::min(wholeSteps, firstStep + tile);
    for (uint64_t column = 0; column < panel; ++column) {
      const uint8_t *row = rows.row(column, rowBytes);
      for (uint64_t step = firstStep; step < lastStep; ++step) {
        std::memcpy(output + (step * panel + column) * sizeof(Unit), row + step * sizeof(Unit), sizeof(Unit));
      }
    }
  }
}

/// Writes a panel, given its columns.
void interleavePanel(const proto::Packing &packing, const PanelRows &rows, uint8_t *output) {
  uint64_t elementSize = elementBytes(packing.format()), unit = elementSize * packing.step();
  uint64_t rowBytes = packing.k() * elementSize, wholeSteps = packing.k() / packing.step();
  switch (unit) {
  case 1:
    interleave<uint8_t>(rows, rowBytes, packing.panel(), wholeSteps, output);
    break;
  case 2:
    interleave<uint16_t>(rows, rowBytes, packing.panel(), wholeSteps, output);
    break;
  case 4:
    interleave<uint32_t>(rows, rowBytes, packing.panel(), wholeSteps, output);
    break;
  default:
    assert(packing.panel() == 1 && "checkRecipe lets larger steps through in rows only");
    std::memcpy(output, rows.row(0, rowBytes), wholeSteps * unit);
  }
  if (uint64_t rest = packing.k() % packing.step()) { // The last step is padded with zeros.
    uint8_t *last = output + wholeSteps * packing.panel() * unit;
    std::memset(last, 0, packing.panel() * unit);
    for (uint64_t column = 0; column < packing.panel(); ++column) {
      std::memcpy(last + column * unit, rows.row(column, rowBytes) + wholeSteps * unit, rest * elementSize);
    }
  }
}

/// `from`, `height` rows of `width` elements, as `width` rows of `height`.
template <typename Element> void transpose(const uint8_t *from, uint64_t height, uint64_t width, uint8_t *to) {
  constexpr uint64_t tile = 64 / sizeof(Element); // a cache line of each row at a time
  for (uint64_t top = 0; top < height; top += tile) {
    uint64_t bottom = std::min(height, top + tile);
    for (uint64_t column = 0; column < width; ++column) {
      for (uint64_t row = top; row < bottom; ++row) {
        std::memcpy(to + (column * height + row) * sizeof(Element), from + (row * width + column) * sizeof(Element),
                    sizeof(Element));
      }
    }
  }
}

} // namespace

/// Cuts `count` units of one part into pieces, of at least `least` units where there are as many.
void WeightPacker::addPieces(uint64_t part, uint64_t count, uint64_t unitBytes, uint64_t partOffset, uint64_t least) {
  uint64_t perPiece = std::max(least, pieceBytes / unitBytes);
  for (uint64_t first = 0; first < count; first += perPiece) {
    uint64_t units = std::min(perPiece, count - first);
    allPieces.push_back({partOffset + first * unitBytes, units * unitBytes, part, first});
  }
}

WeightPacker::WeightPacker(const proto::Recipe &recipe, const ShardFiles &files) : recipe(recipe), files(files) {
  const proto::Packing &packing = recipe.packing();
  if (recipe.kind() == proto::RECIPE_KIND_PANELS) {
    PanelLayout layout(packing);
    bool hasTransposed = false;
    for (const proto::Source &source : recipe.sources()) {
      hasTransposed |= source.transposed();
    }
    uint64_t least = 1;
    if (hasTransposed) {
      uint64_t wanted = runBytes / (layout.panelColumns * layout.elementBytes);
      least = std::max(least, std::min(wanted, largestPieceBytes / layout.panelBytes));
    }
    for (uint64_t matrix = 0; matrix < packing.batch(); ++matrix) {
      addPieces(matrix, layout.panels, layout.panelBytes, matrix * layout.matrixBytes, least);
    }
    return;
  }
  if (recipe.kind() == proto::RECIPE_KIND_HEAD_PANELS) {
    PanelLayout layout(packing);
    for (uint64_t head = 0; head < packing.batch(); ++head) {
      allPieces.push_back({head * layout.matrixBytes, layout.panels * layout.panelBytes, head, 0});
    }
    return;
  }
  uint64_t offset = 0;
  for (int i = 0; i < recipe.sources_size(); ++i) {
    const proto::Source &source = recipe.sources(i);
    uint64_t count = 1;
    for (uint64_t size : source.shape()) {
      count *= size;
    }
    uint64_t unitBytes = 4;
    if (recipe.kind() == proto::RECIPE_KIND_SCALES) {
      count = (source.shape(0) + source.scales().rows() - 1) / source.scales().rows() *
              ((source.shape(1) + source.scales().columns() - 1) / source.scales().columns());
    } else if (recipe.kind() == proto::RECIPE_KIND_TABLE) {
      unitBytes = elementBytes(source.format());
    }
    addPieces(static_cast<uint64_t>(i), count, unitBytes, offset, 1);
    offset += count * unitBytes;
  }
}

Status WeightPacker::pack(const Piece &piece, std::span<uint8_t> output) const {
  assert(output.size() == piece.size);
  switch (recipe.kind()) {
  case proto::RECIPE_KIND_VECTOR:
    return packVector(piece, output);
  case proto::RECIPE_KIND_SCALES: {
    const proto::BlockScales &scales = recipe.sources(static_cast<int>(piece.part)).scales();
    return files.read(scales.shard(), scales.offset() + piece.first * 4, output);
  }
  case proto::RECIPE_KIND_TABLE: {
    const proto::Source &source = recipe.sources(0);
    return files.read(source.shard(), source.offset() + piece.offset, output);
  }
  case proto::RECIPE_KIND_PANELS:
    return packPanels(piece, output);
  case proto::RECIPE_KIND_HEAD_PANELS:
    return packHead(piece, output);
  default:
    return failure(ELAH_INTERNAL, "a recipe of an unknown kind was not refused");
  }
}

Status WeightPacker::packVector(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Source &source = recipe.sources(static_cast<int>(piece.part));
  unsigned elementSize = elementBytes(source.format());
  uint64_t offset = source.offset() + piece.first * elementSize;
  if (source.format() == proto::ELEMENT_FORMAT_F32) {
    return files.read(source.shard(), offset, output);
  }
  std::vector<float> values(piece.size / 4);
  std::vector<uint8_t> raw(values.size() * elementSize);
  ELAH_RETURN_IF_ERROR(files.read(source.shard(), offset, raw));
  widen(source.format(), raw.data(), values);
  std::memcpy(output.data(), values.data(), output.size());
  return Status();
}

/// Reads `count` rows of a matrix from `first` on whose file holds its columns, a row each.
Status WeightPacker::readTransposed(const proto::Source &source, uint64_t first, uint64_t count,
                                    std::span<uint8_t> rows) const {
  uint64_t height = source.shape(0), width = source.shape(1), elementSize = elementBytes(source.format());
  std::vector<uint8_t> runs(rows.size());
  if (count == height) {
    ELAH_RETURN_IF_ERROR(files.read(source.shard(), source.offset(), runs));
  } else {
    uint64_t run = count * elementSize;
    for (uint64_t column = 0; column < width; ++column) {
      uint64_t offset = source.offset() + (column * height + first) * elementSize;
      ELAH_RETURN_IF_ERROR(files.read(source.shard(), offset, std::span(runs).subspan(column * run, run)));
    }
  }
  switch (elementSize) {
  case 1:
    transpose<uint8_t>(runs.data(), width, count, rows.data());
    break;
  case 2:
    transpose<uint16_t>(runs.data(), width, count, rows.data());
    break;
  default:
    transpose<uint32_t>(runs.data(), width, count, rows.data());
  }
  return Status();
}

/// Reads `count` rows of a matrix from `first` on, as `format`: bytes as they lie, or widened,
/// scaled and rounded.
Status WeightPacker::readRows(const proto::Source &source, uint64_t first, uint64_t count, proto::ElementFormat format,
                              std::span<uint8_t> rows) const {
  uint64_t columns = source.shape(1), rowBytes = columns * elementBytes(source.format());
  auto read = [&](std::span<uint8_t> bytes) {
    return source.transposed() ? readTransposed(source, first, count, bytes)
                               : files.read(source.shard(), source.offset() + first * rowBytes, bytes);
  };
  if (source.format() == format) {
    return read(rows);
  }
  std::vector<uint8_t> raw(count * rowBytes);
  ELAH_RETURN_IF_ERROR(read(raw));
  std::vector<float> values(count * columns);
  widen(source.format(), raw.data(), values);
  if (source.has_scales()) {
    const proto::BlockScales &scales = source.scales();
    uint64_t blockColumns = (columns + scales.columns() - 1) / scales.columns();
    uint64_t firstBlock = first / scales.rows(), lastBlock = (first + count - 1) / scales.rows();
    std::vector<float> factors((lastBlock - firstBlock + 1) * blockColumns);
    ELAH_RETURN_IF_ERROR(files.read(scales.shard(), scales.offset() + firstBlock * blockColumns * 4, bytesOf(factors)));
    for (uint64_t row = 0; row < count; ++row) {
      const float *factor = &factors[((first + row) / scales.rows() - firstBlock) * blockColumns];
      float *value = &values[row * columns];
      for (uint64_t column = 0; column < columns; ++factor) {
        uint64_t end = std::min(columns, column + scales.columns());
        for (; column < end; ++column) {
          value[column] *= *factor;
        }
      }
    }
  }
  narrow(format, values, rows.data());
  return Status();
}

Status WeightPacker::packPanels(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Packing &packing = recipe.packing();
  PanelLayout layout(packing);
  uint64_t rowBytes = packing.k() * layout.elementBytes;
  uint64_t halves = layout.halves;
  int perHalf = static_cast<int>(static_cast<uint64_t>(recipe.sources_size()) / (packing.batch() * halves));
  uint64_t panelCount = piece.size / layout.panelBytes;
  uint64_t first = piece.first * layout.panelColumns;
  uint64_t count = std::min(panelCount * layout.panelColumns, layout.columns - first);
  // The columns of all panels, of each half one after the other; what the last panel has too many is zero.
  uint64_t halfBytes = panelCount * layout.panelColumns * rowBytes;
  std::vector<uint8_t> rows(halves * halfBytes);

  // Copies rows [first, first + count) of the sources that are stacked from `source` on.
  auto take = [&](int source, std::span<uint8_t> target) -> Status {
    uint64_t skipped = first, left = count;
    for (int end = source + perHalf; source < end && left > 0; ++source) {
      const proto::Source &part = recipe.sources(source);
      uint64_t height = part.shape(0);
      if (skipped >= height) {
        skipped -= height;
        continue;
      }
      uint64_t here = std::min(left, height - skipped);
      ELAH_RETURN_IF_ERROR(readRows(part, skipped, here, packing.format(), target.first(here * rowBytes)));
      target = target.subspan(here * rowBytes);
      skipped = 0;
      left -= here;
    }
    return Status();
  };
  for (uint64_t half = 0; half < halves; ++half) {
    int source = static_cast<int>(piece.part * halves + half) * perHalf;
    ELAH_RETURN_IF_ERROR(take(source, std::span(rows).subspan(half * halfBytes, halfBytes)));
  }
  for (uint64_t i = 0; i < panelCount; ++i) {
    const uint8_t *panel = &rows[i * layout.panelColumns * rowBytes];
    interleavePanel(packing, {panel, panel + (halves - 1) * halfBytes, layout.panelColumns},
                    &output[i * layout.panelBytes]);
  }
  return Status();
}

Status WeightPacker::packHead(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Packing &packing = recipe.packing();
  PanelLayout layout(packing);
  uint64_t n = packing.n(), k = packing.k();
  uint64_t first = piece.part * recipe.head_stride() + recipe.head_first();
  uint64_t height = recipe.transposed() ? k : n, width = recipe.transposed() ? n : k;
  std::vector<float> matrix(height * width);
  ELAH_RETURN_IF_ERROR(readRows(recipe.sources(0), first, height, proto::ELEMENT_FORMAT_F32, bytesOf(matrix)));
  uint64_t rowBytes = k * layout.elementBytes;
  std::vector<uint8_t> rows(packing.panel() * rowBytes);
  std::vector<float> row(k);
  for (uint64_t panel = 0; panel < layout.panels; ++panel) {
    uint64_t count = std::min(packing.panel(), n - panel * packing.panel());
    std::fill(rows.begin() + static_cast<ptrdiff_t>(count * rowBytes), rows.end(), uint8_t(0));
    for (uint64_t column = 0; column < count; ++column) {
      uint64_t index = panel * packing.panel() + column;
      for (uint64_t i = 0; i < k; ++i) {
        row[i] = recipe.transposed() ? matrix[i * width + index] : matrix[index * width + i];
      }
      narrow(packing.format(), row, &rows[column * rowBytes]);
    }
    interleavePanel(packing, {rows.data(), nullptr, packing.panel()}, &output[panel * layout.panelBytes]);
  }
  return Status();
}

} // namespace elah
