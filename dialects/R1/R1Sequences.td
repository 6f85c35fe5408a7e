#ifndef DIALECTS_R1_R1SEQUENCES
#define DIALECTS_R1_R1SEQUENCES

include "dialects/R1/R1OpBase.td"

// Lists of tensors, as exported loops over experts or chunks build them. A negative position counts from the end.

def R1_SequenceOp : R1_Op<"sequence"> {
  let summary = "The sequence of these tensors.";
  let description = [{
    (C1) each tensor can be an element of the sequence.
  }];
  let arguments = (ins Variadic<R1_Tensor>:$elements);
  let results = (outs R1_AnySequence:$result);
  let assemblyFormat = "($elements^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_SequenceInsertOp : R1_Op<"sequence_insert"> {
  let summary = "The sequence with one more tensor, in front of the one at `position`, or at the end.";
  let description = [{
    (C1) the tensor can be an element of the result, and so can the elements of the sequence.
  }];
  let arguments = (ins R1_AnySequence:$sequence, R1_Tensor:$element, Optional<R1_Index>:$position);
  let results = (outs R1_AnySequence:$result);
  let assemblyFormat = "$sequence `,` $element (`at` $position^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_SequenceEraseOp : R1_Op<"sequence_erase", [AllTypesMatch<["sequence", "result"]>]> {
  let summary = "The sequence without the tensor at `position`, or without the last.";
  let arguments = (ins R1_AnySequence:$sequence, Optional<R1_Index>:$position);
  let results = (outs R1_AnySequence:$result);
  let assemblyFormat = "$sequence (`at` $position^)? attr-dict `:` functional-type(operands, results)";
}

def R1_SequenceAtOp : R1_Op<"sequence_at"> {
  let summary = "The tensor at `position`.";
  let description = [{
    (C1) the result can be an element of the sequence.
  }];
  let arguments = (ins R1_AnySequence:$sequence, R1_Index:$position);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$sequence `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_SequenceLengthOp : R1_Op<"sequence_length"> {
  let summary = "How many tensors the sequence has.";
  let arguments = (ins R1_AnySequence:$sequence);
  let results = (outs R1_Index:$result);
  let assemblyFormat = "$sequence attr-dict `:` functional-type(operands, results)";
}

def R1_SequenceConcatOp : R1_Op<"sequence_concat"> {
  let summary = "The sequence's tensors one behind the other along `axis`; with `stacked` along a new one.";
  let description = [{
    (C1) axis is a dimension of the result.
    (C2) the result has the element type and the rank of the elements, and with `stacked` one dimension more.
  }];
  let arguments = (ins R1_AnySequence:$sequence, I64Attr:$axis, UnitAttr:$stacked);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$sequence `axis` $axis (`stacked` $stacked^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_SequenceSplitOp : R1_Op<"sequence_split"> {
  let summary = "The input cut along `axis` into parts of the given sizes.";
  let description = [{
    One size is that of all parts but the last, which has what is left; several are those of each. With `dropped`, parts
    are of size 1 and lose the dimension.

    (C1) axis is a dimension of the input.
    (C2) an element of the result has the element type and the rank of the input, and with `dropped` one dimension less.
  }];
  let arguments = (ins R1_Tensor:$input, R1_TensorOf<[I64]>:$sizes, I64Attr:$axis, UnitAttr:$dropped);
  let results = (outs R1_AnySequence:$result);
  let assemblyFormat = [{
    $input `into` $sizes `axis` $axis (`dropped` $dropped^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif
