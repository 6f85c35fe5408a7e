#include "codegen/Cuda/Generic.h"
#include <algorithm>

namespace elah::cuda {
namespace {

std::string number(int64_t value) { return std::to_string(value); }

/// The values of an access to rows: 16 bytes, if width and pitch allow them, and no more than a unit.
std::string accessOf(const GenericShape &shape, int64_t pitch) {
  return number(accessWidth(shape.unit(), {shape.width, pitch}));
}

} // namespace

int64_t GenericShape::unit() const {
  // See kernels/values.cuh: where any operand is f32, four.
  const bool isHalf = output == RowElement::BF16 && std::all_of(inputs.begin(), inputs.end(), [](auto &input) {
                        return input.pitch > 0 && input.element != RowElement::F32;
                      });
  return isHalf ? 8 : 4;
}

std::string whyNoGeneric(const GenericShape &shape) {
  return shape.output == RowElement::F16 ? "found an output of f16, expected f32 or bf16" : "";
}

KernelSpec specializeGeneric(const GenericShape &shape, const RowSchedule &schedule) {
  std::string parameters, loads, elements, body;
  for (size_t i = 0; i < shape.inputs.size(); ++i) {
    const GenericInput &input = shape.inputs[i];
    const std::string index = number(static_cast<int64_t>(i));
    const bool isVector = input.pitch == 0;
    parameters += std::string(isVector ? "const float" : "const void") + " *input" + index + ", ";
    loads += "    float rows" + index + "[unit];\n    ";
    loads += isVector ? "load_unit_weights<width>(input" + index + ", first, rows" + index + ");\n"
                      : "load_unit<" + nameOf(input.element) + ", " + accessOf(shape, input.pitch) + ", width>(input" +
                            index + ", row * " + number(input.pitch) + ", first, rows" + index + ");\n";
    elements += "      const float x" + index + " = rows" + index + "[i];\n";
  }
  for (const std::string &statement : shape.body) {
    body += "      " + statement + "\n";
  }
  const std::string text = "#include \"kernels/generic.cuh\"\nusing namespace elah;\n"
                           "constexpr int32_t width = " +
                           number(shape.width) + ", unit = " + number(shape.unit()) +
                           ";\n"
                           "constexpr RowSchedule schedule = {.threadsPerRow = " +
                           number(schedule.threadsPerRow) + ", .rowsPerBlock = " + number(schedule.rowsPerBlock) +
                           "};\n"
                           "extern \"C\" __global__ void __launch_bounds__(" +
                           number(schedule.threads()) + ")\n";
  const std::string code = "(" + parameters +
                           "void *output, const Dims *dims) {\n"
                           "  forUnitsOfRow<width, unit, schedule>(&dims->" +
                           (shape.isOfLogitRows ? "logitRows" : "tokens") + ", [&](int64_t row, int32_t first) {\n" +
                           loads +
                           "    float results[unit];\n"
                           "    for (int32_t i = 0; i < unit; ++i) {\n" +
                           elements + "      float y;\n" + body +
                           "      results[i] = y;\n    }\n"
                           "    store_unit<" +
                           nameOf(shape.output) + ", " + accessOf(shape, shape.outputPitch) +
                           ", width>(output, row * " + number(shape.outputPitch) + ", first, results);\n  });\n}\n";
  KernelSpec spec;
  spec.family = "generic";
  spec.schedule = schedule.describe();
  spec.symbol = "generic_width" + number(shape.width) + "_" + fingerprintOf(text + code);
  spec.source = text + spec.symbol + code;
  spec.operands = static_cast<unsigned>(shape.inputs.size()) + 1;
  spec.threads = schedule.threads();
  spec.grid.rows = shape.isOfLogitRows ? Extent::logitRows() : Extent::tokens();
  spec.grid.rowTile = schedule.rowsPerBlock;
  return spec;
}

} // namespace elah::cuda
