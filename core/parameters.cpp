#include "core/parameters.h"

#include <algorithm>
#include <condition_variable>
#include <numeric>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

std::string hash_tensor(std::string_view name, const Tensor& tensor) {
  Hasher hasher;
  hasher.add(name);
  hasher.add(info(tensor.dtype()).name);
  hasher.add(static_cast<int64_t>(tensor.layout()));
  hasher.add(tensor.rank());
  for (int64_t dim : tensor.shape()) hasher.add(dim);
  if (!tensor.has_storage()) return hasher.digits();
  const Tensor whole = tensor.on(tensor.device()->host()).contiguous();
  hasher.add(std::span(whole.raw(), whole.bytes()));
  return hasher.digits();
}

std::vector<std::string> hash_tensors(const std::vector<ParameterStore::Named>& tensors) {
  std::vector<std::string> hashes(tensors.size());
  const auto hash_range = [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      hashes[i] = hash_tensor(tensors[i].name, tensors[i].tensor);
    }
  };
  const auto count = static_cast<int64_t>(tensors.size());
  const bool first = count > 0 && tensors[0].tensor.defined();
  if (first) tensors[0].tensor.device()->threads().parallel_for(count, 1, hash_range);
  if (!first) hash_range(0, count);
  return hashes;
}

std::string combine(std::string_view seed, const std::vector<std::string>& hashes) {
  Hasher hasher;
  hasher.add(seed);
  for (const std::string& hash : hashes) hasher.add(hash);
  return hasher.digits();
}

// Levenshtein's distance, in one row of the table.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (const char letter : a) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replace = diagonal + (letter == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j + 1] + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::string_view nearest(std::string_view name, const std::vector<std::string>& names) {
  name = name.substr(0, 256);  // the table's width: names come from files
  return *std::ranges::min_element(
      names, {}, [&](const std::string& other) { return edit_distance(name, other); });
}

}  // namespace

// How a version tells a waiting publisher that its last pin went.
struct ParameterStore::Releases {
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t count = 0;

  uint64_t seen() {
    const std::lock_guard lock(mutex);
    return count;
  }
  void signal() {
    {
      const std::lock_guard lock(mutex);
      ++count;
    }
    changed.notify_all();
  }
  void wait_beyond(uint64_t known) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return count != known; });
  }
};

ParameterStore::ParameterStore(std::vector<Named> tensors, int max_live_versions)
    : ParameterStore(tensors, hash_tensors(tensors), max_live_versions) {}

ParameterStore::ParameterStore(std::vector<Named> tensors, std::vector<std::string> hashes,
                               int max_live_versions)
    : max_live_versions_(max_live_versions),
      hashes_(std::move(hashes)),
      releases_(std::make_shared<Releases>()) {
  check(max_live_versions >= 1, "parameter store", "got max_live_versions {}; wants at least 1",
        max_live_versions);
  std::vector<Tensor> values;
  values.reserve(tensors.size());
  for (auto& [name, tensor] : tensors) {
    check(tensor.defined(), "parameter store", "{} has no tensor", name);
    if (!index_.emplace(name, static_cast<int32_t>(names_.size())).second) {
      fail(Code::kAlreadyExists, "parameter store", "{} is given twice", name);
    }
    names_.push_back(std::move(name));
    values.push_back(tensor.detached());
  }
  current_ = std::make_shared<const ParameterVersion>(0, std::move(values), combine("", hashes_));
}

std::shared_ptr<ParameterStore> ParameterStore::extend(const ParameterStore& base,
                                                       std::vector<Named> more,
                                                       int max_live_versions) {
  std::vector<std::string> hashes = hash_tensors(more);
  std::vector<Named> all;
  {
    const std::lock_guard publishing(base.publishing_);
    const VersionPtr version = base.current();
    all.reserve(base.names_.size() + more.size());
    for (size_t i = 0; i < base.names_.size(); ++i) {
      all.push_back({base.names_[i], version->tensors()[i]});
    }
    hashes.insert(hashes.begin(), base.hashes_.begin(), base.hashes_.end());
  }
  std::ranges::move(more, std::back_inserter(all));
  return std::shared_ptr<ParameterStore>(
      new ParameterStore(std::move(all), std::move(hashes), max_live_versions));
}

