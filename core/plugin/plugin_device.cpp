#include "core/plugin/plugin_device.h"

#include <algorithm>

#include "core/error.h"
#include "core/plugin/composition.h"
#include "core/strided_copy.h"

namespace yiti {
namespace {

const std::string kContiguous = "contiguous";
constexpr size_t kMaxAnswers = 4096;

// The elements from the first to the last that a strided tensor sees.
int64_t extent_of(const Tensor& tensor) {
  int64_t last = 0;
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    last += (tensor.dim(axis) - 1) * tensor.strides()[axis];
  }
  return last + 1;
}

Kernel stand_in(std::string name, std::string device_kind,
                std::function<void(const KernelArgs&)> run) {
  return {.name = std::move(name),
          .device_kind = std::move(device_kind),
          .refuses = {},
          .run = std::move(run),
          .workspace = {},
          .stands_in = true};
}

}  // namespace

class PluginDevice::Graph final : public DeviceGraph {
 public:
  Graph(PluginDevice& device, yiti_graph* graph)
      : device_(std::static_pointer_cast<PluginDevice>(device.shared_from_this())), graph_(graph) {}
  ~Graph() override { device_->table_.graphs->free(device_->device_, graph_); }
  void launch() override {
    device_->on_stream("device graph", [&](yiti_message* message) {
      return device_->table_.graphs->launch(device_->device_, graph_, nullptr, message);
    });
  }

 private:
  std::shared_ptr<PluginDevice> device_;
  yiti_graph* graph_;
};

PluginDevice::PluginDevice(std::shared_ptr<const PluginLibrary> library, int32_t index,
                           const DeviceOptions& options)
    : library_(std::move(library)),
      table_(library_->table()),
      fallback_(options.fallback),
      synchronous_(options.synchronous),
      host_(make_cpu_device(options.cpu)) {
  call_plugin("device", table_.name,
              [&](yiti_message* message) { return table_.open(index, &device_, message); });
  memory_ = std::make_unique<DeviceMemory>(table_, device_, options.cache_bytes);
}

PluginDevice::~PluginDevice() {
  memory_.reset();
  table_.close(device_);
}

yiti_device_info PluginDevice::info() const {
  yiti_device_info info{};
  info.struct_size = sizeof(info);
  call_plugin("device", table_.name,
              [&](yiti_message* message) { return table_.query(device_, &info, message); });
  info.name[sizeof(info.name) - 1] = info.driver[sizeof(info.driver) - 1] = '\0';
  return info;
}

DeviceCounters PluginDevice::counters() const {
  return {.ops = ops_,
          .host_ops = host_ops_,
          .host_op_bytes = host_op_bytes_,
          .bytes_to_device = to_device_,
          .bytes_to_host = to_host_};
}

void PluginDevice::copy_from_host(void* target, const void* source, size_t bytes) {
  if (bytes == 0) return;
  const DeviceMemory::Place to = memory_->locate(target);
  refuse_in_recording("a copy from the host");
  on_stream(where_of_failure(), [&](yiti_message* message) {
    return table_.copy_to_device(device_, nullptr, to.memory, to.offset, source, bytes, message);
  });
  to_device_ += static_cast<int64_t>(bytes);
}

void PluginDevice::copy_to_host(void* target, const void* source, size_t bytes) {
  if (bytes == 0) return;
  const DeviceMemory::Place from = memory_->locate(source);
  refuse_in_recording("a copy to the host");
  on_stream(where_of_failure(), [&](yiti_message* message) {
    return table_.copy_to_host(device_, nullptr, target, from.memory, from.offset, bytes, message);
  });
  to_host_ += static_cast<int64_t>(bytes);
}

void PluginDevice::clear(void* target, size_t bytes) {
  if (bytes == 0) return;
  const DeviceMemory::Place to = memory_->locate(target);
  on_stream(where_of_failure(), [&](yiti_message* message) {
    return table_.clear(device_, nullptr, to.memory, to.offset, bytes, message);
  });
}

void PluginDevice::copy_elements(void* target, const Tensor& source) {
  if (source.numel() == 0) return;
  if (source.layout() == Layout::kPanels) return unpack(target, source);
  const DeviceMemory::Place to = memory_->locate(target);
  if (source.is_contiguous()) {
    const DeviceMemory::Place from = memory_->locate(source.raw());
    return on_stream(where_of_failure(), [&](yiti_message* message) {
      return table_.copy_on_device(device_, nullptr, to.memory, to.offset, from.memory, from.offset,
                                   source.bytes(), message);
    });
  }
  const auto can = support_of(kContiguous, {&source, 1}, {});
  if (can->status == YITI_STATUS_OK && (can->support.strided_inputs & 1) != 0 &&
      can->support.workspace_bytes == 0) {
    OpCall call(kContiguous, {&source, 1}, {}, {}, *memory_);
    call.add_output(source, to);
    return give(kContiguous, call);
  }
  // Through the host: what lies between the first and the last element, then those in order.
  const Tensor run = source.as_strided({extent_of(source)}, {1}, 0).on(host_);
  const Tensor packed = Tensor::empty(source.shape(), source.dtype(), host_);
  copy_strided(packed.raw(), run.as_strided(source.shape(), source.strides(), 0));
  copy_from_host(target, packed.raw(), packed.bytes());
}

