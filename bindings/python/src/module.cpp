#include <nanobind/nanobind.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/waiting.h"

NB_MODULE(_yiti, module) {
  using namespace yiti::python;
  nanobind::set_leak_warnings(false);  // of objects that live until the interpreter ends
  module.doc() = "yiti's C++ side; import yiti instead.";
  module.attr("__version__") = YITI_VERSION;
  add_waiting();
  add_errors(module);
  add_devices(module);
  add_tensor(module);
  add_moving(module);
  add_creation(module);
  add_ops(module);
  add_autograd(module);
  add_files(module);
  add_training(module);
  add_session(module);
  add_text(module);
  add_data(module);
  add_language(module);
  add_language_forward(module);
  add_fine_tune(module);
  add_serving(module);
}
