#include "serving/training_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "serving/api_error.h"
#include "serving/fine_tuning.h"
#include "serving/json_text.h"
#include "serving/multipart.h"
#include "serving/query.h"
#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

HttpResponse deleted(const std::string& id, const char* object) {
  return json_response(json_text({{"id", id}, {"object", object}, {"deleted", true}}));
}

[[noreturn]] void not_found(std::string message, std::string param, std::string code) {
  throw ApiException({.status = 404,
                      .message = std::move(message),
                      .param = std::move(param),
                      .code = std::move(code)});
}

Json file_json(const StoredFile& file) {
  return {{"id", file.id},
          {"object", "file"},
          {"bytes", file.bytes},
          {"created_at", file.created_unix_s},
          {"expires_at", nullptr},
          {"filename", file.filename},
          {"purpose", file.purpose},
          {"status", "processed"},
          {"status_details", nullptr}};
}

// The one file of an upload, and a purpose that it may have.
FormPart read_upload(const HttpRequest& request) {
  FormPart found;
  std::string purpose;
  bool has_file = false;
  for (FormPart& part : parse_multipart(request.content_type, request.body)) {
    if (part.name == "purpose") {
      purpose = part.contents;
    } else if (part.name == "file") {
      if (has_file) reject_field("file", "'file' is there twice; wants one file");
      found = std::move(part);
      has_file = true;
    } else {
      const std::string shown = part.name.substr(0, 64);
      reject_field(shown, fmt::format("'{}' is not supported", shown), "unsupported_parameter");
    }
  }
  if (!has_file) reject_field("file", "'file' is missing", "missing_required_parameter");
  if (purpose.empty())
    reject_field("purpose", "'purpose' is missing", "missing_required_parameter");
  if (purpose != "fine-tune") {
    reject_field("purpose", fmt::format("'purpose' is '{}'; only fine-tune is supported",
                                        purpose.substr(0, 64)));
  }
  if (found.filename.empty()) found.filename = "file";
  return found;
}

// The body of a request that loads or unloads an adapter, with its name read.
struct AdapterRequest {
  explicit AdapterRequest(const std::string& body)
      : json(parse_request_object(body)), fields(json) {
    fields.require("lora_name");
    name = *fields.string("lora_name");
    if (name.empty() || name.size() > 256) {
      reject_field("lora_name", "'lora_name' wants 1 to 256 bytes");
    }
    fields.ignore("lora_int_id");
  }

  Json json;
  RequestFields fields;
  std::string name;
};

HttpResponse version_list(const std::vector<ModelVersion>& versions) {
  Json data = Json::array();
  for (const ModelVersion& one : versions) {
    data.push_back({{"object", "model.version"},
                    {"version", one.number},
                    {"created_at", one.created_unix_s},
                    {"served", one.is_served}});
  }
  return json_response(json_text({{"object", "list"}, {"data", std::move(data)}}));
}

// The newest version before the one that is served.
int64_t version_before(const std::vector<ModelVersion>& versions) {
  const auto served = std::ranges::find(versions, true, &ModelVersion::is_served);
  if (served == versions.begin()) {
    throw ApiException({.status = 404,
                        .message = "No version before the one that is served is kept",
                        .param = "version",
                        .code = "version_not_found"});
  }
  return std::prev(served)->number;
}

}  // namespace

FileStore& TrainingRoutes::files() const {
  if (options_.files == nullptr) not_found("This server stores no files", "", "files_disabled");
  return *options_.files;
}

JobRunner& TrainingRoutes::jobs() const {
  if (options_.jobs == nullptr) {
    not_found("This server does not fine-tune", "", "fine_tuning_disabled");
  }
  return *options_.jobs;
}

AdapterHost& TrainingRoutes::adapters() const {
  if (options_.adapters == nullptr) {
    not_found("This server loads no adapters at run time", "", "adapters_disabled");
  }
  return *options_.adapters;
}

ModelVersions& TrainingRoutes::keeper_of(const std::string& model) const {
  for (ModelVersions* keeper : {static_cast<ModelVersions*>(options_.jobs),
                                static_cast<ModelVersions*>(options_.adapters)}) {
    if (keeper != nullptr && !keeper->versions(model).empty()) return *keeper;
  }
  not_found(fmt::format("No versions of a model '{}' are kept", model.substr(0, 256)), "model",
            "model_not_found");
}

StoredFile TrainingRoutes::file(const std::string& id) const {
  if (auto found = files().find(id)) return *std::move(found);
  not_found(fmt::format("No such File object: {}", id.substr(0, 256)), "id", "file_not_found");
}

HttpResponse TrainingRoutes::upload_file(const std::string&, const HttpRequest& request) const {
  FileStore& store = files();
  const FormPart upload = read_upload(request);
  if (store.options().check_training_data) {
    try {
      store.options().check_training_data(upload.filename, upload.contents);
    } catch (const Error& error) {
      reject_field("file", error.what(), "invalid_file_format");
    }
  }
  const StoredFile stored = store.add(upload.filename, "fine-tune", upload.contents);
  return json_response(json_text(file_json(stored)));
}

