#ifndef DIALECTS_R1_R1CONTROLFLOW
#define DIALECTS_R1_R1CONTROLFLOW

include "dialects/R1/R1OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

// Which operations run is the data's matter here. Regions see the values around them.

class R1_RegionOp<string mnemonic>
    : Op<R1_Dialect, mnemonic, [RecursiveMemoryEffects, RecursivelySpeculatable,
                                SingleBlockImplicitTerminator<"::elah::r1::YieldOp">]>;

def R1_YieldOp : R1_Op<"yield", [Terminator, ParentOneOf<["IfOp", "LoopOp"]>]> {
  let summary = "What a region of `r1.if` or `r1.loop` comes to.";
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), "build($_builder, $_state, ::mlir::ValueRange());">];
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def R1_IfOp : R1_RegionOp<"if"> {
  let summary = "The values of the first region where the condition holds, of the second otherwise.";
  let description = [{
    (C1) both regions take no arguments and yield values that can be of the results' types.
  }];
  let arguments = (ins R1_Flag:$condition);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$then_region, SizedRegion<1>:$else_region);
  let assemblyFormat = [{
    $condition attr-dict `:` functional-type(operands, results) `then` $then_region `else` $else_region
  }];
  let hasVerifier = 1;
}

def R1_LoopOp : R1_RegionOp<"loop"> {
  let summary = "Runs its region while a condition holds, and at most `limit` times.";
  let description = [{
    The region takes the number of the iteration (from 0 on, an i64 scalar) and the carried values, `initial` at first.
    It yields whether to go on (an i1 scalar), the carried values of the next iteration, and further tensors, one an
    iteration, that are stacked along a new leading dimension. Results are the last carried values, then the stacks.

    (C1) the region takes an i64 scalar and values that can be of the types of `initial`.
    (C2) it yields an i1 scalar, then as many carried values, of types that can be those that it takes and those of the
    results.
    (C3) what it yields further are tensors, and the results behind the carried ones their stacks.
  }];
  let arguments = (ins R1_Index:$limit, R1_Flag:$condition, Variadic<AnyType>:$initial);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `to` $limit `while` $condition (`carrying` $initial^)? attr-dict `:` functional-type(operands, results) $body
  }];
  let hasVerifier = 1;
}

#endif
