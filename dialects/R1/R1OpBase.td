#ifndef DIALECTS_R1_R1OPBASE
#define DIALECTS_R1_R1OPBASE

include "dialects/R1/R1Attrs.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class R1_Op<string mnemonic, list<Trait> traits = []> : Op<R1_Dialect, mnemonic, !listconcat([Pure], traits)>;

def R1_Activation : Non0RankedTensorOf<[F32]>;
def R1_Rows : 2DTensorOf<[F32]>;
def R1_Indices : 1DTensorOf<[I32]>;
def R1_IndexRows : 2DTensorOf<[I32]>;
def R1_WeightTensor : Non0RankedTensorOf<[F32, BF16, F16, F8E4M3FN]>;
def R1_Table : 2DTensorOf<[F32, BF16, F16]>;
def R1_WeightVector : 1DTensorOf<[F32, BF16, F16]>;
def R1_WeightMatrix : 2DTensorOf<[F32, BF16, F16, F8E4M3FN]>;
def R1_WeightStack : TensorRankOf<[F32, BF16, F16, F8E4M3FN], [3]>;
def R1_AnyCache : Type<CPred<"::llvm::isa<::elah::r1::CacheType>($_self)">, "KV cache", "::elah::r1::CacheType">;

#endif
