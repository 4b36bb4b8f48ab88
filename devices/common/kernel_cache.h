// The kernels that a device has built so far.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "devices/common/backend.h"

namespace yiti::devices {

/// Kernels by what they are built from. Not thread-safe.
template <class K>
class KernelCache {
 public:
  /// Null where it has none.
  const K* find(const KernelId& id) const {
    const auto found = kernels_.find(id);
    return found == kernels_.end() ? nullptr : &found->second;
  }
  const K& add(const KernelId& id, K kernel) {
    KernelId kept = id;
    kept.name = names_.emplace(id.name).first->c_str();
    return kernels_.insert_or_assign(kept, std::move(kernel)).first->second;
  }

 private:
  std::set<std::string, std::less<>> names_;
  std::unordered_map<KernelId, K, KernelIdHash> kernels_;
};

}  // namespace yiti::devices
