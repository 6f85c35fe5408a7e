#include "ops/device_print.h"
#include "machine/cta.h"
#include "machine/function_call.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include <cstdio>
#include <cstring>
#include <mutex>

namespace emulator {

namespace {

/// The bytes of an argument of the running call.
template <typename T> T argument(Warp &warp, const CallForm &form, size_t index, unsigned lane) {
  T value{};
  if (index >= form.arguments.size()) {
    return value;
  }
  const CallValue &at = form.arguments[index];
  const std::byte *bytes = at.inRegister ? warp.read<std::byte>(at.slot) + static_cast<size_t>(lane) * at.size
                                         : warp.cta.localMemory(warp, lane) + warp.frame->localBase + at.offset;
  std::memcpy(&value, bytes, std::min<size_t>(sizeof value, at.size));
  return value;
}

template <typename T> void result(Warp &warp, const CallForm &form, unsigned lane, T value) {
  if (form.results.empty()) {
    return;
  }
  const CallValue &at = form.results[0];
  std::byte *bytes = at.inRegister ? warp.write<std::byte>(at.slot) + static_cast<size_t>(lane) * at.size
                                   : warp.cta.localMemory(warp, lane) + warp.frame->localBase + at.offset;
  std::memcpy(bytes, &value, std::min<size_t>(sizeof value, at.size));
}

/// The characters at a generic address up to a NUL, or "(bad address)".
std::string textAt(Warp &warp, unsigned lane, uint64_t address) {
  std::string text;
  for (; text.size() < 4096; ++address) {
    const Target target = warp.cta.cluster.resolveGeneric(warp.cta, &warp, lane, address, 1);
    if (!target.bytes) {
      return "(bad address)";
    }
    const char character = static_cast<char>(*target.bytes);
    if (!character) {
      break;
    }
    text += character;
  }
  return text;
}

/// Formats as CUDA's printf does (CUDA C++ programming guide, "Formatted Output"): arguments lie one behind the other,
/// each aligned to its size; float comes as double. `count`: how many of them the format asked for.
std::string formatted(Warp &warp, unsigned lane, const std::string &format, uint64_t arguments, int32_t &count) {
  std::string text;
  count = 0;
  uint64_t at = arguments;
  auto take = [&](unsigned bytes) {
    at = (at + bytes - 1) / bytes * bytes;
    uint64_t value = 0;
    const Target target = warp.cta.cluster.resolveGeneric(warp.cta, &warp, lane, at, bytes);
    if (target.bytes) {
      std::memcpy(&value, target.bytes, bytes);
    }
    at += bytes;
    ++count;
    return value;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
      continue;
    }
    std::string directive = "%";
    ++i;
    bool isLong = false;
    for (; i < format.size() && std::strchr("-+ #0123456789.*", format[i]); ++i) {
      if (format[i] == '*') {
        directive += std::to_string(static_cast<int32_t>(take(4)));
      } else {
        directive += format[i];
      }
    }
    for (; i < format.size() && std::strchr("hlLjzt", format[i]); ++i) {
      isLong |= format[i] != 'h';
    }
    if (i == format.size()) {
      text += directive;
      break;
    }
    char buffer[512];
    const char conversion = format[i];
    switch (conversion) {
    case '%':
      text += '%';
      continue;
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X': {
      const uint64_t value = take(isLong ? 8 : 4);
      directive += "ll";
      directive += conversion;
      const bool isSigned = conversion == 'd' || conversion == 'i';
      const long long shown = isLong     ? static_cast<long long>(value)
                              : isSigned ? static_cast<int32_t>(value)
                                         : static_cast<long long>(static_cast<uint32_t>(value));
      std::snprintf(buffer, sizeof buffer, directive.c_str(), shown);
      text += buffer;
      continue;
    }
    case 'c':
      directive += 'c';
      std::snprintf(buffer, sizeof buffer, directive.c_str(), static_cast<int>(take(4)));
      text += buffer;
      continue;
    case 'p':
      directive += 'p';
      std::snprintf(buffer, sizeof buffer, directive.c_str(), reinterpret_cast<void *>(take(8)));
      text += buffer;
      continue;
    case 's': {
      const std::string string = textAt(warp, lane, take(8));
      directive += 's';
      std::snprintf(buffer, sizeof buffer, directive.c_str(), string.c_str());
      text += string.size() < sizeof buffer ? std::string(buffer) : string;
      continue;
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A': {
      const uint64_t bits = take(8);
      double value;
      std::memcpy(&value, &bits, sizeof value);
      directive += conversion;
      std::snprintf(buffer, sizeof buffer, directive.c_str(), value);
      text += buffer;
      continue;
    }
    default:
      text += directive + conversion;
    }
  }
  return text;
}

