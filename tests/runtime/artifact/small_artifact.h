#ifndef TESTS_RUNTIME_ARTIFACT_SMALL_ARTIFACT_H
#define TESTS_RUNTIME_ARTIFACT_SMALL_ARTIFACT_H

#include <cstring>
#include <elah/artifact.h>
#include <elah/manifest.pb.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// Writes the format of elah/artifact.h from its description alone; knows nothing of the compiler's writer.
struct SmallArtifact {
  elah::proto::Manifest manifest;
  std::map<uint32_t, std::string> sections; ///< By kind.

  /// The file.
  std::string bytes() const;
  /// Makes all checksums right again, as an attacker would; false if the header leads outside the file.
  static bool seal(std::string &file);
};

/// The echo model (echo_kernels.c): vocabulary 262, context 32, up to 3 sequences and 8 tokens a step, pages of 4
/// tokens.
SmallArtifact echoModel();

/// The same, with its bias in a shard of the model's folder instead, and a packed matrix beside it that nothing reads.
SmallArtifact referringEchoModel();

/// What the echo model computes after `history`.
std::vector<float> echoLogits(const std::vector<uint32_t> &history);

#endif
