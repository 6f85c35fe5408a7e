// What must hold for every plan, on random programs: nobody's buffer is overwritten while someone
// still reads it, and the arena is no larger than it has to be by much.
#include "compiler/Transforms/Passes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <random>
#include <set>

using namespace mlir;
using namespace elah;

namespace {

constexpr int64_t maxTokens = 128, maxSequences = 8;

int64_t atLimits(exec::ExtentAttr size) {
  return size.getConstant() + size.getCoefficient(exec::Dim::Tokens) * maxTokens +
         size.getCoefficient(exec::Dim::Sequences) * maxSequences +
         size.getCoefficient(exec::Dim::LogitRows) * maxTokens;
}

/// A program of `steps` kernels. Each writes a new buffer, or adds to an older one, and reads some
/// older ones, whole or through a view.
OwningOpRef<ModuleOp> randomProgram(MLIRContext *context, unsigned seed, unsigned steps) {
  std::mt19937 random(seed);
  auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  OpBuilder builder(context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  module->getOperation()->setAttr("exec.limits", builder.getDenseI64ArrayAttr({1024, maxSequences, maxTokens}));
  builder.setInsertionPointToEnd(module->getBody());
  auto program = exec::ProgramOp::create(builder, loc, "forward", ArrayAttr());
  builder.setInsertionPointToEnd(&program.getBody().emplaceBlock());
  exec::ExtentAttr rows[] = {
      exec::ExtentAttr::get(context, exec::Dim::Tokens), exec::ExtentAttr::get(context, exec::Dim::Sequences),
      exec::ExtentAttr::get(context, exec::Dim::LogitRows), exec::ExtentAttr::get(context, 5, {2, 3})};
  SmallVector<Value> buffers;
  auto alloc = [&](exec::ExtentAttr extent, int64_t width) {
    auto type = MemRefType::get({ShapedType::kDynamic, width}, builder.getF32Type());
    buffers.push_back(exec::AllocOp::create(builder, loc, type, extent, IntegerAttr()));
    return buffers.back();
  };
  auto widthOf = [](Value buffer) { return cast<MemRefType>(buffer.getType()).getDimSize(1); };
  // An embedding's table and result are of one width.
  auto columns = [&](Value buffer, int64_t count) -> Value {
    return widthOf(buffer) == count ? buffer : exec::ViewOp::create(builder, loc, buffer, 0, count);
  };
  auto indices = MemRefType::get({ShapedType::kDynamic}, builder.getI32Type());
  Value tokens = exec::InputOp::create(builder, loc, indices, exec::Input::TokenIds);
  alloc(rows[0], 16);
  for (unsigned step = 0; step < steps; ++step) {
    // Reading mostly what is new, as models do.
    size_t back = std::min<size_t>(buffers.size(), 1 + below(below(4) == 0 ? 12 : 3));
    Value read = buffers[buffers.size() - back];
    if (below(3) == 0) {
      read = exec::ViewOp::create(builder, loc, read, widthOf(read) / 2, widthOf(read) / 2);
    }
    Value write = below(3) == 0 ? buffers[below(buffers.size())] : alloc(rows[below(4)], 2 + 2 * below(40));
    int64_t common = std::min(widthOf(read), widthOf(write));
    kernel::EmbedOp::create(builder, loc, tokens, columns(read, common), columns(write, common));
  }
  Value logits = alloc(rows[2], 8);
  kernel::EmbedOp::create(builder, loc, tokens, columns(buffers.front(), 8), logits);
  exec::ReturnOp::create(builder, loc, logits);
  return module;
}

exec::AllocOp allocOf(Value value) {
  while (auto view = value.getDefiningOp<exec::ViewOp>()) {
    value = view.getSource();
  }
  return value.getDefiningOp<exec::AllocOp>();
}

class PlanArenaTest : public testing::TestWithParam<unsigned> {};

/// Runs the program on slots that remember who wrote them last. What a kernel reads must still be
/// there; a buffer that nobody has written yet holds nothing that could be lost.
TEST_P(PlanArenaTest, NothingIsOverwrittenWhileItIsRead) {
  MLIRContext context;
  context.loadDialect<exec::ExecDialect, kernel::KernelDialect, r1::R1Dialect>();
  OwningOpRef<ModuleOp> module = randomProgram(&context, GetParam(), 20 + 15 * (GetParam() % 8));
  ASSERT_TRUE(succeeded(verify(*module)));
  PassManager passes(&context);
  passes.addPass(createPlanArenaPass());
  ASSERT_TRUE(succeeded(passes.run(*module)));

  exec::ProgramOp program = *module->getOps<exec::ProgramOp>().begin();
  std::map<uint64_t, exec::AllocOp> contents;
  std::set<Operation *> written;
  unsigned reads = 0;
  for (Operation &op : program.getBody().front()) {
    SmallVector<exec::AllocOp> inputs;
    exec::AllocOp output;
    if (auto kernel = dyn_cast<kernel::EmbedOp>(op)) {
      inputs.push_back(allocOf(kernel.getTable()));
      output = allocOf(kernel.getOutput());
      inputs.push_back(output); // It may add to what is there.
    } else if (auto result = dyn_cast<exec::ReturnOp>(op)) {
      inputs.push_back(allocOf(result.getLogits()));
    }
    for (exec::AllocOp input : inputs) {
      if (written.count(input)) {
        ++reads;
        EXPECT_EQ(contents[*input.getSlot()], input) << "seed " << GetParam();
      }
      // Within one kernel, different buffers are different memory.
      EXPECT_TRUE(!output || input == output || *input.getSlot() != *output.getSlot()) << "seed " << GetParam();
    }
    if (output) {
      contents[*output.getSlot()] = output;
      written.insert(output);
    }
  }
  EXPECT_GT(reads, 10u);
}

/// The bound for slots: the largest buffer of any time, and the second largest of any time, and so
/// on. Ours is within an eighth of it, and far below no plan at all.
TEST_P(PlanArenaTest, IsNearTheBound) {
  MLIRContext context;
  context.loadDialect<exec::ExecDialect, kernel::KernelDialect, r1::R1Dialect>();
  OwningOpRef<ModuleOp> module = randomProgram(&context, GetParam(), 140);
  PassManager passes(&context);
  passes.addPass(createPlanArenaPass());
  ASSERT_TRUE(succeeded(passes.run(*module)));
  exec::ProgramOp program = *module->getOps<exec::ProgramOp>().begin();

  std::map<Operation *, unsigned> position;
  for (Operation &op : program.getBody().front()) {
    position[&op] = position.size();
  }
  std::vector<std::vector<int64_t>> live(position.size());
  int64_t all = 0;
  for (exec::AllocOp alloc : program.getBody().getOps<exec::AllocOp>()) {
    unsigned begin = ~0u, end = 0;
    for (auto &[op, at] : position) {
      if (!isa<exec::ViewOp>(op) &&
          llvm::any_of(op->getOperands(), [&](Value operand) { return allocOf(operand) == alloc; })) {
        begin = std::min(begin, at);
        end = std::max(end, at);
      }
    }
    int64_t bytes = atLimits(alloc.getByteSize());
    all += bytes;
    for (unsigned at = begin; at <= end && begin != ~0u; ++at) {
      live[at].push_back(bytes);
    }
  }
  int64_t arena = 0;
  for (Attribute sizes : program.getArenaAttr()) {
    int64_t largest = 0;
    for (Attribute size : cast<ArrayAttr>(sizes)) {
      largest = std::max(largest, atLimits(cast<exec::ExtentAttr>(size)));
    }
    arena += largest;
  }
  std::vector<int64_t> largest;
  for (std::vector<int64_t> &sizes : live) {
    std::sort(sizes.rbegin(), sizes.rend());
    largest.resize(std::max(largest.size(), sizes.size()));
    for (size_t rank = 0; rank < sizes.size(); ++rank) {
      largest[rank] = std::max(largest[rank], sizes[rank]);
    }
  }
  int64_t bound = std::accumulate(largest.begin(), largest.end(), int64_t(0));
  EXPECT_GE(arena, bound) << "seed " << GetParam();
  EXPECT_LE(arena, bound + bound / 8) << "seed " << GetParam();
  EXPECT_LE(arena, all / 2) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanArenaTest, testing::Range(0u, 64u));

} // namespace
