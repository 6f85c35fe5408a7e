#ifndef CODEGEN_ARTIFACT_PACKWEIGHT_H
#define CODEGEN_ARTIFACT_PACKWEIGHT_H

#include "codegen/Artifact/WeightFiles.h"
#include "dialects/Exec/Exec.h"

namespace elah {

/// Where packed bytes go: `offset` counts from the weight's first byte.
using PackedSink = llvm::function_ref<llvm::Error(uint64_t offset, llvm::ArrayRef<char> bytes)>;

/// Makes the bytes of one exec.weight, in independent pieces of a few MiB, so that threads share the work and memory
/// stays small whatever the weight's size. Bytes that no piece writes are zero.
class WeightPacker {
public:
  WeightPacker(exec::RecipeAttr recipe, WeightFiles &files);

  uint64_t pieces() const { return pieceCount; }
  /// Makes piece `index`.
  llvm::Error pack(uint64_t index, PackedSink sink) const;

private:
  llvm::Error packVector(PackedSink sink, bool scales) const;
  llvm::Error packTable(uint64_t index, PackedSink sink) const;
  llvm::Error packPanels(uint64_t index, PackedSink sink) const;
  llvm::Error packHead(uint64_t head, PackedSink sink) const;

  exec::RecipeAttr recipe;
  llvm::SmallVector<r1::WeightAttr> sources;
  WeightFiles &files;
  uint64_t pieceCount = 1;
  int64_t panelsPerPiece = 1;
};

} // namespace elah

#endif
