#include "distributed/thread_group.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <thread>
#include <utility>

#include "core/error.h"
#include "distributed/rank_sum.h"
#include "distributed/rendezvous.h"

namespace yiti {
namespace {

// A rank's argument and result where the host reads and writes them.
class HostMemory {
 public:
  /// A result of `shape` with the dtype and device of x.
  HostMemory(const Tensor& x, const Shape& shape)
      : x_(x), result_(Tensor::empty(shape, x.dtype(), x.device())) {
    if (x.device()->host_accessible()) return;
    staged_x_.resize(x.bytes());
    x.copy_to_host(staged_x_);
    staged_result_.resize(result_.bytes());
  }
  const std::byte* input() const { return staged_x_.empty() ? x_.raw() : staged_x_.data(); }
  std::byte* output() { return staged_result_.empty() ? result_.raw() : staged_result_.data(); }
  const Tensor& result() {
    if (!staged_result_.empty()) {
      result_.device()->copy_from_host(result_.raw(), staged_result_.data(), staged_result_.size());
    }
    return result_;
  }

 private:
  const Tensor x_;
  Tensor result_;
  std::vector<std::byte> staged_x_, staged_result_;
};

void copy_bytes(std::byte* target, const std::byte* source, size_t bytes) {
  if (bytes > 0) std::memcpy(target, source, bytes);
}

// Why the calls do not make one collective, the same text on every rank; empty when they do.
std::string disagreement(std::span<const Call> calls, bool first_axis_free) {
  const auto tail = [&](const Shape& shape) {
    return shape.dims().subspan(first_axis_free ? 1 : 0);
  };
  const Call& first = calls[0];
  for (size_t rank = 1; rank < calls.size(); ++rank) {
    const Call& call = calls[rank];
    if (call.name != first.name) {
      return fmt::format("rank {} is in {}; rank 0 is in {}", rank, call.name, first.name);
    }
    if (call.dtype != first.dtype || call.shape.rank() != first.shape.rank() ||
        !std::ranges::equal(tail(call.shape), tail(first.shape))) {
      return fmt::format("rank {} gave {} of {}; rank 0 gave {} of {}", rank, call.shape.str(),
                         name(call.dtype), first.shape.str(), name(first.dtype));
    }
    if (call.root != first.root) {
      return fmt::format("rank {} wants root {}; rank 0 wants root {}", rank, call.root,
                         first.root);
    }
  }
  return {};
}

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(int rank, std::shared_ptr<Rendezvous> group)
      : rank_(rank), group_(std::move(group)) {}
  ~ThreadCommunicator() override { group_->leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return group_->ranks(); }

 protected:
  Tensor do_all_reduce(const Tensor& x) override {
    const auto memory = std::make_shared<HostMemory>(x, x.shape());
    const std::vector<Call> calls = meet_alike(describe("all_reduce", x, memory));
    // Each rank sums one share, then takes the others' shares from them.
    const auto share = [&](int rank) { return x.numel() * rank / size(); };
    sum_ranks(x.dtype(), inputs(calls), share(rank_), share(rank_ + 1), memory->output());
    group_->regroup(rank_, "all_reduce");
    const size_t element = static_cast<size_t>(info(x.dtype()).block_bytes);
    for (int other = 0; other < size(); ++other) {
      if (other == rank_) continue;
      const size_t begin = static_cast<size_t>(share(other)) * element;
      const size_t end = static_cast<size_t>(share(other + 1)) * element;
      copy_bytes(memory->output() + begin, calls[static_cast<size_t>(other)].output + begin,
                 end - begin);
    }
    group_->regroup(rank_, "all_reduce");
    return memory->result();
  }

  Tensor do_all_gather(const Tensor& x) override {
    const auto memory = std::make_shared<HostMemory>(x, Shape{0});
    const std::vector<Call> calls =
        meet_alike(describe("all_gather", x, memory), /*first_axis_free=*/true);
    Shape shape = x.shape();
    int64_t rows = 0;
    for (const Call& call : calls) rows += call.shape[0];
    shape.set(0, rows);
    std::vector<std::byte> joined;
    joined.reserve(byte_size(shape, x.dtype()));
    for (const Call& call : calls) {
      joined.insert(joined.end(), call.input, call.input + byte_size(call.shape, call.dtype));
    }
    group_->regroup(rank_, "all_gather");
    return Tensor::from_bytes(joined, shape, x.dtype(), x.device());
  }

