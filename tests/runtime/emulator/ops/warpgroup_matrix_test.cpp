// wgmma from PTX to registers: types by swizzle, width, operand source and orientation, in every order.
#include "tests/runtime/emulator/kernel_run.h"
#include "tests/runtime/emulator/ops/element_values.h"

#include "ops/matrix_descriptor.h"
#include "ops/warpgroup_product.h"
#include <sstream>

using namespace emulator;

namespace {

using Accumulator = WgmmaShape::Accumulator;

struct Case {
  const char *a, *b, *d;
  Element elementA, elementB;
  Accumulator accumulator;
  unsigned n = 64;
  SwizzleSpan span = SwizzleSpan::B128;
  bool registersA = false, transposeA = false, transposeB = false, negateA = false, negateB = false, keeps = true;
  bool saturate = false;
  unsigned steps = 1; ///< wgmmas in the group, along K inside of the swizzle atom

  unsigned k() const { return 256 / bitsOf(elementA); }
  unsigned accumulators() const { return accumulator == Accumulator::F16 ? n / 4 : n / 2; }
  std::string name() const {
    std::ostringstream out;
    out << d << "." << a << "." << b << " n" << n << " span " << static_cast<unsigned>(span)
        << (registersA ? " RS" : " SS") << (transposeA ? " tA" : "") << (transposeB ? " tB" : "") << " steps " << steps;
    return out.str();
  }
};

/// Where the operand lies: `rows` along M or N, in the smallest tile that the descriptor's layout allows.
struct Tile {
  MatrixDescriptor descriptor; ///< of the first step, its start relative to the tile
  uint32_t bytes = 0, stepBytes = 0;
};

Tile tileFor(SwizzleSpan span, bool transposed, unsigned rows, unsigned steps) {
  const uint32_t width = static_cast<uint32_t>(span);
  Tile tile;
  tile.descriptor.span = span;
  if (!transposed && span == SwizzleSpan::None) {
    tile.descriptor.stride = 128;
    tile.descriptor.leading = rows * 16;
    tile.stepBytes = rows * 32;
    tile.bytes = tile.stepBytes * steps;
  } else if (!transposed) {
    tile.descriptor.stride = 8 * width;
    tile.descriptor.leading = 16;
    tile.stepBytes = 32;
    tile.bytes = rows * width;
  } else {
    // Atoms of 8 K by `width` bytes; atoms along K first.
    const uint32_t atom = 8 * width, atomsAlongK = 2 * steps;
    const uint32_t alongRows = atom * atomsAlongK;
    tile.descriptor.leading = span == SwizzleSpan::None ? atom : alongRows;
    tile.descriptor.stride = span == SwizzleSpan::None ? alongRows : atom;
    tile.stepBytes = 2 * atom;
    tile.bytes = (rows * 2 + width - 1) / width * alongRows;
  }
  return tile;
}

std::string kernelOf(const Case &c, const Tile &a, const Tile &b) {
  std::ostringstream out;
  const char *type = c.accumulator == Accumulator::F32 ? "f32" : "b32";
  const unsigned bytesA = (a.bytes + 1023) / 1024 * 1024, bytesB = (b.bytes + 1023) / 1024 * 1024;
  out << ".version 8.8\n.target sm_90a\n.address_size 64\n"
      << ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pd, .param .u64 pr)\n{\n"
      << ".shared .align 1024 .b8 sa[" << bytesA << "];\n.shared .align 1024 .b8 sb[" << bytesB << "];\n"
      << ".reg .b32 %r<20>;\n.reg .b64 %rd<30>;\n.reg .pred %p<4>;\n.reg ." << type << " %d<" << c.accumulators()
      << ">;\n.reg .b32 %a<" << 4 * c.steps << ">;\n"
      << "ld.param.u64 %rd1, [pa];\nld.param.u64 %rd2, [pb];\nld.param.u64 %rd3, [pd];\nld.param.u64 %rd4, [pr];\n"
      << "mov.u32 %r1, %tid.x;\nmov.u32 %r2, sa;\nmov.u32 %r3, sb;\n";
  auto copy = [&](const char *label, unsigned source, const char *shared, unsigned bytes) {
    out << "shl.b32 %r5, %r1, 4;\n"
        << label << ":\n"
        << "setp.ge.u32 %p1, %r5, " << bytes << ";\n@%p1 bra " << label << "_end;\n"
        << "cvt.u64.u32 %rd5, %r5;\nadd.s64 %rd6, %rd" << source << ", %rd5;\nadd.u32 %r6, " << shared << ", %r5;\n"
        << "ld.global.v4.b32 {%r7, %r8, %r9, %r10}, [%rd6];\nst.shared.v4.b32 [%r6], {%r7, %r8, %r9, %r10};\n"
        << "add.u32 %r5, %r5, 2048;\nbra " << label << ";\n"
        << label << "_end:\n";
  };
  copy("ca", 1, "%r2", a.bytes);
  copy("cb", 2, "%r3", b.bytes);
  out << "mul.wide.u32 %rd7, %r1, 4;\nadd.s64 %rd8, %rd3, %rd7;\nadd.s64 %rd9, %rd4, %rd7;\n";
  for (unsigned i = 0; i < c.accumulators(); ++i) {
    out << "ld.global." << type << " %d" << i << ", [%rd8+" << i * 512 << "];\n";
  }
  if (c.registersA) {
    for (unsigned i = 0; i < 4 * c.steps; ++i) {
      out << "ld.global.b32 %a" << i << ", [%rd9+" << i * 512 << "];\n";
    }
  }
  out << "fence.proxy.async.shared::cta;\nbar.sync 0;\n";
  auto descriptor = [&](unsigned target, const char *shared, const Tile &tile, unsigned step) {
    MatrixDescriptor bits = tile.descriptor;
    out << "add.u32 %r5, " << shared << ", " << step * tile.stepBytes << ";\nshr.u32 %r5, %r5, 4;\n"
        << "cvt.u64.u32 %rd" << target << ", %r5;\nor.b64 %rd" << target << ", %rd" << target << ", "
        << static_cast<int64_t>(bits.encode()) << ";\n";
  };
  out << "setp.ne.u32 %p2, %r2, " << (c.keeps ? 0 : -1) << ";\n";
  if (!c.keeps) {
    out << "not.pred %p2, %p2;\n";
  }
  out << "setp.ne.u32 %p3, %r2, 0;\nwgmma.fence.sync.aligned;\n";
  for (unsigned step = 0; step < c.steps; ++step) {
    descriptor(10, "%r2", a, step);
    descriptor(11, "%r3", b, step);
    out << "wgmma.mma_async.sync.aligned.m64n" << c.n << "k" << c.k() << (c.saturate ? ".satfinite" : "") << "." << c.d
        << "." << c.a << "." << c.b << (c.elementA == Element::B1 ? ".and.popc" : "") << " {";
    for (unsigned i = 0; i < c.accumulators(); ++i) {
      out << (i ? ", " : "") << "%d" << i;
    }
    out << "}, ";
    if (c.registersA) {
      out << "{%a" << 4 * step << ", %a" << 4 * step + 1 << ", %a" << 4 * step + 2 << ", %a" << 4 * step + 3 << "}";
    } else {
      out << "%rd10";
    }
    out << ", %rd11, %p" << (step ? 3 : 2);
    if (c.accumulator != Accumulator::S32) {
      out << ", " << (c.negateA ? -1 : 1) << ", " << (c.negateB ? -1 : 1);
    }
    if (c.elementA == Element::F16 || c.elementA == Element::BF16) {
      if (!c.registersA) {
        out << ", " << c.transposeA;
      }
      out << ", " << c.transposeB;
    }
    out << ";\n";
  }
  out << "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";
  for (unsigned i = 0; i < c.accumulators(); ++i) {
    out << "st.global." << type << " [%rd8+" << i * 512 << "], %d" << i << ";\n";
  }
  out << "ret;\n}\n";
  return out.str();
}

void check(const Case &c, Order order) {
  SCOPED_TRACE(c.name() + ", " + nameOf(order));
  std::mt19937 random(c.n * 31 + static_cast<unsigned>(c.span) + 7 * static_cast<unsigned>(c.elementA));
  const unsigned k = c.k(), total = k * c.steps;
  // Straight matrices: [row][K], 32 bytes a step.
  const std::vector<std::byte> a = someBytes(c.elementA, 64 * 32 * c.steps, random);
  const std::vector<std::byte> b = someBytes(c.elementB, c.n * 32 * c.steps, random);
  const Tile tileA = tileFor(c.span, c.transposeA, 64, c.steps), tileB = tileFor(c.span, c.transposeB, c.n, c.steps);
  auto place = [&](const Tile &tile, bool transposed, const std::vector<std::byte> &matrix, unsigned rows) {
    std::vector<std::byte> image(tile.bytes);
    for (unsigned step = 0; step < c.steps; ++step) {
      MatrixDescriptor descriptor = tile.descriptor;
      descriptor.start = step * tile.stepBytes;
      for (unsigned row = 0; row < rows; ++row) {
        for (unsigned byte = 0; byte < 32; ++byte) {
          uint32_t at = transposed ? descriptor.mnMajor(row / 8, byte / 2) + row % 8 * 2 + byte % 2
                                   : descriptor.kMajor(row, byte / 16) + byte % 16;
          image[at] = matrix[(row * c.steps + step) * 32 + byte];
        }
      }
    }
    return image;
  };
  DeviceBuffer bufferA(place(tileA, c.transposeA, a, 64)), bufferB(place(tileB, c.transposeB, b, c.n));
  std::vector<uint32_t> rows(128 * 4 * c.steps), accumulators(128 * c.accumulators());
  for (unsigned thread = 0; thread < 128; ++thread) {
    unsigned lane = thread % 32, warp = thread / 32;
    for (unsigned r = 0; r < 4 * c.steps; ++r) {
      unsigned row = warp * 16 + lane / 4 + 8 * (r % 2), byte = 4 * (lane % 4) + 16 * (r % 4 / 2);
      std::memcpy(&rows[r * 128 + thread], &a[(row * c.steps + r / 4) * 32 + byte], 4);
    }
  }
  for (uint32_t &word : accumulators) {
    float value = float(int(random() % 64)) / 8 - 4;
    word = c.accumulator == Accumulator::F32   ? __builtin_bit_cast(uint32_t, value)
           : c.accumulator == Accumulator::F16 ? 0x3C00C000u
                                               : random() % 1000 - 500;
  }
  DeviceBuffer bufferR(rows), bufferD(accumulators);
  KernelRun run;
  run.options.order = order;
  run.options.seed = c.n;
  std::optional<Fault> fault =
      run(kernelOf(c, tileA, tileB),
          Parameters().add(bufferA.address()).add(bufferB.address()).add(bufferD.address()).add(bufferR.address()));
  ASSERT_FALSE(fault) << fault->text;
  auto get = [&](const uint32_t *words, unsigned row, unsigned column) -> double {
    unsigned r = column / 8 * 4 + row % 16 / 8 * 2 + column % 2;
    unsigned thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
    if (c.accumulator == Accumulator::F16) {
      return static_cast<double>(
          __builtin_bit_cast(_Float16, static_cast<uint16_t>(words[r / 2 * 128 + thread] >> 16 * (r % 2))));
    }
    uint32_t word = words[r * 128 + thread];
    return c.accumulator == Accumulator::F32 ? __builtin_bit_cast(float, word) : static_cast<int32_t>(word);
  };
  const double tolerance = c.accumulator == Accumulator::F32 ? 2e-6 : c.accumulator == Accumulator::F16 ? 2e-3 : 0;
  for (unsigned row = 0; row < 64; ++row) {
    for (unsigned column = 0; column < c.n; ++column) {
      double expected = c.keeps ? get(accumulators.data(), row, column) : 0, scale = std::abs(expected) + 1e-3;
      for (unsigned i = 0; i < total; ++i) {
        double product = valueOf(c.elementA, a.data(), row * total + i) *
                         valueOf(c.elementB, b.data(), column * total + i) * (c.negateA != c.negateB ? -1 : 1);
        expected += product;
        scale += std::abs(product);
      }
      if (c.accumulator == Accumulator::F16 && scale > 60000) {
        continue; // May have left the range on the way.
      }
      ASSERT_NEAR(get(bufferD.as<uint32_t>(), row, column), expected, tolerance * scale) << row << ", " << column;
    }
  }
}

void checkAll(const Case &c) {
  for (Order order : allOrders) {
    check(c, order);
  }
}

const Case types[] = {
    {"f16", "f16", "f32", Element::F16, Element::F16, Accumulator::F32},
    {"f16", "f16", "f16", Element::F16, Element::F16, Accumulator::F16},
    {"bf16", "bf16", "f32", Element::BF16, Element::BF16, Accumulator::F32},
    {"tf32", "tf32", "f32", Element::TF32, Element::TF32, Accumulator::F32},
    {"e4m3", "e4m3", "f32", Element::E4M3, Element::E4M3, Accumulator::F32},
    {"e4m3", "e5m2", "f32", Element::E4M3, Element::E5M2, Accumulator::F32},
    {"e5m2", "e4m3", "f16", Element::E5M2, Element::E4M3, Accumulator::F16},
    {"e5m2", "e5m2", "f32", Element::E5M2, Element::E5M2, Accumulator::F32},
    {"s8", "s8", "s32", Element::S8, Element::S8, Accumulator::S32},
    {"s8", "u8", "s32", Element::S8, Element::U8, Accumulator::S32},
    {"u8", "u8", "s32", Element::U8, Element::U8, Accumulator::S32},
    {"b1", "b1", "s32", Element::B1, Element::B1, Accumulator::S32},
};
constexpr SwizzleSpan spans[] = {SwizzleSpan::None, SwizzleSpan::B32, SwizzleSpan::B64, SwizzleSpan::B128};

} // namespace

