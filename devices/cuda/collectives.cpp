#include "devices/cuda/collectives.h"

#include "devices/cuda/nccl.h"
#include "devices/cuda/stream_backend.h"

struct yiti_group {
  ncclComm_t communicator;
};

namespace yiti::devices::cuda {
namespace {

// Loaded at its first use, and never unloaded: it has threads of its own.
const Nccl& loaded_nccl() {
  static const Nccl& nccl = *new Nccl;
  return nccl;
}

void* elements(const yiti_tensor* tensor) { return address(tensor->memory, tensor->offset); }
size_t count_of(const yiti_tensor* tensor) { return static_cast<size_t>(Operand(tensor).numel()); }

// Runs f(NCCL) with the device as the thread's; f returns NCCL's result, of `call`.
template <class F>
yiti_status with_nccl(yiti_device* device, const char* call, yiti_message* message, F f) noexcept {
  return guarded(message, [&] {
    const OnDevice here(device);
    const Nccl& nccl = loaded_nccl();
    check(nccl, f(nccl), call);
  });
}

yiti_status make_id(yiti_device* device, void* id, yiti_message* message) {
  return with_nccl(device, "ncclGetUniqueId", message, [&](const Nccl& nccl) {
    ncclUniqueId made;
    const ncclResult_t result = nccl.ncclGetUniqueId(&made);
    std::memcpy(id, &made, sizeof(made));
    return result;
  });
}

yiti_status join(yiti_device* device, const void* id, int32_t rank, int32_t size,
                 yiti_group** group, yiti_message* message) {
  return with_nccl(device, "ncclCommInitRank", message, [&](const Nccl& nccl) {
    ncclUniqueId own;
    std::memcpy(&own, id, sizeof(own));
    ncclComm_t made = nullptr;
    const ncclResult_t result = nccl.ncclCommInitRank(&made, size, own, rank);
    if (result == ncclSuccess) *group = new yiti_group{made};
    return result;
  });
}

void leave(yiti_device* device, yiti_group* group) {
  yiti_message unread;
  with_nccl(device, "ncclCommDestroy", &unread,
            [&](const Nccl& nccl) { return nccl.ncclCommDestroy(group->communicator); });
  delete group;
}

yiti_status all_reduce(yiti_device* device, yiti_group* group, yiti_stream* stream,
                       const yiti_tensor* in, const yiti_tensor* out, yiti_message* message) {
  return with_nccl(device, "ncclAllReduce", message, [&](const Nccl& nccl) {
    return nccl.ncclAllReduce(elements(in), elements(out), count_of(in), nccl_type(in->dtype),
                              ncclSum, group->communicator, device->stream(stream));
  });
}

yiti_status all_gather(yiti_device* device, yiti_group* group, yiti_stream* stream,
                       const yiti_tensor* in, const yiti_tensor* out, yiti_message* message) {
  return with_nccl(device, "ncclAllGather", message, [&](const Nccl& nccl) {
    return nccl.ncclAllGather(elements(in), elements(out), count_of(in), nccl_type(in->dtype),
                              group->communicator, device->stream(stream));
  });
}

yiti_status reduce_scatter(yiti_device* device, yiti_group* group, yiti_stream* stream,
                           const yiti_tensor* in, const yiti_tensor* out, yiti_message* message) {
  return with_nccl(device, "ncclReduceScatter", message, [&](const Nccl& nccl) {
    return nccl.ncclReduceScatter(elements(in), elements(out), count_of(out), nccl_type(in->dtype),
                                  ncclSum, group->communicator, device->stream(stream));
  });
}

yiti_status broadcast(yiti_device* device, yiti_group* group, yiti_stream* stream,
                      const yiti_tensor* tensor, int32_t root, yiti_message* message) {
  return with_nccl(device, "ncclBroadcast", message, [&](const Nccl& nccl) {
    return nccl.ncclBroadcast(elements(tensor), elements(tensor), count_of(tensor),
                              nccl_type(tensor->dtype), root, group->communicator,
                              device->stream(stream));
  });
}

yiti_status send(yiti_device* device, yiti_group* group, yiti_stream* stream,
                 const yiti_tensor* tensor, int32_t to, yiti_message* message) {
  return with_nccl(device, "ncclSend", message, [&](const Nccl& nccl) {
    return nccl.ncclSend(elements(tensor), count_of(tensor), nccl_type(tensor->dtype), to,
                         group->communicator, device->stream(stream));
  });
}

yiti_status receive(yiti_device* device, yiti_group* group, yiti_stream* stream,
                    const yiti_tensor* tensor, int32_t from, yiti_message* message) {
  return with_nccl(device, "ncclRecv", message, [&](const Nccl& nccl) {
    return nccl.ncclRecv(elements(tensor), count_of(tensor), nccl_type(tensor->dtype), from,
                         group->communicator, device->stream(stream));
  });
}

}  // namespace

const yiti_collectives kCollectives = {
    .struct_size = sizeof(yiti_collectives),
    .id_bytes = sizeof(ncclUniqueId),
    .make_id = make_id,
    .join = join,
    .leave = leave,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .reduce_scatter = reduce_scatter,
    .broadcast = broadcast,
    .send = send,
    .receive = receive,
};

}  // namespace yiti::devices::cuda
