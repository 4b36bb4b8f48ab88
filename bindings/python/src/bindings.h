// The parts of the extension module; each adds its classes and functions to `module`.
#pragma once

#include <nanobind/nanobind.h>

namespace yiti::python {

namespace nb = nanobind;

void add_errors(nb::module_& module);
void add_devices(nb::module_& module);
void add_tensor(nb::module_& module);
void add_moving(nb::module_& module);
void add_creation(nb::module_& module);
void add_ops(nb::module_& module);
void add_autograd(nb::module_& module);
void add_files(nb::module_& module);
void add_training(nb::module_& module);
void add_session(nb::module_& module);
void add_text(nb::module_& module);
void add_data(nb::module_& module);
void add_language(nb::module_& module);
void add_language_forward(nb::module_& module);
void add_fine_tune(nb::module_& module);
void add_serving(nb::module_& module);

}  // namespace yiti::python