TEST(WarpgroupMatrix, TypesAndSwizzles) {
  for (const Case &type : types) {
    for (SwizzleSpan span : spans) {
      for (bool registersA : {false, true}) {
        Case c = type;
        c.span = span;
        c.n = registersA ? 24 : 80;
        c.registersA = registersA;
        checkAll(c);
      }
    }
  }
}

TEST(WarpgroupMatrix, EveryWidth) {
  for (unsigned n = 8; n <= 256; n += 8) {
    for (const Case &type : {types[2], types[4]}) {
      Case c = type;
      c.n = n;
      check(c, n % 16 ? Order::Eager : Order::Lazy);
    }
    if (n < 32 || n % 16 == 0) {
      Case c = types[9];
      c.n = n;
      check(c, Order::Random);
    }
  }
}

TEST(WarpgroupMatrix, Orientations) {
  for (const Case &type : {types[0], types[1], types[2]}) {
    for (SwizzleSpan span : spans) {
      for (unsigned mask = 1; mask < 8; ++mask) {
        Case c = type;
        c.span = span;
        c.n = 128;
        c.registersA = mask & 4;
        c.transposeA = mask & 1 && !c.registersA;
        c.transposeB = mask & 2;
        check(c, Order::Eager);
        check(c, Order::Lazy);
      }
    }
  }
}

