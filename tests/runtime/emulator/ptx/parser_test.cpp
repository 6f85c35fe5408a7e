// What parsed PTX is: module scope, function bodies, operands, names and scopes.
#include "ptx/module.h"
#include <bit>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace emulator::ptx;
using testing::ElementsAre;

namespace {

const char *const header = ".version 9.0\n.target sm_90a\n.address_size 64\n";

Module parsed(const std::string &text) {
  std::variant<Module, Error> result = parse(header + text);
  if (Error *error = std::get_if<Error>(&result)) {
    ADD_FAILURE() << error->place.line << ":" << error->place.column << ": " << error->text << "\n" << text;
    return {};
  }
  return std::move(std::get<Module>(result));
}

/// A function whose body is `text`; with some registers.
Function body(const std::string &text) {
  Module module = parsed(".global .b32 gv;\n.entry k(.param .b64 p) {\n.reg .b32 %r<10>;\n.reg .b64 %rd<10>;\n"
                         ".reg .f32 %f<10>;\n.reg .pred %p<4>;\n" +
                         text + "\n}\n");
  return module.functions.empty() ? Function() : std::move(module.functions.front());
}

Instruction one(const std::string &text) {
  Function function = body(text);
  EXPECT_EQ(function.instructions.size(), 1u) << text;
  return function.instructions.empty() ? Instruction() : function.instructions.front();
}

Operand operand(const std::string &text) {
  Instruction instruction = one("op " + text + ";");
  EXPECT_EQ(instruction.operands.size(), 1u) << text;
  return instruction.operands.empty() ? Operand() : instruction.operands.front();
}

} // namespace

TEST(PtxModule, Header) {
  std::variant<Module, Error> result =
      parse("// NVVM\n\n.version 8.10 /* x */\n.target sm_90a, debug\n.address_size 64\n");
  ASSERT_TRUE(std::holds_alternative<Module>(result));
  const Module &module = std::get<Module>(result);
  EXPECT_EQ(module.versionMajor, 8u);
  EXPECT_EQ(module.versionMinor, 10u);
  EXPECT_EQ(module.target, "sm_90a");
  EXPECT_EQ(module.addressSize, 64u);
}

TEST(PtxModule, Variables) {
  Module module = parsed(R"(
.global .align 4 .b8 table[24] = {1, 0, 0xff, -1};
.visible .global .attribute(.managed) .align 16 .v4 .f32 four = {1.5, -2.0, 0f3F800000, 1};
.const .u16 grid[2][3] = {{1, 2}, {3}};
.global .s64 open[] = {7, 8, 9};
.extern .shared .align 1024 .b8 dynamic[];
.weak .global .b32 a, b[3 * 2 + (1 << 2)];
.common .global .f64 c;
.global .f64 d = 0.5;
)");
  ASSERT_EQ(module.variables.size(), 9u);
  const Variable &table = module.variables[0];
  EXPECT_EQ(table.name, "table");
  EXPECT_EQ(table.size, 24u);
  EXPECT_EQ(table.alignment, 4u);
  EXPECT_EQ(table.space, Space::Global);
  EXPECT_THAT(table.initial, ElementsAre(1, 0, 0xff, 0xff));
  const Variable &four = module.variables[1];
  EXPECT_TRUE(four.managed);
  EXPECT_EQ(four.vector, 4u);
  EXPECT_EQ(four.size, 16u);
  EXPECT_EQ(four.linkage, Linkage::Visible);
  EXPECT_THAT(four.initial, ElementsAre(0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f));
  EXPECT_THAT(module.variables[2].initial, ElementsAre(1, 0, 2, 0, 0, 0, 3, 0));
  EXPECT_EQ(module.variables[2].size, 12u);
  EXPECT_EQ(module.variables[3].size, 24u);
  EXPECT_EQ(module.variables[4].size, 0u);
  EXPECT_EQ(module.variables[4].linkage, Linkage::Extern);
  EXPECT_EQ(module.variables[4].alignment, 1024u);
  EXPECT_EQ(module.variables[6].size, 40u);
  EXPECT_EQ(module.variables[6].linkage, Linkage::Weak);
  EXPECT_EQ(module.variables[7].linkage, Linkage::Common);
  EXPECT_EQ(module.variables[8].initial[7], 0x3f);
}

