// A module's forward as a program that runs without Python: yiti.Session.
#include "inference/session.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "bindings/python/src/engine.h"
#include "core/shape_text.h"
#include "ops/shape/contiguous.h"

namespace yiti::python {
namespace {

struct Named {
  std::string name;
  Tensor own;  // the session's copy of the parameter
};

bool same_view(const Tensor& a, const Tensor& b) {
  return a.same_memory(b) && a.shape() == b.shape() && a.strides() == b.strides();
}

class CompiledModule {
 public:
  using Parameters = std::vector<std::pair<std::string, Tensor>>;

  // `forward` is called once with stand-ins of the examples.
  CompiledModule(const nb::callable& forward, const std::vector<Tensor>& examples,
                 const Parameters& parameters, std::optional<int64_t> max_batch) {
    check(!examples.empty(), "compile", "wants an example of each input");
    ProgramBuilder builder("module", examples[0].device());
    std::vector<Tensor> stand_ins;
    for (const auto& [name, tensor] : parameters) {
      own_.push_back({name, tensor.copy()});
      stand_ins.push_back(builder.state(name, own_.back().own));
    }
    if (max_batch) {
      check(*max_batch > 0, "compile", "max_batch is {}; wants 1 or more", *max_batch);
      symbol_ = builder.symbol("N", *max_batch);
    }
    nb::list inputs;
    for (size_t i = 0; i < examples.size(); ++i) {
      inputs.append(
          builder.input(fmt::format("input{}", i), dims_of(examples[i]), examples[i].dtype()));
      dtypes_.push_back(examples[i].dtype());
    }
    const ScopedMode capturing(Mode{.records = false, .substitute = [&](const Tensor& tensor) {
                                      if (tensor.trace() && !tape().follows(tensor)) return tensor;
                                      for (size_t i = 0; i < parameters.size(); ++i) {
                                        if (same_view(parameters[i].second, tensor))
                                          return stand_ins[i];
                                      }
                                      return tensor.detached();
                                    }});
    const nb::object result = forward(*nb::tuple(inputs));
    several_ = nb::isinstance<nb::tuple>(result) || nb::isinstance<nb::list>(result);
    if (several_) {
      for (nb::handle output : result) builder.output(tensor_from(output, "an output"));
    } else {
      builder.output(tensor_from(result, "the output"));
    }
    session_.emplace(builder.finish());
  }

  nb::object run(const nb::args& args) {
    check(args.size() == dtypes_.size(), "session", "got {} inputs; wants {}", args.size(),
          dtypes_.size());
    std::vector<Tensor> inputs, outputs;
    for (nb::handle arg : args) inputs.push_back(tensor_from(arg, "an input"));
    {
      nb::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      run_locked(inputs, outputs);
    }
    if (!several_) return nb::cast(std::move(outputs[0]));
    nb::list list;
    for (Tensor& output : outputs) list.append(nb::cast(std::move(output)));
    return nb::tuple(list);
  }

  void load(const Parameters& parameters) {
    check(parameters.size() == own_.size(), "session", "got {} parameters; has {}",
          parameters.size(), own_.size());
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < own_.size(); ++i) {
      const auto& [name, tensor] = parameters[i];
      check(name == own_[i].name && tensor.shape() == own_[i].own.shape() &&
                tensor.dtype() == own_[i].own.dtype(),
            "session", "parameter {} is {} {}; wants {} {}", i, name, tensor.shape(), own_[i].name,
            own_[i].own.shape());
    }
    for (size_t i = 0; i < own_.size(); ++i)
      write_elements(parameters[i].second.detached(), own_[i].own);
  }

  std::string explain() const { return session_->explain(); }

 private:
  std::vector<Dim> dims_of(const Tensor& example) const {
    check(!symbol_ || example.rank() > 0, "compile", "max_batch wants inputs with a first axis");
    std::vector<Dim> dims;
    for (int axis = 0; axis < example.rank(); ++axis) {
      dims.push_back(axis == 0 && symbol_ ? *symbol_ : Dim{example.dim(axis)});
    }
    return dims;
  }

  void run_locked(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs) {
    std::vector<int64_t> sizes;
    if (symbol_) sizes.push_back(inputs[0].rank() > 0 ? inputs[0].dim(0) : 0);
    if (symbol_) {
      check(sizes[0] <= symbol_->constant, "session", "a batch of {}; compiled for {} at most",
            sizes[0], symbol_->constant);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& memory = session_->input(i);
      Shape wanted = memory.shape();
      if (symbol_) wanted.set(0, sizes[0]);
      check(inputs[i].shape() == wanted && inputs[i].dtype() == dtypes_[i], "session",
            "input {} is {} of {}; wants {} of {}", i, inputs[i].shape(), name(inputs[i].dtype()),
            wanted, name(dtypes_[i]));
      write_elements(inputs[i].detached(),
                     Tensor::of_storage(memory.storage(), 0, wanted, dtypes_[i]));
    }
    session_->run(sizes, nullptr);
    const size_t count = session_->program().outputs.size();
    for (size_t i = 0; i < count; ++i) outputs.push_back(session_->output(i).copy());
  }

  std::vector<Named> own_;
  std::vector<DType> dtypes_;
  std::optional<Dim> symbol_;
  bool several_ = false;
  std::mutex mutex_;
  std::optional<Session> session_;
};

}  // namespace

void add_session(nb::module_& module) {
  nb::class_<CompiledModule>(module, "CompiledModule")
      .def(nb::init<const nb::callable&, const std::vector<Tensor>&,
                    const CompiledModule::Parameters&, std::optional<int64_t>>(),
           nb::arg("forward"), nb::arg("examples"), nb::arg("parameters"),
           nb::arg("max_batch") = nb::none())
      .def("__call__", &CompiledModule::run)
      .def("load", &CompiledModule::load, nb::arg("parameters"))
      .def("explain", &CompiledModule::explain);
}

}  // namespace yiti::python
