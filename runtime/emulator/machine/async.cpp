#include "machine/async.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include <algorithm>
#include <map>

namespace emulator {

namespace {

Observer *observerOf(const AsyncOperation &operation) { return operation.cta->grid().observer; }

void readSource(AsyncOperation &operation) {
  if (operation.sourceRead) {
    return;
  }
  operation.sourceRead = true;
  if (Observer *observer = observerOf(operation)) {
    observer->asyncRuns(operation.id, *operation.cta);
  }
  operation.readSource();
  if (Observer *observer = observerOf(operation)) {
    observer->asyncSourceRead(operation.id, *operation.cta);
  }
}

void performOne(AsyncOperation &operation) {
  readSource(operation);
  if (Observer *observer = observerOf(operation)) {
    observer->asyncRuns(operation.id, *operation.cta);
  }
  operation.finish();
  if (Observer *observer = observerOf(operation)) {
    observer->asyncDone(operation.id, *operation.cta);
  }
}

} // namespace

void AsyncEngine::issue(Warp &warp, const Op &op, Lanes lanes, std::unique_ptr<AsyncOperation> operation) {
  operation->issuer = {&warp, &op};
  operation->cta = &warp.cta;
  operation->lanes = lanes;
  operation->id = nextId();
  if (Observer *observer = observerOf(*operation)) {
    observer->asyncIssued(warp, op, lanes, operation->id, operation->kind);
  }
  if (cluster.grid.options.order == Order::Eager) {
    performOne(*operation);
    return;
  }
  operation->poison();
  inFlight.push_back(std::move(operation));
}

void AsyncEngine::perform(std::vector<bool> chosen) {
  // What must come before something chosen is chosen too.
  std::map<const void *, size_t> last;
  for (size_t i = inFlight.size(); i-- > 0;) {
    const void *key = inFlight[i]->ordered();
    if (key && chosen[i]) {
      last.try_emplace(key, i);
    } else if (key && last.contains(key)) {
      chosen[i] = true;
    }
  }
  std::vector<std::unique_ptr<AsyncOperation>> now;
  std::deque<std::unique_ptr<AsyncOperation>> later;
  for (size_t i = 0; i < inFlight.size(); ++i) {
    (chosen[i] ? static_cast<void>(now.push_back(std::move(inFlight[i])))
               : static_cast<void>(later.push_back(std::move(inFlight[i]))));
  }
  inFlight = std::move(later);
  if (cluster.grid.options.order == Order::Random) {
    // Any order, but those with the same key share the places that fell to them in their own.
    std::shuffle(now.begin(), now.end(), cluster.random);
    std::map<const void *, std::vector<size_t>> places;
    for (size_t i = 0; i < now.size(); ++i) {
      if (const void *key = now[i]->ordered()) {
        places[key].push_back(i);
      }
    }
    for (auto &[key, at] : places) {
      std::vector<std::unique_ptr<AsyncOperation>> group;
      for (size_t i : at) {
        group.push_back(std::move(now[i]));
      }
      std::sort(group.begin(), group.end(), [](const auto &a, const auto &b) { return a->id < b->id; });
      for (size_t i = 0; i < at.size(); ++i) {
        now[at[i]] = std::move(group[i]);
      }
    }
  }
  for (const std::unique_ptr<AsyncOperation> &operation : now) {
    performOne(*operation);
  }
}

bool AsyncEngine::performWhere(const Which &which) {
  std::vector<bool> chosen(inFlight.size());
  bool any = false;
  for (size_t i = 0; i < inFlight.size(); ++i) {
    chosen[i] = which(*inFlight[i]);
    any |= chosen[i];
  }
  if (any) {
    perform(std::move(chosen));
  }
  return any;
}

bool AsyncEngine::readWhere(const Which &which) {
  bool any = false;
  for (const std::unique_ptr<AsyncOperation> &operation : inFlight) {
    if (!operation->sourceRead && which(*operation)) {
      readSource(*operation);
      any = true;
    }
  }
  return any;
}

void AsyncEngine::finish(const Cta &cta) {
  performWhere([&](const AsyncOperation &operation) { return operation.cta == &cta; });
}

void AsyncEngine::performAt(size_t index) {
  std::vector<bool> chosen(inFlight.size());
  chosen[index] = true;
  perform(std::move(chosen));
}

void AsyncEngine::drift() {
  if (inFlight.empty() || cluster.grid.options.order != Order::Random || cluster.random() % 4 != 0) {
    return;
  }
  size_t index = cluster.random() % inFlight.size();
  if (cluster.random() % 2 == 0) {
    readSource(*inFlight[index]);
    return;
  }
  performAt(index);
}

void AsyncEngine::polled(const Cta &cta, uint32_t offset) {
  if (!inFlight.empty() && ++polls % 16 == 0) {
    performWhere([&](const AsyncOperation &operation) { return operation.signals(cta, offset); });
  }
}

bool AsyncEngine::unblock() {
  if (inFlight.empty()) {
    return false;
  }
  std::vector<Wait> waits;
  for (const std::unique_ptr<Cta> &cta : cluster.ctas) {
    for (const std::unique_ptr<Warp> &warp : cta->warps) {
      warp->eachWait([&](const Wait &wait) {
        if (wait.mbarrier) {
          waits.push_back(wait);
        }
      });
    }
  }
  size_t chosen = 0;
  auto signalsOne = [&](const AsyncOperation &operation) {
    return std::any_of(waits.begin(), waits.end(),
                       [&](const Wait &wait) { return operation.signals(*wait.cta, static_cast<uint32_t>(wait.a)); });
  };
  for (size_t i = 0; i < inFlight.size(); ++i) {
    if (signalsOne(*inFlight[i])) {
      chosen = i;
      break;
    }
  }
  performAt(chosen);
  return true;
}

} // namespace emulator