TEST(PtxModule, Addresses) {
  Module module = parsed(R"(
.global .b8 s[64];
.global .u64 p = generic(s)+16;
.global .u64 q[3] = {s, s-8, f};
.global .u8 bytes[] = {0xff(s), 0xff00(generic(s)+4), 0xFF00000000000000(s)};
.func f() { ret; }
)");
  ASSERT_EQ(module.variables.size(), 4u);
  const Relocation &generic = module.variables[1].relocations.at(0);
  EXPECT_TRUE(generic.generic);
  EXPECT_EQ(generic.symbol, "s");
  EXPECT_EQ(generic.addend, 16);
  EXPECT_EQ(generic.size, 8u);
  const std::vector<Relocation> &three = module.variables[2].relocations;
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[1].addend, -8);
  EXPECT_EQ(three[1].offset, 8u);
  EXPECT_FALSE(three[1].generic);
  EXPECT_EQ(three[2].symbol, "f");
  const std::vector<Relocation> &masked = module.variables[3].relocations;
  ASSERT_EQ(masked.size(), 3u);
  EXPECT_EQ(masked[1].shift, 8u);
  EXPECT_EQ(masked[1].addend, 4);
  EXPECT_TRUE(masked[1].generic);
  EXPECT_EQ(masked[2].shift, 56u);
  EXPECT_EQ(masked[2].size, 1u);
}

TEST(PtxModule, Functions) {
  Module module = parsed(R"(
.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.func f;
.visible .func (.param .align 16 .b8 r[16]) g(.param .u64 .ptr .global .align 32 x, .param .f32 y) .noreturn { trap; }
.visible .entry k(.param .align 64 .b8 map[128], .param .b8 empty[])
.maxntid 384, 1, 1
.reqntid 128
.minnctapersm 2
.maxnreg 168
.explicitcluster
.reqnctapercluster 2, 1, 1
.maxclusterrank 8
.pragma "nounroll";
{ ret; }
.weak .func f() { ret; }
.func h();
.alias h, f;
.file 2 "dir/a.cu", 1700000000, 123
.section .debug_info { .b8 1 // }
  .b8 2,3
  label:
  .b32 label+4
}
)");
  ASSERT_EQ(module.functions.size(), 5u);
  EXPECT_TRUE(module.functions[0].declared);
  EXPECT_EQ(module.functions[0].results.size(), 1u);
  EXPECT_EQ(module.functions[0].parameters.size(), 2u);
  const Function &f = *module.function("f");
  EXPECT_FALSE(f.declared);
  EXPECT_EQ(f.linkage, Linkage::Weak);
  const Function &g = *module.function("g");
  EXPECT_EQ(g.results[0].size, 16u);
  EXPECT_EQ(g.parameters[0].alignment, 8u);
  const Function &k = *module.function("k");
  EXPECT_TRUE(k.entry);
  EXPECT_EQ(k.parameters[0].size, 128u);
  EXPECT_EQ(k.parameters[0].alignment, 64u);
  EXPECT_EQ(k.parameters[1].size, 0u);
  EXPECT_THAT(k.bounds.maxThreads, ElementsAre(384, 1, 1));
  EXPECT_THAT(k.bounds.requiredThreads, ElementsAre(128, 1, 1));
  EXPECT_THAT(k.bounds.requiredCluster, ElementsAre(2, 1, 1));
  EXPECT_EQ(k.bounds.minCtasPerSm, 2u);
  EXPECT_EQ(k.bounds.maxRegisters, 168u);
  EXPECT_EQ(k.bounds.maxClusterRank, 8u);
  EXPECT_TRUE(k.bounds.explicitCluster);
  EXPECT_EQ(module.function("h"), &f);
  EXPECT_EQ(module.function("nobody"), nullptr);
  ASSERT_EQ(module.files.size(), 3u);
  EXPECT_EQ(module.files[2], "dir/a.cu");
}

