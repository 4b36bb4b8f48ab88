// Gradients: requires_grad, backward, no_grad, and what the transforms in yiti/autograd.py need.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"

namespace yiti::python {
namespace {

void set_requires_grad(Tensor& tensor, bool wanted) {
  with_tape([&] {
    if (wanted == tape().follows(tensor)) return;
    check(wanted || tape().watches(tensor), "autograd",
          "the gradient of a computed tensor is always followed; detach() it instead");
    tensor = wanted ? tape().watch(tensor) : tensor.detached();
  });
}

// A gradient's own code may use tensors that are followed, whatever this thread is in the midst of.
void backward(const Tensor& tensor, const std::optional<Tensor>& gradient) {
  const ScopedMode recording(Mode{});
  with_tape([&] { tape().backward(tensor, gradient.value_or(Tensor())); });
}

std::vector<std::optional<Tensor>> gradients(const Tensor& output,
                                             const std::vector<Tensor>& watched,
                                             const std::optional<Tensor>& gradient) {
  const ScopedMode recording(Mode{});
  const std::vector<Tensor> found =
      with_tape([&] { return tape().gradients(output, watched, gradient.value_or(Tensor())); });
  std::vector<std::optional<Tensor>> grads;
  for (const Tensor& grad : found) {
    grads.push_back(grad.defined() ? std::optional(grad) : std::nullopt);
  }
  return grads;
}

std::optional<Tensor> grad_of(const Tensor& tensor) {
  const Tensor grad = with_tape([&] { return tape().grad(tensor); });
  return grad.defined() ? std::optional(grad) : std::nullopt;
}

Tensor checkpoint(const nb::object& f, const Tensor& x) {
  if (mode().substitute || !resolved(x).trace()) return tensor_from(f(x), "what the function gave");
  const auto held = shared(f);
  const auto run = [held](const Tensor& input) {
    nb::gil_scoped_acquire gil;
    const ScopedMode recording(Mode{});
    return tensor_from((*held)(input), "what the function gave");
  };
  return with_tape([&] { return tape().checkpoint(run, x); });
}

std::vector<Tensor> tensors_from(nb::handle result, size_t wanted, const std::string& name) {
  nb::list list;
  if (nb::isinstance<nb::tuple>(result) || nb::isinstance<nb::list>(result)) {
    list = nb::list(nb::borrow(result));
  } else {
    list.append(result);
  }
  check(nb::len(list) == wanted, name, "its backward gave {} gradients for {} inputs",
        nb::len(list), wanted);
  std::vector<Tensor> tensors;
  for (nb::handle item : list) {
    tensors.push_back(item.is_none() ? Tensor()
                                     : tensor_from(item, name + ": a gradient").detached());
  }
  return tensors;
}

// Follows untraced `outputs` of a Python function; backward(*gradients) gives the inputs'.
std::vector<Tensor> record_function(const std::string& name, std::vector<Tensor> inputs,
                                    std::vector<Tensor> outputs, const nb::object& backward) {
  check(!mode().substitute, name, "a function with a gradient of its own cannot be compiled");
  for (Tensor& input : inputs) input = resolved(input);
  const auto held = shared(backward);
  const auto run = [held, name](const GradArgs& args) {
    nb::gil_scoped_acquire gil;
    const ScopedMode quiet(Mode{.records = false});
    nb::list gradients;
    for (size_t i = 0; i < args.grad_out.size(); ++i) {
      const Tensor& grad = args.grad_out[i];
      gradients.append(grad.defined() ? grad
                                      : Tensor::zeros(args.out[i].shape(), args.out[i].dtype(),
                                                      args.out[i].device()));
    }
    std::vector<Tensor> grads = tensors_from((*held)(*nb::tuple(gradients)), args.in.size(), name);
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!grads[i].defined() && args.wanted[i]) {
        grads[i] = Tensor::zeros(args.in[i].shape(), args.in[i].dtype(), args.in[i].device());
      }
    }
    return grads;
  };
  with_tape([&] { tape().record_function(name, inputs, outputs, run); });
  return outputs;
}

}  // namespace

void add_autograd(nb::module_& module) {
  auto tensor = nb::borrow<nb::class_<Tensor>>(module.attr("Tensor"));
  tensor
      .def_prop_rw(
          "requires_grad", [](const Tensor& x) { return tape().follows(x); }, &set_requires_grad,
          "Whether ops on this tensor are followed, so that backward() finds its gradient.")
      .def(
          "requires_grad_",
          [](nb::handle self, bool wanted) {
            set_requires_grad(self_from(self), wanted);
            return nb::borrow(self);
          },
          nb::arg("wanted") = true,
          nb::sig("def requires_grad_(self, wanted: bool = True) -> Tensor"))
      .def_prop_ro("is_leaf",
                   [](const Tensor& x) {
                     return !x.trace() || with_tape([&] { return tape().watches(x); });
                   })
      .def_prop_rw(
          "grad", &grad_of,
          [](const Tensor& x, const std::optional<Tensor>& grad) {
            with_tape([&] { tape().set_grad(x, grad.value_or(Tensor())); });
          },
          nb::arg("grad").none(),
          "The gradient that backward() gathered, or None. Assign None to forget it.")
      .def("backward", &backward, nb::arg("gradient") = nb::none(),
           "Adds the gradient of this tensor to `grad` of all that it was computed from. "
           "`gradient` is its own, and may be left out for one element. What was recorded on the "
           "way is then forgotten.");
  module.def("gradients", &gradients, nb::arg("output"), nb::arg("watched"),
             nb::arg("gradient") = nb::none(),
             "The gradients of `output` for `watched`; None where it does not depend on one.");
  module.def("checkpoint", &checkpoint, nb::arg("f"), nb::arg("x"),
             "f(x), keeping only x: f runs again during the backward pass, and must give the same "
             "again. It takes and gives one tensor.");
  module.def("record_function", &record_function, nb::arg("name"), nb::arg("inputs"),
             nb::arg("outputs"), nb::arg("backward"));
  module.def(
      "set_recording", [](bool records) { return std::exchange(mode().records, records); },
      nb::arg("records"), "Whether this thread's ops are followed; gives what was before.");
  module.def("is_recording", [] { return mode().records; });
  // What is recorded when the interpreter ends may hold Python's objects.
  nb::module_::import_("atexit").attr("register")(
      nb::cpp_function([] { with_tape([] { tape().clear(); }); }));
}

}  // namespace yiti::python
