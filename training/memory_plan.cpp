#include "training/memory_plan.h"

#include <fstream>
#include <set>
#include <sstream>

#include "ops/loss/linear_cross_entropy.h"

namespace yiti {
namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kLogit = kFloat + 2;  // of the chunked loss: as a float, and rounded to bf16

// MemAvailable of Linux; 0 elsewhere.
int64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string line;
  while (std::getline(meminfo, line)) {
    std::istringstream words(line);
    std::string key;
    int64_t kilobytes = 0;
    if (words >> key >> kilobytes && key == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

int64_t weight_bytes(const LanguageModel& model) {
  std::set<const std::byte*> seen;
  int64_t bytes = 0;
  const VersionPtr version = model.store()->current();
  for (const Tensor& tensor : version->tensors()) {
    if (seen.insert(tensor.raw()).second) bytes += static_cast<int64_t>(tensor.bytes());
  }
  return bytes;
}

// Floats that the ops of one layer keep for each token: the inputs of its two norms, q, k and v
// after rope, the attention's output, gate and up, and the low-rank products of an adapter (small).
// Outputs of norms and of SwiGLU are computed again.
int64_t layer_floats(const ModelConfig& c) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  return 2 * c.hidden_size + 2 * q + 2 * kv + 2 * c.intermediate_size + 2 * c.heads;
}

}  // namespace

MemoryPlanReport plan_training_memory(const LanguageTrainer& trainer, int64_t batch_tokens) {
  const ModelConfig& c = trainer.model()->config();
  const int64_t trained = trainer.trained_elements() * kFloat;
  int64_t optimizer = 0;
  for (const auto& [name, tensor] : trainer.state()) {
    if (name.starts_with("optimizer.")) optimizer += static_cast<int64_t>(tensor.bytes());
  }
  const int64_t per_token = layer_floats(c) * kFloat;
  const int64_t kept = trainer.recomputes_layers() ? c.layers * c.hidden_size * kFloat + per_token
                                                   : c.layers * per_token;
  MemoryPlanReport plan;
  plan.items = {{"weights (mapped or packed once)", weight_bytes(*trainer.model())},
                {"trained copy", trained},
                {"gradients", trained},
                {"optimiser state", optimizer},
                {fmt::format("activations of {} tokens", batch_tokens), kept * batch_tokens},
                {"logits of one chunk", LinearCrossEntropyAttrs{}.chunk * c.vocab_size * kLogit}};
  for (const MemoryItem& item : plan.items) {
    plan.total_bytes += item.bytes;
    plan.text +=
        fmt::format("  {:<34}{:>10.1f} MB\n", item.what, static_cast<double>(item.bytes) * 1e-6);
  }
  plan.available_bytes = available_memory();
  plan.fits = plan.available_bytes == 0 || plan.total_bytes < plan.available_bytes;
  plan.text += fmt::format("  {:<34}{:>10.1f} MB of {:.1f} MB available: {}\n", "total",
                           static_cast<double>(plan.total_bytes) * 1e-6,
                           static_cast<double>(plan.available_bytes) * 1e-6,
                           plan.fits ? "it fits"
                                     : "it does not fit; use smaller batches, --recompute, or an "
                                       "adapter instead of full fine-tuning");
  return plan;
}

}  // namespace yiti
