#include "machine/liveness.h"
#include <algorithm>
#include <bit>

namespace emulator {

namespace {

constexpr uint32_t none = ~uint32_t(0);

/// A row of bits for each basic block.
class BitRows {
public:
  BitRows(size_t rows, size_t bits) : words((bits + 63) / 64), data(rows * words) {}
  uint64_t *row(size_t index) { return data.data() + index * words; }
  static void set(uint64_t *row, uint32_t bit) { row[bit / 64] |= uint64_t(1) << bit % 64; }
  static void clear(uint64_t *row, uint32_t bit) { row[bit / 64] &= ~(uint64_t(1) << bit % 64); }
  static bool test(const uint64_t *row, uint32_t bit) { return row[bit / 64] >> bit % 64 & 1; }
  const size_t words;

private:
  std::vector<uint64_t> data;
};

struct Block {
  uint32_t begin = 0, end = 0; // Instructions [begin, end).
  std::vector<uint32_t> successors, predecessors;
};

std::vector<Block> blocksOf(const std::vector<InstructionEffects> &instructions, std::vector<uint32_t> &blockOf) {
  const uint32_t count = static_cast<uint32_t>(instructions.size());
  std::vector<bool> leads(count + 1);
  leads[0] = true;
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t target : instructions[i].targets) {
      leads[target] = true;
    }
    if (!instructions[i].targets.empty() || !instructions[i].fallsThrough) {
      leads[i + 1] = true;
    }
  }
  std::vector<Block> blocks;
  blockOf.assign(count, 0);
  for (uint32_t i = 0; i < count; ++i) {
    if (leads[i]) {
      blocks.push_back({i, i, {}, {}});
    }
    blocks.back().end = i + 1;
    blockOf[i] = static_cast<uint32_t>(blocks.size() - 1);
  }
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    const InstructionEffects &last = instructions[blocks[b].end - 1];
    for (uint32_t target : last.targets) {
      if (target < count) {
        blocks[b].successors.push_back(blockOf[target]);
      }
    }
    if (last.fallsThrough && blocks[b].end < count) {
      blocks[b].successors.push_back(b + 1);
    }
    for (uint32_t successor : blocks[b].successors) {
      blocks[successor].predecessors.push_back(b);
    }
  }
  return blocks;
}

/// Adds to the instructions that land asynchronous work the registers that may be in flight there, as reads.
void readWhatLands(std::vector<InstructionEffects> &instructions, const std::vector<Block> &blocks) {
  std::vector<uint32_t> numbered, numberOf;
  for (const InstructionEffects &instruction : instructions) {
    for (uint32_t reg : instruction.late) {
      if (numberOf.size() <= reg) {
        numberOf.resize(reg + 1, none);
      }
      if (numberOf[reg] == none) {
        numberOf[reg] = static_cast<uint32_t>(numbered.size());
        numbered.push_back(reg);
      }
    }
  }
  if (numbered.empty()) {
    return;
  }
  BitRows out(blocks.size(), numbered.size());
  std::vector<uint64_t> flying(out.words);
  auto walk = [&](uint32_t b, bool record) {
    std::fill(flying.begin(), flying.end(), 0);
    for (uint32_t predecessor : blocks[b].predecessors) {
      for (size_t w = 0; w < out.words; ++w) {
        flying[w] |= out.row(predecessor)[w];
      }
    }
    for (uint32_t i = blocks[b].begin; i < blocks[b].end; ++i) {
      InstructionEffects &instruction = instructions[i];
      if (instruction.lands && record) {
        for (uint32_t n = 0; n < numbered.size(); ++n) {
          if (BitRows::test(flying.data(), n)) {
            instruction.reads.push_back(numbered[n]);
          }
        }
      }
      if (instruction.landsAll && !instruction.conditional) {
        std::fill(flying.begin(), flying.end(), 0);
      }
      for (uint32_t reg : instruction.late) {
        BitRows::set(flying.data(), numberOf[reg]);
      }
    }
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t b = 0; b < blocks.size(); ++b) {
      walk(b, false);
      if (!std::equal(flying.begin(), flying.end(), out.row(b))) {
        std::copy(flying.begin(), flying.end(), out.row(b));
        changed = true;
      }
    }
  }
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    walk(b, true);
  }
}

} // namespace

