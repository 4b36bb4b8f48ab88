// A device behind the C table.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "core/op.h"
#include "core/plugin/device_memory.h"
#include "core/plugin/device_plugin.h"
#include "core/plugin/op_call.h"
#include "core/plugin/plugin_library.h"
#include "core/plugin/stream_check.h"

namespace yiti {

/// Gives all work to the plug-in's default stream. Thread-safe.
class PluginDevice final : public Device {
 public:
  PluginDevice(std::shared_ptr<const PluginLibrary> library, int32_t index,
               const DeviceOptions& options);
  ~PluginDevice() override;

  std::string_view kind() const override { return table_.name; }
  void* allocate(size_t bytes) override { return memory_->allocate(bytes); }
  void deallocate(void* pointer, size_t bytes) noexcept override {
    memory_->deallocate(pointer, bytes);
  }
  void copy_from_host(void* target, const void* source, size_t bytes) override;
  void copy_to_host(void* target, const void* source, size_t bytes) override;
  void copy_elements(void* target, const Tensor& source) override;
  void clear(void* target, size_t bytes) override;
  bool host_accessible() const override { return false; }
  DevicePtr host() override { return host_; }
  const Kernel* own_kernel(const Op& op, std::span<const Tensor> in, const Attrs& attrs,
                           std::string& why) override;
  bool has_own_kernels() const override { return true; }
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override;
  void synchronise() override;
  ThreadPool& threads() override { return host_->threads(); }
  Isa isa() const override { return host_->isa(); }
  size_t live_bytes() const override { return memory_->live_bytes(); }
  size_t peak_bytes() const override { return memory_->peak_bytes(); }
  void reset_peak() override { memory_->reset_peak(); }

  /// packed_weight of a tensor of this device.
  Tensor packed(const Tensor& rows);
  yiti_device_info info() const;
  DeviceCounters counters() const;
  /// What is wrong with streams and events; empty: nothing.
  std::string check_streams() const { return yiti::check_streams(table_, device_); }

  const yiti_device_plugin& table() const { return table_; }
  yiti_device* handle() const { return device_; }
  DeviceMemory::Place locate(const Tensor& tensor) const { return memory_->locate(tensor.raw()); }
  /// Calls f(yiti_message*), which gives work to the stream, between what others record.
  template <class F>
  void on_stream(std::string_view where, F&& f) {
    std::shared_lock lock(stream_, std::defer_lock);
    if (recorder_.load() != std::this_thread::get_id()) lock.lock();
    call_plugin(where, table_.name, std::forward<F>(f));
  }

 private:
  struct Support {
    yiti_status status;
    std::string reason;
    yiti_op_support support;
  };

  class Graph;

  void refuse_in_recording(std::string_view what);
  // What the device says of these dtypes, shapes and attributes, which it is asked once.
  std::shared_ptr<const Support> support_of(const std::string& op, std::span<const Tensor> in,
                                            const Attrs& attrs);
  std::string native_parts(const Op& op, std::span<const Tensor> in, const Attrs& attrs);
  const Kernel& native_kernel(const Op& op, const yiti_op_support& support);
  const Kernel& composed_kernel(const Op& op, const std::string& parts);
  const Kernel& host_kernel(const Op& op);
  void run_native(const Op& op, uint64_t strided_inputs, const KernelArgs& args);
  void run_composed(const Op& op, const KernelArgs& args);
  void run_on_host(const Op& op, const KernelArgs& args);
  void unpack(void* target, const Tensor& packed);
  yiti_tensor describe(const Tensor& tensor) const;
  void give(const std::string& op, const OpCall& call);
  std::string where_of_failure() const;

  std::shared_ptr<const PluginLibrary> library_;
  const yiti_device_plugin& table_;
  const DeviceFallback fallback_;
  const bool synchronous_;
  DevicePtr host_;
  yiti_device* device_ = nullptr;
  std::unique_ptr<DeviceMemory> memory_;
  std::shared_mutex stream_;  // held alone while work is recorded: nobody else's may get into it
  std::atomic<std::thread::id> recorder_{};
  bool recordable_ = true;  // of the work that is being recorded
  std::mutex mutex_;
  // By strided inputs, whether there is a workspace, and whether lists are taken.
  std::map<std::tuple<const Op*, uint64_t, bool, bool>, Kernel> native_;
  std::map<std::pair<const Op*, std::string>, Kernel> composed_;  // by the names of parts
  std::map<const Op*, Kernel> on_host_;
  // By question_of: what the device said, and of ops that it lacks, the parts that it runs instead.
  std::unordered_map<std::string, std::shared_ptr<const Support>> answers_;
  std::unordered_map<std::string, std::string> parts_;
  std::atomic<const std::string*> last_op_{nullptr};  // names live in op declarations
  std::atomic<int64_t> ops_{0}, host_ops_{0}, host_op_bytes_{0}, to_device_{0}, to_host_{0};
};

}  // namespace yiti
