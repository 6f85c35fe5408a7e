#ifndef DIALECTS_EXEC_EXECENUMS
#define DIALECTS_EXEC_EXECENUMS

// Apart from the operations, which include other dialects: an enum generator emits every enum that it sees.

include "mlir/IR/EnumAttr.td"

def Exec_RecipeKind : I32EnumAttr<"RecipeKind", "How an artifact's weight is made from a checkpoint's tensors.", [
  I32EnumAttrCase<"Vector", 0, "vector">,
  I32EnumAttrCase<"Table", 1, "table">,
  I32EnumAttrCase<"Panels", 2, "panels">,
  I32EnumAttrCase<"Scales", 3, "scales">,
  I32EnumAttrCase<"HeadPanels", 4, "head_panels">,
  I32EnumAttrCase<"ColumnScales", 5, "column_scales">]> {
  let cppNamespace = "::elah::exec";
  let genSpecializedAttr = 0;
}

def Exec_Input : I32EnumAttr<"Input", "What the session hands to every step (manifest.proto, enum Input).", [
  I32EnumAttrCase<"TokenIds", 0, "token_ids">,
  I32EnumAttrCase<"Positions", 1, "positions">,
  I32EnumAttrCase<"TokenSequence", 2, "token_sequence">,
  I32EnumAttrCase<"CacheRows", 3, "cache_rows">,
  I32EnumAttrCase<"SequenceStarts", 4, "sequence_starts">,
  I32EnumAttrCase<"ContextLengths", 5, "context_lengths">,
  I32EnumAttrCase<"PageTable", 6, "page_table">,
  I32EnumAttrCase<"LogitTokens", 7, "logit_tokens">]> {
  let cppNamespace = "::elah::exec";
  let genSpecializedAttr = 0;
}

def Exec_Dim : I32EnumAttr<"Dim", "The symbolic dimensions of a step (cpu_kernel.h, enum elah_dim).", [
  I32EnumAttrCase<"Tokens", 0, "tokens">,
  I32EnumAttrCase<"Sequences", 1, "sequences">,
  I32EnumAttrCase<"LogitRows", 2, "logit_rows">,
  I32EnumAttrCase<"AllCacheRows", 3, "cache_rows">,
  I32EnumAttrCase<"PagesPerSequence", 4, "pages_per_sequence">]> {
  let cppNamespace = "::elah::exec";
  let genSpecializedAttr = 0;
}

#endif
