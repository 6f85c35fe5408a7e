// Repacks weights into the layout that the kernels read (kernel.packing), at compile time, once: at run time the bytes
// are mapped and used as they lie. What each recipe means is in the description of #exec.recipe.
#include "codegen/Artifact/PackWeight.h"
#include "codegen/Artifact/ElementFormat.h"
#include <cstring>
#include <vector>

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t pieceBytes = 4 << 20;

ElementFormat formatOf(Type element) {
  if (element.isF32()) {
    return ElementFormat::F32;
  }
  if (element.isBF16()) {
    return ElementFormat::BF16;
  }
  if (element.isF16()) {
    return ElementFormat::F16;
  }
  assert(isa<Float8E4M3FNType>(element) && "weights are f32, bf16, f16 or e4m3");
  return ElementFormat::F8E4M3;
}

ElementFormat formatOf(kernel::Format format) {
  switch (format) {
  case kernel::Format::F32:
    return ElementFormat::F32;
  case kernel::Format::BF16:
    return ElementFormat::BF16;
  case kernel::Format::F16:
    return ElementFormat::F16;
  case kernel::Format::F8:
    return ElementFormat::F8E4M3;
  }
  llvm_unreachable("unknown packing format");
}

/// Reads `count` rows of a matrix from `first` on, as `format`: bytes as they lie, or widened, scaled and rounded.
llvm::Error readRows(WeightFiles &files, r1::WeightAttr source, int64_t first, int64_t count, ElementFormat format,
                     llvm::MutableArrayRef<char> rows) {
  int64_t columns = source.getType().getDimSize(1);
  ElementFormat stored = formatOf(source.getType().getElementType());
  uint64_t rowBytes = static_cast<uint64_t>(columns) * elementBytes(stored);
  uint64_t offset = source.getOffset() + static_cast<uint64_t>(first) * rowBytes;
  if (stored == format) {
    return files.read(source.getFile(), offset, rows.take_front(count * rowBytes));
  }
  std::vector<char> raw(count * rowBytes);
  if (llvm::Error error = files.read(source.getFile(), offset, raw)) {
    return error;
  }
  std::vector<float> values(count * columns);
  widen(stored, raw.data(), values);
  if (r1::WeightAttr scales = source.getScales()) {
    auto blocks = cast<r1::BlocksAttr>(source.getType().getEncoding());
    int64_t blockColumns = scales.getType().getDimSize(1);
    int64_t firstBlock = first / blocks.getRows(), lastBlock = (first + count - 1) / blocks.getRows();
    std::vector<float> factors((lastBlock - firstBlock + 1) * blockColumns);
    llvm::MutableArrayRef<char> bytes(reinterpret_cast<char *>(factors.data()), factors.size() * 4);
    if (llvm::Error error = files.read(scales.getFile(), scales.getOffset() + firstBlock * blockColumns * 4, bytes)) {
      return error;
    }
    for (int64_t row = 0; row < count; ++row) {
      const float *rowFactors = &factors[((first + row) / blocks.getRows() - firstBlock) * blockColumns];
      for (int64_t column = 0; column < columns; ++column) {
        values[row * columns + column] *= rowFactors[column / blocks.getColumns()];
      }
    }
  }
  narrow(format, values, rows.data());
  return llvm::Error::success();
}

/// Turns `panel` rows of `k` elements into steps of [column][step] elements; Unit holds one column's elements of a step.
template <typename Unit>
void interleave(const char *rows, int64_t rowBytes, int64_t panel, int64_t wholeSteps, char *output) {
  constexpr int64_t tile = 64 / sizeof(Unit); // a cache line of each row at a time
  for (int64_t firstStep = 0; firstStep < wholeSteps; firstStep += tile) {
    int64_t lastStep = std::min(wholeSteps, firstStep + tile);
    for (int64_t column = 0; column < panel; ++column) {
      const char *row = rows + column * rowBytes;
      for (int64_t step = firstStep; step < lastStep; ++step) {
        std::memcpy(output + (step * panel + column) * sizeof(Unit), row + step * sizeof(Unit), sizeof(Unit));
      }
    }
  }
}

