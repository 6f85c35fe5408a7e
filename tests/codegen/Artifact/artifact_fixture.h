#ifndef TESTS_CODEGEN_ARTIFACT_ARTIFACT_FIXTURE_H
#define TESTS_CODEGEN_ARTIFACT_ARTIFACT_FIXTURE_H

#include "codegen/Artifact/Write.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "tests/runtime/packing/shard_folder.h"
#include <gtest/gtest.h>

namespace elah {

std::string readFile(const std::filesystem::path &path);

/// The message of an error, or "" if there is none.
std::string messageOf(llvm::Error error);

/// A small model: shards with weights of every kind, a program of one launch, a tokenizer, an object.
class ArtifactFixture : public testing::Test {
protected:
  ArtifactFixture();

  ArtifactContents contents();
  /// The path of a file beside the model's folder.
  std::filesystem::path outputPath(const std::string &name = "model.elah") const { return outputs.path / name; }
  std::string write(WriteOptions options);
  std::string write(WeightMode weights = WeightMode::Embed);

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  ShardFolder model;
  ShardFolder outputs; ///< For its folder alone.
};

} // namespace elah

#endif
