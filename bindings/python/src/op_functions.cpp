// A Python function for each op of the registry: arguments, signature and documentation come from
// the op's declaration.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <memory>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"
#include "core/op_text.h"
#include "ops/op_list.h"

namespace yiti::python {
namespace {

// Names, Python types and defaults of an op's attributes.
class AttrLister final : public AttrVisitor {
 public:
  struct Field {
    std::string name, type, value;
    bool list = false;
  };
  void field(const char* name, int64_t& value) override {
    fields.push_back({name, "int", fmt::format("{}", value)});
  }
  void field(const char* name, double& value) override {
    fields.push_back({name, "float", fmt::format("{}", value)});
  }
  void field(const char* name, bool& value) override {
    fields.push_back({name, "bool", value ? "True" : "False"});
  }
  void field(const char* name, std::string& value) override {
    fields.push_back({name, "str", fmt::format("'{}'", value)});
  }
  void field(const char* name, std::vector<int64_t>& value) override {
    fields.push_back({name, "int | collections.abc.Sequence[int]",
                      fmt::format("({})", fmt::join(value, ", ")), true});
  }
  std::vector<Field> fields;
};

// A call's positional arguments: those of a function, or a method's self and what follows.
class Positional {
 public:
  explicit Positional(const nb::args& args) : args_(args) {}
  Positional(nb::handle self, const nb::args& args) : self_(self), args_(args) {}

  size_t size() const { return args_.size() + offset(); }
  nb::object operator[](size_t i) const {
    return i < offset() ? nb::borrow(self_) : nb::borrow(args_[i - offset()]);
  }
  nb::object slice(size_t begin, size_t end) const {
    return nb::steal(PyTuple_GetSlice(args_.ptr(), static_cast<Py_ssize_t>(begin - offset()),
                                      static_cast<Py_ssize_t>(end - offset())));
  }

 private:
  size_t offset() const { return self_.is_valid() ? 1 : 0; }

  nb::handle self_;
  const nb::args& args_;
};

class OpFunction {
 public:
  explicit OpFunction(const Op& op) : op_(op) {
    AttrLister lister;
    op.default_attrs.read(lister);
    fields_ = std::move(lister.fields);
    for (const Op::Output& output : op.outputs) results_ += output.saved ? 0 : 1;
  }

  nb::object operator()(const Positional& args, const nb::kwargs& kwargs) const {
    size_t taken = 0;
    std::vector<nb::object> values = input_values(args, kwargs, taken);
    std::vector<std::pair<std::string_view, nb::object>> given = attr_values(args, kwargs, taken);
    std::vector<Tensor> inputs = tensors(values);
    Attrs attrs = op_.default_attrs;
    if (!given.empty()) {
      AttrWriter writer(op_.name, std::move(given));
      attrs = attrs.rewritten(writer);
    }
    return results(call(op_, std::move(inputs), attrs));
  }

  std::string signature() const {
    std::string text = "def " + op_.name + "(";
    size_t defaults = op_.inputs.size();  // the inputs from here on may be left out
    while (defaults > 0 && op_.inputs[defaults - 1].optional) --defaults;
    for (size_t i = 0; i < op_.inputs.size(); ++i) {
      const Op::Input& input = op_.inputs[i];
      const bool many = op_.variadic && i + 1 == op_.inputs.size();
      text += i == 0 ? "" : ", ";
      text += input.name + (many             ? ": collections.abc.Sequence[Tensor]"
                            : i >= defaults  ? ": Tensor | None = None"
                            : input.optional ? ": Tensor | None"
                                             : ": Tensor");
    }
    for (const AttrLister::Field& field : fields_) {
      text += ", " + field.name + ": " + field.type + " = " + field.value;
    }
    text += ") -> ";
    if (results_ == 1) return text + "Tensor";
    std::string types;
    for (size_t i = 0; i < results_; ++i) types += i == 0 ? "Tensor" : ", Tensor";
    return text + "tuple[" + types + "]";
  }

  std::string doc() const {
    std::string text = op_.doc + "\n\nTakes ";
    for (size_t i = 0; i < op_.inputs.size(); ++i) {
      const Op::Input& input = op_.inputs[i];
      text += fmt::format("{}{} {} ({}{})", i == 0 ? "" : ", ", input.name,
                          input.dims == "*" ? "of any shape" : input.dims, describe(input.kind),
                          input.optional ? "; may be left out" : "");
    }
    text += ". Gives ";
    bool first = true;
    for (const Op::Output& output : op_.outputs) {
      if (output.saved) continue;
      text += fmt::format("{}{}{}", first ? "" : ", ", output.name,
                          output.dims == "*" ? "" : " " + output.dims);
      if (output.alias >= 0 && !op_.view) {
        text += fmt::format(" ({} updated in place)",
                            op_.inputs[static_cast<size_t>(output.alias)].name);
      }
      first = false;
    }
    text += op_.view ? ", a view where it can be." : ".";
    if (!op_.differentiable) text += " Not differentiable.";
    return text + "\n\nSource: " + op_.source;
  }

