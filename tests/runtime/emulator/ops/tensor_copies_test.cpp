// cp.async.bulk.tensor from PTX to bytes: ranks, element sizes, swizzles, positions in and out of bounds, both
// directions, reductions and multicast, in every order.
#include "tests/runtime/emulator/kernel_run.h"

#include "ops/tensor_map.h"
#include <cmath>
#include <functional>
#include <random>
#include <sstream>

using namespace emulator;

namespace {

struct Tensor {
  TensorType type = TensorType::U16;
  unsigned rank = 2;
  std::vector<uint64_t> dims = {40, 9};
  std::vector<uint32_t> box = {16, 4}, elementStrides = {1, 1, 1, 1, 1};
  uint32_t swizzle = 0, fill = 0;

  unsigned size() const { return sizeOf(type); }
  uint64_t stride(unsigned dim) const {                                          // bytes
    uint64_t bytes = dim == 0 ? size() : (dims[0] * size() + 15) / 16 * 16 + 16; // rows with padding
    for (unsigned i = 1; i < dim; ++i) {
      bytes *= dims[i];
    }
    return bytes;
  }
  uint64_t bytes() const { return stride(rank - 1) * (rank == 1 ? (dims[0] + 16) : dims[rank - 1]); }
  uint32_t extent(unsigned dim) const { return (box[dim] + elementStrides[dim] - 1) / elementStrides[dim]; }
  uint32_t rows() const {
    uint32_t rows = 1;
    for (unsigned i = 1; i < rank; ++i) {
      rows *= extent(i);
    }
    return rows;
  }
  uint32_t boxBytes() const { return rows() * box[0] * size(); }
  uint32_t pitch() const { return swizzle == 0 ? box[0] * size() : 16u << swizzle; }
  uint32_t sharedBytes() const { return rows() * pitch(); }
  /// Where element (row, column) of the box lies, from the tile's begin (aligned to 1,024).
  uint32_t sharedOffset(uint32_t row, uint32_t column) const {
    uint32_t linear = row * pitch() + column * size();
    uint32_t piece = linear / 16, line = linear / 128;
    uint32_t mask = swizzle == 0 ? 0 : (1u << swizzle) - 1;
    return (piece ^ (line & mask)) * 16 + linear % 16;
  }
  /// Global offset of an element of the box at `at`, or nothing where it is out of bounds.
  std::optional<uint64_t> globalOffset(const std::vector<int32_t> &at, uint32_t row, uint32_t column) const {
    int64_t position = int64_t(at[0]) + column;
    if (position < 0 || position >= int64_t(dims[0])) {
      return std::nullopt;
    }
    uint64_t offset = position * size();
    for (unsigned i = 1; i < rank; ++i) {
      position = int64_t(at[i]) + int64_t(row % extent(i)) * elementStrides[i];
      row /= extent(i);
      if (position < 0 || position >= int64_t(dims[i])) {
        return std::nullopt;
      }
      offset += position * stride(i);
    }
    return offset;
  }
  std::vector<uint64_t> strides() const {
    std::vector<uint64_t> result;
    for (unsigned i = 1; i < rank; ++i) {
      result.push_back(stride(i));
    }
    return result;
  }
};

struct alignas(64) MapBytes {
  unsigned char bytes[tensorMapBytes];
};

MapBytes mapOf(const Tensor &tensor, uint64_t address) {
  MapBytes map;
  std::vector<uint64_t> strides = tensor.strides();
  std::optional<std::string> refusal =
      encodeTiled(map.bytes, static_cast<uint32_t>(tensor.type), tensor.rank, address, tensor.dims.data(),
                  strides.data(), tensor.box.data(), tensor.elementStrides.data(), 0, tensor.swizzle, 0, tensor.fill);
  EXPECT_FALSE(refusal) << *refusal;
  return map;
}

std::string header(const std::string &parameters, unsigned sharedBytes) {
  std::ostringstream out;
  out << ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .align 64 .b8 map[128], "
         ".param .u64 pbuf"
      << parameters << ")\n{\n.shared .align 1024 .b8 tile[" << (sharedBytes + 1023) / 1024 * 1024
      << "];\n.shared .align 8 .b64 bar;\n"
      << ".reg .b32 %r<20>;\n.reg .b16 %h<4>;\n.reg .b64 %rd<20>;\n.reg .pred %p<6>;\n"
      << "mov.b64 %rd1, map;\ncvta.param.u64 %rd1, %rd1;\nld.param.u64 %rd2, [pbuf];\n"
      << "mov.u32 %r1, tile;\nmov.u32 %r2, bar;\nmov.u32 %r3, %tid.x;\nsetp.eq.u32 %p1, %r3, 0;\n";
  return out.str();
}

/// Copies the tile between shared memory and the buffer, with `from` and `to` as the loop's ld and st.
std::string moveTile(unsigned bytes, bool toShared, const char *label) {
  std::ostringstream out;
  out << "shl.b32 %r5, %r3, 4;\n"
      << label << ":\nsetp.ge.u32 %p2, %r5, " << bytes << ";\n@%p2 bra " << label
      << "_end;\ncvt.u64.u32 %rd5, %r5;\nadd.s64 %rd6, %rd2, %rd5;\nadd.u32 %r6, %r1, %r5;\n"
      << (toShared
              ? "ld.global.v4.b32 {%r7, %r8, %r9, %r10}, [%rd6];\nst.shared.v4.b32 [%r6], {%r7, %r8, %r9, %r10};\n"
              : "ld.shared.v4.b32 {%r7, %r8, %r9, %r10}, [%r6];\nst.global.v4.b32 [%rd6], {%r7, %r8, %r9, %r10};\n")
      << "add.u32 %r5, %r5, 512;\nbra " << label << ";\n"
      << label << "_end:\n";
  return out.str();
}

std::string coordinates(const std::vector<int32_t> &at, unsigned rank) {
  std::string text = "[%rd1, {";
  for (unsigned i = 0; i < rank; ++i) {
    text += (i ? ", " : "") + std::to_string(at[i]);
  }
  return text + "}]";
}

std::vector<std::byte> noise(size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> result(bytes);
  for (std::byte &byte : result) {
    byte = std::byte(random() % 0x78); // No NaN in any float type.
  }
  return result;
}

std::string loadKernel(const Tensor &tensor, const std::vector<int32_t> &at) {
  std::ostringstream out;
  out << header("", tensor.sharedBytes()) << moveTile(tensor.sharedBytes(), true, "fill")
      << "@%p1 mbarrier.init.shared::cta.b64 [%r2], 1;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n"
      << "@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], " << tensor.boxBytes()
      << ";\n@%p1 cp.async.bulk.tensor." << tensor.rank
      << "d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], " << coordinates(at, tensor.rank)
      << ", [%r2];\nwait:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r2], 0;\n@%p3 bra done;\nbra wait;\ndone:\n"
      << moveTile(tensor.sharedBytes(), false, "out") << "ret;\n}\n";
  return out.str();
}

std::string storeKernel(const Tensor &tensor, const std::vector<int32_t> &at, const std::string &reduction = "") {
  std::ostringstream out;
  out << header("", tensor.sharedBytes()) << moveTile(tensor.sharedBytes(), true, "fill")
      << "fence.proxy.async.shared::cta;\nbar.sync 0;\n@!%p1 bra done;\n"
      << (reduction.empty() ? "cp.async.bulk.tensor." : "cp.reduce.async.bulk.tensor.") << tensor.rank
      << "d.global.shared::cta" << reduction << ".bulk_group " << coordinates(at, tensor.rank)
      << ", [%r1];\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\ndone:\nret;\n}\n";
  return out.str();
}

KernelRun runIn(Order order) {
  KernelRun run;
  run.block = 32;
  run.options.order = order;
  return run;
}

void checkLoad(const Tensor &tensor, const std::vector<int32_t> &at, Order order) {
  std::vector<std::byte> global = noise(tensor.bytes(), 1);
  DeviceBuffer source(global), image(std::vector<std::byte>(tensor.sharedBytes(), std::byte(0xEE)));
  std::optional<Fault> fault =
      runIn(order)(loadKernel(tensor, at), Parameters().add(mapOf(tensor, source.address())).add(image.address()));
  ASSERT_FALSE(fault) << fault->text;
  for (uint32_t row = 0; row < tensor.rows(); ++row) {
    for (uint32_t column = 0; column < tensor.box[0]; ++column) {
      std::vector<std::byte> expected(tensor.size());
      if (std::optional<uint64_t> offset = tensor.globalOffset(at, row, column)) {
        std::copy_n(global.begin() + *offset, tensor.size(), expected.begin());
      } else if (tensor.fill) {
        std::fill(expected.begin(), expected.end(), std::byte(0xFF));
        expected.back() = std::byte(0x7F);
      }
      ASSERT_EQ(std::memcmp(image.data() + tensor.sharedOffset(row, column), expected.data(), tensor.size()), 0)
          << "row " << row << " column " << column << " rank " << tensor.rank << " swizzle " << tensor.swizzle << " "
          << nameOf(order);
    }
  }
}

void checkStore(const Tensor &tensor, const std::vector<int32_t> &at, Order order) {
  std::vector<std::byte> image = noise(tensor.sharedBytes(), 2), expected = noise(tensor.bytes(), 3);
  DeviceBuffer target(expected), shared(image);
  std::optional<Fault> fault =
      runIn(order)(storeKernel(tensor, at), Parameters().add(mapOf(tensor, target.address())).add(shared.address()));
  ASSERT_FALSE(fault) << fault->text;
  for (uint32_t row = 0; row < tensor.rows(); ++row) {
    for (uint32_t column = 0; column < tensor.box[0]; ++column) {
      if (std::optional<uint64_t> offset = tensor.globalOffset(at, row, column)) {
        std::copy_n(image.begin() + tensor.sharedOffset(row, column), tensor.size(), expected.begin() + *offset);
      }
    }
  }
  EXPECT_EQ(std::memcmp(target.data(), expected.data(), expected.size()), 0)
      << "rank " << tensor.rank << " swizzle " << tensor.swizzle << " " << nameOf(order);
}

std::vector<Tensor> variety() {
  std::vector<Tensor> tensors;
  constexpr TensorType bySize[] = {TensorType::U8, TensorType::BF16, TensorType::F32, TensorType::F64};
  for (unsigned rank = 1; rank <= 5; ++rank) {
    for (uint32_t swizzle = 0; swizzle < 4; ++swizzle) {
      Tensor tensor;
      tensor.type = bySize[(rank + swizzle) % 4];
      tensor.rank = rank;
      tensor.swizzle = swizzle;
      const uint32_t inner = (swizzle == 0 ? 48 : 16u << swizzle) / tensor.size();
      tensor.dims = {inner + 5, 7, 5, 3, 4};
      tensor.box = {inner, rank == 2 ? 6u : 3u, 2, 2, 2};
      tensor.dims.resize(rank);
      tensor.box.resize(rank);
      tensors.push_back(tensor);
    }
  }
  return tensors;
}

const std::vector<std::vector<int32_t>> positions = {
    {0, 0, 0, 0, 0}, {3, 2, 1, 0, 1}, {-2, -1, -1, -1, -1}, {9, 5, 4, 2, 3}, {1000, 0, 0, 0, 0}};

} // namespace

