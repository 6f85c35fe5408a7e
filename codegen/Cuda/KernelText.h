#ifndef CODEGEN_CUDA_KERNELTEXT_H
#define CODEGEN_CUDA_KERNELTEXT_H

#include "codegen/Cuda/KernelSpec.h"
#include <string>
#include <utility>
#include <vector>

namespace elah::cuda {

/// A number in f32 as CUDA C++ text, exactly.
std::string floatLiteral(double value);

/// Sixteen hexadecimal digits that tell one text from another.
std::string fingerprintOf(const std::string &text);

/// Of a text a part of an identifier: different texts that a kernel may have give different parts.
std::string identifierPart(const std::string &text);

/// The translation unit of a kernel that has no tensor maps: values for the fields of the structs that
/// kernels/<family>.cuh declares, <Family>Shape, <Family>Operands and a schedule.
class KernelText {
public:
  /// `family` as in the file's name, "rms_norm".
  explicit KernelText(std::string family);

  /// A pointer, const where the kernel only reads it, that the struct of operands has under that name.
  KernelText &operand(const char *type, const char *name);
  KernelText &shape(const char *field, int64_t value);
  KernelText &shape(const char *field, bool value);
  /// The name of a constant of an enum, "Element::BF16".
  KernelText &shape(const char *field, const std::string &constant);
  KernelText &schedule(const char *field, int64_t value);
  /// A number that the kernel is given among its operands, in f32.
  KernelText &number(const char *name, double value);
  /// Numbers that the kernel is given behind its operands, as a pointer to constant memory.
  KernelText &table(const char *name, const std::vector<double> &values);

  /// `scheduleType`: "RowSchedule".
  KernelSpec finish(const char *scheduleType, unsigned threads, const KernelGrid &grid, const std::string &schedule);

private:
  std::string family, parameters, fields, shapeFields, scheduleFields, numbers, tables, arguments, symbol;
  unsigned operands = 0;
};

} // namespace elah::cuda

#endif
