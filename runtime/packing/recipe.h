#ifndef RUNTIME_PACKING_RECIPE_H
#define RUNTIME_PACKING_RECIPE_H

#include "src/status.h"
#include <elah/manifest.pb.h>

namespace elah {

using Shards = google::protobuf::RepeatedPtrField<proto::Shard>;

/// Checks that a recipe can be followed: that its kind, sources and packing fit each other, that
/// every byte it reads lies in one of `shards`, and that no number in it is out of range. Gives the
/// bytes that it makes. Nothing else may be done with a recipe that has not been checked.
Result<uint64_t> checkRecipe(const proto::Recipe &recipe, const Shards &shards);

/// What follows from a packing's numbers: the same as #kernel.packing computes.
struct PanelLayout {
  explicit PanelLayout(const proto::Packing &packing);

  uint64_t rowBytes;  ///< Of the k elements of a column.
  uint64_t unitBytes; ///< Of a column's elements in a step.
  uint64_t steps;
  uint64_t halves;       ///< Stacks of sources that a panel takes its rows from: gate and up, or one.
  uint64_t panelColumns; ///< Columns of the result that one panel makes.
  uint64_t columns;      ///< Columns of the whole result.
  uint64_t panels;
  uint64_t panelBytes;
  uint64_t matrixBytes;     ///< A multiple of 64, unless panels are rows.
  uint64_t scaleBlocks;     ///< Blocks of k, if each column has scales of its own; else 0.
  uint64_t panelScaleBytes; ///< Scales and zero points of a panel's columns.
};

} // namespace elah

#endif
