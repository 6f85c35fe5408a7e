#ifndef CODEGEN_CPU_LINK_H
#define CODEGEN_CPU_LINK_H

#include "codegen/Target/CpuTarget.h"
#include "llvm/ADT/ArrayRef.h"

namespace elah {

/// Links relocatable objects (ELF files in memory) into one shared object that depends on nothing.
llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<std::string> objects, const CpuTarget &target);

} // namespace elah

#endif
