// Exceptions: one class for each of yiti's codes.
#include <nanobind/stl/string.h>

#include <array>

#include "bindings/python/src/bindings.h"
#include "core/error.h"

namespace yiti::python {
namespace {

struct ErrorClass {
  Code code;
  const char* name;
  std::array<PyObject* const*, 2> built_ins;  // that it derives from beside yiti.Error
};

const ErrorClass kClasses[] = {
    {Code::kCancelled, "CancelledError", {}},
    {Code::kInvalidArgument, "InvalidArgumentError", {&PyExc_ValueError}},
    {Code::kNotFound, "NotFoundError", {&PyExc_LookupError, &PyExc_FileNotFoundError}},
    {Code::kAlreadyExists, "AlreadyExistsError", {&PyExc_ValueError}},
    {Code::kOutOfRange, "OutOfRangeError", {&PyExc_IndexError}},
    {Code::kFailedPrecondition, "FailedPreconditionError", {&PyExc_RuntimeError}},
    {Code::kResourceExhausted, "ResourceExhaustedError", {&PyExc_MemoryError}},
    {Code::kUnimplemented, "UnimplementedError", {&PyExc_NotImplementedError}},
    {Code::kUnavailable, "UnavailableError", {&PyExc_ConnectionError}},
    {Code::kDataLoss, "DataLossError", {&PyExc_RuntimeError}},
    {Code::kInternal, "InternalError", {&PyExc_RuntimeError}},
};

// By the number of the code; the module keeps them alive.
std::array<PyObject*, std::size(kClasses)> classes;

PyObject* add_class(nb::module_& module, const char* name, nb::handle bases, const char* doc) {
  const std::string full = std::string("yiti.") + name;
  PyObject* made = PyErr_NewExceptionWithDoc(full.c_str(), doc, bases.ptr(), nullptr);
  if (made == nullptr) throw nb::python_error();
  module.attr(name) = nb::borrow(made);
  return made;
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const Error& error) {
    PyErr_SetString(classes[static_cast<size_t>(error.code())], error.what());
  }
}

}  // namespace

void add_errors(nb::module_& module) {
  const nb::handle base =
      add_class(module, "Error", nb::handle(PyExc_Exception),
                "What yiti raises. `code` is one of the canonical RPC codes; each has a subclass.");
  for (const ErrorClass& entry : kClasses) {
    nb::list bases;
    bases.append(base);
    for (PyObject* const* built_in : entry.built_ins) {
      if (built_in != nullptr) bases.append(nb::handle(*built_in));
    }
    const std::string code(code_name(entry.code));
    PyObject* made =
        add_class(module, entry.name, nb::tuple(bases), ("Code " + code + ".").c_str());
    nb::setattr(made, "code", nb::cast(code));
    classes[static_cast<size_t>(entry.code)] = made;
  }
  nb::register_exception_translator(&translate);
}

}  // namespace yiti::python
