// The C API's handles with an end, and its failures as exit statuses: what every verb needs.
#ifndef RUNTIME_COMMANDS_HANDLES_H
#define RUNTIME_COMMANDS_HANDLES_H

#include <cstdio>
#include <elah/elah.h>
#include <memory>
#include <string>

struct CloseHandle {
  void operator()(elah_artifact *artifact) const { elah_artifact_close(artifact); }
  void operator()(elah_tokenizer *tokenizer) const { elah_tokenizer_close(tokenizer); }
  void operator()(elah_session *session) const { elah_session_free(session); }
  void operator()(char *string) const { elah_string_free(string); }
};

template <typename T> using Handle = std::unique_ptr<T, CloseHandle>;

/// What a script needs to know at the end of every verb's help.
inline constexpr char exitStatusHelp[] =
    "Exit status: 0 ok, 1 failure, 2 usage, 65 bad data or beyond a limit, 66 missing input, 69 not possible on this\n"
    "machine, 74 I/O, 130 interrupted. Results go to stdout, everything else to stderr.";

inline constexpr char deviceOptionHelp[] =
    "Where to run: cpu, cuda, cuda:N, or emulator, which needs no GPU (default: what the artifact was compiled for)";

inline constexpr char preloadOptionHelp[] =
    "Copy the weights into large pages of memory first (default: meanwhile, if they are large and fit half of the "
    "memory that is free)";
inline constexpr char noPreloadOptionHelp[] = "Read the weights from the file only";

/// What --preload and --no-preload ask for.
inline elah_weights_place weightsPlace(bool preload, bool noPreload) {
  return preload ? ELAH_WEIGHTS_COPIED : noPreload ? ELAH_WEIGHTS_MAPPED : ELAH_WEIGHTS_AUTO;
}

inline int exitStatus(elah_code code) {
  switch (code) {
  case ELAH_OK:
    return 0;
  case ELAH_INVALID_DATA:
  case ELAH_OUT_OF_RANGE:
    return 65;
  case ELAH_NOT_FOUND:
    return 66;
  case ELAH_UNSUPPORTED:
    return 69;
  case ELAH_INTERNAL:
    return 70;
  case ELAH_IO:
    return 74;
  case ELAH_CANCELLED:
    return 130;
  default:
    return 1;
  }
}

/// `status`, unless what was printed did not get to stdout.
inline int finishOutput(int status) {
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    std::perror("error: cannot write to stdout");
    return 74;
  }
  return status;
}

/// Prints the last error and gives the exit status for it.
inline int reportError(elah_code code) {
  std::fprintf(stderr, "error: %s\n", elah_last_error());
  return exitStatus(code);
}

/// Opens the artifact at `path` and gives 0, or prints why it cannot and gives the exit status.
inline int openArtifact(const std::string &path, Handle<elah_artifact> &artifact) {
  elah_artifact *opened;
  if (elah_code code = elah_artifact_open(path.c_str(), &opened)) {
    return reportError(code);
  }
  artifact.reset(opened);
  return 0;
}

#endif
