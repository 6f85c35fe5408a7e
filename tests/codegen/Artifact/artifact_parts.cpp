#include "artifact_parts.h"
#include <cstring>
#include <gtest/gtest.h>
#include <vector>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace elah {
namespace {

uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void expectZero(std::string_view bytes, const char *where) {
  EXPECT_EQ(bytes.find_first_not_of('\0'), std::string_view::npos) << where;
}

std::string_view viewOf(const elah_artifact_header &header) {
  return {reinterpret_cast<const char *>(&header), sizeof(header)};
}

} // namespace

ArtifactParts ArtifactParts::read(const std::string &bytes) {
  ArtifactParts parts;
  std::string_view view = bytes;
  elah_artifact_header header;
  if (bytes.size() < sizeof(header)) {
    ADD_FAILURE() << "only " << bytes.size() << " bytes";
    return parts;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  EXPECT_EQ(std::string_view(header.magic, 8), std::string_view("ELAH\r\n\x1a\n", 8));
  EXPECT_EQ(header.version, 1u);
  EXPECT_EQ(header.file_size, bytes.size());
  EXPECT_EQ(header.header_checksum, checksum(view.substr(0, 4088)));
  expectZero({reinterpret_cast<const char *>(header.padding), sizeof(header.padding)}, "header's padding");
  expectZero(view.substr(72 + 24 * header.section_count, 24 * (64 - header.section_count)), "unused section entries");
  EXPECT_EQ(header.manifest_offset, 4096u);
  std::string_view manifest = view.substr(header.manifest_offset, header.manifest_size);
  EXPECT_EQ(header.manifest_checksum, checksum(manifest));
  EXPECT_TRUE(parts.manifest.ParseFromArray(manifest.data(), static_cast<int>(manifest.size())));
  uint64_t end = header.manifest_offset + header.manifest_size;
  std::vector<uint64_t> table;
  for (uint32_t i = 0; i < header.section_count; ++i) {
    const elah_section &section = header.sections[i];
    EXPECT_EQ(section.reserved, 0u);
    EXPECT_EQ(section.offset, (end + 4095) / 4096 * 4096);
    expectZero(view.substr(end, section.offset - end), "gap before a section");
    std::string_view content = view.substr(section.offset, section.size);
    EXPECT_EQ(content.size(), section.size);
    EXPECT_TRUE(parts.sections.emplace(static_cast<elah_section_kind>(section.kind), content).second);
    for (uint64_t offset = 0; offset < content.size(); offset += 1 << 20) {
      table.push_back(checksum(content.substr(offset, 1 << 20)));
    }
    end = section.offset + section.size;
  }
  EXPECT_EQ(header.checksums_offset, (end + 7) / 8 * 8);
  expectZero(view.substr(end, header.checksums_offset - end), "gap before the checksums");
  std::string_view tableBytes(reinterpret_cast<const char *>(table.data()), 8 * table.size());
  EXPECT_EQ(header.checksums_size, tableBytes.size());
  EXPECT_TRUE(view.substr(header.checksums_offset) == tableBytes) << "checksums";
  EXPECT_EQ(header.checksums_checksum, checksum(tableBytes));
  return parts;
}

std::string ArtifactParts::write() const {
  elah_artifact_header header = {};
  std::memcpy(header.magic, ELAH_ARTIFACT_MAGIC, 8);
  header.version = ELAH_ARTIFACT_VERSION;
  std::string bytes(sizeof(header), '\0'), manifestBytes = manifest.SerializeAsString();
  bytes += manifestBytes;
  header.manifest_offset = sizeof(header);
  header.manifest_size = manifestBytes.size();
  header.manifest_checksum = checksum(manifestBytes);
  std::vector<uint64_t> table;
  for (const auto &[kind, content] : sections) {
    bytes.resize((bytes.size() + 4095) / 4096 * 4096);
    header.sections[header.section_count++] = {static_cast<uint32_t>(kind), 0, bytes.size(), content.size()};
    bytes += content;
    for (uint64_t offset = 0; offset < content.size(); offset += 1 << 20) {
      table.push_back(checksum(std::string_view(content).substr(offset, 1 << 20)));
    }
  }
  bytes.resize((bytes.size() + 7) / 8 * 8);
  header.checksums_offset = bytes.size();
  bytes.append(reinterpret_cast<const char *>(table.data()), 8 * table.size());
  header.checksums_size = 8 * table.size();
  header.checksums_checksum = checksum(std::string_view(bytes).substr(header.checksums_offset));
  header.file_size = bytes.size();
  header.header_checksum = checksum(viewOf(header).substr(0, 4088));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

} // namespace elah