  Tensor do_reduce_scatter(const Tensor& x) override {
    Shape shape = x.shape();
    shape.set(0, x.dim(0) / size());
    const auto memory = std::make_shared<HostMemory>(x, shape);
    const std::vector<Call> calls = meet_alike(describe("reduce_scatter", x, memory));
    std::vector<const std::byte*> parts = inputs(calls);
    const size_t mine = static_cast<size_t>(rank_) * byte_size(shape, x.dtype());
    for (const std::byte*& part : parts) part += mine;
    sum_ranks(x.dtype(), parts, 0, shape.numel(), memory->output());
    group_->regroup(rank_, "reduce_scatter");
    return memory->result();
  }

  Tensor do_broadcast(const Tensor& x, int root) override {
    const auto memory = std::make_shared<HostMemory>(x, x.shape());
    Call call = describe("broadcast", x, memory);
    call.root = root;
    const std::vector<Call> calls = meet_alike(std::move(call));
    copy_bytes(memory->output(), calls[static_cast<size_t>(root)].input, x.bytes());
    group_->regroup(rank_, "broadcast");
    return memory->result();
  }

  void do_barrier() override {
    meet_alike({.name = "barrier", .shape = {}, .memory = nullptr});
    group_->regroup(rank_, "barrier");
  }

  void do_send(const Tensor& x, int to) override {
    Message message{x.shape(), x.dtype(), std::vector<std::byte>(x.bytes())};
    x.copy_to_host(message.bytes);
    group_->post(rank_, to, std::move(message));
  }

  Tensor do_receive(const Tensor& like, int from) override {
    Message message = group_->take(from, rank_);
    if (message.shape != like.shape() || message.dtype != like.dtype()) {
      const std::string got = fmt::format("{} of {}", message.shape.str(), name(message.dtype));
      group_->put_back(from, rank_, std::move(message));
      fail(Code::kInvalidArgument, "receive", "rank {} sent {}; wants {} of {}", from, got,
           like.shape().str(), name(like.dtype()));
    }
    return Tensor::from_bytes(message.bytes, message.shape, message.dtype, like.device());
  }

 private:
  static Call describe(std::string_view name, const Tensor& x,
                       const std::shared_ptr<HostMemory>& memory) {
    return {.name = name,
            .shape = x.shape(),
            .dtype = x.dtype(),
            .input = memory->input(),
            .output = memory->output(),
            .memory = memory};
  }

  static std::vector<const std::byte*> inputs(std::span<const Call> calls) {
    std::vector<const std::byte*> pointers;
    for (const Call& call : calls) pointers.push_back(call.input);
    return pointers;
  }

  // Meets the others and throws, on every rank alike, unless all are in the same collective.
  std::vector<Call> meet_alike(Call call, bool first_axis_free = false) {
    const std::string_view where = call.name;
    std::vector<Call> calls = group_->meet(rank_, std::move(call));
    const std::string wrong = disagreement(calls, first_axis_free);
    if (!wrong.empty()) {
      group_->regroup(rank_, where);
      fail(Code::kInvalidArgument, "communicator", "{}", wrong);
    }
    return calls;
  }

  const int rank_;
  const std::shared_ptr<Rendezvous> group_;
};

std::vector<CommunicatorPtr> ends_of(const std::shared_ptr<Rendezvous>& group) {
  std::vector<CommunicatorPtr> ends;
  for (int rank = 0; rank < group->ranks(); ++rank) {
    ends.push_back(std::make_shared<ThreadCommunicator>(rank, group));
  }
  return ends;
}

std::shared_ptr<Rendezvous> make_rendezvous(int ranks, const ThreadGroupOptions& options) {
  check(ranks >= 1, "thread_group", "got {} ranks; wants 1 or more", ranks);
  return std::make_shared<Rendezvous>(ranks, options.timeout);
}

}  // namespace

std::vector<CommunicatorPtr> make_thread_group(int ranks, const ThreadGroupOptions& options) {
  return ends_of(make_rendezvous(ranks, options));
}

void run_thread_group(int ranks, const std::function<void(Communicator&)>& f,
                      const ThreadGroupOptions& options) {
  const std::shared_ptr<Rendezvous> group = make_rendezvous(ranks, options);
  const std::vector<CommunicatorPtr> ends = ends_of(group);
  std::vector<std::exception_ptr> errors(ends.size());
  {
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < ends.size(); ++rank) {
      threads.emplace_back([&, rank] {
        try {
          f(*ends[rank]);
          group->leave(static_cast<int>(rank));
        } catch (const std::exception& error) {
          errors[rank] = std::current_exception();
          group->fail_group(static_cast<int>(rank),
                            fmt::format("rank {} failed: {}", rank, error.what()));
        } catch (...) {
          errors[rank] = std::current_exception();
          group->fail_group(static_cast<int>(rank), fmt::format("rank {} failed", rank));
        }
      });
    }
  }
  if (const auto rank = group->failed_rank()) {
    std::swap(errors[0], errors[static_cast<size_t>(*rank)]);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace yiti
