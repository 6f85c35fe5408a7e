#ifndef FRONTENDS_HUGGINGFACE_MODELFOLDER_H
#define FRONTENDS_HUGGINGFACE_MODELFOLDER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace elah {

/// The folder of a model, from which files are opened by plain names only. A link may lead to another place in the
/// model's own tree (the folder, or the hub cache's `models--*` folder around it, where snapshots are links to blobs),
/// never out of it. What is not a regular file (a folder, a pipe, a device) is refused without being read.
class ModelFolder {
public:
  static llvm::Expected<ModelFolder> open(llvm::StringRef path);

  /// As the user spelled it.
  llvm::StringRef path() const { return folder; }
  /// `name` behind the folder's path, for messages.
  std::string pathOf(llvm::StringRef name) const;

  /// Whether there is an entry of that name, be it a link that leads nowhere.
  bool has(llvm::StringRef name) const;

  /// The path at which `name` can be opened. `namedBy` is whatever asks for it, for messages.
  llvm::Expected<std::string> find(llvm::StringRef name, llvm::StringRef namedBy) const;

  /// The text of a small file.
  llvm::Expected<std::string> read(llvm::StringRef name) const;

private:
  std::string folder;
  std::string root; ///< The real path that no link may lead out of.
};

} // namespace elah

#endif
