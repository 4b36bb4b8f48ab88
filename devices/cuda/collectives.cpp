#include "devices/cuda/collectives.h"

#include <memory>

#include "devices/common/plugin_table.h"
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

void make_id(yiti_device* /*device*/, void* id) {
  const Nccl& nccl = loaded_nccl();
  ncclUniqueId made;
  check(nccl, nccl.ncclGetUniqueId(&made), "ncclGetUniqueId");
  std::memcpy(id, &made, sizeof(made));
}

void join(yiti_device* /*device*/, const void* id, int32_t rank, int32_t size, yiti_group** group) {
  const Nccl& nccl = loaded_nccl();
  ncclUniqueId own;
  std::memcpy(&own, id, sizeof(own));
  ncclComm_t made = nullptr;
  check(nccl, nccl.ncclCommInitRank(&made, size, own, rank), "ncclCommInitRank");
  *group = new yiti_group{made};
}

void leave(yiti_device* /*device*/, yiti_group* group) {
  const std::unique_ptr<yiti_group> own(group);
  const Nccl& nccl = loaded_nccl();
  check(nccl, nccl.ncclCommDestroy(own->communicator), "ncclCommDestroy");
}

void all_reduce(yiti_device* device, yiti_group* group, yiti_stream* stream, const yiti_tensor* in,
                const yiti_tensor* out) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclAllReduce(elements(in), elements(out), count_of(in), nccl_type(in->dtype), ncclSum,
                           group->communicator, device->stream(stream)),
        "ncclAllReduce");
}

void all_gather(yiti_device* device, yiti_group* group, yiti_stream* stream, const yiti_tensor* in,
                const yiti_tensor* out) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclAllGather(elements(in), elements(out), count_of(in), nccl_type(in->dtype),
                           group->communicator, device->stream(stream)),
        "ncclAllGather");
}

void reduce_scatter(yiti_device* device, yiti_group* group, yiti_stream* stream,
                    const yiti_tensor* in, const yiti_tensor* out) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclReduceScatter(elements(in), elements(out), count_of(out), nccl_type(in->dtype),
                               ncclSum, group->communicator, device->stream(stream)),
        "ncclReduceScatter");
}

void broadcast(yiti_device* device, yiti_group* group, yiti_stream* stream,
               const yiti_tensor* tensor, int32_t root) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclBroadcast(elements(tensor), elements(tensor), count_of(tensor),
                           nccl_type(tensor->dtype), root, group->communicator,
                           device->stream(stream)),
        "ncclBroadcast");
}

void send(yiti_device* device, yiti_group* group, yiti_stream* stream, const yiti_tensor* tensor,
          int32_t to) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclSend(elements(tensor), count_of(tensor), nccl_type(tensor->dtype), to,
                      group->communicator, device->stream(stream)),
        "ncclSend");
}

void receive(yiti_device* device, yiti_group* group, yiti_stream* stream, const yiti_tensor* tensor,
             int32_t from) {
  const Nccl& nccl = loaded_nccl();
  check(nccl,
        nccl.ncclRecv(elements(tensor), count_of(tensor), nccl_type(tensor->dtype), from,
                      group->communicator, device->stream(stream)),
        "ncclRecv");
}

}  // namespace

const yiti_collectives kCollectives = {
    .struct_size = sizeof(yiti_collectives),
    .id_bytes = sizeof(ncclUniqueId),
    .make_id = Entry<OnDevice, &make_id>::call,
    .join = Entry<OnDevice, &join>::call,
    .leave = Entry<OnDevice, &leave>::silent,
    .all_reduce = Entry<OnDevice, &all_reduce>::call,
    .all_gather = Entry<OnDevice, &all_gather>::call,
    .reduce_scatter = Entry<OnDevice, &reduce_scatter>::call,
    .broadcast = Entry<OnDevice, &broadcast>::call,
    .send = Entry<OnDevice, &send>::call,
    .receive = Entry<OnDevice, &receive>::call,
};

}  // namespace yiti::devices::cuda
