#ifndef RUNTIME_SRC_RECORD_SECTION_H
#define RUNTIME_SRC_RECORD_SECTION_H

#include "src/status.h"
#include <elah/artifact.h>
#include <string>

namespace elah {

/// Puts a section behind all others of the artifact at `path`, in the place of the one of its kind that may stand
/// there. What is written is a file of its own beside the artifact (with reflinks where the file system has them),
/// which takes its name when it is whole: whoever has the artifact open keeps the old one, and neither a full disk nor
/// a process that ends in between loses anything.
Status recordSection(const char *path, elah_section_kind kind, const std::string &bytes);

} // namespace elah

#endif
