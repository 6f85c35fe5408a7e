// A GEMM's problem and schedule as CUDA C++, and how it is launched: the counterpart of kernels/gemm.cuh.
#include "codegen/Cuda/GemmSchedule.h"
#include "codegen/Cuda/Rounding.h"
#include <cassert>
#include <elah/cuda_kernel.h>

namespace elah::cuda {
namespace {

const char *nameOf(GemmElement element) { return element == GemmElement::F8 ? "F8" : "BF16"; }

const char *nameOf(GemmOutput output) {
  switch (output) {
  case GemmOutput::BF16:
    return "BF16";
  case GemmOutput::F32:
    return "F32";
  case GemmOutput::F32Add:
    return "F32Add";
  case GemmOutput::SwigluBF16:
    return "SwigluBF16";
  case GemmOutput::SwigluF8:
    return "SwigluF8";
  }
  __builtin_unreachable();
}

const char *nameOf(GemmBatch batch) {
  switch (batch) {
  case GemmBatch::None:
    return "None";
  case GemmBatch::Heads:
    return "Heads";
  case GemmBatch::Experts:
    return "Experts";
  }
  __builtin_unreachable();
}

std::string symbolOf(const std::string &family, const GemmProblem &problem, const GemmSchedule &schedule) {
  auto part = [](const char *letter, int64_t value) { return "_" + std::string(letter) + std::to_string(value); };
  std::string symbol = family + "_" + nameOf(problem.output);
  symbol += part("n", problem.columns) + part("k", problem.depth);
  if (problem.batches > 1) {
    symbol += part("b", problem.batches);
  }
  if (problem.batch == GemmBatch::Experts) {
    symbol += part("r", problem.rowsOfToken);
  }
  if (problem.hasBias) {
    symbol += "_bias";
  }
  if (problem.rows == GemmRows::LogitRows) {
    symbol += "_logits";
  }
  symbol += part("i", problem.inputPitch) + part("o", problem.outputPitch);
  if (problem.batch == GemmBatch::Heads) {
    symbol += part("is", problem.inputStride) + part("io", problem.inputOffset) + part("os", problem.outputStride) +
              part("oo", problem.outputOffset);
  }
  symbol += part("t", schedule.tileRows) + "x" + std::to_string(schedule.tileColumns);
  symbol += part("w", schedule.mathWarpgroups) + part("s", schedule.stages) + part("c", schedule.clusterRows) + "x" +
            std::to_string(schedule.clusterColumns) + part("p", schedule.splits) + part("g", schedule.rowGroup);
  return symbol;
}

/// Of the matrices, as the kernel's parameters name them.
struct Operands {
  std::string parameters, fields;
  unsigned count = 0;

