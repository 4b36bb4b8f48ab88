#include "devices/cuda/code_cache.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

namespace yiti::devices::cuda {
namespace {

namespace fs = std::filesystem;

std::string hash_of(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::string CodeCache::default_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/yiti/cuda";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.cache/yiti/cuda";
}

std::string CodeCache::path_of(const std::string& key) const {
  return fmt::format("{}/{}.bin", folder_, hash_of(key));
}

std::optional<std::string> CodeCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(path_of(key), std::ios::binary);
  std::string checksum;
  if (!std::getline(file, checksum)) return std::nullopt;
  std::string code(std::istreambuf_iterator<char>(file), {});
  if (checksum != hash_of(code)) return std::nullopt;
  return code;
}

void CodeCache::keep(const std::string& key, const std::string& code) const {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  const std::string path = path_of(key);
  const std::string part = fmt::format("{}.{}.{}", path, getpid(), static_cast<const void*>(&part));
  {
    std::ofstream file(part, std::ios::binary);
    file << hash_of(code) << '\n' << code;
    file.close();
    if (!file) {
      fs::remove(part, error);
      return;
    }
  }
  fs::rename(part, path, error);
  if (error) fs::remove(part, error);
}

}  // namespace yiti::devices::cuda