TEST(PtxBody, Registers) {
  Function function = body(".reg .v4 .f32 v;\n.reg .b16 h<2>, x;\nmov.f32 v.y, %f9;\nst.v4.f32 [%rd1], v;\n");
  ASSERT_EQ(function.registers.size(), 10u + 10 + 10 + 4 + 4 + 2 + 1);
  EXPECT_EQ(function.registers[3].name, "%r3");
  EXPECT_EQ(function.registers[3].type, Type::B32);
  EXPECT_EQ(function.registers[34].name, "v.x");
  EXPECT_EQ(function.registers[39].name, "h1");
  EXPECT_EQ(function.registers[40].name, "x");
  EXPECT_EQ(function.instructions[0].operands[0].index, 35u);
  EXPECT_EQ(function.instructions[0].operands[1].index, 29u);
  const Operand &vector = function.instructions[1].operands[1];
  ASSERT_EQ(vector.kind, Operand::Kind::Vector);
  ASSERT_EQ(vector.elements.size(), 4u);
  EXPECT_EQ(vector.elements[3].index, 37u);
}

TEST(PtxBody, Instruction) {
  Function function = body("  .loc 1 20 5, function_name $L__info+4, inlined_at 1 30 2\n"
                           "  @!%p1 ld.global.nc.L1::no_allocate.L2::256B.v4.s32 {%r1, _, %r2, %r3}, [%rd1+-16]; ret;");
  ASSERT_EQ(function.instructions.size(), 2u);
  const Instruction &load = function.instructions[0];
  EXPECT_EQ(load.opcode, "ld");
  EXPECT_THAT(load.modifiers, ElementsAre("global", "nc", "L1::no_allocate", "L2::256B", "v4", "s32"));
  EXPECT_EQ(function.registers[load.guard].name, "%p1");
  EXPECT_TRUE(load.guardNegated);
  EXPECT_EQ(load.source.file, 1u);
  EXPECT_EQ(load.source.line, 20u);
  EXPECT_EQ(load.place.line, 11u);
  EXPECT_EQ(load.place.column, 3u);
  ASSERT_EQ(load.operands.size(), 2u);
  EXPECT_EQ(load.operands[0].elements[1].kind, Operand::Kind::Sink);
  EXPECT_EQ(load.operands[1].kind, Operand::Kind::Address);
  EXPECT_EQ(load.operands[1].value, -16);
  EXPECT_EQ(load.operands[1].elements[0].index, 11u);
}

TEST(PtxBody, TextOfInstruction) {
  Module module = parsed(".entry k() { .reg .pred p; @p /* why */ bra  L ; L: ret; }");
  EXPECT_EQ(module.textOf(module.functions[0].instructions[0]), "@p /* why */ bra  L");
  EXPECT_EQ(module.textOf(module.functions[0].instructions[1]), "ret");
}

TEST(PtxBody, Labels) {
  // Inline assembly repeats the names of labels; each scope has its own, and sees those around it.
  Function function = body(R"(
    bra END;
    { WAIT: bra DONE; bra.uni WAIT; bra OUT; DONE: }
    { @%p1 bra WAIT; WAIT: bra DONE; DONE: }
    OUT:
    { bra OUT; { bra OUT; OUT: } }
    END: )");
  std::vector<uint32_t> targets;
  for (const Instruction &instruction : function.instructions) {
    ASSERT_EQ(instruction.operands[0].kind, Operand::Kind::Label);
    targets.push_back(instruction.operands[0].index);
  }
  EXPECT_THAT(targets, ElementsAre(8, 4, 1, 6, 5, 6, 6, 8));
}

TEST(PtxBody, BranchTable) {
  Function function = body("ts: .branchtargets A, B, A;\nbrx.idx %r1, ts;\nA: ret;\nB: ret;");
  ASSERT_EQ(function.branchTables.size(), 1u);
  EXPECT_EQ(function.branchTables[0].name, "ts");
  EXPECT_THAT(function.branchTables[0].instructions, ElementsAre(1, 2, 1));
  EXPECT_EQ(function.instructions[0].operands[1].kind, Operand::Kind::Symbol);
  EXPECT_EQ(function.instructions[0].operands[1].name, "ts");
}

