// A model is the same from its Hugging Face folder and from its GGUF, and so are its adapters.
#include <cstring>

#include "core/io/gguf.h"
#include "models/peft.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

struct Names {
  const char* hugging_face;
  const char* gguf;
};

constexpr Names kNames[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"model.layers.", "blk."},
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"lm_head", "output"},
};

std::string gguf_name(std::string name) {
  for (const Names& pair : kNames) {
    const std::string from = pair.hugging_face;
    if (const size_t at = name.find(from); at != std::string::npos) {
      name.replace(at, from.size(), pair.gguf);
    }
  }
  return name;
}

// Rows as a GGUF of Llama has them: those of a head's two halves take turns.
Tensor permuted(const Tensor& tensor, int64_t heads) {
  const std::vector<float> rows = tensor.to_vector<float>();
  std::vector<float> result(rows.size());
  const int64_t width = tensor.numel() / tensor.dim(0), half = tensor.dim(0) / heads / 2;
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < half; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        const int64_t from = head * 2 * half + j * half + i, to = head * 2 * half + 2 * i + j;
        std::copy_n(rows.begin() + from * width, width, result.begin() + to * width);
      }
    }
  }
  return Tensor::from(result, tensor.shape(), tensor.device());
}

GgufMetadata metadata_of(const ModelConfig& config) {
  GgufMetadata metadata;
  const std::string prefix = config.architecture + ".";
  const auto set = [&](const char* key, int64_t value) {
    metadata.set(prefix + key, static_cast<uint32_t>(value));
  };
  metadata.set("general.architecture", config.architecture);
  metadata.set("general.name", std::string("tiny"));
  set("embedding_length", config.hidden_size);
  set("feed_forward_length", config.intermediate_size);
  set("block_count", config.layers);
  set("context_length", config.context_length);
  set("attention.head_count", config.heads);
  set("attention.head_count_kv", config.kv_heads);
  set("attention.key_length", config.head_dim);
  metadata.set(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_eps));
  metadata.set(prefix + "rope.freq_base", static_cast<float>(config.rope_theta));
  return metadata;
}

// `model` as a GGUF file.
void write_model(const std::string& path, const LanguageModel& model) {
  const ModelConfig& config = model.config();
  std::vector<std::pair<std::string, Tensor>> tensors;
  const VersionPtr version = model.store()->current();
  for (size_t i = 0; i < model.store()->names().size(); ++i) {
    const std::string& name = model.store()->names()[i];
    Tensor tensor = version->tensors()[i];
    const bool llama = config.architecture == "llama";
    if (llama && name.find("q_proj") != std::string::npos) tensor = permuted(tensor, config.heads);
    if (llama && name.find("k_proj") != std::string::npos) {
      tensor = permuted(tensor, config.kv_heads);
    }
    tensors.emplace_back(gguf_name(name), tensor);
  }
  write_gguf(path, metadata_of(config), tensors);
}

class GgufModel : public testing::TestWithParam<const char*> {
 protected:
  GgufModel()
      : folder_(std::string(YITI_TEST_DATA "/tiny/") + GetParam()),
        device_(make_cpu_device({.threads = 2})),
        path_(testing::TempDir() + "yiti_" + GetParam() + ".gguf"),
        from_folder_(load_model(folder_, device_).value().model) {
    write_model(path_, *from_folder_);
    from_gguf_ = load_model(path_, device_).value().model;
    std::vector<int32_t> ids;
    for (int i = 0; i < 100; ++i) ids.push_back((i * 37 + 11) % 160);
    batch_ = batch_of(Tensor::from(ids, {2, 50}, device_));
  }

  void expect_same_logits(const LanguageModel& a, const LanguageModel& b) const {
    const std::vector<float> x = training_logits(a, batch_).to_vector<float>();
    const std::vector<float> y = training_logits(b, batch_).to_vector<float>();
    ASSERT_EQ(x.size(), y.size());
    EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * sizeof(float)), 0);
  }

  std::string folder_;
  DevicePtr device_;
  std::string path_;
  ModelPtr from_folder_, from_gguf_;
  Batch batch_;
};

TEST_P(GgufModel, HasTheLogitsOfItsFolder) { expect_same_logits(*from_folder_, *from_gguf_); }

TEST_P(GgufModel, IsReadFromTwoFiles) {
  const auto file = GgufFile::open(path_, device_);
  std::vector<std::pair<std::string, Tensor>> tensors[2];
  for (const GgufTensorInfo& info : file->tensors()) {
    auto& part = tensors[tensors[0].size() > 5];
    part.emplace_back(info.name, file->tensor(info.name));
  }
  GgufMetadata metadata = file->metadata(), second;
  metadata.set("split.no", uint16_t{0});
  second.set("split.no", uint16_t{1});
  for (GgufMetadata* one : {&metadata, &second}) one->set("split.count", uint16_t{2});
  const std::string stem = testing::TempDir() + "yiti_" + GetParam();
  write_gguf(stem + "-00001-of-00002.gguf", metadata, tensors[0]);
  write_gguf(stem + "-00002-of-00002.gguf", second, tensors[1]);
  const LoadedModel loaded = load_model(stem + "-00001-of-00002.gguf", device_).value();
  expect_same_logits(*from_folder_, *loaded.model);
}

TEST_P(GgufModel, AnAdapterHasTheSameLogitsOnBoth) {
  const ModelPtr adapted = load_peft(*from_folder_, folder_ + "/adapter");
  expect_same_logits(*adapted, *load_peft(*from_gguf_, folder_ + "/adapter"));
  EXPECT_NE(training_logits(*adapted, batch_).to_vector<float>(),
            training_logits(*from_folder_, batch_).to_vector<float>());
}

TEST_P(GgufModel, AnAdapterSavedFromOneLoadsOnTheOther) {
  const ModelPtr adapted = load_peft(*from_gguf_, folder_ + "/adapter");
  const std::string saved = testing::TempDir() + "yiti_adapter_" + GetParam();
  save_peft(*adapted, *adapted->store()->current(), saved, "tiny");
  expect_same_logits(*adapted, *load_peft(*from_folder_, saved));
}

INSTANTIATE_TEST_SUITE_P(Models, GgufModel,
                         testing::Values("llama-gqa-tied", "qwen2-bias", "qwen3-qknorm"));

}  // namespace
}  // namespace yiti