TEST(TensorCopies, Loads) {
  for (const Tensor &tensor : variety()) {
    for (const std::vector<int32_t> &at : positions) {
      for (Order order : allOrders) {
        checkLoad(tensor, at, order);
      }
    }
  }
}

TEST(TensorCopies, Stores) {
  for (const Tensor &tensor : variety()) {
    for (const std::vector<int32_t> &at : positions) {
      for (Order order : allOrders) {
        checkStore(tensor, at, order);
      }
    }
  }
}

TEST(TensorCopies, NarrowBoxesInWideSwizzles) {
  for (uint32_t swizzle = 2; swizzle < 4; ++swizzle) {
    Tensor tensor;
    tensor.swizzle = swizzle;
    tensor.box = {16, 8};
    checkLoad(tensor, {8, 1}, Order::Eager);
    checkStore(tensor, {8, 1}, Order::Lazy);
  }
}

TEST(TensorCopies, FillsWithNan) {
  for (TensorType type : {TensorType::F16, TensorType::BF16, TensorType::F32, TensorType::F64}) {
    Tensor tensor;
    tensor.type = type;
    tensor.fill = 1;
    for (Order order : allOrders) {
      checkLoad(tensor, {-3, 7}, order);
    }
  }
}

TEST(TensorCopies, ElementStrides) {
  Tensor tensor;
  tensor.box = {16, 5};
  tensor.elementStrides[1] = 2;
  for (Order order : allOrders) {
    checkLoad(tensor, {0, 1}, order);
    checkLoad(tensor, {4, 6}, order);
    checkStore(tensor, {0, 1}, order);
  }
}

