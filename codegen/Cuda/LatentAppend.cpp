#include "codegen/Cuda/LatentAppend.h"
#include "codegen/Cuda/RowSchedule.h"
#include <algorithm>

namespace elah::cuda {

LatentAppendSchedule chooseLatentAppendSchedule(const LatentAppendShape &shape) {
  // Two accesses of eight values a thread.
  LatentAppendSchedule schedule;
  schedule.parts = static_cast<unsigned>(std::clamp<int64_t>(shape.heads * shape.rope / (128 * 16), 1, 8));
  return schedule;
}

KernelSpec specializeLatentAppend(const LatentAppendShape &shape, const LatentAppendSchedule &schedule) {
  KernelText text("latent_append");
  text.operand("const unsigned short", "query").operand("const unsigned short", "latent");
  text.operand("const float", "normWeight").operand("const float", "table").operand("const int", "cacheRows");
  text.operand("unsigned short", "absorbed").operand("unsigned char", "cache");
  text.shape("heads", shape.heads).shape("nope", shape.nope).shape("rope", shape.rope).shape("rank", shape.rank);
  const int64_t pitch = shape.latentPitch ? shape.latentPitch : shape.rank + shape.rope;
  text.shape("latentPitch", pitch)
      .shape("isHalf", shape.isHalf)
      .shape("isFp8", shape.isFp8)
      .number("epsilon", shape.epsilon);
  text.shape("vector", accessWidth(8, {shape.nope, shape.isHalf ? shape.rope / 2 : shape.rope, shape.rank, pitch}));
  text.schedule("threads", schedule.threads).schedule("parts", schedule.parts);
  KernelGrid grid;
  grid.outer = schedule.parts + 1;
  grid.rows = Extent::tokens();
  return text.finish("LatentAppendSchedule", schedule.threads, grid,
                     std::to_string(schedule.threads) + " threads, " + std::to_string(schedule.parts) +
                         " blocks of a token's queries");
}

} // namespace elah::cuda
