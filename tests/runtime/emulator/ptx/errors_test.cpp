// Bad PTX: each error has its place and says what was found; hostile text has bounds.
#include "ptx/module.h"
#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace emulator::ptx;

namespace {

struct Case {
  std::string text;
  uint32_t line, column; ///< in `text`
  std::string message;
};

const std::string header = ".version 9.0\n.target sm_90a\n.address_size 64\n";

void expectErrors(const std::string &before, const std::vector<Case> &cases, const std::string &after) {
  uint32_t lines = 0;
  for (char c : before) {
    lines += c == '\n';
  }
  for (const Case &c : cases) {
    std::variant<Module, Error> result = parse(before + c.text + after);
    const Error *error = std::get_if<Error>(&result);
    ASSERT_NE(error, nullptr) << c.text;
    EXPECT_EQ(error->text, c.message) << c.text;
    EXPECT_EQ(error->place.line, c.line + lines) << c.text;
    EXPECT_EQ(error->place.column, c.column) << c.text;
  }
}

std::string repeated(std::string_view text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) {
    result += text;
  }
  return result;
}

} // namespace

TEST(PtxErrors, Header) {
  expectErrors(
      "",
      {
          {"", 1, 1, "expected '.version', found the end of the text"},
          {".target sm_90\n", 1, 1, "expected '.version', found '.target'"},
          {".version 9\n", 1, 10, "expected a version like 9.0, found '9'"},
          {".version 9.0\n.entry k() {}", 2, 1, "expected '.target', found '.entry'"},
          {".version 9.0\n.target gfx90", 2, 9, "expected a target like sm_90a, found 'gfx90'"},
          {".version 9.0\n.target debug", 2, 9, "expected a target like sm_90a"},
          {".version 9.0\n.target sm_90a\n.address_size 16", 3, 15, "expected an address size of 32 or 64, found 16"},
          {".version 9.0 /* open", 1, 14, "expected '*/' to end this comment, found the end of the text"},
          {"\x01", 1, 1, "expected '.version', found the byte 0x01"},
      },
      "");
}

TEST(PtxErrors, Module) {
  expectErrors(
      header,
      {
          {"hello", 1, 1, "expected a directive of the module's scope, found 'hello'"},
          {".version 9.0", 1, 1, "expected one '.version', at the beginning"},
          {".visible .weak .func f;", 1, 10, "expected one linkage, found two"},
          {".visible .file 1 \"a\"", 1, 10,
           "expected '.func', '.entry' or a variable's state space behind the linkage, found '.file'"},
          {".global .b32;", 1, 13, "expected a variable's name, found ';'"},
          {".global .b33 x;", 1, 9, "expected a type, found '.b33'"},
          {".global .texref t;", 1, 9, "expected a type, found '.texref'"},
          {".global x;", 1, 9, "expected a type, found 'x'"},
          {".global .pred x;", 1, 15, "a predicate can't be in memory"},
          {".global .align 3 .b8 x;", 1, 16, "expected an alignment that is a power of two, found 3"},
          {".global .b8 x", 1, 14, "expected ';' behind a variable, found the end of the text"},
          {".global .b8 x[];", 1, 13, "'x' needs a size"},
          {".global .b8 x[0];", 1, 15, "expected an array's size from 1 to 2^40"},
          {".global .b8 x[2][];", 1, 18, "only an array's first size can be left out"},
          {".global .b8 x[1000000][10000000];", 1, 13, "'x' is larger than 2^40 bytes"},
          {".global .b8 x; .global .b8 x;", 1, 28, "'x' is already defined in line 4"},
          {".extern .global .b8 x; .const .b8 x;", 1, 35, "'x' is in another state space in line 4"},
          {".global .b8 x[2] = {1, 2, 3};", 1, 27, "more initial values than 'x' has room for"},
          {".global .b8 x[2] = {{1}};", 1, 21, "more braces than 'x' has dimensions"},
          {".global .b8 x[2] = 1;", 1, 20, "expected '{' before an array's initial values, found '1'"},
          {".shared .b8 x = 1;", 1, 13, "only variables in .global and .const have initial values"},
          {".global .u32 x = 1.5;", 1, 18, "a .u32 can't have a floating-point number as its initial value"},
          {".global .u32 x = 0f3F8;", 1, 18, "expected 8 hexadecimal digits in '0f3F8'"},
          {".global .u32 x = 99999999999999999999;", 1, 18,
           "the number 99999999999999999999 does not fit into 64 bits"},
          {".global .u32 x = 08;", 1, 18, "'08' is no number"},
          {".global .u32 x = 1 / 0;", 1, 20, "division by zero in a constant expression"},
          {".global .u32 x = ~1.5;", 1, 18, "'~' needs an integer"},
          {".global .u64 x = y;", 1, 18, "unknown name 'y'"},
          {".global .u16 x = x;", 1, 18, "a .u16 can't hold an address"},
          {".global .u8 x = 0xf0f(x);", 1, 17,
           "expected a mask of one byte, on bytes, before an address in parentheses"},
          {".func f(.u32 x);", 1, 9, "expected '.param' or '.reg', found '.u32'"},
          {".func (.param .b32 r) ;", 1, 23, "expected a function's name, found ';'"},
          {".func f .maxntid 3 {}", 1, 9, "expected a function's body, '.noreturn' or ';', found '.maxntid'"},
          {".entry f .maxthreads 3 {}", 1, 10, "unknown directive '.maxthreads'; expected a body or ';'"},
          {".entry f .maxntid x {}", 1, 19, "expected a number, found 'x'"},
          {".entry f", 1, 9, "expected a function's body or ';', found the end of the text"},
          {".entry f {} .entry f {}", 1, 20, "'f' is already defined in line 4"},
          {".func f; .func f(.param .b32 a) {}", 1, 16, "'f' has other parameters in line 4"},
          {".global .b32 f; .func f {}", 1, 23, "'f' is already a variable"},
          {".func f; .global .b32 f;", 1, 23, "'f' is already a function"},
          {".func f; .alias f, g;", 1, 20, "expected a function that is defined, found 'g'"},
          {".func f {} .alias f, f;", 1, 19, "expected a function that is declared and not defined, found 'f'"},
          {".file 99999999 \"a\"", 1, 7, "expected an integer of at most 65536, found 99999999"},
          {".file 1 \"a\n", 1, 9, "expected '\"' to end this string, found the end of the line"},
          {".section .debug_info { {", 1, 25, "expected '}', found the end of the text"},
      },
      "");
}

