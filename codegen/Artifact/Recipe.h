#ifndef CODEGEN_ARTIFACT_RECIPE_H
#define CODEGEN_ARTIFACT_RECIPE_H

#include "dialects/Exec/Exec.h"
#include "elah/manifest.pb.h"

namespace elah {

/// #exec.recipe as the packer takes it (runtime/packing). `shardIndex` gives the index of a file
/// among the shards.
proto::Recipe describeRecipe(exec::RecipeAttr recipe, llvm::function_ref<uint32_t(llvm::StringRef file)> shardIndex);

} // namespace elah

#endif
