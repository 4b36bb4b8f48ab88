// Python's dicts and lists as JSON.
#pragma once

#include <nanobind/nanobind.h>

#include <nlohmann/json.hpp>

namespace yiti::python {

/// Throws what json.dumps does for values that JSON has not.
nlohmann::ordered_json json_from(nanobind::handle value);

}  // namespace yiti::python