TEST(PtxErrors, Body) {
  expectErrors(header + ".entry k(.param .b64 a) {\n.reg .b32 %r<4>; .reg .pred %p<2>; .reg .v2 .f32 v;\n",
               {
                   {"mov.u32 %r4, 0;", 1, 9, "unknown register '%r4'"},
                   {"mov.u32 %r, 0;", 1, 9, "unknown register '%r'"},
                   {"mov.u32 %r01, 0;", 1, 9, "unknown register '%r01'"},
                   {"mov.u32 %r1, %tid.q;", 1, 14, "expected .x, .y, .z or .w behind '%tid'"},
                   {"mov.u32 %r1, nobody;", 1, 14, "unknown name 'nobody'"},
                   {"mov.u32 %r1 %r2;", 1, 13, "expected ',' or ';' behind an operand, found '%r2'"},
                   {"mov.u32 %r1, ;", 1, 14, "expected an operand, found ';'"},
                   {"mov. %r1;", 1, 4, "expected a modifier behind '.', found '.'"},
                   {"mov.f32 v.z, 0f00000000;", 1, 10, "a vector of 2 registers has no '.z'"},
                   {"bra NOWHERE;", 1, 5, "unknown label 'NOWHERE'"},
                   {"{ L: } bra L;", 1, 12, "unknown label 'L'"},
                   {"bra %r1;", 1, 5, "unknown label '%r1'"},
                   {"L: L: ret;", 1, 4, "'L' is already declared in this scope"},
                   {".reg .b32 %r<2>;", 1, 11, "'%r' is already declared in this scope"},
                   {".reg .b32 a<9999999>;", 1, 13, "expected an integer of at most 1048576, found 9999999"},
                   {".reg .b32 a<3;", 1, 14, "expected '>' behind a count of registers, found ';'"},
                   {"@%r1 ret;", 1, 2, "expected a predicate, found '%r1'"},
                   {"@%q ret;", 1, 2, "unknown register '%q'"},
                   {"@!;", 1, 3, "expected a predicate behind '@', found ';'"},
                   {"ld.u32 %r1, [%r1;", 1, 17, "expected ']' behind an address, found ';'"},
                   {"ld.u32 %r1, [1.5];", 1, 14, "expected an integer as an address"},
                   {"ld.u32 %r1, [_];", 1, 14, "expected a register or a symbol in an address"},
                   {"ld.u32 %r1, [%r1, %r2];", 1, 19, "expected '{' before coordinates, found '%r2'"},
                   {"op {%r1, %r2;", 1, 13, "expected '}' behind the last element, found ';'"},
                   {"op {{{{{%r1}}}}};", 1, 8, "expected at most 4 levels of operands, found '{'"},
                   {"op 1|%p1;", 1, 6, "expected a constant, found a name"},
                   {"op a|%p1;", 1, 5, "expected registers before '|'"},
                   {"op %r1|3;", 1, 8, "expected a register or '_' behind '|'"},
                   {"op !a;", 1, 5, "expected a predicate behind '!'"},
                   {"op -%r1;", 1, 5, "expected a constant, found a name"},
                   {"call (a;", 1, 8, "expected ')' behind the last element, found ';'"},
                   {"call ;", 1, 6, "expected a function, found ';'"},
                   {"call f, 3;", 1, 9, "expected a prototype, found '3'"},
                   {"call f;", 1, 6, "unknown name 'f'"},
                   {"t: .branchtargets A; ret;", 1, 19, "unknown label 'A'"},
                   {".branchtargets A;", 1, 1, "expected a label before '.branchtargets'"},
                   {"t: .callprototype f;", 1, 20, "expected '_' in '.callprototype', found ';'"},
                   {"t: .calltargets f;", 1, 17, "unknown function 'f'"},
                   {".global .b32 x;", 1, 1, "expected a directive of a function's body, found '.global'"},
                   {".loc 1 x 2", 1, 8, "expected a number, found 'x'"},
                   {".loc 1 1 1, inlined_by 3", 1, 24, "expected 'function_name' or 'inlined_at' in '.loc', found '3'"},
                   {".local .b32 x = 3;", 1, 13, "only variables in .global and .const have initial values"},
                   {"5;", 1, 1, "expected an instruction, a label, a directive or '}', found '5'"},
                   {repeated("{", 64) + repeated("}", 64), 1, 65, "expected at most 64 nested scopes"},
               },
               "\n}\n");
}

