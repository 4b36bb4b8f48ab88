// A loaded model's forward as a differentiable function of its parameters.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/model.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"
#include "core/shape_text.h"
#include "models/lora.h"
#include "ops/shape/cast.h"
#include "training/training_context.h"

namespace yiti::python {
namespace {

using bindings::Model;
using Named = std::map<std::string, Tensor>;

// One id or place for each token, as the model's ops take them.
Tensor row_of_ids(const Tensor& ids, const char* argument, int64_t count) {
  check(ids.rank() == 1 && is_integer(ids.dtype()), "forward",
        "{} is {} of {}; wants [T] of int32 or int64", argument, ids.shape(), name(ids.dtype()));
  check(count < 0 || ids.dim(0) == count, "forward", "{} is {}; wants one for each of {} tokens",
        argument, ids.shape(), count);
  return ops::cast(ids, DType::kI32);
}

Parameter parameter_at(const Model& model, const std::string& name, const Tensor& value) {
  const Parameter parameter = model.definition()->store()->at(name);
  const VersionPtr version = model.version();
  const Tensor& own = (*version)[parameter];
  check(value.shape() == own.shape() && value.device() == own.device(), "parameters",
        "{} is {} on {}; wants {} on {}", name, value.shape(), value.device()->kind(), own.shape(),
        own.device()->kind());
  check(value.dtype() == DType::kF32, "parameters", "{} is {}; wants f32", name,
        yiti::name(value.dtype()));
  return parameter;
}

Tensor forward(const Model& model, const Tensor& tokens, const std::optional<Tensor>& positions,
               const std::optional<Tensor>& labels, const Named& parameters) {
  TrainingContext::Watched values;
  for (const auto& [name, value] : parameters) {
    values[parameter_at(model, name, value).index] = resolved(value);
  }
  const DevicePtr& device = model.definition()->device();
  TrainingInputs inputs;
  inputs.tokens = row_of_ids(resolved(tokens), "tokens", -1);
  const int64_t count = inputs.tokens.dim(0);
  check(count > 0, "forward", "there are no tokens");
  if (positions) {
    inputs.positions = row_of_ids(resolved(*positions), "positions", count);
  } else {
    std::vector<int32_t> places(static_cast<size_t>(count));
    for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int32_t>(i);
    inputs.positions = Tensor::from(places, {count}, device);
  }
  if (labels) inputs.labels = row_of_ids(resolved(*labels), "labels", count);
  return with_tape([&] {
    TrainingContext context(*model.definition(), model.version(), inputs, nullptr, &values);
    return (*model.definition())(inputs.tokens, context);
  });
}

// Copies of the newest version's tensors, to be trained.
Named trainable(const Model& model, const std::optional<std::vector<std::string>>& wanted) {
  const StorePtr& store = model.definition()->store();
  std::vector<std::string> names = wanted ? *wanted : lora_parameters(*store);
  if (names.empty()) names = store->names();
  nb::gil_scoped_release release;
  const VersionPtr version = model.version();
  Named tensors;
  for (const std::string& name : names) {
    const Tensor& own = (*version)[store->at(name)];
    if (own.dtype() != DType::kF32) {
      fail(Code::kFailedPrecondition, "parameters",
           "{} is {}, which cannot be trained: add an adapter, or load the model dequantised", name,
           yiti::name(own.dtype()));
    }
    tensors.emplace(name, own.copy());
  }
  return tensors;
}

uint64_t publish(const Model& model, const Named& parameters) {
  nb::gil_scoped_release release;
  std::vector<std::pair<Parameter, Tensor>> changes;
  for (const auto& [name, value] : parameters) {
    changes.emplace_back(parameter_at(model, name, value), value.detached().copy());
  }
  return model.definition()->store()->publish(changes)->number();
}

}  // namespace

void add_language_forward(nb::module_& module) {
  nb::borrow<nb::class_<Model>>(module.attr("Model"))
      .def("forward", &forward, nb::arg("tokens"), nb::arg("positions") = nb::none(),
           nb::arg("labels") = nb::none(), nb::arg("parameters") = Named(),
           nb::sig("def forward(self, tokens: Tensor, positions: Tensor | None = None, labels: "
                   "Tensor | None = None, parameters: dict[str, Tensor] = {}) -> Tensor"),
           "The logits [T, vocab] of tokens [T], documents one after the other, each from position "
           "0 on (left out: one document). With labels [T], each token's loss [T], 0 where the "
           "label is -100. Differentiable in `parameters`, which stand in for the model's own.")
      .def(
          "trainable", &trainable, nb::arg("names") = nb::none(),
          nb::sig("def trainable(self, names: list[str] | None = None) -> dict[str, Tensor]"),
          "Copies of the parameters of these names, otherwise the adapter's, or all where there is "
          "none. Throws FailedPreconditionError for one that is not float32.")
      .def("publish", &publish, nb::arg("parameters"),
           nb::sig("def publish(self, parameters: dict[str, Tensor]) -> int"),
           "Makes these the values of a new version, which requests that begin from then on see; "
           "gives its number. The tensors are copied.");
}

}  // namespace yiti::python
