#ifndef RUNTIME_SRC_RECORD_SECTION_H
#define RUNTIME_SRC_RECORD_SECTION_H

#include "src/status.h"
#include <elah/artifact.h>
#include <string>

namespace elah {

/// Puts a section behind all others of the artifact at `path`, in the place of the one of its kind that may stand
/// there. The file is changed where it is, weights are not copied: whoever has it open is told that it has changed, and
/// a process that ends in between leaves a file that does not open.
Status recordSection(const char *path, elah_section_kind kind, const std::string &bytes);

} // namespace elah

#endif