HttpResponse TrainingRoutes::list_files(const std::string&, const HttpRequest& request) const {
  std::vector<StoredFile> list = files().list();
  const std::string purpose = query_value(request.query, "purpose");
  if (!purpose.empty()) {
    std::erase_if(list, [&](const StoredFile& file) { return file.purpose != purpose; });
  }
  const Page page = read_page(request.query, 10'000, 10'000);
  return json_response(json_text(page_json(std::move(list), page, file_json)));
}

HttpResponse TrainingRoutes::get_file(const std::string& id, const HttpRequest&) const {
  return json_response(json_text(file_json(file(id))));
}

// Clients' own bytes: no browser shall take them for a page.
HttpResponse TrainingRoutes::get_file_contents(const std::string& id, const HttpRequest&) const {
  HttpResponse response;
  response.body = files().contents(file(id).id);
  response.content_type = "application/octet-stream";
  response.headers = {{"Content-Disposition", "attachment"}, {"X-Content-Type-Options", "nosniff"}};
  return response;
}

HttpResponse TrainingRoutes::delete_file(const std::string& id, const HttpRequest&) const {
  const StoredFile found = file(id);
  files().remove(found.id);
  return deleted(found.id, "file");
}

HttpResponse TrainingRoutes::create_job(const std::string&, const HttpRequest& request) const {
  JobRunner& runner = jobs();
  return json_response(job_json(runner.create(parse_job_request(request.body))));
}

HttpResponse TrainingRoutes::list_jobs(const std::string&, const HttpRequest& request) const {
  return json_response(job_list_json(jobs().jobs(), request.query));
}

HttpResponse TrainingRoutes::get_job(const std::string& id, const HttpRequest&) const {
  return json_response(job_json(jobs().job(id)));
}

HttpResponse TrainingRoutes::cancel_job(const std::string& id, const HttpRequest&) const {
  return json_response(job_json(jobs().cancel(id)));
}

HttpResponse TrainingRoutes::pause_job(const std::string& id, const HttpRequest&) const {
  return json_response(job_json(jobs().pause(id)));
}

HttpResponse TrainingRoutes::resume_job(const std::string& id, const HttpRequest&) const {
  return json_response(job_json(jobs().resume(id)));
}

HttpResponse TrainingRoutes::list_events(const std::string& id, const HttpRequest& request) const {
  return json_response(event_list_json(jobs().events(id), request.query));
}

HttpResponse TrainingRoutes::list_checkpoints(const std::string& id,
                                              const HttpRequest& request) const {
  return json_response(checkpoint_list_json(jobs().checkpoints(id), id, request.query));
}

HttpResponse TrainingRoutes::delete_model(const std::string& id, const HttpRequest&) const {
  if (models_.find(id) == nullptr) {
    not_found(fmt::format("The model '{}' does not exist", id.substr(0, 256)), "model",
              "model_not_found");
  }
  if (options_.jobs == nullptr || !options_.jobs->remove_model(id)) {
    throw ApiException({.status = 403,
                        .message = "Only models that a fine-tuning job made can be deleted",
                        .param = "model",
                        .code = "model_not_deletable"});
  }
  return deleted(id, "model");
}

HttpResponse TrainingRoutes::list_versions(const std::string& id, const HttpRequest&) const {
  return version_list(keeper_of(id).versions(id));
}

HttpResponse TrainingRoutes::roll_back(const std::string& id, const HttpRequest& request) const {
  ModelVersions& keeper = keeper_of(id);
  const Json json = parse_request_object(request.body);
  RequestFields fields(json);
  const std::optional<int64_t> wanted = fields.integer("version", 0);
  fields.refuse_unknown();
  keeper.serve_version(id, wanted ? *wanted : version_before(keeper.versions(id)));
  return version_list(keeper.versions(id));
}

HttpResponse TrainingRoutes::load_adapter(const std::string&, const HttpRequest& request) const {
  AdapterHost& host = adapters();
  AdapterRequest wanted(request.body);
  wanted.fields.require("lora_path");
  const std::string path = *wanted.fields.string("lora_path");
  const bool replace = wanted.fields.boolean("load_inplace").value_or(false);
  wanted.fields.refuse_unless("base_model_name", nullptr);
  wanted.fields.refuse_unknown();
  host.load_adapter(wanted.name, path, replace);
  return text_response(fmt::format("Success: LoRA adapter '{}' added successfully.", wanted.name));
}

HttpResponse TrainingRoutes::unload_adapter(const std::string&, const HttpRequest& request) const {
  AdapterHost& host = adapters();
  AdapterRequest wanted(request.body);
  wanted.fields.refuse_unknown();
  host.unload_adapter(wanted.name);
  return text_response(
      fmt::format("Success: LoRA adapter '{}' removed successfully.", wanted.name));
}

}  // namespace yiti::serving
