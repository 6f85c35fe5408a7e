#ifndef RUNTIME_DRIVERS_CPU_OBJECT_H
#define RUNTIME_DRIVERS_CPU_OBJECT_H

#include "src/artifact.h"
#include "src/status.h"
#include <memory>
#include <string>

namespace elah {

/// The native code of an artifact, in this process.
class CpuObject {
public:
  /// Fails if there is none, or this processor lacks what it was compiled for.
  static Result<std::unique_ptr<CpuObject>> load(const Artifact &artifact);
  ~CpuObject();
  CpuObject(const CpuObject &) = delete;

  Result<void *> find(const std::string &symbol) const;

private:
  explicit CpuObject(void *handle) : handle(handle) {}
  void *handle;
};

} // namespace elah

#endif
