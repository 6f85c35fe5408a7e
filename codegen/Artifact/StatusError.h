#ifndef CODEGEN_ARTIFACT_STATUSERROR_H
#define CODEGEN_ARTIFACT_STATUSERROR_H

#include "runtime/packing/shard_files.h"
#include "llvm/Support/Error.h"

namespace elah {

/// A failure of runtime/packing as an error of the compiler's.
inline llvm::Error toError(const Status &status) {
  return llvm::createStringError(status.code() == ELAH_IO ? std::make_error_code(std::errc::io_error)
                                                          : std::make_error_code(std::errc::invalid_argument),
                                 status.message());
}

} // namespace elah

#endif