TEST(TensorCopies, Reductions) {
  struct Row {
    TensorType type;
    const char *name;
    std::function<double(double, double)> apply;
  };
  const Row rows[] = {
      {TensorType::F32, ".add", [](double a, double b) { return a + b; }},
      {TensorType::F64, ".add", [](double a, double b) { return a + b; }},
      {TensorType::F16, ".add", [](double a, double b) { return a + b; }},
      {TensorType::BF16, ".add", [](double a, double b) { return a + b; }},
      {TensorType::F16, ".min", [](double a, double b) { return std::min(a, b); }},
      {TensorType::BF16, ".max", [](double a, double b) { return std::max(a, b); }},
      {TensorType::U32, ".add", [](double a, double b) { return a + b; }},
      {TensorType::S32, ".min", [](double a, double b) { return std::min(a, b); }},
      {TensorType::U64, ".max", [](double a, double b) { return std::max(a, b); }},
      {TensorType::S64, ".add", [](double a, double b) { return a + b; }},
      {TensorType::U32, ".inc", [](double a, double b) { return a >= b ? 0 : a + 1; }},
      {TensorType::U32, ".dec", [](double a, double b) { return a == 0 || a > b ? b : a - 1; }},
      {TensorType::U32, ".and", [](double a, double b) { return double(uint32_t(a) & uint32_t(b)); }},
      {TensorType::U32, ".or", [](double a, double b) { return double(uint32_t(a) | uint32_t(b)); }},
      {TensorType::S32, ".xor", [](double a, double b) { return double(int32_t(a) ^ int32_t(b)); }},
  };
  auto put = [](TensorType type, std::byte *at, double value) {
    auto write = [&](auto narrow) { std::memcpy(at, &narrow, sizeof(narrow)); };
    switch (type) {
    case TensorType::F16:
      return write(static_cast<_Float16>(value));
    case TensorType::BF16:
      return write(static_cast<uint16_t>(__builtin_bit_cast(uint32_t, static_cast<float>(value)) >> 16));
    case TensorType::F32:
      return write(static_cast<float>(value));
    case TensorType::F64:
      return write(value);
    case TensorType::U64:
    case TensorType::S64:
      return write(static_cast<int64_t>(value));
    default:
      return write(static_cast<int32_t>(value));
    }
  };
  for (const Row &row : rows) {
    Tensor tensor;
    tensor.type = row.type;
    tensor.dims = {20, 5};
    tensor.box = {16, 3};
    const std::vector<int32_t> at = {6, 3}; // Two columns and a row are out of bounds.
    for (Order order : allOrders) {
      std::vector<std::byte> image(tensor.sharedBytes()), before(tensor.bytes());
      std::vector<std::byte> after = before;
      for (uint64_t i = 0; i + tensor.size() <= before.size(); i += tensor.size()) {
        put(row.type, &before[i], double(i / tensor.size() % 13));
      }
      after = before;
      for (uint32_t r = 0; r < 3; ++r) {
        for (uint32_t column = 0; column < 16; ++column) {
          double value = double((r * 5 + column * 3) % 11);
          put(row.type, &image[tensor.sharedOffset(r, column)], value);
          if (std::optional<uint64_t> offset = tensor.globalOffset(at, r, column)) {
            put(row.type, &after[*offset], row.apply(double(*offset / tensor.size() % 13), value));
          }
        }
      }
      DeviceBuffer target(before), shared(image);
      std::optional<Fault> fault = runIn(order)(
          storeKernel(tensor, at, row.name), Parameters().add(mapOf(tensor, target.address())).add(shared.address()));
      ASSERT_FALSE(fault) << fault->text;
      EXPECT_EQ(std::memcmp(target.data(), after.data(), after.size()), 0) << row.name << " " << nameOf(order);
    }
  }
}

