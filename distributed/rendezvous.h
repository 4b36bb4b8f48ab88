// Where the ranks of a thread group meet and leave messages for each other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace yiti {

/// What a rank brings to a collective. Pointers are host memory, which `memory` keeps alive even
/// where its rank fails while others read it.
struct Call {
  std::string_view name;
  Shape shape;
  DType dtype = DType::kF32;
  int root = 0;
  const std::byte* input = nullptr;
  std::byte* output = nullptr;
  std::shared_ptr<const void> memory;
};

struct Message {
  Shape shape;
  DType dtype = DType::kF32;
  std::vector<std::byte> bytes;
};

/// Thread-safe: each rank calls with its own number, from one thread at a time.
class Rendezvous {
 public:
  Rendezvous(int ranks, std::chrono::milliseconds timeout);

  int ranks() const { return ranks_; }
  /// Waits for all ranks to bring a call and returns all of them, by rank. Throws kUnavailable
  /// where the group has failed, a rank has left or one stays away longer than the timeout; the
  /// latter two fail the group.
  std::vector<Call> meet(int rank, Call call);
  /// Waits, after `meet`, for all ranks to come here; errors as there.
  void regroup(int rank, std::string_view where);

  void post(int from, int to, Message message);
  /// The oldest message between the two, waited for as in `meet`. What was sent before the group
  /// failed or `from` left can still be taken.
  Message take(int from, int to);
  /// Undoes a `take`: puts the message back to the front.
  void put_back(int from, int to, Message message);

  /// The rank will take part no more: waiting for it fails the group.
  void leave(int rank);
  /// Ends all waiting with kUnavailable and this reason. Only the first one counts.
  void fail_group(int rank, std::string reason);
  /// The rank that failed the group first, if one did.
  std::optional<int> failed_rank() const;

 private:
  void arrive(std::unique_lock<std::mutex>& lock, int rank, std::string_view where);
  std::deque<Message>& mailbox(int from, int to);
  void fail_locked(int rank, std::string reason);
  [[noreturn]] void throw_failure(std::string_view where) const;

  const int ranks_;
  const std::chrono::milliseconds timeout_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> calls_;
  std::vector<bool> present_;
  std::vector<bool> left_;
  int count_ = 0;
  uint64_t meeting_ = 0;
  std::vector<std::deque<Message>> mailboxes_;
  std::optional<int> failed_rank_;
  std::string reason_;
};

}  // namespace yiti