TEST(WarpgroupMatrix, StepsInsideTheSwizzleAtom) {
  for (const Case &type : {types[2], types[4]}) {
    for (bool registersA : {false, true}) {
      Case c = type;
      c.steps = 4;
      c.registersA = registersA;
      c.keeps = false;
      checkAll(c);
    }
  }
  Case transposed = types[2];
  transposed.steps = 4;
  transposed.transposeB = true;
  checkAll(transposed);
}

TEST(WarpgroupMatrix, SignsAndScale) {
  for (unsigned mask = 0; mask < 8; ++mask) {
    Case c = types[mask % 2 ? 4 : 0];
    c.negateA = mask & 1;
    c.negateB = mask & 2;
    c.keeps = mask & 4;
    c.n = 16;
    checkAll(c);
  }
}

namespace {

std::optional<std::string> refusal(const std::string &instruction) {
  std::string text = ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .f32 %f<128>;\n.reg "
                     ".b32 %r<128>;\n.reg .b64 %rd<4>;\n.reg .pred %p<2>;\n" +
                     instruction + "\nret;\n}\n";
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
  if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    return error->text;
  }
  auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    return error->text;
  }
  return std::nullopt;
}

const std::string four = "{%f0, %f1, %f2, %f3}", fourWords = "{%r0, %r1, %r2, %r3}";

} // namespace

