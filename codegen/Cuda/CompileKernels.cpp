// A kernel's compilation as a process of its own. Parent and child talk through files in memory: the request is the
// child's standard input, the compiled kernel or the compiler's log its standard output, so that nobody waits for a
// pipe. A child ends with its parent.
#include "codegen/Cuda/CompileKernels.h"
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/KernelGates.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char **environ;

namespace elah::cuda {
namespace {

constexpr char verb[] = "compile-one-kernel";
/// The child's exit status where the compiler has refused the source; its output is the compiler's log.
constexpr int refusedStatus = 3;

/// A file in memory, closed at the end.
class MemoryFile {
public:
  explicit MemoryFile(const char *name) : descriptor(::memfd_create(name, MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile &) = delete;
  ~MemoryFile() {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
  int get() const { return descriptor; }

  bool write(std::string_view bytes) const {
    for (size_t done = 0; done < bytes.size();) {
      ssize_t count = ::pwrite(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (count <= 0) {
        return false;
      }
      done += static_cast<size_t>(count);
    }
    return true;
  }
  std::string read() const {
    std::string bytes;
    char buffer[65536];
    for (ssize_t count; (count = ::pread(descriptor, buffer, sizeof(buffer), static_cast<off_t>(bytes.size()))) > 0;) {
      bytes.append(buffer, static_cast<size_t>(count));
    }
    return bytes;
  }

private:
  int descriptor;
};

std::string lastLines(const std::string &text, size_t count) {
  size_t end = text.find_last_not_of(" \n");
  size_t begin = end == std::string::npos ? 0 : end;
  for (size_t lines = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && ++lines == count) {
      break;
    }
  }
  return end == std::string::npos ? "" : text.substr(begin, end + 1 - begin);
}

/// Compiles in a child process. Without a kernel, `error` says why, in words that follow the kernel's name.
std::optional<CompiledKernel> compileInChild(const KernelSpec &spec, const CompileKernelsOptions &options,
                                             std::string &error) {
  MemoryFile request("request"), reply("reply"), messages("messages");
  if (request.get() < 0 || reply.get() < 0 || messages.get() < 0 || !request.write(spec.source)) {
    error = std::string("cannot start a process for it: ") + std::strerror(errno);
    return std::nullopt;
  }
  std::vector<std::string> words = options.child;
  words.insert(words.end(), {verb, spec.symbol, options.lineInfo == LineInfo::With ? "line-info" : "no-line-info",
                             std::to_string(::getpid())});
  std::vector<char *> arguments;
  for (std::string &word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, request.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, reply.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages.get(), STDERR_FILENO);
  pid_t child = 0;
  int code = ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) {
    error = "cannot start a process for it (" + words[0] + "): " + std::strerror(code);
    return std::nullopt;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    error = std::string("the CUDA compiler crashed: ") + strsignal(WTERMSIG(status));
    if (std::string words = lastLines(messages.read(), 5); !words.empty()) {
      error += "\n" + words;
    }
    return std::nullopt;
  }
  if (WEXITSTATUS(status) == refusedStatus) {
    error = "does not compile:\n" + reply.read();
    return std::nullopt;
  }
  std::optional<CompiledKernel> kernel =
      WEXITSTATUS(status) == 0 ? deserialize(reply.read()) : std::optional<CompiledKernel>();
  if (!kernel) {
    error = "the CUDA compiler ended with status " + std::to_string(WEXITSTATUS(status)) + "\n" +
            lastLines(messages.read(), 5);
  }
  return kernel;
}

} // namespace

CompileKernelsOutcome compileKernels(std::span<const KernelSpec> specs, const CudaTarget &target,
                                     const CompileKernelsOptions &options) {
  CompileKernelsOutcome outcome;
  std::string missing;
  std::unique_ptr<Nvrtc> nvrtc = Nvrtc::open(missing);
  if (!nvrtc) {
    outcome.errors.push_back(missing);
    return outcome;
  }
  KernelCache cache(options.cacheFolder);
  cache.removeLeftovers();

  // Specs with one source are compiled once.
  struct Work {
    std::string key;
    std::vector<size_t> specs;
    CompiledKernel kernel;
    std::string error;
    bool found = false;
  };
  std::vector<Work> works;
  std::map<std::string, size_t> byKey;
  for (size_t i = 0; i < specs.size(); ++i) {
    std::string key = KernelCache::keyOf(specs[i].source, nvrtc->version(), options.lineInfo);
    auto [place, isNew] = byKey.emplace(key, works.size());
    if (isNew) {
      works.push_back({key, {}, {}, "", false});
    }
    works[place->second].specs.push_back(i);
  }

  std::vector<std::string> errors(specs.size());
  std::atomic<size_t> next = 0;
  std::mutex progress;
  size_t done = 0;
  auto serve = [&] {
    for (size_t index; (index = next.fetch_add(1)) < works.size();) {
      Work &work = works[index];
      std::optional<CompiledKernel> kernel = cache.find(work.key);
      work.found = kernel.has_value();
      if (!kernel) {
        kernel = compileInChild(specs[work.specs.front()], options, work.error);
        if (kernel) {
          cache.store(work.key, *kernel);
        }
      }
      for (size_t spec : work.specs) {
        std::string place = specs[spec].symbol + " (" + specs[spec].schedule + "): ";
        if (!kernel) {
          errors[spec] = place + work.error;
          continue;
        }
        for (const std::string &finding : gateFindings(specs[spec], *kernel, target)) {
          errors[spec] += (errors[spec].empty() ? place : "; ") + finding;
        }
      }
      if (kernel) {
        work.kernel = std::move(*kernel);
      }
      std::lock_guard<std::mutex> lock(progress);
      done += work.specs.size();
      if (options.onProgress) {
        options.onProgress(done, specs.size());
      }
    }
  };
  unsigned jobs = options.jobs ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (size_t i = 1; i < jobs && i < works.size(); ++i) {
    threads.emplace_back(serve);
  }
  serve();
  for (std::thread &thread : threads) {
    thread.join();
  }

  for (const std::string &error : errors) {
    if (!error.empty()) {
      outcome.errors.push_back(error);
    }
  }
  if (outcome.errors.empty()) {
    outcome.kernels.resize(specs.size());
    for (Work &work : works) {
      outcome.found += work.found ? work.specs.size() : 0;
      for (size_t spec : work.specs) {
        outcome.kernels[spec] = work.kernel;
      }
    }
  }
  return outcome;
}

std::optional<int> runKernelCompiler(int argc, char **argv) {
  if (argc < 5 || std::strcmp(argv[argc - 4], verb) != 0) {
    return std::nullopt;
  }
  const std::string symbol = argv[argc - 3], lineInfo = argv[argc - 2], parent = argv[argc - 1];
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::to_string(::getppid()) != parent) {
    return 1; // The parent has ended already.
  }
  std::string source, missing;
  char buffer[65536];
  for (ssize_t count; (count = ::read(STDIN_FILENO, buffer, sizeof(buffer))) > 0;) {
    source.append(buffer, static_cast<size_t>(count));
  }
  // What the compiler may print goes elsewhere.
  int output = ::dup(STDOUT_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::unique_ptr<Nvrtc> nvrtc = Nvrtc::open(missing);
  Nvrtc::Outcome outcome;
  if (nvrtc) {
    outcome = nvrtc->compile(source, symbol + ".cu", lineInfo == "line-info" ? LineInfo::With : LineInfo::Without);
  } else {
    outcome.log = missing;
  }
  std::string bytes = outcome.kernel ? serialize(*outcome.kernel) : outcome.log;
  for (size_t sent = 0; sent < bytes.size();) {
    ssize_t count = ::write(output, bytes.data() + sent, bytes.size() - sent);
    if (count <= 0) {
      return 1;
    }
    sent += static_cast<size_t>(count);
  }
  return outcome.kernel ? 0 : refusedStatus;
}

} // namespace elah::cuda
