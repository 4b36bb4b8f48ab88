// Tokenizers and chat templates.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/json.h"
#include "models/text/text_model.h"

namespace yiti::python {
namespace {

nb::object text_of(const std::string& bytes) {
  return nb::steal(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

std::string render(const TextModel& text, nb::handle messages, bool add_generation_prompt,
                   nb::handle variables) {
  if (!text.chat) {
    fail(Code::kFailedPrecondition, "chat", "the model has no chat template{}{}",
         text.chat_error.empty() ? "" : ": ", text.chat_error);
  }
  const nlohmann::ordered_json given = json_from(variables);
  return text.chat->render(json_from(messages), {.add_generation_prompt = add_generation_prompt,
                                                 .variables = given.is_object() ? &given : nullptr,
                                                 .now_unix_s = {}});
}

}  // namespace

nlohmann::ordered_json json_from(nb::handle value) {
  const auto text = nb::cast<std::string>(nb::module_::import_("json").attr("dumps")(value));
  nlohmann::ordered_json parsed = nlohmann::ordered_json::parse(text, nullptr, false);
  check(!parsed.is_discarded(), "json", "got {}; wants numbers that are finite and whole Unicode",
        text.substr(0, 100));
  return parsed;
}

void add_text(nb::module_& module) {
  nb::class_<TextModel>(module, "Tokenizer",
                        "A model's tokenizer and chat template. Immutable and thread-safe.")
      .def_static(
          "load",
          [](nb::handle path) {
            const std::string name = path_from(path);
            nb::gil_scoped_release release;
            return load_text_model(name).value();
          },
          nb::arg("path"), nb::sig("def load(path: object) -> Tokenizer"),
          "From a GGUF file or a Hugging Face folder.")
      .def(
          "encode",
          [](const TextModel& text, const std::string& string, bool add_special,
             bool parse_special) {
            return text.tokenizer.encode(string, {add_special, parse_special});
          },
          nb::arg("text"), nb::arg("add_special") = true, nb::arg("parse_special") = true,
          "Token ids. add_special: with what the model wants before and after a text (BOS).")
      .def(
          "decode",
          [](const TextModel& text, const std::vector<int32_t>& ids, bool skip_special) {
            return text_of(text.tokenizer.decode(ids, skip_special));
          },
          nb::arg("ids"), nb::arg("skip_special") = true)
      .def(
          "token_id",
          [](const TextModel& text, const std::string& piece) {
            const int32_t id = text.tokenizer.find(piece);
            if (id < 0) fail(Code::kNotFound, "tokenizer", "no token is \"{}\"", piece);
            return id;
          },
          nb::arg("piece"))
      .def_prop_ro("vocab_size", [](const TextModel& text) { return text.tokenizer.vocab_size(); })
      .def_prop_ro(
          "bos", [](const TextModel& text) { return text.tokenizer.bos(); }, "-1: none.")
      .def_prop_ro(
          "eos", [](const TextModel& text) { return text.tokenizer.eos(); }, "-1: none.")
      .def_prop_ro("stop_tokens", [](const TextModel& text) { return text.stop_tokens; })
      .def("render_chat", &render, nb::arg("messages"), nb::arg("add_generation_prompt") = true,
           nb::arg("variables") = nb::none(),
           nb::sig("def render_chat(self, messages: list[dict], add_generation_prompt: bool = "
                   "True, variables: dict | None = None) -> str"),
           "A conversation as the text that the model was trained on.")
      .def(
          "encode_chat",
          [](const TextModel& text, nb::handle messages, nb::handle variables) {
            const nlohmann::ordered_json given = json_from(variables);
            return text.chat_prompt(json_from(messages), given.is_object() ? &given : nullptr);
          },
          nb::arg("messages"), nb::arg("variables") = nb::none(),
          nb::sig("def encode_chat(self, messages: list[dict], variables: dict | None = None) -> "
                  "list[int]"),
          "A conversation as a prompt for the assistant's next turn.");
}

}  // namespace yiti::python
