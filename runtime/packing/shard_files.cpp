// A checkpoint's weights are far larger than memory (R1: 641 GiB), so they are read in pieces as
// they are packed, never mapped whole and never kept. Reading, unlike a mapping, turns a file that
// shrinks under us into an error.
#include "packing/shard_files.h"
#define XXH_INLINE_ALL
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

namespace elah {
namespace {

constexpr uint64_t maxHeaderBytes = 8 + 100'000'000; // safetensors' own limit

} // namespace

bool isPlainFileName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

ShardFiles::~ShardFiles() {
  for (const File &file : files) {
    ::close(file.descriptor);
  }
}

Result<proto::Shard> ShardFiles::open(const std::string &name) {
  std::string path = folderPath + "/" + name;
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return failure(errno == ENOENT ? ELAH_NOT_FOUND : ELAH_IO, "%s: cannot open: %s", path.c_str(),
                   std::strerror(errno));
  }
  files.push_back({descriptor, name});
  uint32_t index = static_cast<uint32_t>(files.size() - 1);
  struct stat status;
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    return failure(ELAH_INVALID_DATA, "%s: expected a regular file", path.c_str());
  }
  proto::Shard shard;
  shard.set_name(name);
  shard.set_size(static_cast<uint64_t>(status.st_size));
  if (!name.ends_with(
          ".safetensors")) { // The bytes of an ONNX graph or its external data: where what lies, the graph says.
    return shard;
  }
  uint64_t length;
  if (shard.size() < sizeof(length)) {
    return failure(ELAH_INVALID_DATA, "%s: expected at least the 8 bytes of the header's length, found %" PRIu64,
                   path.c_str(), shard.size());
  }
  ELAH_RETURN_IF_ERROR(read(index, 0, {reinterpret_cast<uint8_t *>(&length), sizeof(length)}));
  if (length > shard.size() - sizeof(length) || length > maxHeaderBytes - sizeof(length)) {
    return failure(ELAH_INVALID_DATA, "%s: a header of %" PRIu64 " bytes does not fit the file of %" PRIu64 " bytes",
                   path.c_str(), length, shard.size());
  }
  shard.set_header_size(sizeof(length) + length);
  std::vector<uint8_t> header(shard.header_size());
  ELAH_RETURN_IF_ERROR(read(index, 0, header));
  shard.set_header_hash(XXH3_64bits(header.data(), header.size()));
  return shard;
}

Status ShardFiles::openExpected(const proto::Shard &expected) {
  Result<proto::Shard> found = open(expected.name());
  if (!found.ok()) {
    return Status(found.status().code(), found.status().message() +
                                             "; the artifact takes its weights from this shard (" +
                                             std::to_string(expected.size()) + " bytes)");
  }
  const char *folder = folderPath.c_str(), *name = expected.name().c_str();
  if (found->size() != expected.size()) {
    return failure(ELAH_INVALID_DATA,
                   "%s/%s: expected the shard that the artifact was compiled from, of %" PRIu64
                   " bytes, found %" PRIu64,
                   folder, name, expected.size(), found->size());
  }
  if (found->header_size() != expected.header_size() || found->header_hash() != expected.header_hash()) {
    return failure(ELAH_INVALID_DATA,
                   "%s/%s: the header is not the one that the artifact was compiled from: expected "
                   "%" PRIu64 " bytes with checksum %016" PRIx64 ", found %" PRIu64 " with %016" PRIx64,
                   folder, name, expected.header_size(), expected.header_hash(), found->header_size(),
                   found->header_hash());
  }
  return Status();
}

Status ShardFiles::read(uint32_t shard, uint64_t offset, std::span<uint8_t> bytes) const {
  const File &file = files[shard];
  const uint64_t begin = offset, size = bytes.size();
  while (!bytes.empty()) {
    ssize_t got = ::pread(file.descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return failure(ELAH_IO, "%s/%s: cannot read: %s", folderPath.c_str(), file.name.c_str(), std::strerror(errno));
    }
    if (got == 0) {
      return failure(ELAH_INVALID_DATA,
                     "%s/%s: expected %" PRIu64 " bytes at offset %" PRIu64 ", found the end of the file at %" PRIu64,
                     folderPath.c_str(), file.name.c_str(), size, begin, offset);
    }
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return Status();
}

} // namespace elah
