#ifndef RUNTIME_EMULATOR_CHECKER_REPORT_H
#define RUNTIME_EMULATOR_CHECKER_REPORT_H

// What the checker found, as data: who, where, with which other access. A finding is reported once for each pair of
// instructions, and counted after that.

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace emulator {

enum class ReportKind : uint8_t {
  OutOfBounds,
  Misaligned,
  UninitialisedMemory,
  UninitialisedRegister,
  SharedRace,
  GlobalRace,
  RegisterInFlight,         ///< touched between wgmma.mma_async and its wait
  MissingWgmmaFence,        ///< wgmma without wgmma.fence before it
  MissingProxyFence,        ///< generic write, then an access through the async proxy, no fence.proxy.async between
  MissingMbarrierInitFence, ///< likewise for mbarrier.init
  MissingTensorMapFence,    ///< a tensor map that a kernel wrote, used without fence.proxy.tensormap
  WrongTransactionCount,
  MbarrierMisuse,
  MbarrierOverwritten, ///< by a plain store or a copy
  DeadCta,             ///< arrival at, or access to, the shared memory of a CTA that has exited
  SourceInUse,         ///< shared memory that a bulk store may still read is overwritten, or its CTA exits
  Deadlock,
  Leak,
  Fault, ///< trap, failed assertion, unsupported instruction...
};
/// "shared-race".
std::string_view nameOf(ReportKind kind);

/// One side of a report.
struct AccessPlace {
  std::string what;                ///< "write of 4 bytes", "asynchronous write", "mbarrier.init"
  uint32_t ptxLine = 0;            ///< 0: not known
  std::string ptxText, sourceLine; ///< "st.shared.f32 [%r1], %f1"; "gemm.cu:20", empty where nothing is known
  uint32_t cta[3] = {0, 0, 0};
  int32_t warp = -1, lane = -1; ///< -1: none in particular
};

struct Report {
  ReportKind kind = ReportKind::Fault;
  std::string kernel;
  std::string text;    ///< the finding, without the places
  std::string address; ///< "shared tile+0x40", "global buffer 3 (4096 bytes) +0x10"; empty where there is none
  AccessPlace place;
  bool hasOther = false;
  AccessPlace other;
  uint64_t count = 1; ///< times that it was found

  std::string toText() const;
  std::string toJson() const;
};

/// All findings of a process or a test. Threads may use it at the same time.
class ReportLog {
public:
  /// What makes two findings the same one.
  struct Key {
    ReportKind kind;
    uint64_t kernel; ///< a hash of its name
    uint32_t line, otherLine;
    uint64_t hash() const;
  };
  /// Whether there is such a finding already, which is then counted. Saves the words of the second one.
  bool repeated(const Key &key);
  void add(const Key &key, Report report);
  /// By the report's own kernel and lines.
  void add(Report report);

  std::vector<Report> all() const;
  size_t size() const;
  void clear();
  /// A JSON array.
  std::string toJson() const;
  /// Called for each new finding, on the thread that found it.
  std::function<void(const Report &)> onReport;

private:
  mutable std::mutex mutex;
  std::vector<Report> reports;
  std::unordered_map<uint64_t, size_t> byKey;
};

} // namespace emulator

#endif
