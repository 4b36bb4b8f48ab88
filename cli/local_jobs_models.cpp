// The models that jobs made: what is served of them, and their versions.
#include <algorithm>

#include "cli/local_jobs.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "jobs";

}  // namespace

void LocalJobs::serve(const Entry& entry) {
  const auto serve_one = [&](const std::string& name, const fs::path& adapter, int64_t created) {
    const auto served = capture_errors(kWhere, [&] {
      models_.serve(name, adapter, created);
      return true;
    });
    if (!served && options_.note) {
      options_.note(fmt::format("{} is not served: {}", name, served.error().what()));
    }
  };
  for (const JobCheckpoint& checkpoint : entry.record.checkpoints) {
    serve_one(checkpoint.model, entry.files->kept(checkpoint.metrics.step),
              checkpoint.created_unix_s);
  }
  const FineTuneJob& job = entry.record.job;
  if (job.status == JobStatus::kSucceeded && !entry.record.model_deleted) {
    serve_one(job.fine_tuned_model, served_adapter(entry), job.finished_unix_s);
  }
}

// What answers under the name of the job's model.
fs::path LocalJobs::served_adapter(const Entry& entry) {
  const std::optional<int64_t> step = entry.record.served_step;
  return step ? entry.files->kept(*step) : entry.files->adapter;
}

// Where the adapter of a model that a job made lies; empty: no job made it.
fs::path LocalJobs::model_folder(std::string_view name) {
  const std::lock_guard lock(mutex_);
  for (const EntryPtr& entry : entries_) {
    if (entry->own()) continue;
    const JobRecord& record = entry->record;
    if (record.job.fine_tuned_model == name && !record.model_deleted) {
      return served_adapter(*entry);
    }
    for (const JobCheckpoint& checkpoint : record.checkpoints) {
      if (checkpoint.model == name) return entry->files->kept(checkpoint.metrics.step);
    }
  }
  return {};
}

// The record goes first: what a crash in between leaves is a folder, not a model without one.
bool LocalJobs::remove_model(std::string_view name) {
  fs::path folder;
  {
    const std::lock_guard lock(mutex_);
    for (const EntryPtr& entry : entries_) {
      if (entry->own()) continue;
      JobRecord& record = entry->record;
      auto& checkpoints = record.checkpoints;
      const auto found = std::ranges::find(checkpoints, name, &JobCheckpoint::model);
      if (record.job.fine_tuned_model == name && !record.model_deleted) {
        folder = entry->files->adapter;
        record.model_deleted = true;
        record.served_step.reset();
      } else if (found != checkpoints.end()) {
        if (record.served_step == found->metrics.step) {
          fail(Code::kFailedPrecondition, kWhere, "'{}' serves this checkpoint; wants another one",
               record.job.fine_tuned_model);
        }
        folder = entry->files->kept(found->metrics.step);
        checkpoints.erase(found);
      } else {
        continue;
      }
      save(*entry);
    }
  }
  if (folder.empty()) return false;
  models_.withdraw(std::string(name));
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return true;
}

// The job whose result has this name; null: none.
LocalJobs::EntryPtr LocalJobs::maker_of(std::string_view name) const {
  const auto found = std::ranges::find_if(entries_, [&](const EntryPtr& entry) {
    return !entry->own() && entry->job().fine_tuned_model == name && !entry->record.model_deleted;
  });
  return found == entries_.end() ? nullptr : *found;
}

std::vector<ModelVersion> LocalJobs::versions(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const EntryPtr entry = maker_of(name);
  std::vector<ModelVersion> versions;
  if (entry == nullptr) return versions;
  const JobRecord& record = entry->record;
  for (const JobCheckpoint& one : record.checkpoints) {
    versions.push_back({.number = one.metrics.step,
                        .created_unix_s = one.created_unix_s,
                        .is_served = record.served_step == one.metrics.step});
  }
  versions.push_back({.number = record.job.total_steps,
                      .created_unix_s = record.job.finished_unix_s,
                      .is_served = !record.served_step.has_value()});
  return versions;
}

void LocalJobs::serve_version(std::string_view name, int64_t number) {
  const std::lock_guard lock(mutex_);
  const EntryPtr entry = maker_of(name);
  const bool is_result = entry != nullptr && number == entry->job().total_steps;
  if (entry == nullptr ||
      (!is_result && std::ranges::none_of(entry->record.checkpoints, [&](const JobCheckpoint& one) {
        return one.metrics.step == number;
      }))) {
    fail(Code::kNotFound, kWhere, "version {} of '{}' is not kept", number, name.substr(0, 256));
  }
  std::optional<int64_t>& served_step = entry->record.served_step;
  const std::optional<int64_t> before = served_step;
  served_step = is_result ? std::nullopt : std::optional(number);
  const auto done = capture_errors(kWhere, [&] {
    models_.serve(std::string(name), served_adapter(*entry), entry->job().finished_unix_s, true,
                  [&] { save(*entry); });
    return true;
  });
  if (done) return;
  served_step = before;
  throw Error(done.error());
}

}  // namespace yiti::cli
