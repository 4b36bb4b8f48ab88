// What answers requests for files, fine-tuning jobs and adapters.
#pragma once

#include <string>

#include "serving/http.h"
#include "serving/options.h"

namespace yiti::serving {

/// `id` is what a path names; it may be anything. All throw ApiException or Error. Thread-safe.
class TrainingRoutes {
 public:
  /// `options` and `models` must outlive it.
  TrainingRoutes(const ServerOptions& options, ModelRegistry& models)
      : options_(options), models_(models) {}

  HttpResponse upload_file(const std::string& id, const HttpRequest& request) const;
  HttpResponse list_files(const std::string& id, const HttpRequest& request) const;
  HttpResponse get_file(const std::string& id, const HttpRequest& request) const;
  HttpResponse get_file_contents(const std::string& id, const HttpRequest& request) const;
  HttpResponse delete_file(const std::string& id, const HttpRequest& request) const;

  HttpResponse create_job(const std::string& id, const HttpRequest& request) const;
  HttpResponse list_jobs(const std::string& id, const HttpRequest& request) const;
  HttpResponse get_job(const std::string& id, const HttpRequest& request) const;
  HttpResponse cancel_job(const std::string& id, const HttpRequest& request) const;
  HttpResponse pause_job(const std::string& id, const HttpRequest& request) const;
  HttpResponse resume_job(const std::string& id, const HttpRequest& request) const;
  HttpResponse list_events(const std::string& id, const HttpRequest& request) const;
  HttpResponse list_checkpoints(const std::string& id, const HttpRequest& request) const;

  HttpResponse delete_model(const std::string& id, const HttpRequest& request) const;
  HttpResponse list_versions(const std::string& id, const HttpRequest& request) const;
  HttpResponse roll_back(const std::string& id, const HttpRequest& request) const;
  HttpResponse load_adapter(const std::string& id, const HttpRequest& request) const;
  HttpResponse unload_adapter(const std::string& id, const HttpRequest& request) const;

 private:
  FileStore& files() const;
  JobRunner& jobs() const;
  AdapterHost& adapters() const;
  StoredFile file(const std::string& id) const;
  ModelVersions& keeper_of(const std::string& model) const;

  const ServerOptions& options_;
  ModelRegistry& models_;
};

}  // namespace yiti::serving