yiti_tensor PluginDevice::describe(const Tensor& tensor) const {
  return describe_tensor(tensor, tensor.strides(),
                         tensor.has_storage() ? locate(tensor) : DeviceMemory::Place{});
}

Tensor PluginDevice::packed(const Tensor& rows) {
  if (table_.weights == nullptr || !is_quantised(rows.dtype()) ||
      rows.layout() == Layout::kPanels || rows.numel() == 0) {
    return rows;
  }
  const yiti_tensor from = describe(rows), shape = describe(rows.as_meta());
  uint64_t bytes = 0;
  call_plugin("weight", table_.name, [&](yiti_message* message) {
    return table_.weights->packed_bytes(device_, &shape, &bytes, message);
  });
  if (bytes == 0) return rows;
  bytes = std::max<uint64_t>(bytes, byte_size(rows.shape(), rows.dtype(), Layout::kPanels));
  Tensor packed = Tensor::of_storage(Storage::allocate(rows.device(), bytes), 0, rows.shape(),
                                     rows.dtype(), Layout::kPanels);
  const yiti_tensor to = describe(packed);
  on_stream("weight", [&](yiti_message* message) {
    return table_.weights->pack(device_, nullptr, &from, &to, message);
  });
  return packed;
}

void PluginDevice::unpack(void* target, const Tensor& packed) {
  const yiti_tensor from = describe(packed);
  const yiti_tensor to =
      describe_tensor(Tensor::meta(packed.shape(), packed.dtype(), packed.device()),
                      packed.strides(), memory_->locate(target));
  on_stream("weight", [&](yiti_message* message) {
    return table_.weights->unpack(device_, nullptr, &from, &to, message);
  });
}

void PluginDevice::refuse_in_recording(std::string_view what) {
  if (recorder_.load() != std::this_thread::get_id()) return;
  recordable_ = false;
  fail(Code::kFailedPrecondition, table_.name, "{} cannot be recorded", what);
}

std::unique_ptr<DeviceGraph> PluginDevice::record(const std::function<void()>& work) {
  if (table_.graphs == nullptr) return nullptr;
  const std::unique_lock lock(stream_);
  call_plugin("device graph", table_.name, [&](yiti_message* message) {
    return table_.graphs->begin(device_, nullptr, message);
  });
  recorder_ = std::this_thread::get_id();
  recordable_ = true;
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  recorder_ = std::thread::id();
  yiti_graph* graph = nullptr;
  yiti_message message{};
  const yiti_status status = table_.graphs->end(device_, nullptr, &graph, &message);
  if (failure || status != YITI_STATUS_OK) {
    if (status == YITI_STATUS_OK) table_.graphs->free(device_, graph);
    if (failure && recordable_) std::rethrow_exception(failure);
    return nullptr;
  }
  return std::make_unique<Graph>(*this, graph);
}

void PluginDevice::synchronise() {
  call_plugin(where_of_failure(), table_.name, [&](yiti_message* message) {
    return table_.stream_synchronise(device_, nullptr, message);
  });
}

// Work fails after it was given: what is known then is the last op that was.
std::string PluginDevice::where_of_failure() const {
  const std::string* op = last_op_;
  return op == nullptr ? "device" : fmt::format("device, after {}", *op);
}

std::shared_ptr<const PluginDevice::Support> PluginDevice::support_of(const std::string& op,
                                                                      std::span<const Tensor> in,
                                                                      const Attrs& attrs) {
  const std::string question = question_of(op, in, attrs);
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = answers_.find(question); known != answers_.end()) return known->second;
  }
  const auto answer = std::make_shared<Support>();
  answer->support.struct_size = sizeof(answer->support);
  yiti_message reason{};
  const OpCall call(op, in, attrs);
  answer->status = table_.supports_op(device_, call.get(), &answer->support, &reason);
  reason.text[sizeof(reason.text) - 1] = '\0';
  answer->reason = reason.text;
  const std::lock_guard lock(mutex_);
  if (answers_.size() >= kMaxAnswers) answers_.clear();
  return answers_[question] = answer;
}

// The names of the ops that an op consists of, where the device runs all of them; found once.
std::string PluginDevice::native_parts(const Op& op, std::span<const Tensor> in,
                                       const Attrs& attrs) {
  if (!is_composite(op)) return "";
  const std::string question = question_of(op.name, in, attrs);
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = parts_.find(question); known != parts_.end()) return known->second;
  }
  std::string names;
  for (const OpPart& part : parts_of(op, in, attrs)) {
    if (!part.op->view) {
      std::string unread;
      const Kernel* kernel = own_kernel(*part.op, part.in, part.attrs, unread);
      if (kernel == nullptr || kernel->device_kind != table_.name) {
        names.clear();
        break;
      }
    }
    names += fmt::format("{}{}", names.empty() ? "" : ", ", part.op->name);
  }
  const std::lock_guard lock(mutex_);
  if (parts_.size() >= kMaxAnswers) parts_.clear();
  return parts_[question] = names;
}

