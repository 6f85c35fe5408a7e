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

std::span<uint8_t> rawBytes(std::span<float> values) {
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

/// Turns `panel` rows of u4 into steps: a word for each quarter of the columns (#kernel.packing).
void interleaveU4(const PanelRows &rows, const PanelLayout &layout, uint64_t panel, uint8_t *output) {
  uint64_t words = panel / 4;
  for (uint64_t quarter = 0; quarter < 4; ++quarter) {
    for (uint64_t word = 0; word < words; ++word) {
      const uint8_t *row = rows.row(quarter * words + word, layout.rowBytes);
      for (uint64_t step = 0; step < layout.steps; ++step) {
        uint8_t *place = output + (step * words + word) * 4 + quarter / 2;
        unsigned shift = quarter % 2 * 4;
        place[0] = static_cast<uint8_t>(place[0] | (row[step] & 15) << shift);
        place[2] = static_cast<uint8_t>(place[2] | row[step] >> 4 << shift);
      }
    }
  }
}

/// Writes a panel, given its columns; `output` is zero.
void interleavePanel(const proto::Packing &packing, const PanelRows &rows, uint8_t *output) {
  PanelLayout layout(packing);
  uint64_t unit = layout.unitBytes, wholeSteps = packing.k() / packing.step();
  if (packing.format() == proto::ELEMENT_FORMAT_U4 && packing.panel() > 1) {
    interleaveU4(rows, layout, packing.panel(), output);
    return;
  }
  switch (unit) {
  case 1:
    interleave<uint8_t>(rows, layout.rowBytes, packing.panel(), wholeSteps, output);
    break;
  case 2:
    interleave<uint16_t>(rows, layout.rowBytes, packing.panel(), wholeSteps, output);
    break;
  case 4:
    interleave<uint32_t>(rows, layout.rowBytes, packing.panel(), wholeSteps, output);
    break;
  default:
    assert(packing.panel() == 1 && "checkRecipe lets larger steps through in rows only");
    std::memcpy(output, rows.row(0, layout.rowBytes), wholeSteps * unit);
  }
  if (packing.k() % packing.step() != 0) { // The last step is padded with zeros.
    uint8_t *last = output + wholeSteps * packing.panel() * unit;
    uint64_t rest = layout.rowBytes - wholeSteps * unit;
    std::memset(last, 0, packing.panel() * unit);
    for (uint64_t column = 0; column < packing.panel(); ++column) {
      std::memcpy(last + column * unit, rows.row(column, layout.rowBytes) + wholeSteps * unit, rest);
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
      uint64_t wanted = runBytes / (layout.panelColumns * (layout.rowBytes / packing.k()));
      least = std::max(least, std::min(wanted, largestPieceBytes / layout.panelBytes));
    }
    for (uint64_t matrix = 0; matrix < packing.batch(); ++matrix) {
      addPieces(matrix, layout.panels, layout.panelBytes, matrix * layout.matrixBytes, least);
    }
    return;
  }
  if (recipe.kind() == proto::RECIPE_KIND_COLUMN_SCALES) {
    PanelLayout layout(packing);
    for (uint64_t matrix = 0; matrix < packing.batch(); ++matrix) {
      addPieces(matrix, layout.panels, layout.panelScaleBytes, matrix * layout.panels * layout.panelScaleBytes, 1);
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
      unitBytes = bytesOf(source.format(), 1);
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
  case proto::RECIPE_KIND_COLUMN_SCALES:
    return packColumnScales(piece, output);
  case proto::RECIPE_KIND_HEAD_PANELS:
    return packHead(piece, output);
  default:
    return failure(ELAH_INTERNAL, "a recipe of an unknown kind was not refused");
  }
}

Status WeightPacker::packVector(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Source &source = recipe.sources(static_cast<int>(piece.part));
  uint64_t elementSize = bytesOf(source.format(), 1);
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
  uint64_t height = source.shape(0), width = source.shape(1), elementSize = bytesOf(source.format(), 1);
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

/// Reads `count` rows of `rowBytes` bytes from row `first` on.
Status WeightPacker::readPitched(uint32_t shard, uint64_t offset, uint64_t pitch, uint64_t rowBytes, uint64_t first,
                                 uint64_t count, std::span<uint8_t> rows) const {
  uint64_t distance = pitch == 0 ? rowBytes : pitch;
  if (distance == rowBytes) {
    return files.read(shard, offset + first * rowBytes, rows.first(count * rowBytes));
  }
  std::vector<uint8_t> span((count - 1) * distance + rowBytes);
  ELAH_RETURN_IF_ERROR(files.read(shard, offset + first * distance, span));
  for (uint64_t row = 0; row < count; ++row) {
    std::memcpy(&rows[row * rowBytes], &span[row * distance], rowBytes);
  }
  return Status();
}

/// Reads the scales of `count` rows of blocks from `first` on.
Status WeightPacker::readScales(const proto::Source &source, uint64_t first, uint64_t count,
                                std::vector<float> &values) const {
  const proto::BlockScales &scales = source.scales();
  uint64_t blocks = (source.shape(1) + scales.columns() - 1) / scales.columns();
  uint64_t rowBytes = bytesOf(scales.format(), blocks);
  std::vector<uint8_t> raw(count * rowBytes);
  ELAH_RETURN_IF_ERROR(readPitched(scales.shard(), scales.offset(), scales.pitch(), rowBytes, first, count, raw));
  values.resize(count * blocks);
  widen(scales.format(), raw.data(), values);
  return Status();
}

/// Reads the zero points of `count` rows of blocks from `first` on; the middle of the range where there are none.
Status WeightPacker::readZeros(const proto::Source &source, uint64_t first, uint64_t count,
                               std::vector<float> &values) const {
  uint64_t blocks = (source.shape(1) + source.scales().columns() - 1) / source.scales().columns();
  values.assign(count * blocks, source.format() == proto::ELEMENT_FORMAT_U4 ? 8.0f : 128.0f);
  if (!source.has_zeros()) {
    return Status();
  }
  const proto::ZeroPoints &zeros = source.zeros();
  uint64_t rowBytes = bytesOf(source.format(), blocks);
  std::vector<uint8_t> raw(count * rowBytes);
  ELAH_RETURN_IF_ERROR(readPitched(zeros.shard(), zeros.offset(), zeros.pitch(), rowBytes, first, count, raw));
  for (uint64_t row = 0; row < count; ++row) {
    widen(source.format(), &raw[row * rowBytes], std::span(values).subspan(row * blocks, blocks));
  }
  return Status();
}

/// Reads `count` rows of a matrix from `first` on, as `format`: bytes as they lie, or widened,
/// scaled and rounded.
Status WeightPacker::readRows(const proto::Source &source, uint64_t first, uint64_t count, proto::ElementFormat format,
                              std::span<uint8_t> rows) const {
  uint64_t columns = source.shape(1), rowBytes = bytesOf(source.format(), columns);
  auto read = [&](std::span<uint8_t> bytes) {
    return source.transposed()
               ? readTransposed(source, first, count, bytes)
               : readPitched(source.shard(), source.offset(), source.pitch(), rowBytes, first, count, bytes);
  };
  if (source.format() == format) {
    return read(rows);
  }
  std::vector<uint8_t> raw(count * rowBytes);
  ELAH_RETURN_IF_ERROR(read(raw));
  std::vector<float> values(count * columns);
  for (uint64_t row = 0; row < count; ++row) {
    widen(source.format(), &raw[row * rowBytes], std::span(values).subspan(row * columns, columns));
  }
  if (source.has_scales()) {
    const proto::BlockScales &scales = source.scales();
    uint64_t blockColumns = (columns + scales.columns() - 1) / scales.columns();
    uint64_t firstBlock = first / scales.rows(), lastBlock = (first + count - 1) / scales.rows();
    std::vector<float> factors, zeros;
    ELAH_RETURN_IF_ERROR(readScales(source, firstBlock, lastBlock - firstBlock + 1, factors));
    if (isInteger(source.format())) {
      ELAH_RETURN_IF_ERROR(readZeros(source, firstBlock, lastBlock - firstBlock + 1, zeros));
    }
    for (uint64_t row = 0; row < count; ++row) {
      uint64_t block = ((first + row) / scales.rows() - firstBlock) * blockColumns;
      float *value = &values[row * columns];
      for (uint64_t column = 0; column < columns; ++block) {
        uint64_t end = std::min(columns, column + scales.columns());
        float zero = zeros.empty() ? 0 : zeros[block];
        for (; column < end; ++column) {
          value[column] = (value[column] - zero) * factors[block];
        }
      }
    }
  }
  narrow(format, values, rows.data());
  return Status();
}

/// Calls `take` with runs of the rows [first, first + count) of the sources that are stacked as half `half` of matrix
/// `matrix`: source, its first row, rows, and how many rows came before.
template <typename Take>
Status WeightPacker::forEachRun(uint64_t matrix, uint64_t half, uint64_t first, uint64_t count, Take take) const {
  PanelLayout layout(recipe.packing());
  int perHalf =
      static_cast<int>(static_cast<uint64_t>(recipe.sources_size()) / (recipe.packing().batch() * layout.halves));
  int source = static_cast<int>(matrix * layout.halves + half) * perHalf;
  uint64_t skipped = first, taken = 0;
  for (int end = source + perHalf; source < end && taken < count; ++source) {
    const proto::Source &part = recipe.sources(source);
    uint64_t height = part.shape(0);
    if (skipped >= height) {
      skipped -= height;
      continue;
    }
    uint64_t here = std::min(count - taken, height - skipped);
    ELAH_RETURN_IF_ERROR(take(part, skipped, here, taken));
    skipped = 0;
    taken += here;
  }
  return Status();
}

Status WeightPacker::packPanels(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Packing &packing = recipe.packing();
  PanelLayout layout(packing);
  uint64_t panelCount = piece.size / layout.panelBytes;
  uint64_t first = piece.first * layout.panelColumns;
  uint64_t count = std::min(panelCount * layout.panelColumns, layout.columns - first);
  // The columns of all panels, of each half one after the other; what the last panel has too many is zero.
  uint64_t halfBytes = panelCount * layout.panelColumns * layout.rowBytes;
  std::vector<uint8_t> rows(layout.halves * halfBytes);
  for (uint64_t half = 0; half < layout.halves; ++half) {
    auto take = [&](const proto::Source &source, uint64_t row, uint64_t here, uint64_t before) {
      std::span<uint8_t> target(&rows[half * halfBytes + before * layout.rowBytes], here * layout.rowBytes);
      return readRows(source, row, here, packing.format(), target);
    };
    ELAH_RETURN_IF_ERROR(forEachRun(piece.part, half, first, count, take));
  }
  std::fill(output.begin(), output.end(), uint8_t(0));
  for (uint64_t i = 0; i < panelCount; ++i) {
    const uint8_t *panel = &rows[i * layout.panelColumns * layout.rowBytes];
    interleavePanel(packing, {panel, panel + (layout.halves - 1) * halfBytes, layout.panelColumns},
                    &output[i * layout.panelBytes]);
  }
  return Status();
}

Status WeightPacker::packColumnScales(const Piece &piece, std::span<uint8_t> output) const {
  const proto::Packing &packing = recipe.packing();
  PanelLayout layout(packing);
  uint64_t panelCount = piece.size / layout.panelScaleBytes, blocks = layout.scaleBlocks, panel = packing.panel();
  uint64_t first = piece.first * layout.panelColumns;
  uint64_t count = std::min(panelCount * layout.panelColumns, layout.columns - first);
  uint64_t parts = packing.zeros() ? 2 : 1;
  std::fill(output.begin(), output.end(), uint8_t(0)); // Of columns that there are not.
  std::vector<float> scales, zeros;
  for (uint64_t half = 0; half < layout.halves; ++half) {
    auto take = [&](const proto::Source &source, uint64_t row, uint64_t here, uint64_t before) -> Status {
      ELAH_RETURN_IF_ERROR(readScales(source, row, here, scales));
      if (packing.zeros()) {
        ELAH_RETURN_IF_ERROR(readZeros(source, row, here, zeros));
      }
      for (uint64_t i = 0; i < here; ++i) {
        uint64_t index = before + i, column = half * layout.panelColumns + index % layout.panelColumns;
        uint8_t *place = &output[index / layout.panelColumns * layout.panelScaleBytes];
        for (uint64_t block = 0; block < blocks; ++block) {
          std::memcpy(place + (block * parts * panel + column) * 4, &scales[i * blocks + block], 4);
          if (packing.zeros()) {
            std::memcpy(place + ((block * parts + 1) * panel + column) * 4, &zeros[i * blocks + block], 4);
          }
        }
      }
      return Status();
    };
    ELAH_RETURN_IF_ERROR(forEachRun(piece.part, half, first, count, take));
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
  ELAH_RETURN_IF_ERROR(readRows(recipe.sources(0), first, height, proto::ELEMENT_FORMAT_F32, rawBytes(matrix)));
  uint64_t rowBytes = layout.rowBytes;
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