TEST(PtxBody, ScopesRename) {
  Function function = body(R"(
    { .param .b32 param0; .reg .b32 t; st.param.b32 [param0+0], t; }
    { .param .b32 param0; .reg .b64 t; st.param.b32 [param0], t; }
    .shared .align 16 .b8 gv[16]; mov.u32 %r1, gv;
  )");
  ASSERT_EQ(function.variables.size(), 3u);
  EXPECT_EQ(function.variables[0].name, "param0");
  EXPECT_EQ(function.variables[1].name, "param0.1");
  EXPECT_EQ(function.variables[2].name, "gv.1"); // The module has one.
  EXPECT_EQ(function.instructions[1].operands[0].elements[0].name, "param0.1");
  EXPECT_EQ(function.registers[function.instructions[0].operands[1].index].type, Type::B32);
  EXPECT_EQ(function.registers[function.instructions[1].operands[1].index].type, Type::B64);
  EXPECT_EQ(function.instructions[2].operands[1].name, "gv.1");
}

TEST(PtxBody, Calls) {
  Module module = parsed(R"(
.func (.param .b32 r) f(.param .b32 a);
.func g();
.entry k() {
  .reg .b64 %rd<2>;
  .param .b32 a, b;
  call.uni (a), f, (b);
  call g;
  call.uni g, ();
  proto : .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[16]) .noreturn;
  call (a), %rd1, (b, 3), proto;
  targets: .calltargets f;
  call (a), %rd1, (b), targets;
})");
  const Function &k = *module.function("k");
  ASSERT_EQ(k.instructions.size(), 5u);
  for (const Instruction &call : k.instructions) {
    ASSERT_GE(call.operands.size(), 3u);
    EXPECT_EQ(call.operands[0].kind, Operand::Kind::Vector);
    EXPECT_EQ(call.operands[2].kind, Operand::Kind::Vector);
  }
  EXPECT_EQ(k.instructions[0].operands[0].elements[0].name, "a");
  EXPECT_EQ(k.instructions[0].operands[1].name, "f");
  EXPECT_EQ(k.instructions[0].operands[2].elements[0].name, "b");
  EXPECT_TRUE(k.instructions[1].operands[2].elements.empty());
  EXPECT_EQ(k.instructions[3].operands[1].kind, Operand::Kind::Register);
  EXPECT_EQ(k.instructions[3].operands[2].elements[1].value, 3);
  EXPECT_EQ(k.instructions[3].operands[3].name, "proto");
  ASSERT_EQ(k.prototypes.size(), 2u);
  EXPECT_EQ(k.prototypes[0].parameters[1].size, 16u);
  EXPECT_EQ(k.prototypes[1].name, "targets");
  EXPECT_EQ(k.prototypes[1].results.size(), 1u);
}

TEST(PtxOperand, Constants) {
  struct Case {
    const char *text;
    int64_t value;
  };
  for (const Case &c : {Case{"42", 42},
                        {"-7", -7},
                        {"0x1F", 31},
                        {"017", 15},
                        {"0b101", 5},
                        {"0U", 0},
                        {"7u", 7},
                        {"0xffffffffffffffff", -1},
                        {"WARP_SZ", 32},
                        {"~0", -1},
                        {"!3", 0},
                        {"!0", 1},
                        {"2 + 3 * 4", 14},
                        {"(2 + 3) * 4", 20},
                        {"-8 / 3", -2},
                        {"-8 % 3", -2},
                        {"1 << 10 | 3", 1027},
                        {"-16 >> 2", -4},
                        {"0xfffffffffffffff0U >> 60", 15},
                        {"1 < 2 && 3 != 3", 0},
                        {"1 ? 10 : 20", 10},
                        {"0 ? 1 : 0 ? 2 : 3", 3},
                        {"(.u64) -1 > 0", 1},
                        {"-1 > 0", 0},
                        {"6 & 3 ^ 1", 3},
                        {"5 >= 5 == 1", 1},
                        {"WARP_SZ - 1", 31}}) {
    Operand constant = operand(c.text);
    EXPECT_EQ(constant.kind, Operand::Kind::Integer) << c.text;
    EXPECT_EQ(constant.value, c.value) << c.text;
  }
}

