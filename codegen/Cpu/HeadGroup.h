// Grouped-query attention and absorbed latent attention differ only in what a row of the cache is: here is what they
// have in common, and the three ways to compute it. One row of queries at a time reads the cache as a stream (decode);
// tiles of rows share what they read (prefill), in f32 or in AMX's registers.
#ifndef CODEGEN_CPU_HEADGROUP_H
#define CODEGEN_CPU_HEADGROUP_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

/// Query heads that read the same keys and values, and where everything lies.
struct HeadGroup {
  int64_t group;                      ///< Heads.
  int64_t keyDim, valueDim;           ///< Values of a key and of a value that count.
  mlir::Value query;                  ///< f32.
  int64_t queryRow;                   ///< Elements from one token to the next; heads lie side by side.
  mlir::Value queryOffset;            ///< Of the first head.
  mlir::Value keys, values;           ///< Cache pools.
  int64_t keyRow, valueRow;           ///< Elements of a row in each pool.
  mlir::Value keyOffset, valueOffset; ///< Where this group's key and value begin in a row.
  bool valuesAreKeys;                 ///< A value is the beginning of its key.
  mlir::Type element;                 ///< Of the cache.
  mlir::Value pageTable;
  int64_t pageTokens;
  double scale;
  kernel::Compute compute; ///< Products are at least so precise.
  mlir::Value output;
  int64_t outputRow;
  mlir::Value outputOffset;
  mlir::Type outputElement;

  mlir::Value queryIndex(KernelBuilder &kernel, mlir::Value token, mlir::Value head) const;
  mlir::Value outputIndex(KernelBuilder &kernel, mlir::Value token, mlir::Value head) const;
};

/// Consecutive tokens of one sequence.
struct TokenRun {
  mlir::Value first, count; ///< In this step.
  mlir::Value position;     ///< Of the first one in its sequence.
  mlir::Value pageRow;      ///< Where the sequence's row of the page table begins.

  /// The cache row of the sequence's token at `position`.
  mlir::Value cacheRow(KernelBuilder &kernel, const HeadGroup &heads, mlir::Value position) const;
};

/// One token at a time.
void emitTokenAttention(KernelBuilder &kernel, const HeadGroup &heads, const TokenRun &run);
uint64_t tokenAttentionScratch(const HeadGroup &heads);

/// All tokens of a run at once, up to `tileTokens` of them.
void emitTileAttention(KernelBuilder &kernel, const HeadGroup &heads, const TokenRun &run);
int64_t tileTokens(const CpuTarget &target, const HeadGroup &heads);
uint64_t tileAttentionScratch(const CpuTarget &target, const HeadGroup &heads);

/// The same with AMX, where the target has it and products need not be in f32.
bool canUseAmxAttention(const CpuTarget &target, const HeadGroup &heads);
void emitAmxAttention(KernelBuilder &kernel, const HeadGroup &heads, const TokenRun &run);
int64_t amxTileTokens(const HeadGroup &heads);
uint64_t amxAttentionScratch(const HeadGroup &heads);

} // namespace elah

#endif
