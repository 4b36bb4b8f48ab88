#include "bindings/python/src/engine.h"

#include <nanobind/stl/shared_ptr.h>

#include <algorithm>

#include "bindings/python/src/bindings.h"

namespace yiti::python {
namespace {

std::mutex device_mutex;
DevicePtr chosen_device;  // with device_mutex

}  // namespace

DevicePtr default_device() {
  const std::lock_guard lock(device_mutex);
  if (!chosen_device) chosen_device = make_cpu_device();
  return chosen_device;
}

void set_default_device(DevicePtr device) {
  const std::lock_guard lock(device_mutex);
  chosen_device = std::move(device);
}

// Neither is ever destroyed: the tape holds Python objects, which outlive no interpreter.
Tape& tape() {
  static auto& shared_tape = *new std::shared_ptr<Tape>(Tape::create());
  return *shared_tape;
}

std::recursive_mutex& tape_mutex() {
  static auto& mutex = *new std::recursive_mutex;
  return mutex;
}

Mode& mode() {
  thread_local Mode current;
  return current;
}

Tensor resolved(const Tensor& tensor) {
  const Mode& current = mode();
  if (current.substitute && tensor.defined()) return current.substitute(tensor);
  return current.records ? tensor : tensor.detached();
}

std::vector<Tensor> call(const Op& op, std::vector<Tensor> inputs, const Attrs& attrs) {
  if (mode().substitute || !mode().records) {
    for (Tensor& input : inputs) input = resolved(input);
  }
  const bool traced =
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) { return input.trace(); });
  nb::gil_scoped_release release;
  std::unique_lock<std::recursive_mutex> lock;
  if (traced) lock = std::unique_lock(tape_mutex());
  return op(inputs, attrs);
}

Tensor call1(const Op& op, std::vector<Tensor> inputs, const Attrs& attrs) {
  return call(op, std::move(inputs), attrs)[0];
}

std::shared_ptr<nb::object> shared(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* held) {
            if (!Py_IsInitialized()) return;  // the interpreter has ended: let it leak
            nb::gil_scoped_acquire gil;
            delete held;
          }};
}

void add_devices(nb::module_& module) {
  nb::class_<Device>(module, "Device",
                     "Memory, threads and instruction set that tensors live and ops run on.")
      .def_prop_ro("kind", [](const Device& device) { return nb::str(device.kind().data()); })
      .def_prop_ro(
          "threads", [](Device& device) { return device.threads().size(); },
          "Threads that an op uses at most.")
      .def_prop_ro("live_bytes", &Device::live_bytes, "Bytes of memory in use.")
      .def_prop_ro("peak_bytes", &Device::peak_bytes, "The most that ever were in use.")
      .def("__repr__", [](Device& device) {
        return nb::str("yiti.cpu(threads={})").format(device.threads().size());
      });
  module.def(
      "cpu", [](int threads) { return make_cpu_device({.threads = threads}); },
      nb::arg("threads") = 0,
      "A CPU device of its own, with at most this many threads (0: one per processor). Tensors of "
      "two devices do not mix.");
  module.def("default_device", &default_device, "Where tensors are made unless told otherwise.");
  module.def("set_default_device", &set_default_device, nb::arg("device"));
}

}  // namespace yiti::python
