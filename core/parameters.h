// Versioned parameters: the trainer publishes, sessions pin, nothing is copied that did not change.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace yiti {

/// A parameter's place in its store.
struct Parameter {
  int32_t index = -1;
  bool defined() const { return index >= 0; }
  friend bool operator==(Parameter, Parameter) = default;
};

/// One immutable set of all tensors of a store.
class ParameterVersion {
 public:
  ParameterVersion(uint64_t number, std::vector<Tensor> tensors, std::string fingerprint)
      : number_(number), tensors_(std::move(tensors)), fingerprint_(std::move(fingerprint)) {}

  uint64_t number() const { return number_; }
  /// 32 hexadecimal digits that follow from the contents alone.
  const std::string& fingerprint() const { return fingerprint_; }
  const Tensor& operator[](Parameter p) const { return tensors_[static_cast<size_t>(p.index)]; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  uint64_t number_;
  std::vector<Tensor> tensors_;
  std::string fingerprint_;
};

using VersionPtr = std::shared_ptr<const ParameterVersion>;

/// Names to versions of tensors. Thread-safe.
class ParameterStore {
 public:
  struct Named {
    std::string name;
    Tensor tensor;
  };

  /// Version 0 holds `tensors`. Throws kAlreadyExists for a name given twice.
  explicit ParameterStore(std::vector<Named> tensors, int max_live_versions = 16);

  /// A new store with the tensors of `base`'s current version and more; the tensors are shared.
  static std::shared_ptr<ParameterStore> extend(const ParameterStore& base, std::vector<Named> more,
                                                int max_live_versions = 16);

  const std::vector<std::string>& names() const { return names_; }
  /// Nullopt when there is no such name.
  std::optional<Parameter> find(std::string_view name) const;
  /// Throws kNotFound naming the nearest name.
  Parameter at(std::string_view name) const;

  /// The newest version.
  VersionPtr current() const;
  /// Version `number`, where somebody still pins it or it is the newest; else null.
  VersionPtr version(uint64_t number) const;
  /// The next version: the current one with these tensors instead, which must have the shapes and
  /// dtypes of those they replace and must not be written any more. While max_live_versions are
  /// pinned, it waits for a reader to let one go.
  VersionPtr publish(const std::vector<std::pair<Parameter, Tensor>>& changes);
  /// Versions that are pinned or current.
  int live_versions() const;

 private:
  struct Releases;

  ParameterStore(std::vector<Named> tensors, std::vector<std::string> hashes,
                 int max_live_versions);
  VersionPtr pin_locked(const VersionPtr& version) const;
  int count_pinned_locked() const;
  std::vector<Tensor> changed_tensors(
      const std::vector<std::pair<Parameter, Tensor>>& changes) const;

  std::vector<std::string> names_;
  std::map<std::string, int32_t, std::less<>> index_;
  const int max_live_versions_;
  mutable std::mutex publishing_;    // held by the one publisher, also while it waits
  std::vector<std::string> hashes_;  // of the current tensors; guarded by publishing_
  // Outlives the store where versions do: they signal it when nobody pins them any more.
  std::shared_ptr<Releases> releases_;
  mutable std::mutex mutex_;
  VersionPtr current_;
  mutable std::vector<std::weak_ptr<const ParameterVersion>> pins_;
};

using StorePtr = std::shared_ptr<ParameterStore>;

/// The 128-bit XXH3 hash of names, shapes, dtypes and contents, as 32 hexadecimal digits. `seed` is
/// an earlier fingerprint that this one builds on.
std::string fingerprint(std::string_view seed,
                        const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace yiti