TEST(PtxOperand, Floats) {
  EXPECT_EQ(operand("0f3F800000").kind, Operand::Kind::Float32);
  EXPECT_EQ(operand("0f3F800000").value, 0x3f800000);
  EXPECT_EQ(operand("0F7fc00001").value, 0x7fc00001); // NaNs keep their payload.
  EXPECT_EQ(operand("-0f3F800000").value, 0xbf800000);
  EXPECT_EQ(operand("0d3FF0000000000000").kind, Operand::Kind::Float64);
  EXPECT_EQ(operand("1.5").value, std::bit_cast<int64_t>(1.5));
  EXPECT_EQ(operand("-2.5e-3").value, std::bit_cast<int64_t>(-2.5e-3));
  EXPECT_EQ(operand("1e2").kind, Operand::Kind::Float64);
  EXPECT_EQ(operand("1.5 + 2").value, std::bit_cast<int64_t>(3.5));
  EXPECT_EQ(operand("1.5 < 2.0").value, 1);
}

TEST(PtxOperand, Kinds) {
  EXPECT_EQ(operand("%tid.x").kind, Operand::Kind::Special);
  EXPECT_EQ(operand("%tid.x").name, "tid.x");
  EXPECT_EQ(operand("%envreg31").name, "envreg31");
  EXPECT_EQ(operand("_").kind, Operand::Kind::Sink);
  EXPECT_TRUE(operand("!%p2").negated);
  EXPECT_EQ(operand("gv+8").kind, Operand::Kind::Symbol);
  EXPECT_EQ(operand("gv+8").value, 8);
  EXPECT_EQ(operand("[p]").elements[0].name, "p");
  EXPECT_EQ(operand("[gv+4+4]").value, 8);
  EXPECT_EQ(operand("[128]").elements[0].value, 128);
  EXPECT_EQ(operand("[%rd1-4]").value, -4);
  Operand tensor = operand("[%rd1, {%r1, 0, %r2}]");
  ASSERT_EQ(tensor.elements.size(), 2u);
  EXPECT_EQ(tensor.elements[1].kind, Operand::Kind::Vector);
  EXPECT_EQ(tensor.elements[1].elements.size(), 3u);
  Operand pair = operand("%r1|%p1");
  ASSERT_EQ(pair.kind, Operand::Kind::Pair);
  EXPECT_EQ(pair.elements[0].index, 1u);
  EXPECT_EQ(operand("{%r1, %r2}|%p1").elements[0].kind, Operand::Kind::Vector);
  EXPECT_EQ(operand("_|%p1").elements[0].kind, Operand::Kind::Sink);
  EXPECT_EQ(operand("%p1|_").elements[1].kind, Operand::Kind::Sink);
}

TEST(PtxOperand, RegisterNamesThatEndInDigits) {
  Function function = body(".reg .b32 %a1<5>, %a<3>;\nmov.b32 %a14, %a2;");
  EXPECT_EQ(function.registers[function.instructions[0].operands[0].index].name, "%a14");
  EXPECT_EQ(function.registers[function.instructions[0].operands[1].index].name, "%a2");
}

TEST(PtxTypes, NamesAndSizes) {
  EXPECT_EQ(typeNamed("e4m3x2"), Type::E4M3x2);
  EXPECT_EQ(typeNamed("q32"), Type::None);
  EXPECT_EQ(nameOf(Type::BF16x2), "bf16x2");
  EXPECT_EQ(sizeOf(Type::B128), 16u);
  EXPECT_EQ(sizeOf(Type::Pred), 0u);
  for (unsigned i = 1; i <= static_cast<unsigned>(Type::S16x2); ++i) {
    EXPECT_EQ(typeNamed(nameOf(static_cast<Type>(i))), static_cast<Type>(i));
  }
}
