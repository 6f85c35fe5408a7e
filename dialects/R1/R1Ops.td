#ifndef DIALECTS_R1_R1OPS
#define DIALECTS_R1_R1OPS

include "dialects/R1/R1Composites.td"

def R1_WeightOp : R1_Op<"weight"> {
  let summary = "A tensor that lies on disk.";
  let description = [{
    One part is that tensor. Several parts of one type are stacked along a new leading dimension, as the experts of a
    layer are.

    (C1) there is at least one part, and all have the same type.
    (C2) the result is the parts' type, behind a leading dimension of their number if there are several.
    (C3) a part has as many bytes as its type.
    (C4) a part has scales exactly if its type has blocks: f32, one for each block, whole or cut by the edge.
  }];
  let arguments = (ins TypedArrayAttrBase<R1_WeightAttr, "weights">:$parts);
  let results = (outs R1_WeightTensor:$result);
  let assemblyFormat = "$parts attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif
