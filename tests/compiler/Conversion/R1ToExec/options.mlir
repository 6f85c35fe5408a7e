// RUN: not elah-opt %s -convert-r1-to-exec=cpu=pentium 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: not elah-opt %s -convert-r1-to-exec="cpu=znver4 max-context=129" 2>&1 | FileCheck %s --check-prefix=CONTEXT
// RUN: not elah-opt %s -convert-r1-to-exec="cpu=znver4 max-context=-1" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not elah-opt %s -convert-r1-to-exec="cpu=znver4 max-tokens=0" 2>&1 | FileCheck %s --check-prefix=TOKENS
// RUN: not elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=f64" 2>&1 | FileCheck %s --check-prefix=PRECISION
// RUN: not elah-opt %s -convert-r1-to-exec="cpu=znver4 kv-cache=fp8" 2>&1 | FileCheck %s --check-prefix=FP8
// RUN: not elah-opt %s -convert-r1-to-exec="cuda=true kv-cache=int8" 2>&1 | FileCheck %s --check-prefix=CACHE

// CPU: error: unknown CPU 'pentium': expected one of host,
// CONTEXT: error: max-context must be 1 to the model's 128, or 0 for all of it, found 129
// NEGATIVE: error: max-context must be 1 to the model's 128, or 0 for all of it, found -1
// TOKENS: error: max-tokens must be positive, found 0
// PRECISION: error: precision must be auto, bf16 or f32, found 'f64'
// FP8: error: kv-cache=fp8 is for GPUs: no kernel of a processor reads such a cache
// CACHE: error: kv-cache must be auto or fp8, found 'int8'
module attributes {r1.max_context = 128 : i64} {
}
