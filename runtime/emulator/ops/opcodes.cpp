#include "machine/decoder.h"
#include "ops/host_vectors.h"

// The table of all opcodes, with the handlers that this CPU can run.

namespace emulator {

#define EMULATOR_DECLARE(arch)                                                                                         \
  namespace arch {                                                                                                     \
  void addArithmetic(OpcodeTable &table);                                                                              \
  void addBits(OpcodeTable &table);                                                                                    \
  void addConversions(OpcodeTable &table);                                                                             \
  void addFloat(OpcodeTable &table);                                                                                   \
  void addLoadsAndStores(OpcodeTable &table);                                                                          \
  void addMoves(OpcodeTable &table);                                                                                   \
  void addTranscendentals(OpcodeTable &table);                                                                         \
  static void addVectorCode(OpcodeTable &table) {                                                                      \
    addArithmetic(table);                                                                                              \
    addBits(table);                                                                                                    \
    addConversions(table);                                                                                             \
    addFloat(table);                                                                                                   \
    addLoadsAndStores(table);                                                                                          \
    addMoves(table);                                                                                                   \
    addTranscendentals(table);                                                                                         \
  }                                                                                                                    \
  }

#ifdef __x86_64__
#ifdef EMULATOR_AVX512
EMULATOR_DECLARE(v4)
#endif
EMULATOR_DECLARE(v3)
#else
EMULATOR_DECLARE(generic)
#endif

static OpcodeTable makeTable() {
  OpcodeTable table;
#if defined(EMULATOR_AVX512)
  hostVectors() == HostVectors::Avx512 ? v4::addVectorCode(table) : v3::addVectorCode(table);
#elif defined(__x86_64__)
  v3::addVectorCode(table);
#else
  generic::addVectorCode(table);
#endif
  addAsyncCopies(table);
  addAtomics(table);
  addBarriers(table);
  addControl(table);
  addMbarriers(table);
  addTensorCopies(table);
  addWarpMatrix(table);
  addWarpWide(table);
  addWarpgroupMatrix(table);
  return table;
}

const OpcodeTable &OpcodeTable::all() {
  static const OpcodeTable table = makeTable();
  return table;
}

} // namespace emulator
