#ifndef RUNTIME_PACKING_SHARD_FILES_H
#define RUNTIME_PACKING_SHARD_FILES_H

#include "src/status.h"
#include <elah/manifest.pb.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace elah {

/// Whether `name` names a file within a folder, and not a way out of it.
bool isPlainFileName(std::string_view name);

/// The shards of a model's folder, open for reading. Threads may read at the same time.
class ShardFiles {
public:
  explicit ShardFiles(std::string folder) : folderPath(std::move(folder)) {}
  ShardFiles(const ShardFiles &) = delete;
  ~ShardFiles();

  /// Opens a shard, whose index is the number of those opened before, and says what it is. Only its
  /// header is read.
  Result<proto::Shard> open(const std::string &name);
  /// As above, for a shard that an artifact refers to: it must be what it was at compile time.
  Status openExpected(const proto::Shard &expected);

  /// Fills `bytes` from `offset` of a shard. One that has become shorter since its header was read
  /// is an error that names file, offset and size.
  Status read(uint32_t shard, uint64_t offset, std::span<uint8_t> bytes) const;

  const std::string &folder() const { return folderPath; }

private:
  struct File {
    int descriptor;
    std::string name;
  };

  std::string folderPath;
  std::vector<File> files;
};

} // namespace elah

#endif