TEST(WarpgroupMatrix, RefusesWhatIsNotThere) {
  const std::string prefix = "wgmma.mma_async.sync.aligned.";
  EXPECT_EQ(refusal(prefix + "m64n8k16.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;"), std::nullopt);
  EXPECT_EQ(refusal(prefix + "m64n8k16.f32.f16.f16 " + four + ", %rd0, %rd1, 1, 1, 1, 0, 0;"), std::nullopt);
  for (const std::string &bad : {prefix + "m64n12k16.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n8k32.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m32n8k16.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n8k16.f32.f16.bf16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n8k16.f16.bf16.bf16 {%r0, %r1}, %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n8k16.f32.f16.f16 {%f0, %f1}, %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n8k16.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 2, 1, 0, 0;",
                                 prefix + "m64n8k16.f32.f16.f16 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 2;",
                                 prefix + "m64n8k32.f32.e4m3.e4m3 " + four + ", %rd0, %rd1, %p0, 1, 1, 0, 0;",
                                 prefix + "m64n40k32.s32.s8.s8 " + fourWords + ", %rd0, %rd1, %p0;",
                                 prefix + "m64n8k32.f32.s8.s8 " + four + ", %rd0, %rd1, %p0;"}) {
    EXPECT_NE(refusal(bad), std::nullopt) << bad;
  }
  std::optional<std::string> sparse = refusal("wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 " + four +
                                              ", %rd0, %rd1, %r9, 0, %p0, 1, 1, 0, 0;");
  ASSERT_TRUE(sparse);
  EXPECT_NE(sparse->find("sparse"), std::string::npos) << *sparse;
}
