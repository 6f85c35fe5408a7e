#include "src/record_section.h"
#define XXH_INLINE_ALL
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#include <xxhash.h>

namespace elah {
namespace {

uint64_t alignTo(uint64_t offset, uint64_t multiple) { return (offset + multiple - 1) / multiple * multiple; }
uint64_t blocksOf(uint64_t size) { return (size + ELAH_ARTIFACT_BLOCK - 1) / ELAH_ARTIFACT_BLOCK; }

/// An open file, and the name to call it by.
struct File {
  int descriptor;
  const char *path;
  ~File() { ::close(descriptor); }

  Status fail(const char *doing) const {
    return failure(ELAH_IO, "%s: cannot %s: %s", path, doing, std::strerror(errno));
  }
  Status read(void *to, size_t size, uint64_t offset) const {
    return ::pread(descriptor, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size) ? Status()
                                                                                                   : fail("read");
  }
  Status write(const void *from, size_t size, uint64_t offset) const {
    for (size_t done = 0; done < size;) {
      ssize_t count =
          ::pwrite(descriptor, static_cast<const char *>(from) + done, size - done, static_cast<off_t>(offset + done));
      if (count <= 0) {
        return fail("write");
      }
      done += static_cast<size_t>(count);
    }
    return Status();
  }
  /// The first `size` bytes of another file; where the file system can share them, nothing is read or written.
  Status copy(const File &from, uint64_t size) const {
    for (uint64_t left = size; left > 0;) {
      ssize_t count = ::copy_file_range(from.descriptor, nullptr, descriptor, nullptr, left, 0);
      if (count <= 0) {
        return fail("write");
      }
      left -= static_cast<uint64_t>(count);
    }
    return Status();
  }
};

} // namespace

Status recordSection(const char *path, elah_section_kind kind, const std::string &bytes) {
  File file{::open(path, O_RDONLY | O_CLOEXEC), path};
  struct stat known;
  if (file.descriptor < 0 || ::fstat(file.descriptor, &known) != 0) {
    return file.fail("open");
  }
  elah_artifact_header header;
  ELAH_RETURN_IF_ERROR(file.read(&header, sizeof(header), 0));
  if (std::memcmp(header.magic, ELAH_ARTIFACT_MAGIC, sizeof(header.magic)) != 0) {
    return failure(ELAH_UNSUPPORTED, "%s: expected an artifact that stands alone, not a program with one in it", path);
  }
  std::vector<uint64_t> checksums(header.checksums_size / sizeof(uint64_t));
  ELAH_RETURN_IF_ERROR(file.read(checksums.data(), header.checksums_size, header.checksums_offset));
  if (uint32_t last = header.section_count - 1; header.section_count > 0 && header.sections[last].kind == kind) {
    checksums.resize(checksums.size() - blocksOf(header.sections[last].size));
    header.sections[last] = {};
    --header.section_count;
  }
  if (header.section_count == ELAH_ARTIFACT_MAX_SECTIONS) {
    return failure(ELAH_UNSUPPORTED, "%s: there is no room for another section", path);
  }
  uint64_t end = header.manifest_offset + header.manifest_size;
  if (header.section_count > 0) {
    end = header.sections[header.section_count - 1].offset + header.sections[header.section_count - 1].size;
  }
  const uint64_t offset = alignTo(end, ELAH_ARTIFACT_PAGE);
  header.sections[header.section_count++] = {static_cast<uint32_t>(kind), 0, offset, bytes.size()};
  for (uint64_t done = 0; done < bytes.size(); done += ELAH_ARTIFACT_BLOCK) {
    checksums.push_back(XXH3_64bits(bytes.data() + done, std::min<uint64_t>(ELAH_ARTIFACT_BLOCK, bytes.size() - done)));
  }
  header.checksums_offset = alignTo(offset + bytes.size(), 8);
  header.checksums_size = checksums.size() * sizeof(uint64_t);
  header.checksums_checksum = XXH3_64bits(checksums.data(), header.checksums_size);
  header.file_size = header.checksums_offset + header.checksums_size;
  header.header_checksum = XXH3_64bits(&header, offsetof(elah_artifact_header, header_checksum));
  // A file of its own, which takes the other's name when it is whole and on disk.
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path, nullptr), ::free);
  const std::string target = real ? real.get() : path; // Links stay links.
  std::string name = target + ".XXXXXX";
  File copied{::mkostemp(name.data(), O_CLOEXEC), path};
  if (copied.descriptor < 0) {
    return copied.fail("write");
  }
  auto write = [&]() -> Status {
    ELAH_RETURN_IF_ERROR(copied.copy(file, end));
    ELAH_RETURN_IF_ERROR(copied.write(bytes.data(), bytes.size(), offset));
    ELAH_RETURN_IF_ERROR(copied.write(checksums.data(), header.checksums_size, header.checksums_offset));
    ELAH_RETURN_IF_ERROR(copied.write(&header, sizeof(header), 0));
    return ::fchmod(copied.descriptor, known.st_mode) == 0 && ::fsync(copied.descriptor) == 0 &&
                   ::rename(name.c_str(), target.c_str()) == 0
               ? Status()
               : copied.fail("write");
  };
  Status status = write();
  if (!status.ok()) {
    ::unlink(name.c_str());
  }
  return status;
}

} // namespace elah