void interleavePanel(const kernel::PackingAttr &packing, const char *rows, char *output) {
  int64_t elementSize = packing.getElementBytes(), step = packing.getStep(), unit = elementSize * step;
  int64_t rowBytes = packing.getK() * elementSize, wholeSteps = packing.getK() / step;
  switch (unit) {
  case 1:
    interleave<uint8_t>(rows, rowBytes, packing.getPanel(), wholeSteps, output);
    break;
  case 2:
    interleave<uint16_t>(rows, rowBytes, packing.getPanel(), wholeSteps, output);
    break;
  case 4:
    interleave<uint32_t>(rows, rowBytes, packing.getPanel(), wholeSteps, output);
    break;
  default:
    llvm_unreachable("steps are 1 to 4 bytes");
  }
  if (int64_t rest = packing.getK() % step) { // The last step is padded with zeros.
    for (int64_t column = 0; column < packing.getPanel(); ++column) {
      std::memcpy(output + (wholeSteps * packing.getPanel() + column) * unit,
                  rows + column * rowBytes + wholeSteps * unit, rest * elementSize);
    }
  }
}

} // namespace

WeightPacker::WeightPacker(exec::RecipeAttr recipe, WeightFiles &files)
    : recipe(recipe), sources(recipe.getWeights()), files(files) {
  switch (recipe.getKind()) {
  case exec::RecipeKind::Vector:
  case exec::RecipeKind::Scales:
    break;
  case exec::RecipeKind::Table:
    pieceCount = llvm::divideCeil(sources.front().getSize(), static_cast<uint64_t>(pieceBytes));
    break;
  case exec::RecipeKind::Panels: {
    kernel::PackingAttr packing = recipe.getPacking();
    panelsPerPiece = std::max<int64_t>(1, pieceBytes / packing.getPanelBytes());
    pieceCount = packing.getBatch() * llvm::divideCeil(packing.getPanels(), panelsPerPiece);
    break;
  }
  case exec::RecipeKind::HeadPanels:
    pieceCount = recipe.getPacking().getBatch();
    break;
  }
}

llvm::Error WeightPacker::pack(uint64_t index, PackedSink sink) const {
  switch (recipe.getKind()) {
  case exec::RecipeKind::Vector:
    return packVector(sink, /*scales=*/false);
  case exec::RecipeKind::Scales:
    return packVector(sink, /*scales=*/true);
  case exec::RecipeKind::Table:
    return packTable(index, sink);
  case exec::RecipeKind::Panels:
    return packPanels(index, sink);
  case exec::RecipeKind::HeadPanels:
    return packHead(index, sink);
  }
  llvm_unreachable("unknown recipe");
}

llvm::Error WeightPacker::packVector(PackedSink sink, bool scales) const {
  uint64_t offset = 0;
  for (r1::WeightAttr source : sources) {
    r1::WeightAttr part = scales ? source.getScales() : source;
    ElementFormat stored = formatOf(part.getType().getElementType());
    std::vector<char> raw(part.getSize());
    if (llvm::Error error = files.read(part.getFile(), part.getOffset(), raw)) {
      return error;
    }
    std::vector<float> values(raw.size() / elementBytes(stored));
    widen(stored, raw.data(), values);
    llvm::ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * 4);
    if (llvm::Error error = sink(offset, bytes)) {
      return error;
    }
    offset += bytes.size();
  }
  return llvm::Error::success();
}

llvm::Error WeightPacker::packTable(uint64_t index, PackedSink sink) const {
  r1::WeightAttr source = sources.front();
  uint64_t offset = index * pieceBytes;
  std::vector<char> bytes(std::min<uint64_t>(pieceBytes, source.getSize() - offset));
  if (llvm::Error error = files.read(source.getFile(), source.getOffset() + offset, bytes)) {
    return error;
  }
  return sink(offset, bytes);
}

