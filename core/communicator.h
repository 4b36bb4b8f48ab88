// Collective operations between ranks. One rank in one process is built in; distributed/ has more.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace yiti {

/// A rank's end of a group of `size` ranks. All ranks call the same collectives in the same order;
/// a rank uses its end from one thread at a time. Tensors have a plain dtype, any strides and
/// no trace; results are new contiguous tensors on the device of the rank's own argument.
///
/// Errors: kInvalidArgument for arguments that do not fit (on every rank, where ranks disagree
/// about shape, dtype, root or operation, and the group stays usable); kUnavailable when a rank
/// failed, left or stayed away too long, after which the group is of no more use.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// The sum over ranks, the same bits on each. Ranks are added in the binary tree that matrix
  /// products use for their leaves: neighbours first, then pairs of them, … f16 and bf16 are summed
  /// in f32 and rounded once; integers wrap around; bool is refused.
  Tensor all_reduce(const Tensor& x);
  /// The ranks' tensors, joined along axis 0 in the order of ranks.
  Tensor all_gather(const Tensor& x);
  /// This rank's share of all_reduce(x): axis 0, a multiple of size(), is cut into equal parts.
  Tensor reduce_scatter(const Tensor& x);
  /// The tensor of rank `root`. The other ranks' tensors tell only shape, dtype and device.
  Tensor broadcast(const Tensor& x, int root);
  /// Returns once every rank has called it.
  void barrier();
  /// Hands x to rank `to`, without waiting for it. What one rank sends another arrives in order.
  void send(const Tensor& x, int to);
  /// The next tensor from rank `from`; it must have the shape and dtype of `like`.
  Tensor receive(const Tensor& like, int from);

 protected:
  // Called with contiguous, untraced tensors of plain dtypes and with ranks in range.
  virtual Tensor do_all_reduce(const Tensor& x) = 0;
  virtual Tensor do_all_gather(const Tensor& x) = 0;
  virtual Tensor do_reduce_scatter(const Tensor& x) = 0;
  virtual Tensor do_broadcast(const Tensor& x, int root) = 0;
  virtual void do_barrier() = 0;
  virtual void do_send(const Tensor& x, int to) = 0;
  virtual Tensor do_receive(const Tensor& like, int from) = 0;

 private:
  void check_rank(int rank, std::string_view where) const;
};

using CommunicatorPtr = std::shared_ptr<Communicator>;

/// Rank 0 of 1, in this process. It may send to itself.
CommunicatorPtr make_single_communicator();

}  // namespace yiti
