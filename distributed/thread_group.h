// Ranks as threads of one process: for tests of parallel runs, and for several engines side by
// side.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "core/communicator.h"

namespace yiti {

struct ThreadGroupOptions {
  /// How long a rank waits for the others before the group has failed.
  std::chrono::milliseconds timeout{10 * 60 * 1000};
};

/// The ends of a group of `ranks` ranks, each to be used by a thread of its own, and each with its
/// own devices if wanted. Destroying one ends the group: others that wait for it get kUnavailable.
/// Results have the same bits in every run. Throws kInvalidArgument unless ranks >= 1.
std::vector<CommunicatorPtr> make_thread_group(int ranks, const ThreadGroupOptions& options = {});

/// Runs f on one new thread a rank and waits for all. Where f throws, the other ranks' waiting ends
/// with kUnavailable, and the first rank's exception is thrown here.
void run_thread_group(int ranks, const std::function<void(Communicator&)>& f,
                      const ThreadGroupOptions& options = {});

}  // namespace yiti
