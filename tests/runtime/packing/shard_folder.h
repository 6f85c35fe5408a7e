#ifndef TESTS_RUNTIME_PACKING_SHARD_FOLDER_H
#define TESTS_RUNTIME_PACKING_SHARD_FOLDER_H

#include "runtime/packing/element_format.h"
#include "runtime/packing/shard_files.h"
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace elah {

/// A temporary folder with two small shards of random tensors, removed at the end.
class ShardFolder {
public:
  ShardFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "elah-shards-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
    for (std::string &shard : contents) {
      std::string header = "{}";
      header.resize(54, ' '); // the reader of weights looks at places, not at names
      uint64_t length = header.size();
      shard.assign(reinterpret_cast<const char *>(&length), 8);
      shard += header;
    }
  }
  ~ShardFolder() { std::filesystem::remove_all(path); }
  ShardFolder(const ShardFolder &) = delete;

  static std::string nameOf(uint32_t shard) { return "model-" + std::to_string(shard) + ".safetensors"; }

  /// Adds a tensor of random finite elements; every second one lands in the second shard.
  proto::Source addTensor(proto::ElementFormat format, std::vector<uint64_t> shape) {
    uint64_t count = 1;
    proto::Source source;
    for (uint64_t size : shape) {
      source.add_shape(size);
      count *= size;
    }
    std::string bytes(count * bytesOf(format, 1), '\0');
    std::normal_distribution<float> normal;
    constexpr uint64_t period = 4099; // of large tensors: a prime, so that no two rows are equal
    for (uint64_t i = 0; i < std::min(count, period); ++i) {
      float value = normal(random);
      uint8_t *element = reinterpret_cast<uint8_t *>(&bytes[i * bytesOf(format, 1)]);
      if (isInteger(format)) {
        *element = static_cast<uint8_t>(random());
      } else if (format == proto::ELEMENT_FORMAT_F8E4M3) {
        *element = static_cast<uint8_t>(random() % 127 | (random() & 0x80));
      } else {
        narrow(format, {&value, 1}, element);
      }
    }
    for (size_t i = period * bytesOf(format, 1); i < bytes.size(); ++i) {
      bytes[i] = bytes[i - period * bytesOf(format, 1)];
    }
    source.set_shard(next);
    source.set_offset(contents[next].size());
    source.set_format(format);
    contents[next] += bytes;
    next = 1 - next;
    return source;
  }

  /// Adds an f8 matrix with scales, which land in the other shard.
  proto::Source addScaled(uint64_t rows, uint64_t columns, uint64_t blockRows, uint64_t blockColumns) {
    proto::Source source = addTensor(proto::ELEMENT_FORMAT_F8E4M3, {rows, columns});
    proto::Source scales = addTensor(proto::ELEMENT_FORMAT_F32,
                                     {(rows + blockRows - 1) / blockRows, (columns + blockColumns - 1) / blockColumns});
    source.mutable_scales()->set_shard(scales.shard());
    source.mutable_scales()->set_offset(scales.offset());
    source.mutable_scales()->set_rows(blockRows);
    source.mutable_scales()->set_columns(blockColumns);
    return source;
  }

  /// Adds integers whose rows lie `pitch` bytes apart, with scales and zero points for each row's blocks.
  proto::Source addIntegers(proto::ElementFormat format, uint64_t rows, uint64_t columns, uint64_t block,
                            uint64_t pitch, proto::ElementFormat scaleFormat, bool hasZeros) {
    uint64_t blocks = (columns + block - 1) / block;
    proto::Source source = addTensor(proto::ELEMENT_FORMAT_U8, {rows, pitch});
    proto::Source scales = addTensor(scaleFormat, {rows, blocks + 1}); // Each row's last one is none of a block.
    source.set_format(format);
    source.set_shape(1, columns);
    source.set_pitch(pitch);
    proto::BlockScales *place = source.mutable_scales();
    place->set_shard(scales.shard());
    place->set_offset(scales.offset());
    place->set_rows(1);
    place->set_columns(block);
    place->set_format(scaleFormat);
    place->set_pitch(bytesOf(scaleFormat, blocks + 1));
    if (hasZeros) {
      uint64_t rowBytes = bytesOf(format, blocks);
      proto::Source zeros = addTensor(proto::ELEMENT_FORMAT_U8, {rows, rowBytes});
      source.mutable_zeros()->set_shard(zeros.shard());
      source.mutable_zeros()->set_offset(zeros.offset());
      source.mutable_zeros()->set_pitch(rowBytes);
    }
    return source;
  }

  /// Writes the shards.
  void write() const {
    for (uint32_t i = 0; i < 2; ++i) {
      std::ofstream(path / nameOf(i), std::ios::binary) << contents[i];
    }
  }

  const uint8_t *bytes(uint32_t shard, uint64_t offset) const {
    return reinterpret_cast<const uint8_t *>(contents[shard].data()) + offset;
  }

  std::filesystem::path path;
  std::string contents[2];

private:
  uint32_t next = 0;
  std::mt19937 random{7};
};

} // namespace elah

#endif
