// Who waits, and whose turn it is.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace yiti {

/// Items of several clients: clients take turns, each client's items keep their order. One thread
/// at a time.
template <class T>
class FairQueue {
 public:
  void push(const std::string& client, T item) {
    std::deque<T>& own = items_[client];
    if (own.empty()) turns_.push_back(client);
    own.push_back(std::move(item));
    ++size_;
  }
  /// Whose turn it is; not when empty.
  const T& front() const { return items_.at(turns_.front()).front(); }
  /// Takes front() away; the next client is then in front.
  void pop() {
    const std::string client = std::move(turns_.front());
    turns_.pop_front();
    const auto own = items_.find(client);
    own->second.pop_front();
    --size_;
    if (own->second.empty()) {
      items_.erase(own);
    } else {
      turns_.push_back(client);
    }
  }
  /// Takes away, and returns, all items for which `leaves` is true.
  template <class F>
  std::vector<T> take_if(F leaves) {
    std::vector<T> taken;
    for (auto own = items_.begin(); own != items_.end();) {
      for (const T& item : own->second) {
        if (leaves(item)) taken.push_back(item);
      }
      std::erase_if(own->second, leaves);
      if (own->second.empty()) std::erase(turns_, own->first);
      own = own->second.empty() ? items_.erase(own) : std::next(own);
    }
    size_ -= taken.size();
    return taken;
  }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

 private:
  std::map<std::string, std::deque<T>> items_;  // no deque is empty
  std::deque<std::string> turns_;               // each client once
  size_t size_ = 0;
};

}  // namespace yiti
