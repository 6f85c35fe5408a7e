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

std::span<uint8_t> bytesOf(std::span<float> values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size_bytes()};
}

/// Turns `panel` rows into steps of [column][Unit]; a Unit holds one column's elements of a step.
template <typename Unit>
void interleave(const uint8_t *rows, uint64_t rowBytes, uint64_t panel, uint64_t wholeSteps, uint8_t *output) {
  constexpr uint64_t tile = 64 / sizeof(Unit); // a cache line of each row at a time
  for (uint64_t firstStep = 0; firstStep < wholeSteps; firstStep += tile) {
    uint64_t lastStep = std::min(wholeSteps, firstStep + tile);
    for (uint64_t column = 0; column < panel; ++column) {
      const uint8_t *row = rows + column * rowBytes;
      for (uint64_t step = firstStep; step < lastStep; ++step) {
        std::memcpy(output + (step * panel + column) * sizeof(Unit), row + step * sizeof(Unit), sizeof(Unit));
      }
    }
  }
}

/// Writes a panel, given its columns as rows of k elements.
void interleavePanel(const proto::Packing &packing, const uint8_t *rows, uint8_t *output) {
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
    assert(false && "checkRecipe lets steps of 1, 2 and 4 bytes through");
  }
  if (uint64_t rest = packing.k() % packing.step()) { // The last step is padded with zeros.
    uint8_t *last = output + wholeSteps * packing.panel() * unit;
    std::memset(last, 0, packing.panel() * unit);
    for (uint64_t column = 0; column < packing.panel(); ++column) {
      std::memcpy(last + column * unit, rows + column * rowBytes + wholeSteps * unit, rest * elementSize);
    }
  }
}

} // namespace

/// Cuts `count` units of one part into pieces.
void WeightPacker::addPieces(uint64_t part, uint64_t count, uint64_t unitBytes, uint64_t partOffset) {
  uint64_t perPiece = std::max<uint64_t>(1, pieceBytes / unitBytes);
  for (uint64_t first = 0; first < count; first += perPiece) {
    uint64_t units = std::min(perPiece, count - first);
    allPieces.push_back({partOffset + first * unitBytes, units * unitBytes, part, first});
  }
}

WeightPacker::WeightPacker(const proto::Recipe &recipe, const ShardFiles &files) : recipe(recipe), files(files) {
  const proto::Packing &packing = recipe.packing();
  if (recipe.kind() == proto::RECIPE_KIND_PANELS) {
    PanelLayout layout(packing);
    for (uint64_t matrix = 0; matrix < packing.batch(); ++matrix) {
      addPieces(matrix, layout.panels, layout.panelBytes, matrix * layout.matrixBytes);
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
    addPieces(static_cast<uint64_t>(i), count, unitBytes, offset);
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

/// Reads `count` rows of a matrix from `first` on, as `format`: bytes as they lie, or widened,
/// scaled and rounded.
Status WeightPacker::readRows(const proto::Source &source, uint64_t first, uint64_t count, proto::ElementFormat format,
                              std::span<uint8_t> rows) const {
  uint64_t columns = source.shape(1), rowBytes = columns * elementBytes(source.format());
  uint64_t offset = source.offset() + first * rowBytes;
  if (source.format() == format) {
    return files.read(source.shard(), offset, rows);
  }
  std::vector<uint8_t> raw(count * rowBytes);
  ELAH_RETURN_IF_ERROR(files.read(source.shard(), offset, raw));
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
  uint64_t halves = packing.swiglu() ? 2 : 1;
  int perHalf = static_cast<int>(static_cast<uint64_t>(recipe.sources_size()) / (packing.batch() * halves));
  std::vector<uint8_t> rows(packing.panel() * rowBytes);

  // Copies rows [first, first + count) of the sources that are stacked from `source` on to the
  // panel's columns from `column` on.
  auto take = [&](int source, uint64_t first, uint64_t count, uint64_t column) -> Status {
    for (int end = source + perHalf; source < end && count > 0; ++source) {
      const proto::Source &part = recipe.sources(source);
      uint64_t height = part.shape(0);
      if (first >= height) {
        first -= height;
        continue;
      }
      uint64_t here = std::min(count, height - first);
      std::span<uint8_t> target(&rows[column * rowBytes], here * rowBytes);
      ELAH_RETURN_IF_ERROR(readRows(part, first, here, packing.format(), target));
      first = 0;
      count -= here;
      column += here;
    }
    return Status();
  };
  uint64_t panelCount = piece.size / layout.panelBytes;
  for (uint64_t i = 0; i < panelCount; ++i) {
    uint64_t first = (piece.first + i) * layout.panelColumns;
    uint64_t count = std::min(layout.panelColumns, layout.columns - first);
    if (count < layout.panelColumns) {
      std::fill(rows.begin(), rows.end(), uint8_t(0));
    }
    for (uint64_t half = 0; half < halves; ++half) {
      int source = static_cast<int>(piece.part * halves + half) * perHalf;
      ELAH_RETURN_IF_ERROR(take(source, first, count, half * layout.panelColumns));
    }
    interleavePanel(packing, rows.data(), &output[i * layout.panelBytes]);
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
    interleavePanel(packing, rows.data(), &output[panel * layout.panelBytes]);
  }
  return Status();
}

} // namespace elah
