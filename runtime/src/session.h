#ifndef RUNTIME_SRC_SESSION_H
#define RUNTIME_SRC_SESSION_H

#include "src/artifact.h"
#include "src/program.h"
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace elah {

class BackgroundCopy;
class CpuProgram;

/// A model in use: sequences with their pages of the KV cache, and steps on any mix of them.
class Session {
public:
  ~Session();
  static Result<std::unique_ptr<Session>> create(const Artifact &artifact, const elah_session_options &options);

  Result<uint32_t> createSequence();
  Status freeSequence(uint32_t sequence);
  Result<uint32_t> lengthOf(uint32_t sequence) const;

  /// Runs one step; see elah_session_step. On failure no sequence has changed.
  Status step(std::span<const elah_chunk> chunks, LaunchWatcher *watcher = nullptr);
  const float *logits() const { return program->logits(); }
  size_t logitRows() const { return logitTokens.size(); }
  const Artifact &artifact() const { return model; }

private:
  struct Sequence {
    uint32_t length = 0;
    std::vector<int32_t> pages;
  };

  explicit Session(const Artifact &artifact);
  Status checkStep(std::span<const elah_chunk> chunks) const;
  /// Takes back what a step that failed has done to its sequences.
  void takeBack(std::span<const elah_chunk> chunks);
  uint64_t freePages() const { return pageCount - firstUnusedPage + returnedPages.size(); }
  int32_t takePage();
  /// Goes on with a copy of the weights, if one has been finished.
  void useCopy();

  const Artifact &model;
  std::shared_ptr<const PackedWeights> packedWeights; ///< If they are not read where the artifact is mapped.
  std::unique_ptr<Program> program;
  CpuProgram *cpuProgram = nullptr; ///< The program, if it is for the CPU.
  std::unique_ptr<BackgroundCopy> copy;
  std::map<uint32_t, Sequence> sequences;
  std::vector<int32_t> returnedPages; ///< Free again; the next one to use is at the back.
  uint64_t pageCount = 0, firstUnusedPage = 0;
  uint64_t cacheRowCount = 0;
  // The inputs of the current step (manifest.proto, enum Input).
  std::vector<int32_t> tokenIds, positions, tokenSequence, cacheRows, sequenceStarts, contextLengths, pageTable,
      logitTokens;
};

} // namespace elah

#endif
