// Tensors in safetensors files.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "core/io/safetensors.h"

namespace yiti::python {
namespace {

std::map<std::string, Tensor> load(nb::handle path, nb::handle device) {
  const std::string name = path_from(path);
  const DevicePtr where = device_from(device);
  nb::gil_scoped_release release;
  const Safetensors file = Safetensors::open(name, where);
  std::map<std::string, Tensor> tensors;
  for (const std::string& key : file.names()) tensors.emplace(key, file.tensor(key));
  return tensors;
}

void save(nb::handle path, const std::map<std::string, Tensor>& tensors,
          const std::map<std::string, std::string>& metadata) {
  const std::string name = path_from(path);
  nb::gil_scoped_release release;
  write_safetensors(name, {tensors.begin(), tensors.end()}, metadata);
}

std::map<std::string, std::string> metadata_of(nb::handle path) {
  const std::string name = path_from(path);
  return SafetensorsFile::open(name, default_device())->metadata();
}

}  // namespace

void add_files(nb::module_& module) {
  module.def("load_safetensors", &load, nb::arg("path"), nb::arg("device") = nb::none(),
             nb::sig("def load_safetensors(path: object, device: Device | str | None = None) "
                     "-> dict[str, Tensor]"),
             "The tensors of a .safetensors file, an index of shards or a folder: views of the "
             "mapped file, read-only.");
  module.def("save_safetensors", &save, nb::arg("path"), nb::arg("tensors"),
             nb::arg("metadata") = nb::dict(),
             nb::sig("def save_safetensors(path: object, tensors: dict[str, Tensor], metadata: "
                     "dict[str, str] = {}) -> None"),
             "Writes tensors of plain dtypes; the file appears whole or not at all.");
  module.def("safetensors_metadata", &metadata_of, nb::arg("path"),
             nb::sig("def safetensors_metadata(path: object) -> dict[str, str]"));
}

}  // namespace yiti::python
