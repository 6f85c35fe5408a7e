#include "src/record_section.h"
#define XXH_INLINE_ALL
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>
#include <xxhash.h>

namespace elah {
namespace {

uint64_t alignTo(uint64_t offset, uint64_t multiple) { return (offset + multiple - 1) / multiple * multiple; }
uint64_t blocksOf(uint64_t size) { return (size + ELAH_ARTIFACT_BLOCK - 1) / ELAH_ARTIFACT_BLOCK; }

/// A file that is open for reading and writing.
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
};

} // namespace

Status recordSection(const char *path, elah_section_kind kind, const std::string &bytes) {
  File file{::open(path, O_RDWR | O_CLOEXEC), path};
  if (file.descriptor < 0) {
    return file.fail("open it for writing");
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
  // Cut off first: what is between the parts reads as zero then.
  if (::ftruncate(file.descriptor, static_cast<off_t>(end)) != 0 ||
      ::ftruncate(file.descriptor, static_cast<off_t>(header.file_size)) != 0) {
    return file.fail("resize");
  }
  ELAH_RETURN_IF_ERROR(file.write(bytes.data(), bytes.size(), offset));
  ELAH_RETURN_IF_ERROR(file.write(checksums.data(), header.checksums_size, header.checksums_offset));
  return file.write(&header, sizeof(header), 0);
}

} // namespace elah
