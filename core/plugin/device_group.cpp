#include "core/plugin/device_group.h"

#include "core/error.h"
#include "core/plugin/plugin_device.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "device group";

std::shared_ptr<PluginDevice> with_collectives(const DevicePtr& device) {
  auto plugin = std::dynamic_pointer_cast<PluginDevice>(device);
  if (!plugin || plugin->table().collectives == nullptr) {
    fail(Code::kUnimplemented, kWhere, "{} has no collectives", device->kind());
  }
  return plugin;
}

class DeviceGroup final : public Communicator {
 public:
  DeviceGroup(std::shared_ptr<PluginDevice> device, std::span<const std::byte> id, int rank,
              int size)
      : device_(std::move(device)),
        calls_(*device_->table().collectives),
        rank_(rank),
        size_(size) {
    check(rank >= 0 && rank < size, kWhere, "got rank {} of {}", rank, size);
    check(id.size() == calls_.id_bytes, kWhere, "got an id of {} bytes; wants {}", id.size(),
          calls_.id_bytes);
    call_plugin(kWhere, device_->kind(), [&](yiti_message* message) {
      return calls_.join(device_->handle(), id.data(), rank, size, &group_, message);
    });
  }
  ~DeviceGroup() override { calls_.leave(device_->handle(), group_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

 protected:
  Tensor do_all_reduce(const Tensor& x) override {
    return run("all_reduce", x, x.shape(), calls_.all_reduce);
  }
  Tensor do_all_gather(const Tensor& x) override {
    Shape shape = x.shape();
    shape.set(0, shape[0] * size_);
    return run("all_gather", x, shape, calls_.all_gather);
  }
  Tensor do_reduce_scatter(const Tensor& x) override {
    Shape shape = x.shape();
    shape.set(0, shape[0] / size_);
    return run("reduce_scatter", x, shape, calls_.reduce_scatter);
  }
  Tensor do_broadcast(const Tensor& x, int root) override {
    Tensor result = x.copy();
    const yiti_tensor description = describe(result);
    device_->on_stream("broadcast", [&](yiti_message* message) {
      return calls_.broadcast(device_->handle(), group_, nullptr, &description, root, message);
    });
    return result;
  }
  void do_barrier() override {
    const DevicePtr device = device_;
    (void)all_reduce(Tensor::zeros({1}, DType::kF32, device));
    device_->synchronise();
  }
  void do_send(const Tensor& x, int to) override {
    const yiti_tensor description = describe(x);
    device_->on_stream("send", [&](yiti_message* message) {
      return calls_.send(device_->handle(), group_, nullptr, &description, to, message);
    });
  }
  Tensor do_receive(const Tensor& like, int from) override {
    Tensor result = Tensor::empty(like.shape(), like.dtype(), device_);
    const yiti_tensor description = describe(result);
    device_->on_stream("receive", [&](yiti_message* message) {
      return calls_.receive(device_->handle(), group_, nullptr, &description, from, message);
    });
    return result;
  }

 private:
  using Call = yiti_status (*)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor*,
                               const yiti_tensor*, yiti_message*);

  yiti_tensor describe(const Tensor& tensor) const {
    return describe_tensor(tensor, tensor.strides(), device_->locate(tensor));
  }

  Tensor run(std::string_view where, const Tensor& x, const Shape& shape, Call call) {
    Tensor result = Tensor::empty(shape, x.dtype(), device_);
    const yiti_tensor in = describe(x), out = describe(result);
    device_->on_stream(where, [&](yiti_message* message) {
      return call(device_->handle(), group_, nullptr, &in, &out, message);
    });
    return result;
  }

  std::shared_ptr<PluginDevice> device_;
  const yiti_collectives& calls_;
  const int rank_, size_;
  yiti_group* group_ = nullptr;
};

}  // namespace

std::vector<std::byte> make_group_id(const DevicePtr& device) {
  const auto plugin = with_collectives(device);
  const yiti_collectives& calls = *plugin->table().collectives;
  std::vector<std::byte> id(calls.id_bytes);
  call_plugin(kWhere, device->kind(), [&](yiti_message* message) {
    return calls.make_id(plugin->handle(), id.data(), message);
  });
  return id;
}

CommunicatorPtr join_group(const DevicePtr& device, std::span<const std::byte> id, int rank,
                           int size) {
  return std::make_shared<DeviceGroup>(with_collectives(device), id, rank, size);
}

}  // namespace yiti
