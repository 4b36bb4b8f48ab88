#include "bindings/python/src/devices.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <map>
#include <mutex>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"
#include "core/plugin/device_plugin.h"
#include "ops/shape/contiguous.h"

namespace yiti::python {
namespace {

std::mutex device_mutex;
DevicePtr chosen_device;  // with device_mutex

// The devices that have a name, for `device="opencl"`: each is opened once.
class NamedDevices {
 public:
  DevicePtr at(const std::string& name) {
    const std::lock_guard lock(mutex_);
    DevicePtr& device = devices_[name];
    if (!device) device = open_device(name);
    return device;
  }
  DevicePtr add(const std::string& name, DevicePtr device) {
    const std::lock_guard lock(mutex_);
    return devices_[name] = std::move(device);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, DevicePtr> devices_;  // with mutex_
};

// Never destroyed: tensors that Python still holds at its end live on them.
NamedDevices& named_devices() {
  static auto& devices = *new NamedDevices;
  return devices;
}

DevicePtr load_device(const std::string& name, const std::string& path, const std::string& fallback,
                      int threads) {
  check(fallback == "cpu" || fallback == "refuse", "load_device",
        "fallback is \"{}\"; wants cpu or refuse", fallback);
  check(threads >= 0, "load_device", "threads is {}; wants 0 or more", threads);
  DeviceOptions options;
  options.path = path;
  options.fallback = fallback == "cpu" ? DeviceFallback::kCpu : DeviceFallback::kRefuse;
  options.cpu.threads = threads;
  nb::gil_scoped_release release;
  DevicePtr device = open_device(name, options);
  return name == "cpu" ? device : named_devices().add(name, std::move(device));
}

nb::list devices(const std::string& path) {
  std::vector<DeviceListing> found;
  {
    nb::gil_scoped_release release;
    found = list_devices(path);
  }
  nb::list list;
  for (const DeviceListing& device : found) {
    nb::dict entry;
    entry["name"] = device.name;
    entry["problem"] = device.problem;
    entry["title"] = device.title;
    entry["driver"] = device.driver;
    entry["memory_bytes"] = device.memory_bytes;
    entry["free_memory_bytes"] = device.free_memory_bytes;
    entry["compute_units"] = device.compute_units;
    entry["row_contract"] = device.row_contract;
    list.append(entry);
  }
  return list;
}

nb::dict counters(const Device& device) {
  const DeviceCounters counters = counters_of(device);
  nb::dict dict;
  dict["ops"] = counters.ops;
  dict["host_ops"] = counters.host_ops;
  dict["host_op_bytes"] = counters.host_op_bytes;
  dict["bytes_to_device"] = counters.bytes_to_device;
  dict["bytes_to_host"] = counters.bytes_to_host;
  return dict;
}

// A gradient goes back to where the tensor came from.
Tensor to_device(const Tensor& tensor, nb::handle where) {
  const DevicePtr device = device_from(where);
  const Tensor x = resolved(tensor);
  if (x.device() == device) return tensor;
  check(!mode().substitute, "to", "a compiled module's tensors stay on one device");
  const DevicePtr from = x.device();
  nb::gil_scoped_release release;
  Tensor moved = x.detached().on(device);
  if (!x.trace()) return moved;
  const std::lock_guard lock(tape_mutex());
  tape().record_function(
      "to", std::span(&x, 1), std::span(&moved, 1),
      [from](const GradArgs& args) { return std::vector{args.grad_out[0].on(from)}; });
  return moved;
}

}  // namespace

DevicePtr default_device() {
  const std::lock_guard lock(device_mutex);
  if (!chosen_device) chosen_device = named_devices().at("cpu");
  return chosen_device;
}

DevicePtr device_from(nb::handle value) {
  if (value.is_none()) return default_device();
  DevicePtr device;
  if (nb::try_cast(value, device)) return device;
  if (!nb::isinstance<nb::str>(value)) {
    fail_type("device is a " + class_name(value) + "; wants a yiti.Device or its name");
  }
  const auto name = nb::cast<std::string>(value);
  nb::gil_scoped_release release;
  return named_devices().at(name);
}

Tensor on_host(const Tensor& tensor) {
  return tensor.device()->host_accessible() ? tensor
                                            : tensor.detached().on(tensor.device()->host());
}

void write_elements(const Tensor& source, const Tensor& target) {
  const DevicePtr& device = target.device();
  if (device->host_accessible()) {
    return cpu::copy_elements(on_host(source), target, *device);
  }
  if (!target.is_contiguous()) {
    fail(Code::kUnimplemented, "tensor",
         "writing to a strided view on the device {}; assign to the whole tensor, or on the CPU",
         device->kind());
  }
  const Tensor elements = on_host(source).contiguous();
  device->copy_from_host(target.raw(), elements.raw(), elements.bytes());
}

void add_devices(nb::module_& module) {
  nb::class_<Device>(module, "Device",
                     "Memory, threads and instruction set that tensors live and ops run on.")
      .def_prop_ro(
          "kind",
          [](const Device& device) { return nb::str(device.kind().data(), device.kind().size()); })
      .def_prop_ro(
          "threads", [](Device& device) { return device.threads().size(); },
          "Threads that an op uses at most; of a plug-in's device, the CPU's beside it.")
      .def_prop_ro("live_bytes", &Device::live_bytes, "Bytes of memory in use.")
      .def_prop_ro("peak_bytes", &Device::peak_bytes, "The most that ever were in use.")
      .def_prop_ro("row_contract", &keeps_rows,
                   "Whether a row's result is the same in any batch; a CPU's is.")
      .def_prop_ro(
          "counters", &counters,
          "What a plug-in's device has done: ops, host_ops (that ran on the CPU, since the "
          "device lacks them), host_op_bytes, bytes_to_device, bytes_to_host.")
      .def("synchronise", &Device::synchronise, nb::call_guard<nb::gil_scoped_release>(),
           "Waits until all work that was given to the device is done.")
      .def("__repr__", [](Device& device) {
        const bool cpu = device.host_accessible();
        return cpu ? fmt::format("yiti.cpu(threads={})", device.threads().size())
                   : fmt::format("yiti.Device({})", device.kind());
      });
  module.def(
      "cpu", [](int threads) { return make_cpu_device({.threads = threads}); },
      nb::arg("threads") = 0,
      "A CPU device of its own, with at most this many threads (0: one per processor). Tensors of "
      "two devices do not mix.");
  module.def("devices", &devices, nb::arg("path") = "",
             nb::sig("def devices(path: str = '') -> list[dict[str, object]]"),
             "The devices of the plug-ins in the folders of `path` (separated by ':'; otherwise "
             "YITI_DEVICE_PATH and where they were installed): name, problem (why it cannot be "
             "used; empty: it can), title, driver, memory and compute units.");
  module.def(
      "load_device", &load_device, nb::arg("name"), nb::arg("path") = "",
      nb::arg("fallback") = "cpu", nb::arg("threads") = 0,
      "Opens a plug-in's device, \"NAME\" or \"NAME:INDEX\", or that of a plug-in's file; "
      "the name then stands for it wherever a device is asked for (\"cpu\" goes on to be the "
      "first one's name). fallback: what happens with an op that it lacks: cpu (it runs there, "
      "with "
      "copies) or refuse (an error). threads: of the CPU beside it.");
  module.def("default_device", &default_device, "Where tensors are made unless told otherwise.");
  module.def(
      "set_default_device",
      [](nb::handle wanted) {
        const DevicePtr device = device_from(wanted);
        const std::lock_guard lock(device_mutex);
        chosen_device = device;
      },
      nb::arg("device"), nb::sig("def set_default_device(device: Device | str) -> None"));
}

void add_moving(nb::module_& module) {
  nb::borrow<nb::class_<Tensor>>(module.attr("Tensor"))
      .def("to", &to_device, nb::arg("device"),
           nb::sig("def to(self, device: Device | str) -> Tensor"),
           "This tensor on another device (a yiti.Device or its name): a copy, or itself where "
           "it is there. Gradients flow back.");
}

}  // namespace yiti::python
