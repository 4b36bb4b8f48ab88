// The HTTP server in this process.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/model.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/engine.h"
#include "bindings/python/src/run_jobs.h"
#include "core/unix_time.h"
#include "serving/server.h"

namespace yiti::python {
namespace {

using bindings::Model;

ServedModel served(const std::string& name, const std::shared_ptr<const Model>& model) {
  ServedModel entry;
  entry.name = name;
  entry.generator = &model->generator();
  entry.text = &model->text();
  entry.created_unix_s = now_unix_s();
  entry.path = model->engine().path();
  entry.owner = model;
  return entry;
}

// Models by name behind a server, which begins with it and ends with close().
class PythonServer {
 public:
  PythonServer(const std::map<std::string, Model>& models, const std::string& host, uint16_t port,
               const std::vector<std::string>& api_keys, const nb::object& log) {
    ServerOptions options;
    options.host = host;
    options.port = port;
    options.api_keys = api_keys;
    options.registry = registry_;
    options.jobs = &jobs_;
    if (!log.is_none()) {
      options.log = [held = shared(log)](std::string_view line) {
        nb::gil_scoped_acquire gil;
        try {
          (*held)(nb::str(line.data(), line.size()));
        } catch (nb::python_error& error) {
          error.discard_as_unraisable("yiti's server log");
        }
      };
    }
    nb::gil_scoped_release release;
    for (const auto& [name, model] : models) add(name, model);
    server_ = std::make_unique<Server>(std::move(options));
    server_->start().value();
  }

  ~PythonServer() { close(); }
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;

  void add(const std::string& name, const Model& model) {
    registry_->replace(served(name, std::make_shared<const Model>(model)));
  }
  void remove(const std::string& name) {
    if (!registry_->remove(name)) fail(Code::kNotFound, "server", "there is no model {}", name);
  }
  void list_run(const std::shared_ptr<RunRecord>& run, const std::string& name) {
    run->serve_as(name);
    jobs_.add(run);
  }
  uint16_t port() const { return server_->port(); }

  void close() {
    nb::gil_scoped_release release;
    if (server_) server_->stop();
  }

 private:
  const std::shared_ptr<ModelRegistry> registry_ = std::make_shared<ModelRegistry>();
  RunJobs jobs_;
  std::unique_ptr<Server> server_;
};

}  // namespace

void add_serving(nb::module_& module) {
  nb::class_<PythonServer>(module, "HttpServer")
      .def(nb::init<const std::map<std::string, Model>&, const std::string&, uint16_t,
                    const std::vector<std::string>&, const nb::object&>(),
           nb::arg("models"), nb::arg("host"), nb::arg("port"), nb::arg("api_keys"),
           nb::arg("log").none())
      .def("add", &PythonServer::add, nb::arg("name"), nb::arg("model"))
      .def("remove", &PythonServer::remove, nb::arg("name"))
      .def("list_run", &PythonServer::list_run, nb::arg("run"), nb::arg("name"))
      .def_prop_ro("port", &PythonServer::port)
      .def("close", &PythonServer::close);
}

}  // namespace yiti::python
