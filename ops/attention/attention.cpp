#include "ops/attention/attention.h"

#include <algorithm>

#include "ops/attention/attention_reference.h"
#include "ops/attention/head_view.h"
#include "ops/attention/kv_types.h"
#include "ops/attention/packed_samples.h"
#include "ops/attention/token_runs.h"
#include "ops/host_values.h"

namespace yiti {
namespace {

using cpu::AttentionTile;
using cpu::HeadView;
using cpu::TileWorkspace;
using cpu::TokenRun;

TileWorkspace workspace_plan(std::span<const Tensor> in, Device& device) {
  const int64_t tokens = in[0].dim(0), kv_heads = std::max<int64_t>(1, in[1].dim(1));
  const int64_t group = std::max<int64_t>(1, in[0].dim(1) / kv_heads);
  const int64_t rows = std::min(std::max<int64_t>(1, tokens), cpu::tile_tokens(group)) * group;
  const auto& table = cpu::attention_table_for(device.isa());
  return {tokens, table.forward_scratch(rows, in[0].dim(2), std::max<int64_t>(1, tokens))};
}

size_t workspace_bytes(std::span<const Tensor> in, const Attrs&, Device& device) {
  return workspace_plan(in, device).bytes(device.threads().size());
}

void run_f32(const KernelArgs& args) {
  const auto& attrs = args.attrs.as<AttentionAttrs>();
  const HeadView q(args.in[0]), k(args.in[1]), v(args.in[2]);
  const Tensor positions_tensor = args.in[3].contiguous();
  const auto* positions = positions_tensor.data<int32_t>();
  const int64_t tokens = q.tokens(), heads = q.heads(), dim = q.head_dim(), kv_heads = k.heads();
  check_positions(positions, tokens);
  if (args.out[0].numel() == 0) return;
  const KeyForm form = key_form(kv_type(attrs.kv_dtype, "attention"));
  const int64_t group = heads / kv_heads;
  const TileWorkspace plan = workspace_plan(args.in, args.device);
  TokenRun* runs = plan.runs(args.workspace);
  const int64_t count = cpu::cut_into_runs(
      tokens, cpu::tile_tokens(group), [&](int64_t t) { return positions[t] > 0; }, runs);
  float* out = args.out[0].data<float>();
  float* lse = args.out[1].defined() ? args.out[1].data<float>() : nullptr;
  const auto& table = cpu::attention_table_for(args.device.isa());
  cpu::share_out(args.device.threads(), count * kv_heads, [&](int64_t item, int64_t worker) {
    // The last tiles see the most keys, so they go first.
    const TokenRun run = runs[count - 1 - item / kv_heads];
    const int64_t kv_head = item % kv_heads, head = kv_head * group, first = run.first;
    const int64_t document = first - positions[first];
    AttentionTile tile{};
    tile.keys = {.table = nullptr,
                 .k = k.at(document, kv_head),
                 .v = v.at(document, kv_head),
                 .block_stride = 0,
                 .k_stride = k.token_stride(),
                 .v_stride = v.token_stride(),
                 .form = form};
    tile.first = positions[first];
    tile.tokens = run.count;
    tile.heads = group;
    tile.head_dim = dim;
    tile.window = attrs.window;
    tile.scale = static_cast<float>(attrs.scale);
    tile.q = q.at(first, head);
    tile.q_token_stride = q.token_stride();
    tile.q_head_stride = q.head_stride();
    tile.out = out + (first * heads + head) * dim;
    tile.out_token_stride = heads * dim;
    tile.lse = lse == nullptr ? nullptr : lse + first * heads + head;
    tile.lse_token_stride = heads;
    tile.scratch = plan.scratch(args.workspace, worker);
    table.forward(tile);
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<AttentionAttrs>();
  const DType kept = kv_type(a.kv_dtype, "attention");
  const std::vector<double> q = to_doubles(in[0]), k = rounded_doubles(in[1], kept),
                            v = rounded_doubles(in[2], kept);
  const std::vector<int64_t> positions = document_positions(in[3]);
  const int64_t tokens = in[0].dim(0), heads = in[0].dim(1), dim = in[0].dim(2);
  const int64_t kv_heads = in[1].dim(1);
  std::vector<double> out(q.size()), lse(static_cast<size_t>(tokens * heads));
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t position = positions[static_cast<size_t>(t)];
    const int64_t seen = a.window > 0 ? std::min(a.window, position + 1) : position + 1;
    for (int64_t h = 0; h < heads; ++h) {
      const auto at = static_cast<size_t>((t * heads + h) * dim);
      AttentionRow row{std::span(q).subspan(at, static_cast<size_t>(dim)), {}, {}, a.scale};
      for (int64_t key = t + 1 - seen; key <= t; ++key) {
        const int64_t head = (key * kv_heads + h / (heads / kv_heads)) * dim;
        row.keys.push_back(k.data() + head);
        row.values.push_back(v.data() + head);
      }
      lse[static_cast<size_t>(t * heads + h)] =
          attend_row(row, std::span(out).subspan(at, static_cast<size_t>(dim)));
    }
  }
  const DType dtype = in[0].dtype();
  return {of_doubles(out, in[0].shape(), dtype, in[0].device()),
          of_doubles(lse, {tokens, heads}, dtype, in[0].device())};
}

std::vector<Tensor> shape_rule(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check_attention(in, attrs, op);
  const DType dtype = in[0].dtype();
  return {Tensor::meta(in[0].shape(), dtype, in[0].device()),
          Tensor::meta({in[0].dim(0), in[0].dim(1)}, dtype, in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  std::vector<Tensor> grads = attention_backward_op()(
      {g.in[0], g.in[1], g.in[2], g.in[3], g.out[0], g.out[1], g.grad_out[0]}, g.attrs);
  grads.emplace_back();
  return grads;
}

}  // namespace

const Op& attention_op() {
  static const Op op = [] {
    Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, run_f32);
    kernel.workspace = workspace_bytes;
    OpBuilder builder("attention");
    builder.doc("Causal attention of each token over its own document in a packed batch.")
        .source("Vaswani et al. 2017; Dao et al. 2022, FlashAttention; Ainslie et al. 2023, GQA")
        .attrs(AttentionAttrs{})
        .input("q", "[N, H, D]")
        .input("k", "[N, Hkv, D]")
        .input("v", "[N, Hkv, D]")
        .input("positions", "[N]", Kind::kIndex)
        .output("out", "[N, H, D]")
        .saved_output("lse", "[N, H]")
        .shape_rule(shape_rule)
        .kernel(std::move(kernel))
        .reference(reference)
        .gradient(gradient, {0, 1, 2, 3}, {0, 1})
        .accuracy(1, 70);
    for (Sample& sample : packed_attention_samples(false)) builder.sample(std::move(sample));
    return builder.build();
  }();
  return op;
}

Tensor ops::attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                      double scale, int64_t window, DType kv_dtype) {
  return attention_op()({q, k, v, positions},
                        AttentionAttrs{scale, window, std::string(name(kv_dtype))})[0];
}

}  // namespace yiti