TEST(PtxErrors, EveryPrefixOfAModule) {
  const std::string text = header + R"(
.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.global .align 8 .u64 p[2] = {generic(q)+16, 0xff}; .visible .global .v4 .f32 q = {1.5, 0f3F800000};
.visible .entry k(.param .align 64 .b8 map[128]) .maxntid 128, 1, 1 {
  .reg .b32 %r<9>; .reg .pred %p<3>; .shared .b8 s[1 << 4];
  .loc 1 2 3, function_name $L, inlined_at 1 2 3
  t: .branchtargets A, B;
  proto: .callprototype (.param .b32 _) _ (.param .b64 _);
  { @!%p1 bra A; A: shfl.sync.idx.b32 %r1|%p2, %r2, 0, 31, -1; } A:
  ld.v2.u32 {%r1, _}, [s+4]; brx.idx %r1, t; B:
  call.uni (s), vprintf, (map, s); ret;
})";
  ASSERT_TRUE(std::holds_alternative<Module>(parse(text)));
  for (size_t size = 0; size < text.size(); ++size) {
    std::variant<Module, Error> result = parse(text.substr(0, size));
    if (const Error *error = std::get_if<Error>(&result)) {
      EXPECT_FALSE(error->text.empty());
      EXPECT_GT(error->place.line, 0u);
    }
  }
}

TEST(PtxErrors, HostileTextHasBounds) {
  auto fails = [](const std::string &text) {
    auto begin = std::chrono::steady_clock::now();
    bool failed = std::holds_alternative<Error>(parse(header + text));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    return failed;
  };
  EXPECT_TRUE(fails(".global .b32 x = " + repeated("(", 100000)));
  EXPECT_TRUE(fails(".global .b32 x = " + repeated("-", 100000)));
  EXPECT_TRUE(fails(".global .b32 x = " + repeated("1 ? 1 : ", 100000)));
  EXPECT_TRUE(fails(".global .b8 x" + repeated("[1]", 100000)));
  EXPECT_TRUE(fails(".global .b8 x[100000][1000000] = {" + repeated("{1},", 1000) + "}"));
  EXPECT_TRUE(fails(".func f {" + repeated(".reg .b32 %r<1000000>; {", 60)));
  EXPECT_TRUE(fails(".func f { op " + repeated("_,", 100000)));
  EXPECT_TRUE(fails(".func f { op {" + repeated("_,", 100000)));
  EXPECT_TRUE(fails(".func f { op" + repeated(".x", 100000)));
  // Names that recur, in scope after scope and function after function, cost no more than their text.
  std::string scopes;
  for (int i = 0; i < 50000; ++i) {
    scopes += "{ .param .b32 p; bra L" + std::to_string(i) + "; L" + std::to_string(i) + ": }";
  }
  EXPECT_FALSE(fails(".func f {" + scopes + "}" + repeated(".func g; ", 50000)));
}