 private:
  // The values of the op's inputs; `taken` counts the positional arguments used.
  std::vector<nb::object> input_values(const Positional& args, const nb::kwargs& kwargs,
                                       size_t& taken) const {
    std::vector<nb::object> values;
    values.reserve(op_.inputs.size());
    for (const Op::Input& input : op_.inputs) {
      if (kwargs.size() > 0 && kwargs.contains(input.name.c_str())) {
        values.push_back(kwargs[input.name.c_str()]);
      } else if (taken < args.size()) {
        values.push_back(args[taken++]);
      } else if (input.optional) {
        values.push_back(nb::none());
      } else {
        fail_type(fmt::format("{}() misses its argument {} {}", op_.name, input.name, input.dims));
      }
    }
    if (!op_.variadic) return values;
    const nb::object parts = values.back();
    values.pop_back();
    if (nb::isinstance<Tensor>(parts)) {
      values.push_back(parts);
      while (taken < args.size() && nb::isinstance<Tensor>(args[taken])) {
        values.push_back(args[taken++]);
      }
    } else if (nb::isinstance<nb::sequence>(parts)) {
      for (nb::handle part : parts) values.push_back(nb::borrow(part));
    } else {
      fail_type(fmt::format("{}: {} is a {}; wants a sequence of Tensors", op_.name,
                            op_.inputs.back().name, class_name(parts)));
    }
    return values;
  }

  std::vector<std::pair<std::string_view, nb::object>> attr_values(const Positional& args,
                                                                   const nb::kwargs& kwargs,
                                                                   size_t taken) const {
    std::vector<std::pair<std::string_view, nb::object>> given;
    for (size_t i = 0; taken < args.size(); ++i) {
      if (i >= fields_.size()) {
        fail_type(fmt::format("{}() got too many arguments; it is {}", op_.name, signature()));
      }
      // x.reshape(2, -1): the ints that follow one another make up a list.
      if (fields_[i].list && PyLong_Check(args[taken].ptr())) {
        const size_t first = taken;
        while (taken < args.size() && PyLong_Check(args[taken].ptr())) ++taken;
        given.emplace_back(fields_[i].name, args.slice(first, taken));
      } else {
        given.emplace_back(fields_[i].name, args[taken++]);
      }
    }
    for (const auto& [key, value] : kwargs) {
      const auto name = nb::cast<std::string_view>(key);
      const auto same = [&](const auto& entry) { return entry.name == name; };
      if (std::any_of(op_.inputs.begin(), op_.inputs.end(), same)) continue;
      if (std::none_of(fields_.begin(), fields_.end(), same)) {
        fail_type(fmt::format("{}() has no argument {}; it is {}", op_.name, name, signature()));
      }
      given.emplace_back(name, nb::borrow(value));
    }
    return given;
  }

  std::vector<Tensor> tensors(const std::vector<nb::object>& values) const {
    const Tensor* like = nullptr;
    for (const nb::object& value : values) {
      if (like == nullptr && !value.is_none()) nb::try_cast(value, like);
    }
    std::vector<Tensor> inputs;
    inputs.reserve(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string& name = op_.inputs[std::min(i, op_.inputs.size() - 1)].name;
      if (values[i].is_none()) {
        inputs.emplace_back();
      } else if (like == nullptr) {
        fail_type(
            fmt::format("{}: {} is a {}; wants a Tensor", op_.name, name, class_name(values[i])));
      } else {
        inputs.push_back(operand_from(values[i], *like, op_.name, name));
      }
    }
    return inputs;
  }

  nb::object results(std::vector<Tensor> outputs) const {
    if (results_ == 1) {
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (!op_.outputs[i].saved) return nb::cast(std::move(outputs[i]));
      }
    }
    nb::list list;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!op_.outputs[i].saved) list.append(nb::cast(std::move(outputs[i])));
    }
    return nb::tuple(list);
  }

  const Op& op_;
  std::vector<AttrLister::Field> fields_;
  size_t results_ = 0;
};

bool makes_a_method(const Op& op) {
  const bool updates = std::any_of(op.outputs.begin(), op.outputs.end(), [&](const auto& output) {
    return output.alias >= 0 && !op.view;
  });
  return !updates && !op.variadic && !op.inputs[0].optional &&
         op.name.find("_backward") == std::string::npos;
}

}  // namespace

void add_ops(nb::module_& module) {
  nb::module_ ops = module.def_submodule("ops", "Every op of the registry as a function.");
  ops.attr("Tensor") = module.attr("Tensor");
  const nb::object tensor = module.attr("Tensor");
  for (const Op* op : all_ops()) {
    const auto function = std::make_shared<const OpFunction>(*op);
    const auto run = [function](const nb::args& args, const nb::kwargs& kwargs) {
      return (*function)(Positional(args), kwargs);
    };
    const std::string signature = function->signature(), doc = function->doc();
    ops.def(op->name.c_str(), run, nb::sig(signature.c_str()), doc.c_str());
    if (makes_a_method(*op) && !nb::hasattr(tensor, op->name.c_str())) {
      const auto method = [function](nb::handle self, const nb::args& args,
                                     const nb::kwargs& kwargs) -> nb::object {
        return (*function)(Positional(self, args), kwargs);
      };
      nb::cpp_function_def(method, nb::scope(tensor), nb::name(op->name.c_str()), nb::is_method(),
                           nb::sig(signature.c_str()), doc.c_str());
    }
  }
}

}  // namespace yiti::python
