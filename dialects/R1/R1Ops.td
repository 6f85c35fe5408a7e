#ifndef DIALECTS_R1_R1OPS
#define DIALECTS_R1_R1OPS

include "dialects/R1/R1Composites.td"
include "dialects/R1/R1ControlFlow.td"
include "dialects/R1/R1Primitives.td"
include "dialects/R1/R1Sequences.td"

// What a model keeps: its weights, and the state of a sequence.

def R1_WeightOp : R1_Op<"weight"> {
  let summary = "A tensor that lies on disk.";
  let description = [{
    One part is that tensor. Several parts of one type are stacked along a new leading dimension, as the experts of a
    layer are. `value` repeats the elements of a small tensor, for passes that must know them, as rotary frequencies.

    (C1) there is at least one part, and all have the same type.
    (C2) the result is the parts' type, behind a leading dimension of their number if there are several.
    (C3) a part has as many bytes as its type.
    (C4) a part has scales exactly if its type has blocks: f32, bf16 or f16, one for each block, whole or cut by the edge.
    (C5) the value has the result's type.
    (C6) a part has zero points only if its elements are ui4 or ui8 in blocks: as many as scales, of that type.
  }];
  let arguments = (ins TypedArrayAttrBase<R1_WeightAttr, "weights">:$parts, OptionalAttr<ElementsAttr>:$value);
  let results = (outs R1_StoredTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::ArrayAttr":$parts), [{
    build($_builder, $_state, type, parts, ::mlir::ElementsAttr());
  }]>];
  let assemblyFormat = "$parts (`value` $value^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def R1_CacheAppendOp : R1_Op<"cache_append", [AllTypesMatch<["cache", "new_cache"]>]> {
  let summary = "The cache with rows [T, width] behind those that it has for `part` of `layer`.";
  let description = [{
    (C1) the cache holds layer.
    (C2) a latent cache has keys alone.
    (C3) the rows are as wide as that part's.
  }];
  let arguments = (ins R1_AnyCache:$cache, R1_Rows:$rows, I64Attr:$layer, R1_CachePartAttr:$part);
  let results = (outs R1_AnyCache:$new_cache);
  let assemblyFormat = [{
    $rows `to` $part `of` $cache `layer` $layer attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def R1_CacheReadOp : R1_Primitive<"cache_read"> {
  let summary = "All rows that the cache has for `part` of `layer`: [P, width]; row j is that of position j.";
  let description = [{
    (C1) the cache holds layer.
    (C2) a latent cache has keys alone.
  }];
  let arguments = (ins R1_AnyCache:$cache, I64Attr:$layer, R1_CachePartAttr:$part);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = [{
    $part `of` $cache `layer` $layer attr-dict `:` functional-type(operands, results)
  }];
}

#endif
