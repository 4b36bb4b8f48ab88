#include "core/communicator.h"

#include <cstring>
#include <deque>
#include <utility>

#include "core/error.h"
#include "core/recorder.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

Tensor prepared(const Tensor& x, std::string_view where) {
  check(x.defined() && x.has_storage(), where, "got a tensor without data");
  check(!is_quantised(x.dtype()), where, "got {}; wants a plain type", name(x.dtype()));
  if (x.trace() && x.trace()->recorder->active()) {
    fail(Code::kFailedPrecondition, where,
         "x is traced, and communicators record no gradient; detach it first");
  }
  return x.detached().contiguous();
}

void check_summable(const Tensor& x, std::string_view where) {
  check(x.dtype() != DType::kBool, where, "got bool; wants numbers");
}

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }

 protected:
  Tensor do_all_reduce(const Tensor& x) override { return x.copy(); }
  Tensor do_all_gather(const Tensor& x) override { return x.copy(); }
  Tensor do_reduce_scatter(const Tensor& x) override { return x.copy(); }
  Tensor do_broadcast(const Tensor& x, int) override { return x.copy(); }
  void do_barrier() override {}
  void do_send(const Tensor& x, int) override { sent_.push_back(x.copy()); }
  Tensor do_receive(const Tensor& like, int) override {
    if (sent_.empty()) fail(Code::kUnavailable, "receive", "the only rank has sent itself nothing");
    const Tensor& next = sent_.front();
    check(next.shape() == like.shape() && next.dtype() == like.dtype(), "receive",
          "got {} of {} from rank 0; wants {} of {}", next.shape(), name(next.dtype()),
          like.shape(), name(like.dtype()));
    Tensor received = next;
    sent_.pop_front();
    return received;
  }

 private:
  std::deque<Tensor> sent_;
};

}  // namespace

void Communicator::check_rank(int rank, std::string_view where) const {
  check(rank >= 0 && rank < size(), where, "got rank {}; wants 0 to {}", rank, size() - 1);
}

Tensor Communicator::all_reduce(const Tensor& x) {
  const Tensor ready = prepared(x, "all_reduce");
  check_summable(ready, "all_reduce");
  return do_all_reduce(ready);
}

Tensor Communicator::all_gather(const Tensor& x) {
  const Tensor ready = prepared(x, "all_gather");
  check(ready.rank() > 0, "all_gather", "got a scalar; wants an axis to join along");
  return do_all_gather(ready);
}

Tensor Communicator::reduce_scatter(const Tensor& x) {
  const Tensor ready = prepared(x, "reduce_scatter");
  check_summable(ready, "reduce_scatter");
  check(ready.rank() > 0 && ready.dim(0) % size() == 0, "reduce_scatter",
        "got {}; wants axis 0 to be a multiple of the {} ranks", ready.shape(), size());
  return do_reduce_scatter(ready);
}

Tensor Communicator::broadcast(const Tensor& x, int root) {
  check_rank(root, "broadcast");
  return do_broadcast(prepared(x, "broadcast"), root);
}

void Communicator::barrier() { do_barrier(); }

void Communicator::send(const Tensor& x, int to) {
  check_rank(to, "send");
  do_send(prepared(x, "send"), to);
}

Tensor Communicator::receive(const Tensor& like, int from) {
  check_rank(from, "receive");
  check(like.defined() && !is_quantised(like.dtype()), "receive", "wants a tensor of a plain type");
  return do_receive(like, from);
}

CommunicatorPtr make_single_communicator() { return std::make_shared<SingleCommunicator>(); }

}  // namespace yiti
