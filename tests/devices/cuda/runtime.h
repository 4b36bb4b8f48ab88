// CUDA's runtime without a GPU: memory is the host's, kernels do nothing, and calls are noted. Test
// programs link it in place of the real one.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace yiti::noted {

struct Runtime {
  /// Of streams and events, by number: "record 7 on 2", "wait for 7 on 3", "free on 3".
  std::vector<std::string> calls;
  std::vector<std::string> launches;  ///< names of kernels
  /// What is to fail: functions with the errors of their next calls.
  std::map<std::string, std::vector<cudaError_t>> failures;
  /// Called in place of a kernel.
  std::function<void(const std::string& kernel, void** arguments)> run;
  int pageable_access = 0;
  std::set<const void*> live;  ///< objects and memory that were not given back
};

/// The one that the functions use; each test begins with a new one.
Runtime& runtime();

}  // namespace yiti::noted