TEST(TensorCopies, MulticastReachesEachCtaOfTheMask) {
  Tensor tensor;
  tensor.box = {16, 4};
  std::vector<std::byte> global = noise(tensor.bytes(), 5);
  std::ostringstream out;
  // Rank 0 loads into CTAs 0 and 2; each waits for its own barrier, and writes its tile to its part of the buffer.
  out << header("", tensor.sharedBytes()) << ".reg .b32 %rank, %r15;\nmov.u32 %rank, %cluster_ctarank;\n"
      << "mul.wide.u32 %rd8, %rank, " << tensor.sharedBytes() << ";\nadd.s64 %rd2, %rd2, %rd8;\n"
      << moveTile(tensor.sharedBytes(), true, "fill")
      << "@%p1 mbarrier.init.shared::cta.b64 [%r2], 1;\nfence.mbarrier_init.release.cluster;\n"
      << "fence.proxy.async;\nbarrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
      << "and.b32 %r15, %rank, 1;\nsetp.ne.u32 %p5, %r15, 0;\n@%p5 bra leave;\n"
      << "@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], " << tensor.boxBytes() << ";\n"
      << "setp.eq.u32 %p4, %rank, 0;\nand.pred %p4, %p4, %p1;\nmov.b16 %h1, 5;\n"
      << "@%p4 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], "
      << coordinates({4, 2}, 2) << ", [%r2], %h1;\n"
      << "wait:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r2], 0;\n@%p3 bra leave;\nbra wait;\nleave:\n"
      << moveTile(tensor.sharedBytes(), false, "out")
      << "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\nret;\n}\n";
  for (Order order : allOrders) {
    DeviceBuffer source(global), image(std::vector<std::byte>(4 * tensor.sharedBytes(), std::byte(0xEE)));
    KernelRun run = runIn(order);
    run.grid = run.cluster = 4;
    std::optional<Fault> fault = run(out.str(), Parameters().add(mapOf(tensor, source.address())).add(image.address()));
    ASSERT_FALSE(fault) << fault->text;
    for (unsigned rank = 0; rank < 4; ++rank) {
      for (uint32_t row = 0; row < 4; ++row) {
        for (uint32_t column = 0; column < 16; ++column) {
          uint16_t expected = 0xEEEE, got;
          if (rank % 2 == 0) {
            std::memcpy(&expected, &global[*tensor.globalOffset({4, 2}, row, column)], 2);
          }
          std::memcpy(&got, image.data() + rank * tensor.sharedBytes() + tensor.sharedOffset(row, column), 2);
          ASSERT_EQ(got, expected) << "rank " << rank << " " << nameOf(order);
        }
      }
    }
  }
}

