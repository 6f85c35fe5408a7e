#ifndef FRONTENDS_HUGGINGFACE_CHECKPOINT_H
#define FRONTENDS_HUGGINGFACE_CHECKPOINT_H

#include "frontends/HuggingFace/Safetensors.h"
#include "llvm/ADT/StringMap.h"

namespace elah {

/// A tensor and the shard that holds it.
struct CheckpointTensor {
  TensorEntry entry;
  std::string file; ///< Relative to the folder.
};

/// All tensors of a Hugging Face folder: one model.safetensors, or the shards that model.safetensors.index.json names.
/// The index and the shards must agree on every tensor.
class Checkpoint {
public:
  /// Reads every shard's header. Shards are held to the folder (ModelFolder).
  static llvm::Expected<Checkpoint> open(llvm::StringRef folder);

  /// The tensor of that name, or null.
  const CheckpointTensor *find(llvm::StringRef name) const;

  const llvm::StringMap<CheckpointTensor> &tensors() const { return byName; }

private:
  llvm::StringMap<CheckpointTensor> byName;
};

} // namespace elah

#endif