  unsigned add(const char *type, const char *field) {
    parameters += std::string(parameters.empty() ? "" : ", ") + type + field;
    fields += std::string(".") + field + " = " + field + ", ";
    return count++;
  }
  unsigned addMapped(const char *name) { // Reached through a tensor map alone.
    parameters += std::string(parameters.empty() ? "" : ", ") + "const void *" + name;
    return count++;
  }
};

} // namespace

KernelSpec specializeGemm(const std::string &family, const GemmProblem &problem, const GemmSchedule &schedule) {
  assert(whyNoGemm(problem).empty());
  const bool isF8 = problem.element == GemmElement::F8;
  const bool isQuantized = problem.output == GemmOutput::SwigluF8;
  const bool hasExperts = problem.batch == GemmBatch::Experts;
  const bool isStaged = problem.output != GemmOutput::F32 && problem.output != GemmOutput::F32Add;
  const uint64_t elementBytes = static_cast<uint64_t>(problem.elementBytes());
  const uint64_t outputBytes = isQuantized ? 1 : 2; // Of what a tensor map writes.
  const int64_t tileOutputColumns = schedule.tileColumns / problem.halves();

  KernelSpec spec;
  spec.symbol = symbolOf(family, problem, schedule);
  spec.family = family;
  spec.schedule = schedule.describe();
  spec.threads = schedule.threads();
  spec.cluster = schedule.clusterRows * schedule.clusterColumns;
  spec.sharedBytes = gemmSharedBytes(problem, schedule);
  spec.maxRegisters = schedule.mathWarpgroups == 2 ? 168 : 255; // 65536 of all threads.

  Operands operands;
  const unsigned input = operands.addMapped("input");
  if (isF8) {
    operands.add("const float *", "inputScales");
  }
  const unsigned weight = operands.addMapped("weight");
  if (isF8) {
    operands.add("const float *", "weightScales");
  }
  if (problem.hasBias) {
    operands.add("const float *", "bias");
  }
  if (hasExperts) {
    operands.add("const int *", "offsets");
  }
  const unsigned output = operands.add("void *", "output");
  if (isQuantized) {
    operands.add("float *", "outputScales");
  }
  spec.operands = operands.count;

  // Tensor maps have three dimensions: k or columns, rows, matrices. Boxes are those of a tile.
  const MapElement element = isF8 ? MapElement::F8 : MapElement::BF16;
  const uint32_t tileDepth = static_cast<uint32_t>(128 / elementBytes);
  const int64_t heads = problem.batch == GemmBatch::Heads ? problem.batches : 1;
  const Extent rows = problem.rowExtent();
  // A dimension of one matrix needs a stride, too.
  auto strideOf = [&](int64_t elements, uint64_t bytes) {
    return elements == 0 ? uint64_t{16} : static_cast<uint64_t>(elements) * bytes;
  };
  spec.maps.push_back({.operand = input,
                       .byteOffset = static_cast<uint64_t>(problem.inputOffset) * elementBytes,
                       .element = element,
                       .sizes = {Extent::of(problem.depth), rows, Extent::of(heads)},
                       .strides = {static_cast<uint64_t>(problem.inputPitch) * elementBytes,
                                   strideOf(problem.inputStride, elementBytes)},
                       .box = {tileDepth, schedule.tileRows, 1},
                       .swizzle = MapSwizzle::B128});
  const uint64_t weightPitch = static_cast<uint64_t>(problem.weightPitch()) * elementBytes;
  spec.maps.push_back({.operand = weight,
                       .element = element,
                       .sizes = {Extent::of(problem.depth), Extent::of(problem.columns),
                                 Extent::of(problem.batches * problem.halves())},
                       .strides = {weightPitch, weightPitch * static_cast<uint64_t>(problem.columns)},
                       .box = {tileDepth, static_cast<uint32_t>(tileOutputColumns), 1},
                       .swizzle = MapSwizzle::B128});
  std::string mapParameters =
      ", const __grid_constant__ TensorMap inputMap, const __grid_constant__ TensorMap weightMap";
  std::string mapFields = ".inputMap = &inputMap, .weightMap = &weightMap";
  if (isStaged) {
    const int64_t rowBytes = tileOutputColumns * static_cast<int64_t>(outputBytes);
    const int64_t panelBytes = rowBytes % 128 == 0 ? 128 : rowBytes % 64 == 0 ? 64 : 32;
    spec.maps.push_back({.operand = output,
                         .byteOffset = static_cast<uint64_t>(problem.outputOffset) * outputBytes,
                         .element = isQuantized ? MapElement::F8 : MapElement::BF16,
                         .sizes = {Extent::of(problem.columns), rows, Extent::of(heads)},
                         .strides = {static_cast<uint64_t>(problem.outputPitch) * outputBytes,
                                     strideOf(problem.outputStride, outputBytes)},
                         .box = {static_cast<uint32_t>(panelBytes / static_cast<int64_t>(outputBytes)),
                                 schedule.tileRows / schedule.mathWarpgroups, 1},
                         .swizzle = panelBytes == 128  ? MapSwizzle::B128
                                    : panelBytes == 64 ? MapSwizzle::B64
                                                       : MapSwizzle::B32});
    mapParameters += ", const __grid_constant__ TensorMap outputMap";
    mapFields += ", .outputMap = &outputMap";
  }

  // The grid: a block for each tile and part of k, at most those of all multiprocessors.
  const int64_t columnUnits =
      ceilDiv(ceilDiv(problem.columns, tileOutputColumns), static_cast<int64_t>(schedule.clusterColumns));
  spec.grid.outer = columnUnits * schedule.splits * spec.cluster;
  spec.grid.rows = rows;
  spec.grid.rowTile = static_cast<int64_t>(schedule.tileRows) * schedule.clusterRows;
  spec.grid.maxBlocks = schedule.blocks;
  if (hasExperts) {
    // Each expert may have a tile that is not full.
    spec.grid.rows.constant += problem.batches * spec.grid.rowTile;
  } else {
    spec.grid.outer *= problem.batches;
  }
  if (schedule.splits > 1) {
    // Tiles of rows: at most rows / tile + those that the rounding of a cluster's adds.
    const int64_t bytesOfRow =
        problem.batches * columnUnits * schedule.clusterColumns * schedule.splits * schedule.tileColumns * 4;
    spec.scratchBytes = rows;
    for (int64_t &coefficient : spec.scratchBytes.coefficients) {
      coefficient *= bytesOfRow;
    }
    spec.scratchBytes.constant = spec.grid.rowTile * bytesOfRow;
    spec.usesSemaphores = true;
  }

  auto field = [](const char *name, int64_t value) {
    return std::string(".") + name + " = " + std::to_string(value) + ", ";
  };
  spec.source =
      "#include \"kernels/gemm.cuh\"\nusing namespace elah;\nconstexpr GemmShape shape = {.element = GemmElement::";
  spec.source += std::string(nameOf(problem.element)) + ", .output = GemmOutput::" + nameOf(problem.output) +
                 ", .batch = GemmBatch::" + nameOf(problem.batch) + ", ";
  spec.source += field("columns", problem.columns) + field("depth", problem.depth) + field("batches", problem.batches) +
                 field("rowsDim", problem.rows == GemmRows::LogitRows ? 2 : 0) +
                 field("outputPitch", problem.outputPitch) + field("outputStride", problem.outputStride) +
                 field("outputOffset", problem.outputOffset) + ".hasBias = " + (problem.hasBias ? "true" : "false") +
                 "};\n";
  spec.source += "constexpr GemmSchedule schedule = {" + field("tileRows", schedule.tileRows) +
                 field("tileColumns", schedule.tileColumns) + field("mathWarpgroups", schedule.mathWarpgroups) +
                 field("stages", schedule.stages) + field("clusterRows", schedule.clusterRows) +
                 field("clusterColumns", schedule.clusterColumns) + field("splits", schedule.splits) +
                 field("rowGroup", schedule.rowGroup) + "};\n";
  spec.source +=
      "static_assert(GemmConfig<shape, schedule>::sharedBytes == " + std::to_string(spec.sharedBytes) + ");\n";
  spec.source += "extern \"C\" __global__ void __launch_bounds__(" + std::to_string(spec.threads) + ", 1)\n" +
                 spec.symbol + "(" + operands.parameters + ", const Dims *dims" +
                 (spec.usesScratch() ? ", void *scratch" : "") + mapParameters + ") {\n  gemm<shape, schedule>({" +
                 operands.fields + ".dims = dims, " + (spec.usesScratch() ? ".scratch = scratch, " : "") + mapFields +
                 "});\n}\n";
  return spec;
}

} // namespace elah::cuda
