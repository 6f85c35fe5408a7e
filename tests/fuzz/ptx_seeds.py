#!/usr/bin/env python3
"""Seeds of the PTX fuzzer: modules that hold every directive and form of operand. ptx_seeds.py FOLDER"""
import pathlib
import sys

HEADER = ".version 9.0\n.target sm_90a, debug\n.address_size 64\n"

SEEDS = {
    "module": """.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.global .align 8 .u64 p[2] = {generic(q)+16, 0xff};
.visible .global .attribute(.managed) .v4 .f32 q = {1.5, -2.0, 0f3F800000, 0d3FF0000000000000};
.const .u16 grid[2][3] = {{1, 2}, {3}};
.global .u8 bytes[] = {0xff(p), 0xff00(generic(q)+4), 017, 0b11, 3U};
.extern .shared .align 1024 .b8 dynamic[];
.weak .global .b32 a, b[3 * 2 + (1 << 2)];
.common .global .f64 c;
.file 1 "a.cu", 17, 5
.section .debug_info { .b8 1, 2 label: .b32 label+4 }
.func h(); .func (.reg .b32 r) g(.reg .b32 x) .noreturn { ret; } .func h2() { ret; } .alias h, h2;
""",
    "entry": """.visible .entry k(.param .align 64 .b8 map[128], .param .u64 .ptr .global .align 16 x)
.maxntid 384, 1, 1 .reqntid 128 .minnctapersm 2 .maxnreg 168 .explicitcluster .reqnctapercluster 2, 1, 1
.maxclusterrank 8 .pragma "nounroll"; {
.reg .b32 %r<9>; .reg .b64 %rd<4>; .reg .pred %p<3>; .reg .v4 .f32 v; .reg .f32 %f<9>;
.shared .align 16 .b8 s[64]; .local .b8 l[8];
.loc 1 2 3, function_name $L+4, inlined_at 1 2 3
t: .branchtargets A, B;
proto: .callprototype (.param .b32 _) _ (.param .b64 _) .noreturn;
{ .reg .pred P; WAIT: mbarrier.try_wait.parity.shared::cta.b64 P, [%r1], %r2; @P bra DONE; bra WAIT; DONE: }
@!%p1 bra A; A: shfl.sync.idx.b32 %r1|%p2, %r2, 0, 31, -1;
{ .param .b32 param0; st.param.b32 [param0+0], %r1; call.uni (param0), %rd1, (param0, 3), proto; }
ld.global.nc.L1::no_allocate.L2::256B.v4.s32 {%r1, _, %r2, %r3}, [%rd1+-16];
cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2, %r3}], [%r4];
wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4}, %rd1, %rd2, %p1, 1, 1, 0, 0;
mov.f32 v.y, 0f3F800000; st.v4.f32 [x], v; mov.u32 %r1, %tid.x; and.b32 %r1, %r1, WARP_SZ - 1 ? 3 : ~0;
brx.idx %r1, t; B: ret; }
""",
}


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in SEEDS.items():
        (folder / name).write_text(HEADER + text)


main()
