// Fat binaries: what nvcc and fatbinary wrap PTX and cubins in. NVIDIA documents the container no further than its
// first words (fatbinary_section.h of the toolkit: the wrapper); the entries' layout was read from what fatbinary 13.0
// writes.

#include "ptx/module.h"
#include <cstring>
#include <lz4.h>
#include <zstd.h>

namespace emulator::ptx {

namespace {

constexpr uint32_t wrapperMagic = 0x466243b1, containerMagic = 0xba55ed50;
constexpr uint64_t maxPtx = uint64_t{128} << 20;
constexpr unsigned maxEntries = 4096, maxWrappers = 4;

struct Wrapper {
  uint32_t magic, version;
  const void *data;
  const void *unused;
};

struct Container {
  uint32_t magic;
  uint16_t version, headerSize;
  uint64_t size; ///< of the entries
};
static_assert(sizeof(Container) == 16);

struct Entry {
  uint16_t kind; ///< 1: PTX, 2: ELF
  uint16_t version;
  uint32_t headerSize;
  uint64_t paddedSize;     ///< of what follows the header
  uint32_t compressedSize; ///< 0: plain
  uint32_t optionsOffset;
  uint16_t minor, major; ///< of the PTX ISA
  uint32_t target;       ///< 90
  uint32_t nameOffset, nameSize;
  uint64_t flags;
  uint64_t reserved;
  uint64_t plainSize; ///< 0: plain
};
static_assert(sizeof(Entry) == 64);
enum : uint64_t { CompressedLz4 = 0x2000, CompressedZstd = 0x8000 };
enum : uint16_t { KindPtx = 1, KindElf = 2 };

struct Images {
  std::string best;     ///< PTX
  unsigned target = 0;  ///< of the best one
  bool exact = false;   ///< the best one is for an architecture's own features ("sm_90a")
  std::string contents; ///< of all, for the error
};

Error error(std::string text) { return {{0, 0}, "fatbin: " + std::move(text)}; }

/// The plain text of an entry that holds PTX; an empty error where it worked.
std::string expand(const Entry &entry, const char *bytes, std::string &text) {
  if (!(entry.flags & (CompressedLz4 | CompressedZstd))) {
    text.assign(bytes, entry.paddedSize);
    return {};
  }
  if (entry.compressedSize > entry.paddedSize || entry.plainSize > maxPtx) {
    return "the sizes of a compressed image are out of range";
  }
  // A ratio that neither format reaches is a lie: don't allocate for it.
  if (entry.plainSize > (uint64_t{1} << 16) + uint64_t{entry.compressedSize} * 40000) {
    return "a compressed image is too small for what it says it holds";
  }
  text.resize(entry.plainSize);
  if (entry.flags & CompressedZstd) {
    size_t size = ZSTD_decompress(text.data(), text.size(), bytes, entry.compressedSize);
    if (ZSTD_isError(size) || size != text.size()) {
      return std::string("the Zstandard image is damaged: ") +
             (ZSTD_isError(size) ? ZSTD_getErrorName(size) : "it is shorter than it says");
    }
    return {};
  }
  int size =
      LZ4_decompress_safe(bytes, text.data(), static_cast<int>(entry.compressedSize), static_cast<int>(text.size()));
  return size == static_cast<int>(text.size()) ? std::string() : "the LZ4 image is damaged";
}

/// "sm_90a" gives 90 and whether it is an architecture's own ('a', or 'f' for a family's).
bool targetOf(std::string_view text, unsigned &target, char &suffix) {
  size_t at = text.find(".target");
  if (at == std::string_view::npos) {
    return false;
  }
  at = text.find("sm_", at);
  if (at == std::string_view::npos) {
    return false;
  }
  target = 0;
  for (at += 3; at < text.size() && text[at] >= '0' && text[at] <= '9' && target < 10000; ++at) {
    target = target * 10 + static_cast<unsigned>(text[at] - '0');
  }
  suffix = at < text.size() && (text[at] == 'a' || text[at] == 'f') ? text[at] : '\0';
  return target != 0;
}

/// One container; `used` is how far it reaches.
std::string read(const char *bytes, uint64_t size, unsigned sm, Images &images, uint64_t &used) {
  Container container;
  if (size < sizeof(container)) {
    return "expected a header of 16 bytes, found " + std::to_string(size);
  }
  std::memcpy(&container, bytes, sizeof(container));
  if (container.version != 1 || container.headerSize < sizeof(container)) {
    return "expected version 1 with a header of 16 bytes, found version " + std::to_string(container.version) +
           " with " + std::to_string(container.headerSize);
  }
  if (container.headerSize > size || container.size > size - container.headerSize) {
    return "expected " + std::to_string(container.size) + " bytes behind the header, found " +
           std::to_string(size - std::min<uint64_t>(size, container.headerSize));
  }
  used = container.headerSize + container.size;
  const char *at = bytes + container.headerSize;
  uint64_t left = container.size;
  for (unsigned count = 0; left > 0; ++count) {
    Entry entry;
    if (count == maxEntries) {
      return "expected at most 4096 images";
    }
    if (left < sizeof(entry)) {
      return "expected an image's header of 64 bytes, found " + std::to_string(left);
    }
    std::memcpy(&entry, at, sizeof(entry));
    if (entry.headerSize < sizeof(entry) || entry.headerSize > left || entry.paddedSize > left - entry.headerSize) {
      return "an image's size is out of range";
    }
    images.contents += (images.contents.empty() ? "" : ", ") + std::string(entry.kind == KindElf ? "sm_" : "compute_") +
                       std::to_string(entry.target) +
                       (entry.kind == KindElf   ? " (cubin)"
                        : entry.kind == KindPtx ? " (PTX)"
                                                : " (kind " + std::to_string(entry.kind) + ")");
    // An image that can't be better isn't worth its expansion.
    if (entry.kind == KindPtx && entry.target <= sm && entry.target >= images.target) {
      std::string text;
      if (entry.paddedSize > maxPtx) {
        return "expected at most 128 MiB of PTX";
      }
      if (std::string failure = expand(entry, at + entry.headerSize, text); !failure.empty()) {
        return failure;
      }
      while (!text.empty() && text.back() == '\0') {
        text.pop_back();
      }
      unsigned target = entry.target;
      char suffix = '\0';
      if (!targetOf(text, target, suffix)) {
        return "an image that should be PTX names no target";
      }
      bool runs = suffix == 'a' ? target == sm : suffix == 'f' ? target / 10 == sm / 10 && target <= sm : target <= sm;
      if (runs && (target > images.target || (target == images.target && suffix == 'a' && !images.exact))) {
        images.best = std::move(text);
        images.target = target;
        images.exact = suffix == 'a';
      }
    }
    at += entry.headerSize + entry.paddedSize;
    left -= entry.headerSize + entry.paddedSize;
  }
  return {};
}

} // namespace

std::variant<std::string, Error> ptxOfFatbin(const void *bytes, uint64_t size, unsigned sm) {
  const char *at = static_cast<const char *>(bytes);
  uint32_t magic = 0;
  for (unsigned wrappers = 0;; ++wrappers) {
    if (size < sizeof(magic)) {
      return error("expected at least 4 bytes, found " + std::to_string(size));
    }
    std::memcpy(&magic, at, sizeof(magic));
    if (magic != wrapperMagic || wrappers == maxWrappers) {
      break;
    }
    Wrapper wrapper;
    if (size < sizeof(wrapper)) {
      return error("expected a wrapper of 24 bytes, found " + std::to_string(size));
    }
    std::memcpy(&wrapper, at, sizeof(wrapper));
    if (!wrapper.data) {
      return error("the wrapper points to nothing");
    }
    at = static_cast<const char *>(wrapper.data);
    size = UINT64_MAX; // The container behind the pointer says how long it is.
  }
  if (magic != containerMagic) {
    constexpr char digits[] = "0123456789abcdef";
    std::string word;
    for (int shift = 28; shift >= 0; shift -= 4) {
      word += digits[magic >> shift & 15];
    }
    return error("expected the word 0xba55ed50 or 0x466243b1, found 0x" + word);
  }
  Images images;
  uint64_t used = 0;
  if (std::string failure = read(at, size, sm, images, used); !failure.empty()) {
    return error(failure);
  }
  if (images.best.empty()) {
    return error("expected PTX for sm_" + std::to_string(sm) + " or older, found " +
                 (images.contents.empty() ? "no image" : images.contents));
  }
  return std::move(images.best);
}

} // namespace emulator::ptx