std::optional<Parameter> ParameterStore::find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return Parameter{found->second};
}

Parameter ParameterStore::at(std::string_view name) const {
  if (const std::optional<Parameter> found = find(name)) return *found;
  if (names_.empty()) fail(Code::kNotFound, "parameter store", "no {}: it is empty", name);
  fail(Code::kNotFound, "parameter store", "no {}; the nearest name is {}", name,
       nearest(name, names_));
}

// Pins of one version share a control block of their own, so that the store's reference to the
// current version does not count as one.
VersionPtr ParameterStore::pin_locked(const VersionPtr& version) const {
  std::erase_if(pins_, [](const auto& pin) { return pin.expired(); });
  for (const auto& weak : pins_) {
    if (VersionPtr pin = weak.lock(); pin && pin.get() == version.get()) return pin;
  }
  VersionPtr pin(version.get(),
                 [owner = version, releases = releases_](const ParameterVersion*) mutable {
                   owner.reset();
                   releases->signal();
                 });
  pins_.push_back(pin);
  return pin;
}

VersionPtr ParameterStore::current() const {
  const std::lock_guard lock(mutex_);
  return pin_locked(current_);
}

VersionPtr ParameterStore::version(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  if (current_->number() == number) return pin_locked(current_);
  for (const auto& weak : pins_) {
    if (VersionPtr pin = weak.lock(); pin && pin->number() == number) return pin;
  }
  return nullptr;
}

int ParameterStore::count_pinned_locked() const {
  return static_cast<int>(
      std::ranges::count_if(pins_, [](const auto& pin) { return !pin.expired(); }));
}

int ParameterStore::live_versions() const {
  const std::lock_guard lock(mutex_);
  const bool current_pinned = std::ranges::any_of(pins_, [&](const auto& weak) {
    const VersionPtr pin = weak.lock();
    return pin.get() == current_.get();
  });
  return count_pinned_locked() + (current_pinned ? 0 : 1);
}

std::vector<Tensor> ParameterStore::changed_tensors(
    const std::vector<std::pair<Parameter, Tensor>>& changes) const {
  std::vector<Tensor> tensors = current_->tensors();
  for (const auto& [parameter, tensor] : changes) {
    check(parameter.defined() && static_cast<size_t>(parameter.index) < tensors.size(), "publish",
          "parameter {} of a store of {}", parameter.index, tensors.size());
    Tensor& old = tensors[static_cast<size_t>(parameter.index)];
    const std::string& name = names_[static_cast<size_t>(parameter.index)];
    check(tensor.defined() && tensor.shape() == old.shape() && tensor.dtype() == old.dtype(),
          "publish", "{} got {} of {}; wants {} of {}", name, tensor.shape(),
          info(tensor.dtype()).name, old.shape(), info(old.dtype()).name);
    old = tensor.detached();
  }
  return tensors;
}

VersionPtr ParameterStore::publish(const std::vector<std::pair<Parameter, Tensor>>& changes) {
  const std::lock_guard publishing(publishing_);
  // Only a publisher replaces current_, so that reading it needs no mutex_ here.
  std::vector<Tensor> tensors = changed_tensors(changes);
  std::vector<std::string> hashes = hashes_;
  for (const auto& [parameter, tensor] : changes) {
    const size_t i = static_cast<size_t>(parameter.index);
    hashes[i] = hash_tensor(names_[i], tensor);
  }
  VersionPtr next = std::make_shared<const ParameterVersion>(
      current_->number() + 1, std::move(tensors), combine("", hashes));
  while (true) {
    const uint64_t seen = releases_->seen();
    {
      const std::lock_guard lock(mutex_);
      if (count_pinned_locked() < max_live_versions_) {
        current_.swap(next);
        hashes_ = std::move(hashes);
        return pin_locked(current_);
      }
    }
    releases_->wait_beyond(seen);
  }
}

std::string fingerprint(std::string_view seed,
                        const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<std::string> hashes;
  hashes.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) hashes.push_back(hash_tensor(name, tensor));
  return combine(seed, hashes);
}

}  // namespace yiti