llvm::Error WeightPacker::packPanels(uint64_t index, PackedSink sink) const {
  kernel::PackingAttr packing = recipe.getPacking();
  int64_t piecesPerMatrix = static_cast<int64_t>(llvm::divideCeil(packing.getPanels(), panelsPerPiece));
  int64_t batch = static_cast<int64_t>(index) / piecesPerMatrix;
  int64_t firstPanel = static_cast<int64_t>(index) % piecesPerMatrix * panelsPerPiece;
  int64_t endPanel = std::min(packing.getPanels(), firstPanel + panelsPerPiece);
  ElementFormat format = formatOf(packing.getFormat());
  int64_t rowBytes = packing.getK() * packing.getElementBytes();
  size_t perBatch = sources.size() / packing.getBatch();
  auto batchSources = llvm::ArrayRef<r1::WeightAttr>(sources).slice(batch * perBatch, perBatch);

  std::vector<char> rows(packing.getPanel() * rowBytes);
  std::vector<char> output((endPanel - firstPanel) * packing.getPanelBytes());
  // Copies matrix rows [first, first + count) of the stacked `parts` to the panel's columns from `column` on.
  auto take = [&](llvm::ArrayRef<r1::WeightAttr> parts, int64_t first, int64_t count, int64_t column) -> llvm::Error {
    for (r1::WeightAttr part : parts) {
      int64_t height = part.getType().getDimSize(0);
      if (first < height && count > 0) {
        int64_t here = std::min(count, height - first);
        auto target = llvm::MutableArrayRef<char>(rows).slice(column * rowBytes, here * rowBytes);
        if (llvm::Error error = readRows(files, part, first, here, format, target)) {
          return error;
        }
        first += here;
        count -= here;
        column += here;
      }
      first -= height;
    }
    return llvm::Error::success();
  };
  for (int64_t panel = firstPanel; panel < endPanel; ++panel) {
    int64_t width = packing.getPanelColumns(), first = panel * width;
    int64_t count = std::min(width, packing.getColumns() - first);
    std::fill(rows.begin(), rows.end(), 0);
    llvm::Error error = packing.getSwiglu() ? take(batchSources.take_front(perBatch / 2), first, count, 0)
                                            : take(batchSources, first, count, 0);
    if (!error && packing.getSwiglu()) {
      error = take(batchSources.take_back(perBatch / 2), first, count, width);
    }
    if (error) {
      return error;
    }
    interleavePanel(packing, rows.data(), &output[(panel - firstPanel) * packing.getPanelBytes()]);
  }
  return sink(batch * packing.getMatrixBytes() + firstPanel * packing.getPanelBytes(), output);
}

llvm::Error WeightPacker::packHead(uint64_t head, PackedSink sink) const {
  kernel::PackingAttr packing = recipe.getPacking();
  int64_t n = packing.getN(), k = packing.getK();
  int64_t first = static_cast<int64_t>(head) * recipe.getHeadStride() + recipe.getHeadFirst();
  int64_t height = recipe.getTransposed() ? k : n, width = recipe.getTransposed() ? n : k;
  std::vector<float> matrix(height * width);
  llvm::MutableArrayRef<char> matrixBytes(reinterpret_cast<char *>(matrix.data()), matrix.size() * 4);
  if (llvm::Error error = readRows(files, sources.front(), first, height, ElementFormat::F32, matrixBytes)) {
    return error;
  }
  ElementFormat format = formatOf(packing.getFormat());
  int64_t rowBytes = k * packing.getElementBytes();
  std::vector<char> rows(packing.getPanel() * rowBytes), output(packing.getPanels() * packing.getPanelBytes());
  std::vector<float> row(k);
  for (int64_t panel = 0; panel < packing.getPanels(); ++panel) {
    std::fill(rows.begin(), rows.end(), 0);
    for (int64_t column = 0; column < std::min(packing.getPanel(), n - panel * packing.getPanel()); ++column) {
      int64_t index = panel * packing.getPanel() + column;
      for (int64_t i = 0; i < k; ++i) {
        row[i] = recipe.getTransposed() ? matrix[i * width + index] : matrix[index * width + i];
      }
      narrow(format, row, &rows[column * rowBytes]);
    }
    interleavePanel(packing, rows.data(), &output[panel * packing.getPanelBytes()]);
  }
  return sink(head * packing.getMatrixBytes(), output);
}

} // namespace elah
