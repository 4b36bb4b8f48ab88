#include "inference/block_store.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/io/crc32c.h"
#include "core/io/files.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::array<char, 8> kMagic = {'Y', 'I', 'T', 'I', 'K', 'V', '2', '\0'};
constexpr std::string_view kSuffix = ".kv";
constexpr auto kPause = std::chrono::seconds(30);

// What a file begins with; little-endian, without padding.
struct Header {
  std::array<char, 8> magic = kMagic;
  uint64_t payload_bytes = 0;
  BlockKey key = {};
  uint32_t payload_crc = 0;
  uint32_t header_crc = 0;  // of all before it
};
static_assert(sizeof(Header) == 8 + 8 + 32 + 8);

Header make_header(const BlockKey& key, std::span<const std::byte> payload) {
  Header header;
  header.payload_bytes = payload.size();
  header.key = key;
  header.payload_crc = crc32c(payload);
  const auto bytes = std::as_bytes(std::span(&header, 1));
  header.header_crc = crc32c(bytes.first(offsetof(Header, header_crc)));
  return header;
}

std::string file_name(const BlockKey& key) { return key.digits().append(kSuffix); }

bool is_file_name(std::string_view name) {
  return name.ends_with(kSuffix) &&
         name.find_first_not_of("0123456789abcdef") == name.size() - kSuffix.size();
}

// What a writer left behind that was killed.
bool is_unfinished(std::string_view name) {
  const size_t end = name.find(kSuffix) + kSuffix.size();
  return end < name.size() && is_file_name(name.substr(0, end)) && name[end] == '.';
}

}  // namespace

BlockStore::BlockStore(BlockStoreOptions options) : options_(std::move(options)) {
  scan();
  writer_ = std::thread([this] { write_waiting(); });
}

BlockStore::~BlockStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

void BlockStore::scan() {
  struct Found {
    fs::file_time_type time;
    std::string name;
    int64_t bytes;
  };
  std::vector<Found> found;
  try {
    fs::create_directories(options_.folder);
    for (const fs::directory_entry& file : fs::directory_iterator(options_.folder)) {
      const std::string name = file.path().filename().string();
      if (is_unfinished(name)) fs::remove(file.path());
      if (!is_file_name(name) || !file.is_regular_file()) continue;
      found.push_back({file.last_write_time(), name, static_cast<int64_t>(file.file_size())});
    }
  } catch (const fs::filesystem_error& error) {
    fail(Code::kUnavailable, "block store", "cannot use the folder {}: {}", options_.folder,
         error.code().message());
  }
  std::ranges::sort(found, {}, &Found::time);
  const std::lock_guard lock(mutex_);
  for (const Found& file : found) add(file.name, file.bytes);
  make_room();
}

BlockStore::Stats BlockStore::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = stats_;
  stats.blocks = static_cast<int64_t>(entries_.size());
  return stats;
}

bool BlockStore::is_worth_loading(double recompute_s) {
  constexpr int64_t kTryEvery = 64;
  const std::lock_guard lock(mutex_);
  return load_s_ < recompute_s || ++asked_ % kTryEvery == 0;
}

bool BlockStore::load(const BlockKey& key, std::span<std::byte> payload) {
  const std::string name = file_name(key);
  {
    const std::lock_guard lock(mutex_);
    if (!entries_.contains(name)) return false;
  }
  const Clock::time_point begun = Clock::now();
  auto file = capture_errors(
      "block store", [&] { return read_file(path(name), sizeof(Header) + payload.size()); });
  bool good = file.ok() && file.value().size() == sizeof(Header) + payload.size();
  if (good) {
    const auto bytes = std::as_bytes(std::span(file.value()));
    std::ranges::copy(bytes.subspan(sizeof(Header)), payload.begin());
    const Header wanted = make_header(key, payload);
    good = std::memcmp(bytes.data(), &wanted, sizeof(Header)) == 0;
  }
  const double taken = std::chrono::duration<double>(Clock::now() - begun).count();
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (!good) {
    ++stats_.damaged;
    if (entry != entries_.end()) erase(name);
    return false;
  }
  ++stats_.loaded;
  load_s_ = load_s_ == 0 ? taken : 0.8 * load_s_ + 0.2 * taken;
  if (entry != entries_.end()) by_age_.splice(by_age_.end(), by_age_, entry->second.age);
  std::error_code ignored;  // its age is then forgotten at the next start
  fs::last_write_time(path(name), fs::file_time_type::clock::now(), ignored);
  return true;
}

bool BlockStore::wants(const BlockKey& key) {
  const std::string name = file_name(key);
  const std::lock_guard lock(mutex_);
  if (entries_.contains(name) ||
      std::ranges::any_of(waiting_, [&](const Waiting& w) { return w.key == key; })) {
    return false;
  }
  if (waiting_.size() < options_.max_waiting && Clock::now() >= paused_until_) return true;
  ++stats_.unsaved;
  return false;
}

void BlockStore::save(const BlockKey& key, std::vector<std::byte> payload) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({key, std::move(payload)});
  }
  changed_.notify_all();
}

void BlockStore::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.empty(); });
}

void BlockStore::write_waiting() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Waiting& block = waiting_.front();
    lock.unlock();
    const std::string name = file_name(block.key);
    const auto written = capture_errors("block store", [&] {
      const Header header = make_header(block.key, block.payload);
      write_file_atomically(path(name), [&](const WriteBytes& write) {
        write(std::as_bytes(std::span(&header, 1)));
        write(block.payload);
      });
    });
    lock.lock();
    if (written.ok()) {
      ++stats_.saved;
      add(name, static_cast<int64_t>(sizeof(Header) + block.payload.size()));
      make_room();
    } else {
      ++stats_.unsaved;
      paused_until_ = Clock::now() + kPause;
    }
    waiting_.pop_front();
    changed_.notify_all();
  }
}

void BlockStore::add(const std::string& name, int64_t bytes) {
  by_age_.push_back(name);
  entries_[name] = {bytes, std::prev(by_age_.end())};
  stats_.bytes += bytes;
}

void BlockStore::erase(const std::string& name) {
  const auto entry = entries_.find(name);
  std::error_code ignored;  // gone already, or it stays: then it is found at the next start
  fs::remove(path(name), ignored);
  stats_.bytes -= entry->second.bytes;
  by_age_.erase(entry->second.age);
  entries_.erase(entry);
}

void BlockStore::make_room() {
  while (stats_.bytes > options_.max_bytes && !by_age_.empty()) {
    erase(std::string(by_age_.front()));
  }
}

}  // namespace yiti
