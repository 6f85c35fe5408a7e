#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/warp.h"
#include "ops/addresses.h"
#include "ops/reductions.h"
#include <cstring>
#include <mutex>
#include <optional>

// PTX ISA 9.7.13.5 to 9.7.13.8: atom, red, fence, membar. Each element is one atomic operation of the host, so CTAs on
// other threads and other devices see what they would on hardware; lanes go in their order.

namespace emulator {

using ptx::Space;
using ptx::Type;

namespace {

enum class Operation : uint8_t { Reduce, Exchange, CompareAndSwap };

constexpr unsigned maxVector = 8;

struct AtomicForm : MemoryForm {
  Operation operation = Operation::Reduce;
  Reduction reduction = Reduction::Add;
  Type type = Type::None; ///< of an element; of packed types their halves'
  unsigned element = 0;   ///< bytes
  unsigned perRegister = 1, registers = 1;
  bool returns = false;
  Operand results[maxVector], values[maxVector], compare;
};

/// 16 bytes at once: the host has no such operation without asking the processor, so these take turns.
std::mutex wideMutex;

template <typename Word> Word exchange(std::byte *memory, Word value) {
  return __atomic_exchange_n(reinterpret_cast<Word *>(memory), value, __ATOMIC_ACQ_REL);
}

template <typename Word> Word compareAndSwap(std::byte *memory, Word expected, Word value) {
  __atomic_compare_exchange_n(reinterpret_cast<Word *>(memory), &expected, value, false, __ATOMIC_ACQ_REL,
                              __ATOMIC_ACQUIRE);
  return expected;
}

/// Exchanges, or compares and swaps, one word; what was there goes to `old`.
template <typename Word>
void swapWord(Operation operation, std::byte *memory, const std::byte *value, const std::byte *compare,
              std::byte *old) {
  Word fresh, expected = {};
  std::memcpy(&fresh, value, sizeof(Word));
  if (compare) {
    std::memcpy(&expected, compare, sizeof(Word));
  }
  const Word found =
      operation == Operation::Exchange ? exchange(memory, fresh) : compareAndSwap(memory, expected, fresh);
  std::memcpy(old, &found, sizeof(Word));
}

void swapWide(Operation operation, std::byte *memory, const std::byte *value, const std::byte *compare,
              std::byte *old) {
  const std::lock_guard lock(wideMutex);
  std::memcpy(old, memory, 16);
  if (operation == Operation::Exchange || std::memcmp(old, compare, 16) == 0) {
    std::memcpy(memory, value, 16);
  }
}

Flow atomic(Warp &warp, const Op &op, Lanes lanes) {
  const AtomicForm &form = *static_cast<const AtomicForm *>(op.form);
  LaneAddresses at;
  const std::unique_lock<std::mutex> inOrder = inMemoryOrder(warp);
  if (!resolve(warp, op, form, lanes, at)) {
    return Flow::Ended;
  }
  const unsigned width = form.element * form.perRegister;
  forLanes(lanes, [&](unsigned lane) {
    std::byte *memory = at.host[lane];
    for (unsigned i = 0; i < form.registers; ++i, memory += width) {
      const std::byte *value = warp.read<std::byte>(form.values[i]) + lane * width;
      std::byte old[16];
      if (form.operation == Operation::Reduce) {
        for (unsigned part = 0; part < form.perRegister; ++part) {
          const unsigned offset = part * form.element;
          const uint64_t found = reduceElement(form.reduction, form.type, memory + offset, value + offset);
          std::memcpy(old + offset, &found, form.element);
        }
      } else {
        const std::byte *compare =
            form.operation == Operation::CompareAndSwap ? warp.read<std::byte>(form.compare) + lane * width : nullptr;
        switch (width) {
        case 2:
          swapWord<uint16_t>(form.operation, memory, value, compare, old);
          break;
        case 4:
          swapWord<uint32_t>(form.operation, memory, value, compare, old);
          break;
        case 8:
          swapWord<uint64_t>(form.operation, memory, value, compare, old);
          break;
        default:
          swapWide(form.operation, memory, value, compare, old);
        }
      }
      if (form.returns) {
        std::memcpy(warp.write<std::byte>(form.results[i]) + lane * width, old, width);
      }
      warp.sees(memory, old, width);
      warp.sees(memory, value, width);
    }
  });
  // Whoever takes a lock, or waits for a count, polls with these.
  warp.seesNoMore(op, lanes);
  return Flow::Yield;
}

/// `.relaxed .acquire .release .acq_rel`, if one stands next.
std::optional<Ordering> semanticsWord(Decoder &d, bool isRed) {
  switch (d.optionalOf({"relaxed", "acquire", "release", "acq_rel"})) {
  case 0:
    return Ordering::Relaxed;
  case 1:
    if (isRed) {
      d.error("red reads nothing: expected '.relaxed' or '.release'");
    }
    return Ordering::Acquire;
  case 2:
    return Ordering::Release;
  case 3:
    if (isRed) {
      d.error("red reads nothing: expected '.relaxed' or '.release'");
    }
    return Ordering::AcquireRelease;
  default:
    return std::nullopt;
  }
}

/// The type of the elements of a packed one, and how many a register holds.
Type elementType(Type type, unsigned &perRegister) {
  perRegister = type == Type::F16x2 || type == Type::BF16x2 ? 2 : 1;
  return type == Type::F16x2 ? Type::F16 : type == Type::BF16x2 ? Type::BF16 : type;
}

void decodeAtomic(Decoder &d, Op &op, bool isRed) {
  AtomicForm form;
  form.kind = MemoryAccess::Kind::ReadWrite;
  // The ISA has semantics, scope, space, operation; ptxas takes these words in any order, and compilers print the scope
  // behind the space (atomicAdd_block: atom.global.cta.add).
  std::optional<Ordering> ordering;
  std::optional<unsigned> found;
  Space space = Space::Generic;
  for (bool more = true; more;) {
    more = false;
    if (!ordering && (ordering = semanticsWord(d, isRed))) {
      more = true;
    }
    if (form.scope == Scope::None && (form.scope = scopeWord(d)) != Scope::None) {
      more = true;
    }
    if (space == Space::Generic && (space = spaceWord(d)) != Space::Generic) {
      more = true;
    }
    if (!found) {
      const int which = d.optionalOf({"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"});
      if (which >= 0) {
        found = static_cast<unsigned>(which);
        more = true;
      }
    }
  }
  form.ordering = ordering.value_or(Ordering::Relaxed);
  if (form.scope == Scope::None) {
    form.scope = Scope::Gpu; // PTX ISA, atom: "if no scope is specified, .gpu".
  }
  if (space != Space::Generic && space != Space::Global && space != Space::Shared) {
    d.error("expected global, shared or generic memory");
  }
  if (!found) {
    d.oneOf({"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"}); // Says what was found instead.
    return;
  }
  const unsigned operation = *found;
  const bool isSwap = operation >= 8;
  if (isSwap && isRed) {
    d.error("red has no exch and no cas");
  }
  form.operation = operation == 8 ? Operation::Exchange : isSwap ? Operation::CompareAndSwap : Operation::Reduce;
  form.reduction = isSwap ? Reduction::Add : static_cast<Reduction>(operation);
  const bool noFlush = d.accept("noftz");
  const bool hint = cacheWords(d, true);
  const int vector = d.optionalOf({"v2", "v4", "v8"});
  form.registers = vector < 0 ? 1 : 2u << vector;
  Type type;
  const bool isBits = operation >= 5 && operation <= 7;
  if (isSwap) {
    type = operation == 8
               ? d.type({Type::B32, Type::B64, Type::B128, Type::U32, Type::S32, Type::F32, Type::U64, Type::F64})
               : d.type({Type::B16, Type::B32, Type::B64, Type::B128, Type::U32, Type::S32, Type::U64, Type::U16});
  } else if (isBits) {
    type = d.type({Type::B32, Type::B64});
  } else if (operation >= 3) {
    type = d.type({Type::U32});
  } else if (operation == 0) {
    type = d.type(
        {Type::U32, Type::S32, Type::U64, Type::F32, Type::F64, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2});
  } else {
    type = d.type({Type::U32, Type::S32, Type::U64, Type::S64, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2});
  }
  const bool isSmall = type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2;
  if (isSmall != noFlush) {
    d.error(isSmall ? "expected '.noftz' before the type" : "'.noftz' is for f16 and bf16");
  }
  if ((operation == 1 || operation == 2) && isSmall && vector < 0) {
    d.error("min and max of f16 and bf16 are for vectors");
  }
  if (vector >= 0 && (space == Space::Shared || !(isSmall || type == Type::F32) || (type == Type::F32 && operation))) {
    d.error("vectors are of f32 (add) or f16 and bf16 (add, min, max), in global memory");
  }
  form.type = elementType(type, form.perRegister);
  form.element = ptx::sizeOf(form.type);
  form.bytes = form.element * form.perRegister * form.registers;
  if (form.bytes > 16) {
    d.error("found a vector of " + std::to_string(form.bytes) + " bytes, expected at most 16");
  }
  unsigned next = 0;
  auto registersOf = [&](const ptx::Operand &operand, Operand(&slots)[maxVector], bool isResult) {
    const bool isVector = operand.kind == ptx::Operand::Kind::Vector;
    if (isVector != (vector >= 0) || (isVector && operand.elements.size() != form.registers)) {
      d.error("expected " +
              (vector < 0 ? std::string("one register") : "a vector of " + std::to_string(form.registers)));
      return;
    }
    for (unsigned i = 0; i < form.registers; ++i) {
      const ptx::Operand &one = isVector ? operand.elements[i] : operand;
      slots[i] = isResult ? d.destination(one, type) : d.source(one, type);
    }
  };
  if (!isRed) {
    form.returns = d.operand(0).kind != ptx::Operand::Kind::Sink;
    if (form.returns) {
      registersOf(d.operand(0), form.results, true);
    }
    ++next;
  }
  readAddress(d, d.operand(next++), space, form);
  if (form.operation == Operation::CompareAndSwap) {
    form.compare = d.source(d.operand(next++), type);
  }
  registersOf(d.operand(next++), form.values, false);
  if (hint) {
    d.source(next++, Type::B64);
  }
  d.operandsEnd(next);
  op.run = atomic;
  op.form = d.keep(form);
}

// --- Fences.

struct FenceForm {
  Ordering ordering = Ordering::SequentiallyConsistent;
  Scope scope = Scope::System;
  std::string_view proxies; ///< empty: a fence between threads
};

Flow fence(Warp &warp, const Op &op, Lanes lanes) {
  const FenceForm &form = *static_cast<const FenceForm *>(op.form);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (warp.observer) {
    if (form.proxies.empty()) {
      warp.observer->fence(warp, op, form.ordering, form.scope, lanes);
    } else {
      warp.observer->proxyFence(warp, op, form.proxies, lanes);
    }
  }
  return Flow::Next;
}

Scope neededScope(Decoder &d) {
  const Scope scope = scopeWord(d);
  if (scope == Scope::None) {
    d.error("expected a scope: .cta, .cluster, .gpu or .sys");
  }
  return scope;
}

void decodeProxyFence(Decoder &d, Op &op) {
  FenceForm form;
  switch (d.oneOf({"alias", "async", "tensormap::generic", "async::generic"})) {
  case 0:
    form.proxies = "alias";
    break;
  case 1:
    switch (d.optionalOf({"global", "shared::cta", "shared::cluster"})) {
    case 0:
      form.proxies = "async.global";
      break;
    case 1:
    case 2:
      form.proxies = "async.shared::cta";
      break;
    default:
      form.proxies = "async";
    }
    break;
  case 2: {
    const bool acquires = d.oneOf({"acquire", "release"}) == 0;
    form.scope = neededScope(d);
    form.proxies = "tensormap";
    if (acquires) {
      d.address(0, Space::Generic);
      if (d.constant(1) != 128) {
        d.error("expected a size of 128");
      }
      d.operandsEnd(2);
    }
    break;
  }
  default: // .async::generic.{acquire,release}.sync_restrict::…
    d.oneOf({"acquire", "release"});
    d.oneOf({"sync_restrict::shared::cluster", "sync_restrict::shared::cta"});
    d.expect("cluster");
    form.proxies = "async.shared::cta";
  }
  op.run = fence;
  op.form = d.keep(form);
}

void decodeFence(Decoder &d, Op &op) {
  if (d.accept("proxy")) {
    return decodeProxyFence(d, op);
  }
  FenceForm form;
  if (d.accept("mbarrier_init")) {
    d.expect("release");
    d.expect("cluster");
    form.scope = Scope::Cluster;
    form.proxies = "mbarrier_init";
  } else {
    switch (d.optionalOf({"sc", "acq_rel", "acquire", "release"})) {
    case 0:
      form.ordering = Ordering::SequentiallyConsistent;
      break;
    case 2:
      form.ordering = Ordering::Acquire;
      break;
    case 3:
      form.ordering = Ordering::Release;
      break;
    default:
      form.ordering = Ordering::AcquireRelease;
    }
    // Only of shared memory: what is ordered here is ordered with all the rest.
    if (form.ordering == Ordering::Acquire || form.ordering == Ordering::Release) {
      d.optionalOf({"sync_restrict::shared::cluster", "sync_restrict::shared::cta"});
    }
    form.scope = neededScope(d);
  }
  d.operandsEnd(0);
  op.run = fence;
  op.form = d.keep(form);
}

void decodeMembar(Decoder &d, Op &op) {
  if (d.accept("proxy")) {
    return decodeProxyFence(d, op);
  }
  FenceForm form; // membar is fence.sc of the same scope.
  constexpr Scope scopes[] = {Scope::Cta, Scope::Gpu, Scope::System};
  form.scope = scopes[d.oneOf({"cta", "gl", "sys"})];
  d.operandsEnd(0);
  op.run = fence;
  op.form = d.keep(form);
}

} // namespace

void addAtomics(OpcodeTable &table) {
  table.add("atom", [](Decoder &d, Op &op) { decodeAtomic(d, op, false); });
  table.add("red", [](Decoder &d, Op &op) { decodeAtomic(d, op, true); });
  table.add("fence", decodeFence);
  table.add("membar", decodeMembar);
}

} // namespace emulator