const Kernel* PluginDevice::own_kernel(const Op& op, std::span<const Tensor> in, const Attrs& attrs,
                                       std::string& why) {
  const auto answer = support_of(op.name, in, attrs);
  if (answer->status == YITI_STATUS_OK) return &native_kernel(op, answer->support);
  if (const std::string parts = native_parts(op, in, attrs); !parts.empty()) {
    return &composed_kernel(op, parts);
  }
  why = fmt::format("{}: {}", table_.name, answer->reason);
  return fallback_ == DeviceFallback::kCpu ? &host_kernel(op) : nullptr;
}

const Kernel& PluginDevice::native_kernel(const Op& op, const yiti_op_support& support) {
  const bool has_workspace = support.workspace_bytes > 0, takes_lists = support.takes_lists != 0;
  const std::lock_guard lock(mutex_);
  Kernel& kernel = native_[{&op, support.strided_inputs, has_workspace, takes_lists}];
  if (kernel.run) return kernel;
  kernel = {.name = table_.name,
            .device_kind = table_.name,
            .refuses = {},
            .run = [this, &op, strided = support.strided_inputs](
                       const KernelArgs& args) { run_native(op, strided, args); },
            .workspace = {},
            .takes_lists = takes_lists && !has_workspace};
  if (has_workspace) {
    kernel.workspace = [this, &op](std::span<const Tensor> in, const Attrs& attrs, Device&) {
      return static_cast<size_t>(support_of(op.name, in, attrs)->support.workspace_bytes);
    };
  }
  return kernel;
}

const Kernel& PluginDevice::composed_kernel(const Op& op, const std::string& parts) {
  const std::lock_guard lock(mutex_);
  Kernel& kernel = composed_[{&op, parts}];
  if (!kernel.run) {
    kernel = stand_in(fmt::format("{} as {}", table_.name, parts), table_.name,
                      [this, &op](const KernelArgs& args) { run_composed(op, args); });
  }
  return kernel;
}

const Kernel& PluginDevice::host_kernel(const Op& op) {
  const std::lock_guard lock(mutex_);
  Kernel& kernel = on_host_[&op];
  if (!kernel.run) {
    kernel = stand_in("cpu, with copies", "cpu",
                      [this, &op](const KernelArgs& args) { run_on_host(op, args); });
  }
  return kernel;
}

void PluginDevice::run_native(const Op& op, uint64_t strided_inputs, const KernelArgs& args) {
  std::vector<Tensor> packed;
  std::span<const Tensor> in = args.in;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool takes = i < 64 && (strided_inputs >> i & 1) != 0;
    if (takes || !in[i].defined() || in[i].is_contiguous()) continue;
    refuse_in_recording("a copy that lives for one run");
    if (packed.empty()) {
      packed.assign(in.begin(), in.end());
      in = packed;
    }
    packed[i] = packed[i].contiguous();
  }
  OpCall call(op.name, in, args.out, args.attrs, *memory_);
  if (args.workspace_bytes > 0) {
    call.set_workspace(memory_->locate(args.workspace), args.workspace_bytes);
  }
  give(op.name, call);
}

void PluginDevice::give(const std::string& op, const OpCall& call) {
  on_stream(op, [&](yiti_message* message) {
    return table_.run_op(device_, nullptr, call.get(), message);
  });
  last_op_ = &op;
  ++ops_;
  if (!synchronous_ || recorder_.load() == std::this_thread::get_id()) return;
  call_plugin(op, table_.name, [&](yiti_message* message) {
    return table_.stream_synchronise(device_, nullptr, message);
  });
}

void PluginDevice::run_composed(const Op& op, const KernelArgs& args) {
  refuse_in_recording("an op that runs as simpler ones");
  const std::vector<Tensor> out = op.reference(args.in, args.attrs);
  for (size_t i = 0; i < args.out.size(); ++i) {
    if (args.out[i].defined()) copy_elements(args.out[i].raw(), out[i]);
  }
}

void PluginDevice::run_on_host(const Op& op, const KernelArgs& args) {
  std::vector<Tensor> in;
  size_t bytes = 0;
  for (const Tensor& tensor : args.in) {
    in.push_back(tensor.defined() ? tensor.on(host_) : Tensor());
    if (tensor.defined()) bytes += tensor.bytes();
  }
  bool save = false;
  for (size_t i = 0; i < args.out.size(); ++i) {
    save = save || (op.outputs[i].saved && args.out[i].defined());
  }
  const std::vector<Tensor> out = op.evaluate(in, args.attrs, save);
  for (size_t i = 0; i < args.out.size(); ++i) {
    const Tensor& target = args.out[i];
    if (!target.defined()) continue;
    const Tensor result = out[i].contiguous();
    copy_from_host(target.raw(), result.raw(), result.bytes());
    bytes += result.bytes();
  }
  ++host_ops_;
  host_op_bytes_ += static_cast<int64_t>(bytes);
}

}  // namespace yiti