std::mutex printing;

Flow vprintf(Warp &warp, const Op &op, Lanes lanes) {
  const CallForm &form = *static_cast<const CallForm *>(op.form);
  for (; lanes; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
    const uint64_t format = argument<uint64_t>(warp, form, 0, lane), values = argument<uint64_t>(warp, form, 1, lane);
    int32_t count = -1; // What CUDA's printf returns for a format that is null.
    const std::string text = format ? formatted(warp, lane, textAt(warp, lane, format), values, count) : "";
    {
      std::lock_guard lock(printing);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
    result<int32_t>(warp, form, lane, count);
  }
  return Flow::Next;
}

/// void __assertfail(const char *message, const char *file, unsigned line, const char *function, size_t charSize)
Flow assertFail(Warp &warp, const Op &op, Lanes lanes) {
  const CallForm &form = *static_cast<const CallForm *>(op.form);
  std::string all;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    uint32_t thread[3];
    warp.threadIndex(lane, thread);
    char where[160];
    std::snprintf(where, sizeof where, ": block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `", warp.cta.index[0],
                  warp.cta.index[1], warp.cta.index[2], thread[0], thread[1], thread[2]);
    all += textAt(warp, lane, argument<uint64_t>(warp, form, 1, lane)) + ":" +
           std::to_string(argument<uint32_t>(warp, form, 2, lane)) + ": " +
           textAt(warp, lane, argument<uint64_t>(warp, form, 3, lane)) + where +
           textAt(warp, lane, argument<uint64_t>(warp, form, 0, lane)) + "` failed.\n";
  }
  {
    std::lock_guard lock(printing);
    std::fwrite(all.data(), 1, all.size(), stdout);
    std::fflush(stdout);
  }
  return warp.fault(Fault::Kind::Assertion, op, lanes, 0, all.substr(0, all.find('\n')));
}

/// The device's heap is global memory like any other.
Flow deviceMalloc(Warp &warp, const Op &op, Lanes lanes) {
  const CallForm &form = *static_cast<const CallForm *>(op.form);
  for (; lanes; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
    const uint64_t size = argument<uint64_t>(warp, form, 0, lane);
    Allocation *made =
        size ? GlobalMemory::instance().allocate(size, warp.grid().config.device, "device malloc") : nullptr;
    result<uint64_t>(warp, form, lane, made ? made->address : 0);
  }
  return Flow::Next;
}

Flow deviceFree(Warp &warp, const Op &op, Lanes lanes) {
  const CallForm &form = *static_cast<const CallForm *>(op.form);
  for (; lanes; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
    const uint64_t address = argument<uint64_t>(warp, form, 0, lane);
    if (address && !GlobalMemory::instance().free(address)) {
      return warp.fault(Fault::Kind::IllegalAddress, op, Lanes(1) << lane, address, "free of no allocation");
    }
  }
  return Flow::Next;
}

} // namespace

Handler externalFunction(std::string_view name) {
  if (name == "vprintf") {
    return vprintf;
  }
  if (name == "__assertfail") {
    return assertFail;
  }
  if (name == "malloc") {
    return deviceMalloc;
  }
  if (name == "free") {
    return deviceFree;
  }
  return nullptr;
}

} // namespace emulator
