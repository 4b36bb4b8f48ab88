#include "models/llama.h"

#include <cmath>

#include "ops/attention/rope.h"
#include "ops/elementwise/operators.h"
#include "ops/norm/swiglu.h"
#include "ops/shape/reshape.h"

namespace yiti {

Llama::Attention::Attention(const Scope& scope, const ModelConfig& c, int64_t layer)
    : q_proj(scope / "q_proj", c.hidden_size, c.heads * c.head_dim),
      k_proj(scope / "k_proj", c.hidden_size, c.kv_heads * c.head_dim),
      v_proj(scope / "v_proj", c.hidden_size, c.kv_heads * c.head_dim),
      o_proj(scope / "o_proj", c.heads * c.head_dim, c.hidden_size, c.head_dim),
      spec{.layer = layer,
           .heads = c.heads,
           .kv_heads = c.kv_heads,
           .head_dim = c.head_dim,
           .scale = 1 / std::sqrt(static_cast<double>(c.head_dim)),
           .window = c.windows[static_cast<size_t>(layer)]} {
  if (!scope.find("q_norm.weight").defined()) return;
  q_norm = RmsNorm(scope / "q_norm", c.head_dim, c.norm_eps);
  k_norm = RmsNorm(scope / "k_norm", c.head_dim, c.norm_eps);
}

// x [T, hidden] -> [T, hidden]
Tensor Llama::Attention::operator()(const Tensor& x, const Rope& rope, Context& ctx) const {
  Tensor q = ops::reshape(q_proj(x, ctx), {-1, spec.heads, spec.head_dim});
  Tensor k = ops::reshape(k_proj(x, ctx), {-1, spec.kv_heads, spec.head_dim});
  const Tensor v = ops::reshape(v_proj(x, ctx), {-1, spec.kv_heads, spec.head_dim});
  if (q_norm.weight.defined()) {
    q = q_norm(q, ctx);
    k = k_norm(k, ctx);
  }
  q = ops::rope(q, rope.cos, rope.sin);
  k = ops::rope(k, rope.cos, rope.sin);
  const Tensor y = ctx.attend(spec, q, k, v);
  return o_proj(ops::reshape(y, {-1, spec.heads * spec.head_dim}), ctx);
}

Llama::Mlp::Mlp(const Scope& scope, const ModelConfig& c)
    : gate_proj(scope / "gate_proj", c.hidden_size, c.intermediate_size),
      up_proj(scope / "up_proj", c.hidden_size, c.intermediate_size),
      down_proj(scope / "down_proj", c.intermediate_size, c.hidden_size) {}

Tensor Llama::Mlp::operator()(const Tensor& x, Context& ctx) const {
  return down_proj(ops::swiglu(gate_proj(x, ctx), up_proj(x, ctx)), ctx);
}

Llama::Block::Block(const Scope& scope, const ModelConfig& c, int64_t layer)
    : input_layernorm(scope / "input_layernorm", c.hidden_size, c.norm_eps),
      post_attention_layernorm(scope / "post_attention_layernorm", c.hidden_size, c.norm_eps),
      self_attn(scope / "self_attn", c, layer),
      mlp(scope / "mlp", c) {}

Tensor Llama::Block::operator()(const Tensor& x, const Rope& rope, Context& ctx) const {
  const Tensor h = x + self_attn(input_layernorm(x, ctx), rope, ctx);
  return h + mlp(post_attention_layernorm(h, ctx), ctx);
}

Llama::Llama(const ModelConfig& c, StorePtr store, const NumericProfile& profile)
    : LanguageModel(c, std::move(store), profile) {
  const Scope root(*this->store(), this->profile());
  const Scope model = root / "model";
  embed_tokens = Embedding(model / "embed_tokens", c.vocab_size, c.hidden_size);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    layers.emplace_back(model / "layers" / layer, c, layer);
  }
  norm = RmsNorm(model / "norm", c.hidden_size, c.norm_eps);
  lm_head = c.tied_embeddings ? embed_tokens.as_linear()
                              : Linear(root / "lm_head", c.hidden_size, c.vocab_size);
  frequencies = Tensor::from(rope_frequencies(c), {c.head_dim / 2}, device());
}

Tensor Llama::operator()(const Tensor& tokens, Context& ctx) const {
  const auto [cos, sin] =
      ops::rope_table(ctx.positions(), frequencies, rope_attention_factor(config()));
  const Rope rope{cos, sin};
  Tensor x = embed_tokens(tokens, ctx);
  for (const Block& block : layers) {
    x = ctx.recompute([&block, rope, &ctx](const Tensor& in) { return block(in, rope, ctx); }, x);
  }
  return ctx.predict(norm(x, ctx), lm_head);
}

}  // namespace yiti
