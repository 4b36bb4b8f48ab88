#include "distributed/rendezvous.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace yiti {

Rendezvous::Rendezvous(int ranks, std::chrono::milliseconds timeout)
    : ranks_(ranks),
      timeout_(timeout),
      calls_(static_cast<size_t>(ranks)),
      present_(static_cast<size_t>(ranks)),
      left_(static_cast<size_t>(ranks)),
      mailboxes_(static_cast<size_t>(ranks) * static_cast<size_t>(ranks)) {}

std::vector<Call> Rendezvous::meet(int rank, Call call) {
  const std::string_view where = call.name;
  std::unique_lock lock(mutex_);
  if (failed_rank_) throw_failure(where);
  calls_[static_cast<size_t>(rank)] = std::move(call);
  arrive(lock, rank, where);
  return calls_;
}

void Rendezvous::regroup(int rank, std::string_view where) {
  std::unique_lock lock(mutex_);
  if (failed_rank_) throw_failure(where);
  // Each rank holds the calls by now.
  calls_[static_cast<size_t>(rank)].memory = nullptr;
  arrive(lock, rank, where);
}

void Rendezvous::arrive(std::unique_lock<std::mutex>& lock, int rank, std::string_view where) {
  const uint64_t meeting = meeting_;
  present_[static_cast<size_t>(rank)] = true;
  if (++count_ == ranks_) {
    count_ = 0;
    present_.assign(present_.size(), false);
    ++meeting_;
    changed_.notify_all();
    return;
  }
  const auto gone = [&] { return std::find(left_.begin(), left_.end(), true) - left_.begin(); };
  const auto ended = [&] { return meeting_ != meeting || failed_rank_ || gone() < ranks_; };
  if (!changed_.wait_until(lock, std::chrono::system_clock::now() + timeout_, ended)) {
    std::string missing;
    for (int other = 0; other < ranks_; ++other) {
      if (!present_[static_cast<size_t>(other)]) missing += fmt::format(" {}", other);
    }
    fail_locked(rank,
                fmt::format("rank {} waited {} ms for rank{}", rank, timeout_.count(), missing));
  }
  if (meeting_ != meeting) return;
  fail_locked(static_cast<int>(gone()), fmt::format("rank {} left", gone()));
  throw_failure(where);
}

void Rendezvous::post(int from, int to, Message message) {
  const std::lock_guard lock(mutex_);
  if (failed_rank_) throw_failure("send");
  mailbox(from, to).push_back(std::move(message));
  changed_.notify_all();
}

Message Rendezvous::take(int from, int to) {
  std::unique_lock lock(mutex_);
  std::deque<Message>& box = mailbox(from, to);
  const auto ended = [&] {
    return !box.empty() || failed_rank_ || left_[static_cast<size_t>(from)];
  };
  if (!changed_.wait_until(lock, std::chrono::system_clock::now() + timeout_, ended)) {
    fail_locked(to, fmt::format("rank {} waited {} ms for a message from rank {}", to,
                                timeout_.count(), from));
  }
  if (box.empty()) {
    fail_locked(from, fmt::format("rank {} left", from));
    throw_failure("receive");
  }
  Message message = std::move(box.front());
  box.pop_front();
  return message;
}

void Rendezvous::put_back(int from, int to, Message message) {
  const std::lock_guard lock(mutex_);
  mailbox(from, to).push_front(std::move(message));
}

void Rendezvous::leave(int rank) {
  const std::lock_guard lock(mutex_);
  left_[static_cast<size_t>(rank)] = true;
  changed_.notify_all();
}

void Rendezvous::fail_group(int rank, std::string reason) {
  const std::lock_guard lock(mutex_);
  fail_locked(rank, std::move(reason));
}

std::optional<int> Rendezvous::failed_rank() const {
  const std::lock_guard lock(mutex_);
  return failed_rank_;
}

std::deque<Message>& Rendezvous::mailbox(int from, int to) {
  return mailboxes_[static_cast<size_t>(from) * static_cast<size_t>(ranks_) +
                    static_cast<size_t>(to)];
}

void Rendezvous::fail_locked(int rank, std::string reason) {
  if (failed_rank_) return;
  failed_rank_ = rank;
  reason_ = std::move(reason);
  changed_.notify_all();
}

void Rendezvous::throw_failure(std::string_view where) const {
  fail(Code::kUnavailable, where, "the group has failed: {}", reason_);
}

}  // namespace yiti