namespace {

/// The fault of a load with a map made otherwise than the instruction says.
std::string faultOf(const Tensor &made, const Tensor &used, const std::function<void(std::string &)> &change = {}) {
  DeviceBuffer source(made.bytes()), image(4096);
  std::string text = loadKernel(used, {0, 0, 0, 0, 0});
  if (change) {
    change(text);
  }
  std::optional<Fault> fault =
      runIn(Order::Eager)(text, Parameters().add(mapOf(made, source.address())).add(image.address()));
  return fault ? fault->text : "";
}

void replaceText(std::string &text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

} // namespace

TEST(TensorCopies, Faults) {
  Tensor tensor, line;
  line.rank = 1;
  line.dims = {40};
  line.box = {16};
  EXPECT_EQ(faultOf(tensor, tensor), "");
  EXPECT_NE(faultOf(line, tensor).find("rank is 1"), std::string::npos);
  auto misaligned = [](std::string &text) {
    replaceText(text, "@%p1 cp.async.bulk.tensor", "add.u32 %r1, %r1, 64;\n@%p1 cp.async.bulk.tensor");
  };
  EXPECT_NE(faultOf(tensor, tensor, misaligned).find("multiple of 128"), std::string::npos);
  auto noMap = [](std::string &text) {
    replaceText(text, "@%p1 cp.async.bulk.tensor", "mov.u64 %rd1, %rd2;\n@%p1 cp.async.bulk.tensor");
  };
  EXPECT_NE(faultOf(tensor, tensor, noMap).find("no tensor map"), std::string::npos);
}

TEST(TensorCopies, WrongBytesDeadlock) {
  for (const char *bytes : {"127", "129"}) { // The copy completes 128.
    Tensor tensor;
    std::string fault = faultOf(tensor, tensor, [&](std::string &text) {
      replaceText(text, "_, [%r2], 128", std::string("_, [%r2], ") + bytes);
    });
    EXPECT_NE(fault.find("bytes outstanding"), std::string::npos) << fault;
  }
}
