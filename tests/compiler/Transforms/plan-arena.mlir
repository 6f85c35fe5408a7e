// RUN: elah-opt %s -exec-plan-arena -split-input-file -verify-diagnostics | FileCheck %s
// A plan can be made again, and is the same.
// RUN: elah-opt %s -exec-plan-arena -exec-plan-arena -split-input-file -verify-diagnostics | FileCheck %s

module attributes {exec.limits = array<i64: 64, 4, 16>} {
  // A chain: the last buffer takes the place of the first, which the operation that writes it does not see.
  // CHECK-LABEL: exec.program @chain attributes
  // CHECK-SAME: arena = {{\[\[}}#exec.extent<256 * tokens>, #exec.extent<256 * logit_rows>], [#exec.extent<128 * tokens>]]
  exec.program @chain {
    %tokens = exec.input logit_tokens : memref<?xi32>
    // CHECK-NEXT: exec.input
    // CHECK-NEXT: exec.alloc rows <tokens> {slot = 0 : i64} : memref<?x64xf32>
    // CHECK-NEXT: exec.alloc rows <tokens> {slot = 1 : i64} : memref<?x64xbf16>
    // CHECK-NEXT: exec.alloc rows <logit_rows> {slot = 0 : i64} : memref<?x64xf32>
    %table = exec.alloc rows <tokens> : memref<?x64xf32>
    %query = exec.alloc rows <tokens> : memref<?x64xbf16>
    %logits = exec.alloc rows <logit_rows> : memref<?x64xf32>
    kernel.embed %tokens, %table to %table : memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>
    kernel.attention %table, %query, %query at %tokens, %tokens, %tokens to %query {heads = 1, kv_heads = 1,
        head_dim = 64, value_dim = 64, scale = 1.0, page_tokens = 32} : memref<?x64xf32>, memref<?x64xbf16>,
        memref<?x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>
    kernel.embed %tokens, %query to %logits : memref<?xi32>, memref<?x64xbf16>, memref<?x64xf32>
    exec.return %logits : memref<?x64xf32>
  }
}

// -----

module attributes {exec.limits = array<i64: 64, 4, 16>} {
  // The view is read after everything that names the whole buffer: nothing else may lie there until then.
  // CHECK-LABEL: exec.program @view
  exec.program @view {
    %tokens = exec.input token_ids : memref<?xi32>
    // CHECK: exec.alloc rows <tokens> {slot = [[WHOLE:.*]] : i64} : memref<?x128xf32>
    %whole = exec.alloc rows <tokens> : memref<?x128xf32>
    // CHECK-NOT: slot = [[WHOLE]]
    %between = exec.alloc rows <tokens> : memref<?x64xf32>
    %logits = exec.alloc rows <logit_rows> : memref<?x64xf32>
    %part = exec.view %whole column 32 : memref<?x128xf32> -> memref<?x64xf32, strided<[128, 1], offset: ?>>
    %inner = exec.view %part column 0 : memref<?x64xf32, strided<[128, 1], offset: ?>> -> memref<?x64xf32, strided<[128, 1], offset: ?>>
    kernel.embed %tokens, %whole to %whole : memref<?xi32>, memref<?x128xf32>, memref<?x128xf32>
    kernel.embed %tokens, %between to %between : memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>
    kernel.embed %tokens, %inner to %logits
        : memref<?xi32>, memref<?x64xf32, strided<[128, 1], offset: ?>>, memref<?x64xf32>
    // CHECK: exec.return
    exec.return %logits : memref<?x64xf32>
  }
}

// -----

module attributes {exec.limits = array<i64: 64, 4, 16>} {
  // A residual is added to until the end, so it keeps its place; what each addition reads shares one.
  // CHECK-LABEL: exec.program @accumulate
  exec.program @accumulate {
    %slots = exec.input token_ids : memref<?xi32>
    // CHECK: exec.alloc rows <logit_rows> {slot = [[SUM:.*]] : i64} : memref<?x64xf32>
    %sum = exec.alloc rows <logit_rows> : memref<?x64xf32>
    // CHECK: exec.alloc rows <tokens> {slot = [[TERM:.*]] : i64} : memref<?x64xf32>
    // CHECK: exec.alloc rows <tokens> {slot = [[TERM]] : i64} : memref<?x64xbf16>
    %first = exec.alloc rows <tokens> : memref<?x64xf32>
    %second = exec.alloc rows <tokens> : memref<?x64xbf16>
    kernel.embed %slots, %sum to %sum : memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>
    kernel.embed %slots, %first to %sum : memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>
    kernel.embed %slots, %second to %sum : memref<?xi32>, memref<?x64xbf16>, memref<?x64xf32>
    exec.return %sum : memref<?x64xf32>
  }
}

// -----

// Without limits sizes cannot be compared.
// expected-error@+1 {{needs the module's attribute exec.limits (max context, sequences and tokens of a step)}}
exec.program @limits {
  %logits = exec.alloc rows <logit_rows> : memref<?x64xf32>
  exec.return %logits : memref<?x64xf32>
}
