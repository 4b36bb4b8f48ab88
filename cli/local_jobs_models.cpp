// The models that jobs made: what is served of them, and their versions.
#include <algorithm>
#include <utility>

#include "cli/local_jobs.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "jobs";

}  // namespace

void LocalJobs::serve(const Entry& entry) {
  const auto serve_one = [&](const std::string& name, const fs::path& adapter, int64_t created) {
    const auto served = capture_errors(kWhere, [&] { models_.serve(name, adapter, created); });
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
    serve_one(job.fine_tuned_model, adapter_of(entry, entry.record.served_step),
              job.finished_unix_s);
  }
}

// Of the checkpoint at `step`, or else of the result.
fs::path LocalJobs::adapter_of(const Entry& entry, std::optional<int64_t> step) {
  return step ? entry.files->kept(*step) : entry.files->adapter;
}

// Where the adapter of a model that a job made lies; empty: no job made it.
fs::path LocalJobs::model_folder(std::string_view name) {
  const std::lock_guard lock(mutex_);
  for (const EntryPtr& entry : entries_) {
    if (entry->own()) continue;
    const JobRecord& record = entry->record;
    if (record.job.fine_tuned_model == name && !record.model_deleted) {
      return adapter_of(*entry, record.served_step);
    }
    for (const JobCheckpoint& checkpoint : record.checkpoints) {
      if (checkpoint.model == name) return entry->files->kept(checkpoint.metrics.step);
    }
  }
  return {};
}

// The record goes first: what a crash in between leaves is a folder, not a model without one.
bool LocalJobs::remove_model(std::string_view name) {
  const std::lock_guard change(changing_);
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
  const std::lock_guard change(changing_);
  EntryPtr entry;
  std::optional<int64_t> step;
  fs::path adapter;
  int64_t created_unix_s = 0;
  {
    const std::lock_guard lock(mutex_);
    entry = maker_of(name);
    if (entry != nullptr && number != entry->job().total_steps) step = number;
    if (entry == nullptr ||
        (step && std::ranges::none_of(entry->record.checkpoints, [&](const JobCheckpoint& one) {
           return one.metrics.step == number;
         }))) {
      fail(Code::kNotFound, kWhere, "version {} of '{}' is not kept", number, name.substr(0, 256));
    }
    adapter = adapter_of(*entry, step);
    created_unix_s = entry->job().finished_unix_s;
  }
  models_.serve(std::string(name), adapter, created_unix_s, true, [&] {
    const std::lock_guard lock(mutex_);
    std::optional<int64_t>& served = entry->record.served_step;
    const std::optional<int64_t> before = std::exchange(served, step);
    const auto saved = capture_errors(kWhere, [&] { save(*entry); });
    if (saved) return;
    served = before;
    throw Error(saved.error());
  });
}

}  // namespace yiti::cli
