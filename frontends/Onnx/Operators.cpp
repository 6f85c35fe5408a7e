#include "frontends/Onnx/Operators.h"
#include "llvm/ADT/StringMap.h"

namespace elah::onnx_import {

const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name) {
  using Table = llvm::StringMap<const Operator *>;
  auto collect = [](std::initializer_list<llvm::ArrayRef<Operator>> lists) {
    Table table;
    for (llvm::ArrayRef<Operator> list : lists) {
      for (const Operator &entry : list) {
        table[entry.name] = &entry;
      }
    }
    return table;
  };
  static const Table standard = collect(
      {attentionOperators(), controlFlowOperators(), elementwiseOperators(), indexOperators(), linearOperators(),
       logicOperators(), normalizationOperators(), quantizationOperators(), reductionOperators(), scatterOperators(),
       sequenceOperators(), shapeOperators(), sliceOperators(), valueOperators()});
  static const Table contrib = collect({contribOperators(), contribAttentionOperators(), contribExpertOperators()});
  if (domain.empty() || domain == "ai.onnx") {
    return standard.lookup(name);
  }
  return domain == "com.microsoft" ? contrib.lookup(name) : nullptr;
}

} // namespace elah::onnx_import
