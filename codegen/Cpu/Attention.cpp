// The two attention families. Blocks are ordered by groups of heads and then by tokens, so that a thread's part of a
// launch is runs of tokens: prefill takes as many tokens of a run at a time as share a tile (more blocks could not:
// what a step holds is not known before it runs), a step of decoding takes each by itself.
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/HeadGroup.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace elah {
namespace {

/// The operands that say which tokens see what.
struct StepOperands {
  Value positions, tokenSequence, pagesPerSequence;
};

/// The longest run of consecutive tokens of one sequence from `first` on, up to `most` of them and before `end`.
TokenRun runFrom(KernelBuilder &k, const StepOperands &step, Value first, Value end, int64_t most) {
  TokenRun run;
  run.first = first;
  run.position = k.loadInteger(step.positions, first);
  Value sequence = k.loadInteger(step.tokenSequence, first);
  run.pageRow = k.mul(sequence, step.pagesPerSequence);
  run.count = k.integer(1);
  if (most > 1) {
    // Counts while what is counted is unbroken.
    Value limit = k.min(k.integer(most), k.sub(end, first));
    run.count = k.loop(k.integer(1), limit, k.integer(1), {k.integer(1)}, [&](Value i, ArrayRef<Value> so) {
      Value token = k.add(first, i);
      Value follows = k.equal(k.loadInteger(step.positions, token), k.add(run.position, i));
      Value isSame = k.equal(k.loadInteger(step.tokenSequence, token), sequence);
      Value counts = arith::AndIOp::create(k.builder, k.location, k.equal(so[0], i),
                                           arith::AndIOp::create(k.builder, k.location, follows, isSame));
      return KernelBuilder::Values{k.select(counts, k.add(i, k.integer(1)), so[0])};
    })[0];
  }
  return run;
}

/// Attends for this call's blocks; `headsOf` describes a group of heads.
uint64_t emitGroups(KernelBuilder &k, const StepOperands &step, Value tokens,
                    llvm::function_ref<HeadGroup(Value)> headsOf) {
  uint64_t scratch = 0;
  Value lastGroup = k.div(k.add(k.blockEnd, k.sub(tokens, k.integer(1))), tokens);
  k.loop(k.div(k.blockBegin, tokens), lastGroup, k.integer(1), [&](Value index) {
    HeadGroup heads = headsOf(index);
    bool usesAmx = canUseAmxAttention(k.target, heads);
    int64_t most = usesAmx ? amxTileTokens(heads) : tileTokens(k.target, heads);
    scratch = std::max(tokenAttentionScratch(heads),
                       usesAmx ? amxAttentionScratch(heads) : tileAttentionScratch(k.target, heads));
    // Rows of a tile lie side by side in vectors: fewer than half a vector go one by one.
    int64_t fewestTokens = std::max<int64_t>(usesAmx ? 1 : 2, llvm::divideCeil(k.lanes() / 2, heads.group));
    Value firstBlock = k.mul(index, tokens);
    Value begin = k.max(k.sub(k.blockBegin, firstBlock), k.integer(0));
    Value end = k.min(k.sub(k.blockEnd, firstBlock), tokens);
    k.advance(begin, end, [&](Value first) {
      TokenRun run = runFrom(k, step, first, end, most);
      auto tile = [&] {
        if (usesAmx) {
          emitAmxAttention(k, heads, run);
        } else {
          emitTileAttention(k, heads, run);
        }
      };
      if (fewestTokens <= 1) {
        tile();
      } else if (fewestTokens > most) {
        emitTokenAttention(k, heads, run);
      } else {
        k.ifElse(
            k.less(run.count, k.integer(fewestTokens)), {},
            [&] {
              emitTokenAttention(k, heads, run);
              return KernelBuilder::Values{};
            },
            [&] {
              tile();
              return KernelBuilder::Values{};
            });
      }
      return k.add(first, run.count);
    });
  });
  return scratch;
}

} // namespace

uint64_t emitAttention(kernel::AttentionOp op, KernelBuilder &k) {
  HeadGroup heads;
  heads.group = op.getHeads() / op.getKvHeads();
  heads.keyDim = op.getHeadDim();
  heads.valueDim = op.getValueDim();
  heads.query = k.buffer(0);
  heads.queryRow = rowStride(op.getQuery());
  heads.keys = k.buffer(1);
  heads.values = k.buffer(2);
  heads.keyRow = op.getKvHeads() * op.getHeadDim();
  heads.valueRow = op.getKvHeads() * op.getValueDim();
  heads.valuesAreKeys = false;
  heads.element = elementOf(op.getKeyCache());
  heads.pageTable = k.buffer(5);
  heads.pageTokens = op.getPageTokens();
  heads.scale = op.getScale().convertToDouble();
  heads.compute = op.getCompute();
  heads.output = k.buffer(6);
  heads.outputRow = rowStride(op.getOutput());
  heads.outputElement = elementOf(op.getOutput());
  StepOperands step = {k.buffer(3), k.buffer(4), k.dim(4)};
  return emitGroups(k, step, k.rows(op.getOutput()), [&](Value kvHead) {
    heads.queryOffset = k.mul(kvHead, k.integer(heads.group * heads.keyDim));
    heads.keyOffset = k.mul(kvHead, k.integer(heads.keyDim));
    heads.valueOffset = k.mul(kvHead, k.integer(heads.valueDim));
    heads.outputOffset = k.mul(kvHead, k.integer(heads.group * heads.valueDim));
    return heads;
  });
}

uint64_t emitLatentAttention(kernel::LatentAttentionOp op, KernelBuilder &k) {
  HeadGroup heads;
  heads.group = op.getHeads() / op.getHeadGroups();
  heads.keyDim = op.getRank() + op.getRopeDim();
  heads.valueDim = op.getRank();
  heads.query = k.buffer(0);
  heads.queryRow = rowStride(op.getQuery());
  heads.keys = heads.values = k.buffer(1);
  heads.keyRow = heads.valueRow = heads.keyDim;
  heads.keyOffset = heads.valueOffset = k.integer(0);
  heads.valuesAreKeys = true;
  heads.element = elementOf(op.getCache());
  heads.pageTable = k.buffer(4);
  heads.pageTokens = op.getPageTokens();
  heads.scale = op.getScale().convertToDouble();
  heads.compute = op.getCompute();
  heads.output = k.buffer(5);
  heads.outputRow = rowStride(op.getOutput());
  heads.outputElement = elementOf(op.getOutput());
  StepOperands step = {k.buffer(2), k.buffer(3), k.dim(4)};
  return emitGroups(k, step, k.rows(op.getOutput()), [&](Value part) {
    heads.queryOffset = k.mul(part, k.integer(heads.group * heads.keyDim));
    heads.outputOffset = k.mul(part, k.integer(heads.group * heads.valueDim));
    return heads;
  });
}

} // namespace elah
