#include "cli/job_store.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/json.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kWhere = "jobs";
constexpr const char* kRecord = "job.json";
constexpr const char* kEvents = "events.jsonl";
constexpr size_t kMaxRecordBytes = size_t{4} << 20;
constexpr size_t kMaxEventBytes = size_t{256} << 20;

// Writer and Reader visit the same list of fields, so that each is named once.
class Writer {
 public:
  template <class T>
  void operator()(const char* name, T& value);
  Json json = Json::object();
};

class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}
  template <class T>
  void operator()(const char* name, T& value);

 private:
  const Json& json_;
};

template <class Visitor>
void visit(Visitor& field, Hyperparameters& values) {
  field("n_epochs", values.n_epochs);
  field("batch_size", values.batch_size);
  field("learning_rate_multiplier", values.learning_rate_multiplier);
}

template <class Visitor>
void visit(Visitor& field, JobError& error) {
  field("code", error.code);
  field("message", error.message);
  field("param", error.param);
}

template <class Visitor>
void visit(Visitor& field, JobMetrics& metrics) {
  field("step", metrics.step);
  field("total_steps", metrics.total_steps);
  field("train_loss", metrics.train_loss);
  field("train_accuracy", metrics.train_accuracy);
  field("valid_loss", metrics.valid_loss);
  field("valid_accuracy", metrics.valid_accuracy);
}

template <class Visitor>
void visit(Visitor& field, JobEvent& event) {
  field("id", event.id);
  field("created_at", event.created_unix_s);
  field("level", event.level);
  field("message", event.message);
  field("metrics", event.metrics);
}

template <class Visitor>
void visit(Visitor& field, JobCheckpoint& checkpoint) {
  field("id", checkpoint.id);
  field("created_at", checkpoint.created_unix_s);
  field("model", checkpoint.model);
  field("metrics", checkpoint.metrics);
}

template <class Visitor>
void visit(Visitor& field, FineTuneJob& job) {
  field("id", job.id);
  field("model", job.model);
  field("fine_tuned_model", job.fine_tuned_model);
  field("training_file", job.training_file);
  field("validation_file", job.validation_file);
  field("suffix", job.suffix);
  field("organization", job.organization);
  field("result_files", job.result_files);
  field("error", job.error);
  field("created_at", job.created_unix_s);
  field("finished_at", job.finished_unix_s);
  field("seed", job.seed);
  field("hyperparameters", job.hyperparameters);
  field("metadata", job.metadata);
  field("trained_tokens", job.trained_tokens);
  field("total_steps", job.total_steps);
  field("held_out_loss", job.held_out_loss);
}

template <class Visitor>
void visit(Visitor& field, JobRecord& record) {
  field("number", record.number);
  field("job", record.job);
  field("checkpoints", record.checkpoints);
  field("model_deleted", record.model_deleted);
  field("served_step", record.served_step);
}

template <class T>
concept Visited = requires(Writer& writer, T& value) {
  visit(writer, value);
};

template <class T>
Json to_json(T& value) {
  if constexpr (Visited<T>) {
    Writer writer;
    visit(writer, value);
    return std::move(writer.json);
  } else {
    return value;
  }
}

template <class T>
Json to_json(std::optional<T>& value) {
  return value ? to_json(*value) : Json(nullptr);
}

template <Visited T>
Json to_json(std::vector<T>& values) {
  Json json = Json::array();
  for (T& value : values) json.push_back(to_json(value));
  return json;
}

template <class T>
void from_json(const Json& json, T& value) {
  if constexpr (Visited<T>) {
    Reader reader(json);
    visit(reader, value);
  } else {
    json.get_to(value);
  }
}

template <class T>
void from_json(const Json& json, std::optional<T>& value) {
  value.reset();
  if (!json.is_null()) from_json(json, value.emplace());
}

template <Visited T>
void from_json(const Json& json, std::vector<T>& values) {
  for (const Json& one : json) from_json(one, values.emplace_back());
}

template <class T>
void Writer::operator()(const char* name, T& value) {
  json[name] = to_json(value);
}

template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
void Reader::operator()(const char* name, T& value) {
  if (kIsOptional<T> && !json_.contains(name)) return;
  from_json(json_.at(name), value);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The events of a file whose last line a crash may have cut off; the file then loses it.
std::vector<JobEvent> read_events(const fs::path& path) {
  std::vector<JobEvent> events;
  if (!fs::exists(path)) return events;
  const std::string contents = read_file(path.string(), kMaxEventBytes);
  const size_t whole = contents.rfind('\n') + 1;  // npos + 1 is 0
  if (whole < contents.size()) fs::resize_file(path, whole);
  std::string_view rest = std::string_view(contents).substr(0, whole);
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    from_json(parse_json(rest.substr(0, end), path.string()), events.emplace_back());
    rest.remove_prefix(end + 1);
  }
  return events;
}

}  // namespace

JobStore::JobStore(fs::path folder) : folder_(std::move(folder)) {
  fs::create_directories(folder_);
}

JobRecord JobStore::read(const fs::path& folder) const {
  const std::string path = (folder / kRecord).string();
  const Json json = parse_json(read_file(path, kMaxRecordBytes), path);
  try {
    JobRecord record;
    from_json(json, record);
    record.job.status = parse_status(json.at("status").get<std::string>());
    check(record.job.id == folder.filename(), kWhere, "{} is of job {}", path, record.job.id);
    record.events = read_events(folder / kEvents);
    return record;
  } catch (const Json::exception& error) {
    fail(Code::kDataLoss, kWhere, "{} is damaged: {}", path, error.what());
  }
}

std::vector<JobRecord> JobStore::load(const Note& note) const {
  std::vector<JobRecord> records;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    // Without a record the process died while it made the job, which nobody was told of.
    if (!fs::exists(entry.path() / kRecord)) continue;
    auto record = capture_errors(kWhere, [&] { return read(entry.path()); });
    if (record) {
      records.push_back(std::move(record).value());
    } else if (note) {
      note(fmt::format("a job is left out: {}", record.error().what()));
    }
  }
  std::ranges::sort(records, {}, &JobRecord::number);
  return records;
}

void JobStore::save(const JobRecord& record) const {
  JobRecord shown = record;
  shown.events.clear();
  Json json = to_json(shown);
  json["status"] = status_name(record.job.status);
  fs::create_directories(folder(record.job.id));
  write_file_atomically((folder(record.job.id) / kRecord).string(), dump(json) + "\n");
}

void JobStore::append(std::string_view id, const JobEvent& event) const {
  const fs::path path = folder(id) / kEvents;
  JobEvent shown = event;
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << dump(to_json(shown)) + "\n" << std::flush;
  if (!file) {
    fail(Code::kUnavailable, kWhere, "{} cannot be written; is the disk full?", path.string());
  }
}

}  // namespace yiti::cli
