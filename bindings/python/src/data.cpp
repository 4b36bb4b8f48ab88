// JSONL as packed batches, for training loops of one's own.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "models/text/text_model.h"
#include "training/data/packing.h"

namespace yiti::python {
namespace {

class TextBatches {
 public:
  TextBatches(nb::handle path, const TextModel& text, int64_t batch_tokens, uint64_t seed,
              bool shuffle, bool train_on_prompt, int64_t max_tokens)
      : set_(read(path, text, train_on_prompt, max_tokens > 0 ? max_tokens : batch_tokens)),
        data_(set_.examples, {.batch_tokens = batch_tokens, .seed = seed, .shuffle = shuffle}) {}

  // The batches of an epoch: (tokens, labels, positions) each.
  nb::list epoch(int64_t number) const {
    const EpochPlan plan = data_.plan(number);
    nb::list batches;
    for (size_t i = 0; i < plan.size(); ++i) {
      const Batch batch = data_.batch(plan, static_cast<int64_t>(i));
      batches.append(
          nb::make_tuple(tensor(batch.tokens), tensor(batch.labels), tensor(batch.positions)));
    }
    return batches;
  }

  const ExampleSet& examples() const { return set_; }

 private:
  static ExampleSet read(nb::handle path, const TextModel& text, bool train_on_prompt,
                         int64_t max_tokens) {
    const auto name = path_from(path);
    nb::gil_scoped_release release;
    const std::vector<DataRow> rows = read_jsonl(name);
    ExampleOptions options;
    options.train_on_prompt = train_on_prompt;
    options.max_tokens = max_tokens;
    return make_examples(rows, text, options);
  }

  static Tensor tensor(const std::vector<int32_t>& values) {
    return Tensor::from(values, {static_cast<int64_t>(values.size())}, default_device());
  }

  const ExampleSet set_;
  const PackedData data_;
};

}  // namespace

void add_data(nb::module_& module) {
  nb::class_<TextBatches>(
      module, "TextBatches",
      "JSONL (messages, prompt and completion, or text in each line) as packed batches: documents "
      "one after the other, without padding. The order follows from seed and epoch alone. Labels "
      "are the next tokens, -100 where the loss does not count.")
      .def(nb::init<nb::handle, const TextModel&, int64_t, uint64_t, bool, bool, int64_t>(),
           nb::arg("path"), nb::arg("tokenizer"), nb::arg("batch_tokens") = 1024,
           nb::arg("seed") = 0, nb::arg("shuffle") = true, nb::arg("train_on_prompt") = false,
           nb::arg("max_tokens") = 0)
      .def("epoch", &TextBatches::epoch, nb::arg("number") = 0,
           nb::sig("def epoch(self, number: int = 0) -> list[tuple[Tensor, Tensor, Tensor]]"),
           "The batches of an epoch: tokens, labels and positions, [T] int32 each.")
      .def("__len__", [](const TextBatches& self) { return self.examples().examples.size(); })
      .def_prop_ro("tokens", [](const TextBatches& self) { return self.examples().tokens; })
      .def_prop_ro("trained_tokens",
                   [](const TextBatches& self) { return self.examples().trained_tokens; })
      .def_prop_ro(
          "notes", [](const TextBatches& self) { return self.examples().notes; },
          "What a person should know before training.");
}

}  // namespace yiti::python
