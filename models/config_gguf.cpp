// A GGUF's metadata: keys "<architecture>.<name>", see ggml/docs/gguf.md.
#include "core/error.h"
#include "core/io/gguf.h"
#include "core/shape_text.h"
#include "models/config.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "gguf";
constexpr int64_t kMaxSize = int64_t{1} << 24;

class Reader {
 public:
  Reader(const GgufMetadata& metadata, std::string prefix)
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  int64_t size(const std::string& key) const {
    return in_range(key, metadata_.get<int64_t>(prefix_ + key));
  }
  int64_t size_or(const std::string& key, int64_t fallback) const {
    return has(key) ? size(key) : fallback;
  }
  double number_or(const std::string& key, double fallback) const {
    return metadata_.get_or<double>(prefix_ + key, fallback);
  }
  bool has(const std::string& key) const { return metadata_.contains(prefix_ + key); }
  std::string text_or(const std::string& key, std::string fallback) const {
    return metadata_.get_or<std::string>(prefix_ + key, std::move(fallback));
  }

 private:
  int64_t in_range(const std::string& key, int64_t value) const {
    check(value > 0 && value <= kMaxSize, kWhere, "{}{} is {}; wants 1 to {}", prefix_, key, value,
          kMaxSize);
    return value;
  }

  const GgufMetadata& metadata_;
  std::string prefix_;
};

// Llama 3's rope comes as a table of what each frequency is divided by.
std::vector<float> read_divisors(const GgufFile& file, int64_t head_dim) {
  if (file.find("rope_freqs.weight") == nullptr) return {};
  const Tensor table = file.tensor("rope_freqs.weight");
  check(table.dtype() == DType::kF32 && table.shape() == Shape{head_dim / 2}, kWhere,
        "rope_freqs.weight is {} of {}; wants [{}] of f32", table.shape(), name(table.dtype()),
        head_dim / 2);
  std::vector<float> divisors = table.to_vector<float>();
  for (float divisor : divisors) {
    check(divisor > 0, kWhere, "rope_freqs.weight holds {}; wants more than 0", divisor);
  }
  return divisors;
}

RopeScaling read_rope(const Reader& reader, int64_t context_length) {
  RopeScaling rope;
  const std::string type = reader.text_or("rope.scaling.type", "none");
  rope.type = type == "none" ? "default" : type;
  if (rope.type != "default" && rope.type != "linear" && rope.type != "yarn") {
    fail(Code::kUnimplemented, kWhere, "rope scaling \"{}\"; yiti has none, linear, yarn", type);
  }
  rope.factor = reader.number_or("rope.scaling.factor", 1);
  rope.attention_factor = reader.number_or("rope.scaling.attn_factor", 0);
  rope.original_context = reader.size_or("rope.scaling.original_context_length", context_length);
  return rope;
}

}  // namespace

ModelConfig config_from_gguf(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata();
  ModelConfig config;
  config.architecture = metadata.get<std::string>("general.architecture");
  const Reader reader(metadata, config.architecture + ".");
  const GgufTensorInfo* embedding = file.find("token_embd.weight");
  check(embedding != nullptr && embedding->shape.rank() == 2, kWhere,
        "token_embd.weight is missing or no matrix");
  config.vocab_size = embedding->shape[0];
  config.hidden_size = reader.size("embedding_length");
  config.intermediate_size = reader.size("feed_forward_length");
  config.layers = reader.size("block_count");
  config.heads = reader.size("attention.head_count");
  config.kv_heads = reader.size_or("attention.head_count_kv", config.heads);
  check(config.heads % config.kv_heads == 0, kWhere,
        "attention.head_count {} is no multiple of attention.head_count_kv {}", config.heads,
        config.kv_heads);
  config.head_dim = reader.size_or("attention.key_length", config.hidden_size / config.heads);
  check(config.head_dim > 0 && config.head_dim % 2 == 0, kWhere, "head size {} is not even",
        config.head_dim);
  check(reader.size_or("rope.dimension_count", config.head_dim) == config.head_dim, kWhere,
        "rope over part of a head is not supported");
  config.context_length = reader.size("context_length");
  config.norm_eps = reader.number_or("attention.layer_norm_rms_epsilon", 1e-5);
  config.rope_theta = reader.number_or("rope.freq_base", 10000);
  check(config.rope_theta > 0, kWhere, "rope.freq_base is {}; wants more than 0",
        config.rope_theta);
  config.rope = read_rope(reader, config.context_length);
  config.rope.divisors = read_divisors(file, config.head_dim);
  config.windows.assign(
      static_cast<size_t>(config.layers),
      reader.has("attention.sliding_window") ? reader.size("attention.sliding_window") : 0);
  config.tied_embeddings = file.find("output.weight") == nullptr;
  return config;
}

}  // namespace yiti
