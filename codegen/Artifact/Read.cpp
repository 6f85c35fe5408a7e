// The way back from an artifact to what it was made of, for tools that compare the two. What the runtime checks when it
// opens a file is not checked again.
#include "codegen/Artifact/Read.h"
#include <cstring>

namespace elah {

llvm::StringRef ArtifactFile::section(elah_section_kind kind) const {
  elah_artifact_header header;
  std::memcpy(&header, bytes->getBufferStart(), sizeof(header));
  for (const elah_section &section : llvm::ArrayRef(header.sections, header.section_count)) {
    if (section.kind == static_cast<uint32_t>(kind)) {
      return bytes->getBuffer().substr(section.offset, section.size);
    }
  }
  return {};
}

llvm::Expected<ArtifactFile> readArtifact(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) {
    return llvm::createStringError(buffer.getError(), "%s: cannot read: %s", path.str().c_str(),
                                   buffer.getError().message().c_str());
  }
  ArtifactFile file{std::move(*buffer), {}};
  elah_artifact_header header;
  llvm::StringRef bytes = file.bytes->getBuffer();
  bool isArtifact =
      bytes.size() >= sizeof(header) && std::memcmp(bytes.data(), ELAH_ARTIFACT_MAGIC, sizeof(header.magic)) == 0;
  if (isArtifact) {
    std::memcpy(&header, bytes.data(), sizeof(header));
    llvm::StringRef manifest = bytes.substr(header.manifest_offset, header.manifest_size);
    isArtifact = file.manifest.ParseFromArray(manifest.data(), static_cast<int>(manifest.size()));
  }
  if (!isArtifact) {
    return llvm::createStringError("%s: is no artifact", path.str().c_str());
  }
  return file;
}

} // namespace elah
