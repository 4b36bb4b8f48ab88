#include "training/checkpoint.h"

#include <charconv>
#include <fstream>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/hash.h"
#include "core/io/proto/yiti.pb.h"
#include "core/io/safetensors.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kFormatVersion = 1;
constexpr const char* kManifest = "checkpoint.pb";
constexpr const char* kTensors = "state.safetensors";
constexpr size_t kMaxManifestBytes = size_t{16} << 20;
constexpr std::string_view kPrefix = "checkpoint-";

proto::Checkpoint read_manifest(const fs::path& folder) {
  const std::string path = (folder / kManifest).string();
  proto::Checkpoint manifest;
  if (!manifest.ParseFromString(read_file(path, kMaxManifestBytes))) {
    fail(Code::kDataLoss, "checkpoint", "{} is damaged", path);
  }
  if (manifest.format_version() != kFormatVersion) {
    fail(Code::kDataLoss, "checkpoint", "{} has format {}; this version reads {}", path,
         manifest.format_version(), kFormatVersion);
  }
  if (manifest.files_size() != 1 || manifest.files(0).name() != kTensors) {
    fail(Code::kDataLoss, "checkpoint", "{} does not name {}", path, kTensors);
  }
  return manifest;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const LanguageTrainer& trainer,
                     const RunState& state) {
  const fs::path partial = folder.string() + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  write_safetensors((partial / kTensors).string(), trainer.state());
  proto::Checkpoint manifest;
  manifest.set_format_version(kFormatVersion);
  manifest.set_step(trainer.steps());
  manifest.set_tokens_seen(state.tokens_seen);
  manifest.set_epoch(state.position.epoch);
  manifest.set_batch(state.position.index);
  manifest.set_numeric_profile(trainer.model()->profile().str());
  manifest.set_base_fingerprint(trainer.base_fingerprint());
  manifest.set_data_hash(state.data_hash);
  if (state.best_eval_loss > 0) manifest.set_best_eval_loss(state.best_eval_loss);
  proto::TensorFile& file = *manifest.add_files();
  file.set_name(kTensors);
  file.set_role("state");
  file.set_bytes(fs::file_size(partial / kTensors));
  file.set_hash(hash_file((partial / kTensors).string()));
  write_file_atomically((partial / kManifest).string(), manifest.SerializeAsString());
  fs::remove_all(folder);
  fs::rename(partial, folder);
}

Resumed load_checkpoint(const fs::path& folder, LanguageTrainer& trainer) {
  const proto::Checkpoint manifest = read_manifest(folder);
  const std::string path = (folder / kTensors).string();
  if (hash_file(path) != manifest.files(0).hash()) {
    fail(Code::kDataLoss, "checkpoint", "{} is damaged: its hash is not the manifest's", path);
  }
  check(manifest.base_fingerprint() == trainer.base_fingerprint(), "checkpoint",
        "{} was made with other base weights or another adapter configuration", folder.string());
  const auto file = SafetensorsFile::open(path, trainer.model()->device());
  std::vector<std::pair<std::string, Tensor>> state;
  for (const auto& [name, tensor] : trainer.state()) state.emplace_back(name, file->tensor(name));
  trainer.restore(state, manifest.step());

  Resumed resumed;
  resumed.state.position = {manifest.epoch(), manifest.batch()};
  resumed.state.tokens_seen = manifest.tokens_seen();
  resumed.state.best_eval_loss = manifest.best_eval_loss();
  resumed.state.data_hash = manifest.data_hash();
  const std::string profile = trainer.model()->profile().str();
  if (manifest.numeric_profile() != profile) {
    resumed.warnings.push_back(
        fmt::format("the checkpoint was made with the numeric profile \"{}\", this run has \"{}\": "
                    "it goes on, but not with the same bits",
                    manifest.numeric_profile(), profile));
  }
  return resumed;
}

fs::path latest_checkpoint(const fs::path& output) {
  fs::path best;
  int64_t best_step = -1;
  if (!fs::is_directory(output)) return best;
  for (const fs::directory_entry& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !fs::exists(entry.path() / kManifest)) continue;
    int64_t step = -1;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (parsed.ec != std::errc() || parsed.ptr != end || step <= best_step) continue;
    best = entry.path();
    best_step = step;
  }
  return best;
}

}  // namespace yiti
