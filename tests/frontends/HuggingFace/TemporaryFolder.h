#ifndef TESTS_FRONTENDS_HUGGINGFACE_TEMPORARYFOLDER_H
#define TESTS_FRONTENDS_HUGGINGFACE_TEMPORARYFOLDER_H

#include <filesystem>
#include <fstream>
#include <string>

namespace elah {

/// A folder that goes when the test ends.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "elah-test-XXXXXX").string();
    path = std::filesystem::canonical(::mkdtemp(pattern.data())).string();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  /// Writes a file, and the folders above it; returns its path.
  std::string write(const std::string &name, const std::string &bytes) const {
    std::filesystem::path file = std::filesystem::path(path) / name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::remove(file); // Truncating would have some file systems wait for the disk.
    std::ofstream(file, std::ios::binary) << bytes;
    return file.string();
  }

  std::string path;
};

} // namespace elah

#endif
