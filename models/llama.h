// The Llama family: Llama, Llama 3 (rope), Mistral (window), Qwen2 (bias), Qwen3 (norms of q and
// k). Touvron et al. 2023; Jiang et al. 2023; Qwen Team 2024, 2025.
#pragma once

#include <vector>

#include "models/language_model.h"
#include "models/layers.h"

namespace yiti {

class Llama final : public LanguageModel {
 public:
  Llama(const ModelConfig& config, StorePtr store, const NumericProfile& profile);
  Tensor operator()(const Tensor& tokens, Context& ctx) const override;

 private:
  struct Rope {
    Tensor cos, sin;  // [T, head_dim / 2]
  };

  struct Attention {
    Attention(const Scope& scope, const ModelConfig& config, int64_t layer);
    Tensor operator()(const Tensor& x, const Rope& rope, Context& ctx) const;
    Linear q_proj, k_proj, v_proj, o_proj;
    RmsNorm q_norm, k_norm;  // where the checkpoint has them
    AttentionSpec spec;
  };

  struct Mlp {
    Mlp(const Scope& scope, const ModelConfig& config);
    Tensor operator()(const Tensor& x, Context& ctx) const;
    Linear gate_proj, up_proj, down_proj;
  };

  struct Block {
    Block(const Scope& scope, const ModelConfig& config, int64_t layer);
    Tensor operator()(const Tensor& x, const Rope& rope, Context& ctx) const;
    RmsNorm input_layernorm, post_attention_layernorm;
    Attention self_attn;
    Mlp mlp;
  };

  Embedding embed_tokens;
  std::vector<Block> layers;
  RmsNorm norm;
  Linear lm_head;
  Tensor frequencies;  // [head_dim / 2]
};

}  // namespace yiti
