#ifndef RUNTIME_EMULATOR_MACHINE_GRID_H
#define RUNTIME_EMULATOR_MACHINE_GRID_H

// A launch, and the machine that runs launches on the host's cores.
//
// As many clusters of a grid are resident as the device would hold (registers, shared memory, threads), and turns
// rotate among them, because kernels may poll what another CTA writes. Grids of different streams and devices run at
// the same time.

#include "checker/observer.h"
#include "machine/device.h"
#include "machine/memory.h"
#include "machine/options.h"
#include "machine/program.h"
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace emulator {

class LoadedModule;
class Grid;

struct LaunchConfig {
  const Kernel *kernel = nullptr;
  std::shared_ptr<LoadedModule> module; ///< kept alive while the grid runs
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, cluster[3] = {1, 1, 1};
  uint32_t dynamicSharedBytes = 0;
  std::vector<std::byte> parameters; ///< Kernel::parameterBytes
  bool cooperative = false;
  int device = 0;                               ///< whose memory; an ordinal
  const DeviceProperties *properties = nullptr; ///< null: an H800
  /// Other devices whose memory the kernel may reach (peer access). Memory of no device is everyone's.
  std::vector<int> peers;
  Observer *observer = nullptr; ///< not owned; told of everything
  /// Programmatic dependent launch: may begin when all CTAs of these have launched their dependents or ended;
  /// griddepcontrol.wait waits until they have ended.
  std::vector<std::shared_ptr<Grid>> primaries;
  /// The same by Grid::serial, and those that ended before this one began: it owes them griddepcontrol.wait, too.
  std::vector<uint64_t> primarySerials;
};

class Grid {
public:
  Grid(LaunchConfig config, const RunOptions &options);
  ~Grid();

  const LaunchConfig config;
  const RunOptions options;
  Observer *observer = nullptr;
  uint64_t parametersAddress = 0; ///< a read-only allocation that holds the parameters

  const uint64_t serial; ///< %gridid
  /// Whether the kernel's device reaches the memory.
  bool reaches(const Allocation &allocation) const {
    return allocation.device < 0 || allocation.device == config.device ||
           std::find(config.peers.begin(), config.peers.end(), allocation.device) != config.peers.end();
  }
  /// The kernel's constants, spread over lanes.
  const std::byte *constants() const;
  std::string_view textOf(const ptx::Instruction &instruction) const;
  const DeviceProperties &device() const;
  /// A guess that spreads CTAs as hardware does at first: %smid.
  unsigned multiprocessorOf(const Cta &cta) const;
  /// Ends the launch with a fault; the first one counts. Everything of the grid stops soon.
  void stop(Fault fault);
  bool stopped() const;
  /// griddepcontrol: this CTA lets dependents start; all primaries have ended.
  void launchDependents(const Cta &cta);
  bool primariesEnded() const;

  /// Blocks until ended. The fault that ended it, if one did.
  std::optional<Fault> wait();
  bool ended() const;
  /// All CTAs have executed griddepcontrol.launch_dependents, or ended.
  bool dependentsMayStart() const;

  struct Impl;
  std::unique_ptr<Impl> impl;
};

class Machine {
public:
  /// The process's machine.
  static Machine &instance();

  /// Queues the grid and returns; `onEnd` is called on a host thread of the machine.
  std::shared_ptr<Grid> launch(LaunchConfig config, const RunOptions &options, std::function<void(Grid &)> onEnd = {});
  /// Why this launch cannot be: empty if it can. The code is the driver's (CUDA_ERROR_INVALID_VALUE, _OUT_OF_RESOURCES
  /// …).
  static std::optional<std::pair<int, std::string>> refuse(const LaunchConfig &config, const DeviceProperties &device);

  struct Impl;
  std::unique_ptr<Impl> impl;

private:
  Machine();
};

/// A module's variables in memory, and its kernels decoded.
class LoadedModule {
public:
  /// Decodes every function (an unknown opcode anywhere is an error) and allocates the variables.
  static std::variant<std::shared_ptr<LoadedModule>, ptx::Error> load(ptx::Module module, int device);
  ~LoadedModule();

  const Kernel *kernel(std::string_view name) const;
  std::vector<const Kernel *> kernels() const;
  const Allocation *variable(std::string_view name) const;
  const ptx::Module &text() const;
  /// The constants of a kernel's program.
  const std::byte *constants(const Kernel &kernel) const;

  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace emulator

#endif
