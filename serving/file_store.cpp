#include "serving/file_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/unix_time.h"
#include "serving/json_text.h"
#include "serving/random_id.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kWhere = "files";
constexpr std::string_view kPrefix = "file-";
constexpr std::string_view kContents = ".data", kDetails = ".json";
constexpr size_t kIdBytes = kPrefix.size() + 24;
constexpr size_t kMaxDetailBytes = size_t{64} << 10;
constexpr size_t kMaxNameBytes = 512;

bool is_id(std::string_view id) {
  return id.size() == kIdBytes && id.starts_with(kPrefix) &&
         id.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

std::string details_json(const StoredFile& file) {
  const Json json = {{"filename", file.filename},
                     {"purpose", file.purpose},
                     {"bytes", file.bytes},
                     {"created_at", file.created_unix_s},
                     {"number", file.number}};
  return serving::json_text(json);
}

StoredFile read_details(const fs::path& path, std::string id) {
  const std::string text = read_file(path.string(), kMaxDetailBytes);
  const Json json = parse_json(text, path.string());
  try {
    return {.id = std::move(id),
            .filename = json.at("filename").get<std::string>(),
            .purpose = json.at("purpose").get<std::string>(),
            .bytes = json.at("bytes").get<int64_t>(),
            .created_unix_s = json.at("created_at").get<int64_t>(),
            .number = json.at("number").get<int64_t>()};
  } catch (const Json::exception& error) {
    fail(Code::kDataLoss, kWhere, "{} is damaged: {}", path.string(), error.what());
  }
}

}  // namespace

FileStore::FileStore(FileStoreOptions options) : options_(std::move(options)) {
  fs::create_directories(options_.folder);
  load();
}

// The details are written last and removed first: contents without them are what a crash left.
void FileStore::load() {
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder)) {
    const fs::path& path = entry.path();
    const std::string id = path.stem().string();
    if (path.extension() != kDetails || !is_id(id)) continue;
    StoredFile file = read_details(path, id);
    if (!fs::exists(contents_path(id))) continue;
    total_bytes_ += file.bytes;
    next_number_ = std::max(next_number_, file.number + 1);
    files_.emplace(id, std::move(file));
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || files_.contains(name.substr(0, kIdBytes))) continue;
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  }
}

fs::path FileStore::contents_path(std::string_view id) const {
  return options_.folder / (std::string(id) + std::string(kContents));
}

fs::path FileStore::details_path(std::string_view id) const {
  return options_.folder / (std::string(id) + std::string(kDetails));
}

// Takes room for a file that is going to be written.
StoredFile FileStore::reserve(std::string_view filename, std::string_view purpose, int64_t bytes) {
  if (bytes > options_.max_file_bytes) {
    fail(Code::kResourceExhausted, kWhere, "the file has {} bytes; wants at most {}", bytes,
         options_.max_file_bytes);
  }
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<int64_t>(files_.size()) + writing_;
  if (count >= options_.max_files || total_bytes_ + bytes > options_.max_total_bytes) {
    fail(Code::kResourceExhausted, kWhere,
         "{} files of {} bytes are stored, at most {} of {} may be: delete some", count,
         total_bytes_, options_.max_files, options_.max_total_bytes);
  }
  ++writing_;
  total_bytes_ += bytes;
  return {.id = std::string(kPrefix) + serving::random_hex(3),
          .filename = std::string(filename.substr(0, kMaxNameBytes)),
          .purpose = std::string(purpose),
          .bytes = bytes,
          .created_unix_s = now_unix_s(),
          .number = next_number_++};
}

StoredFile FileStore::add(std::string_view filename, std::string_view purpose,
                          std::string_view contents) {
  StoredFile file = reserve(filename, purpose, static_cast<int64_t>(contents.size()));
  const auto written = capture_errors(kWhere, [&] {
    write_file_atomically(contents_path(file.id).string(), contents);
    write_file_atomically(details_path(file.id).string(), details_json(file));
  });
  const std::lock_guard lock(mutex_);
  --writing_;
  if (!written) {
    total_bytes_ -= file.bytes;
    std::error_code ignored;
    fs::remove(contents_path(file.id), ignored);
    throw Error(written.error());
  }
  files_.emplace(file.id, file);
  return file;
}

std::vector<StoredFile> FileStore::list() const {
  std::vector<StoredFile> files;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, file] : files_) files.push_back(file);
  }
  std::ranges::sort(files, {}, &StoredFile::number);
  return files;
}

std::optional<StoredFile> FileStore::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(id);
  if (found == files_.end()) return std::nullopt;
  return found->second;
}

fs::path FileStore::path(std::string_view id) const {
  const auto file = find(id);
  if (!file) fail(Code::kNotFound, kWhere, "there is no file '{}'", id.substr(0, 256));
  return contents_path(file->id);
}

std::string FileStore::contents(std::string_view id) const {
  return read_file(path(id).string(), static_cast<size_t>(options_.max_total_bytes));
}

bool FileStore::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(id);
  if (found == files_.end()) return false;
  std::error_code failed;
  fs::remove(details_path(id), failed);
  if (failed) {
    fail(Code::kUnavailable, kWhere, "cannot delete {}: {}", found->first, failed.message());
  }
  fs::remove(contents_path(id), failed);
  total_bytes_ -= found->second.bytes;
  files_.erase(found);
  return true;
}

}  // namespace yiti