std::vector<LiveInterval> liveIntervals(const std::vector<InstructionEffects> &given, uint32_t registerCount) {
  if (given.empty()) {
    return {};
  }
  std::vector<InstructionEffects> instructions = given;
  std::vector<uint32_t> blockOf;
  const std::vector<Block> blocks = blocksOf(instructions, blockOf);
  readWhatLands(instructions, blocks);

  // Most registers of a compiled kernel live within one block; only the others take part in the data flow.
  std::vector<uint32_t> onlyBlock(registerCount, none), crossing(registerCount, none);
  std::vector<uint32_t> crossingRegisters;
  auto cross = [&](uint32_t reg) {
    if (crossing[reg] == none) {
      crossing[reg] = static_cast<uint32_t>(crossingRegisters.size());
      crossingRegisters.push_back(reg);
    }
  };
  std::vector<uint32_t> definedIn(registerCount, none); // The last block with an unconditional write so far.
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    const uint32_t block = blockOf[i];
    auto touch = [&](uint32_t reg) {
      if (onlyBlock[reg] == none) {
        onlyBlock[reg] = block;
      } else if (onlyBlock[reg] != block) {
        cross(reg);
      }
    };
    for (uint32_t reg : instructions[i].reads) {
      touch(reg);
      if (definedIn[reg] != block) {
        cross(reg); // Upward exposed.
      }
    }
    for (uint32_t reg : instructions[i].writes) {
      touch(reg);
      if (instructions[i].conditional && definedIn[reg] != block) {
        cross(reg);
      } else {
        definedIn[reg] = block;
      }
    }
  }

  const size_t bits = crossingRegisters.size();
  BitRows used(blocks.size(), bits), defined(blocks.size(), bits), in(blocks.size(), bits), out(blocks.size(), bits);
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    for (uint32_t i = blocks[b].begin; i < blocks[b].end; ++i) {
      for (uint32_t reg : instructions[i].reads) {
        if (crossing[reg] != none && !BitRows::test(defined.row(b), crossing[reg])) {
          BitRows::set(used.row(b), crossing[reg]);
        }
      }
      if (!instructions[i].conditional) {
        for (uint32_t reg : instructions[i].writes) {
          if (crossing[reg] != none) {
            BitRows::set(defined.row(b), crossing[reg]);
          }
        }
      }
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t b = static_cast<uint32_t>(blocks.size()); b-- > 0;) {
      uint64_t *live = out.row(b);
      for (uint32_t successor : blocks[b].successors) {
        for (size_t w = 0; w < out.words; ++w) {
          live[w] |= in.row(successor)[w];
        }
      }
      for (size_t w = 0; w < out.words; ++w) {
        const uint64_t value = used.row(b)[w] | (live[w] & ~defined.row(b)[w]);
        if (value != in.row(b)[w]) {
          in.row(b)[w] = value;
          changed = true;
        }
      }
    }
  }

  std::vector<LiveInterval> intervals(registerCount);
  std::vector<bool> occurs(registerCount);
  auto extend = [&](uint32_t reg, uint32_t place) {
    LiveInterval &interval = intervals[reg];
    if (!occurs[reg]) {
      occurs[reg] = true;
      interval = {reg, place, place, false};
      return;
    }
    interval.begin = std::min(interval.begin, place);
    interval.end = std::max(interval.end, place);
  };
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    for (uint32_t reg : instructions[i].reads) {
      extend(reg, i);
    }
    for (uint32_t reg : instructions[i].writes) {
      extend(reg, i);
    }
    for (uint32_t reg : instructions[i].late) {
      extend(reg, i);
    }
  }
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    for (size_t w = 0; w < out.words; ++w) {
      for (uint64_t word = in.row(b)[w]; word; word &= word - 1) {
        const uint32_t reg = crossingRegisters[w * 64 + static_cast<size_t>(std::countr_zero(word))];
        extend(reg, blocks[b].begin);
        intervals[reg].undefinedAtEntry |= b == 0;
      }
      for (uint64_t word = out.row(b)[w]; word; word &= word - 1) {
        extend(crossingRegisters[w * 64 + static_cast<size_t>(std::countr_zero(word))], blocks[b].end - 1);
      }
    }
  }
  std::vector<LiveInterval> result;
  for (uint32_t reg = 0; reg < registerCount; ++reg) {
    if (occurs[reg]) {
      result.push_back(intervals[reg]);
    }
  }
  std::sort(result.begin(), result.end(), [](const LiveInterval &a, const LiveInterval &b) {
    return a.begin != b.begin ? a.begin < b.begin : a.reg < b.reg;
  });
  return result;
}

} // namespace emulator
