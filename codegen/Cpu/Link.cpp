// LLVM's linker, in this process. It reads and writes files only, so the objects pass through a
// folder of their own; no name in it and no time reaches the image. It keeps global state: one link
// at a time.
#include "codegen/Cpu/Link.h"
#include "lld/Common/CommonLinkerContext.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

namespace elah {

llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<std::string> objects, const CpuTarget &target) {
  static std::mutex oneAtATime;
  std::lock_guard lock(oneAtATime);
  llvm::SmallString<128> folder;
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory("elah-link", folder)) {
    return llvm::createStringError(error, "cannot create a temporary folder for the linker");
  }
  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove_directories(folder); });

  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "--no-undefined",
                                        "--strip-all",
                                        "--build-id=none",
                                        "--hash-style=gnu",
                                        "--threads=1",
                                        "-znoexecstack",
                                        "-m",
                                        llvm::StringRef(target.triple).starts_with("aarch64") ? "aarch64linux"
                                                                                              : "elf_x86_64"};
  auto path = [&](llvm::StringRef name) {
    llvm::SmallString<128> result(folder);
    llvm::sys::path::append(result, name);
    return std::string(result);
  };
  for (auto [index, object] : llvm::enumerate(objects)) {
    arguments.push_back(path(llvm::utostr(index) + ".o"));
    std::error_code error;
    llvm::raw_fd_ostream file(arguments.back(), error);
    if (!error) {
      file << object;
      file.close();
      error = file.error();
      file.clear_error();
    }
    if (error) {
      return llvm::createStringError(error, "cannot write '%s'", arguments.back().c_str());
    }
  }
  std::string output = path("kernels.so");
  arguments.insert(arguments.end(), {"-o", output});

  std::vector<const char *> argv;
  for (const std::string &argument : arguments) {
    argv.push_back(argument.c_str());
  }
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  bool linked = lld::elf::link(argv, stream, stream, /*exitEarly=*/false, /*disableOutput=*/false);
  lld::CommonLinkerContext::destroy();
  if (!linked) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "cannot link the kernels: %s", messages.c_str());
  }
  auto image = llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!image) {
    return llvm::createStringError(image.getError(), "cannot read '%s'", output.c_str());
  }
  return (*image)->getBuffer().str();
}

} // namespace elah
