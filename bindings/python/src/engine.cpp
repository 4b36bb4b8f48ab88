#include "bindings/python/src/engine.h"

#include <algorithm>

namespace yiti::python {

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

}  // namespace yiti::python
