// The gradient of attention over packed documents.
#include "ops/kernels/cpu/attention_backward.h"

#include <algorithm>
#include <cmath>

#include "ops/attention/attention.h"
#include "ops/attention/attention_reference.h"
#include "ops/attention/head_view.h"
#include "ops/attention/kv_types.h"
#include "ops/attention/packed_samples.h"
#include "ops/attention/token_runs.h"
#include "ops/host_values.h"

namespace yiti {
namespace {

using cpu::HeadView;
using cpu::TileWorkspace;
using cpu::TokenRun;

// Scratch for threads, then the parts of dK and dV that each query head of a group gives.
struct Workspace {
  TileWorkspace tiles;
  int64_t part_floats;  ///< of dK, and as many of dV; 0 where each kv head has one query head
};

Workspace workspace_plan(std::span<const Tensor> in, Device& device) {
  const bool grouped = in[0].dim(1) != in[1].dim(1);
  const auto& table = cpu::attention_backward_table_for(device.isa());
  return {{in[0].dim(0), table.scratch(in[0].dim(0), in[0].dim(2))}, grouped ? in[0].numel() : 0};
}

size_t workspace_bytes(std::span<const Tensor> in, const Attrs&, Device& device) {
  const Workspace plan = workspace_plan(in, device);
  return plan.tiles.bytes(device.threads().size()) +
         static_cast<size_t>(2 * plan.part_floats) * sizeof(float);
}

// Adds the parts of each group's query heads, in ascending order.
void add_parts(const KernelArgs& args, const float* parts, const Tensor& target) {
  const int64_t kv_heads = target.dim(1), width = target.dim(2);
  const int64_t group = args.in[0].dim(1) / kv_heads;
  const auto& table = cpu::attention_backward_table_for(args.device.isa());
  float* sums = target.data<float>();
  args.device.threads().parallel_for(target.dim(0) * kv_heads, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* part = parts + i * group * width;
      std::copy_n(part, width, sums + i * width);
      for (int64_t h = 1; h < group; ++h) table.add(part + h * width, sums + i * width, width);
    }
  });
}

struct Inputs {
  explicit Inputs(std::span<const Tensor> in)
      : q(in[0]), k(in[1]), v(in[2]), out(in[4]), dout(in[6]) {}
  HeadView q, k, v, out, dout;
};

cpu::HeadRows rows_of(const HeadView& view, int64_t token, int64_t head) {
  return {view.at(token, head), view.token_stride()};
}

void run_f32(const KernelArgs& args) {
  const auto& attrs = args.attrs.as<AttentionAttrs>();
  const Inputs in(args.in);
  const Tensor positions_tensor = args.in[3].contiguous(), lse_tensor = args.in[5].contiguous();
  const auto* positions = positions_tensor.data<int32_t>();
  const float* lse = lse_tensor.data<float>();
  const int64_t tokens = in.q.tokens(), heads = in.q.heads(), dim = in.q.head_dim();
  check_positions(positions, tokens);
  if (args.out[0].numel() == 0) return;
  const KeyForm form = key_form(kv_type(attrs.kv_dtype, "attention_backward"));
  const int64_t group = heads / in.k.heads();
  const Workspace plan = workspace_plan(args.in, args.device);
  float* dk = args.out[1].data<float>();
  float* dv = args.out[2].data<float>();
  if (group > 1) {
    dk = plan.tiles.scratch(args.workspace, args.device.threads().size());
    dv = dk + plan.part_floats;
  }
  TokenRun* documents = plan.tiles.runs(args.workspace);
  const int64_t count = cpu::cut_into_runs(
      tokens, tokens, [&](int64_t t) { return positions[t] > 0; }, documents);
  const auto& table = cpu::attention_backward_table_for(args.device.isa());
  cpu::share_out(args.device.threads(), count * heads, [&](int64_t item, int64_t worker) {
    const TokenRun document = documents[item / heads];
    const int64_t head = item % heads, kv_head = head / group, first = document.first;
    const int64_t at = (first * heads + head) * dim;
    table.run({.q = rows_of(in.q, first, head),
               .k = rows_of(in.k, first, kv_head),
               .v = rows_of(in.v, first, kv_head),
               .out = rows_of(in.out, first, head),
               .dout = rows_of(in.dout, first, head),
               .lse = lse + first * heads + head,
               .lse_stride = heads,
               .tokens = document.count,
               .head_dim = dim,
               .window = attrs.window,
               .scale = static_cast<float>(attrs.scale),
               .form = form,
               .dq = args.out[0].data<float>() + at,
               .dq_stride = heads * dim,
               .dk = dk + at,
               .dv = dv + at,
               .dk_stride = heads * dim,
               .scratch = plan.tiles.scratch(args.workspace, worker)});
  });
  if (group == 1) return;
  add_parts(args, dk, args.out[1]);
  add_parts(args, dv, args.out[2]);
}

double dot(const double* a, const double* b, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

void add_scaled(const double* x, double factor, int64_t n, double* sum) {
  for (int64_t i = 0; i < n; ++i) sum[i] += factor * x[i];
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<AttentionAttrs>();
  const DType kept = kv_type(a.kv_dtype, "attention_backward");
  const std::vector<double> q = to_doubles(in[0]), k = rounded_doubles(in[1], kept),
                            v = rounded_doubles(in[2], kept), out = to_doubles(in[4]),
                            lse = to_doubles(in[5]), dout = to_doubles(in[6]);
  const std::vector<int64_t> positions = document_positions(in[3]);
  const int64_t heads = in[0].dim(1), dim = in[0].dim(2), kv_heads = in[1].dim(1);
  std::vector<double> dq(q.size()), dk(k.size()), dv(v.size());
  for (int64_t row = 0; row < in[0].dim(0) * heads; ++row) {
    const int64_t t = row / heads, at = row * dim;
    const int64_t position = positions[static_cast<size_t>(t)];
    const int64_t seen = a.window > 0 ? std::min(a.window, position + 1) : position + 1;
    const double delta = dot(&out[static_cast<size_t>(at)], &dout[static_cast<size_t>(at)], dim);
    for (int64_t key = t + 1 - seen; key <= t; ++key) {
      const int64_t other = (key * kv_heads + row % heads / (heads / kv_heads)) * dim;
      const double* value = v.data() + other;
      const double score = a.scale * dot(q.data() + at, k.data() + other, dim);
      const double p = std::exp(score - lse[static_cast<size_t>(row)]);
      const double ds = p * (dot(dout.data() + at, value, dim) - delta) * a.scale;
      add_scaled(dout.data() + at, p, dim, dv.data() + other);
      add_scaled(q.data() + at, ds, dim, dk.data() + other);
      add_scaled(k.data() + other, ds, dim, dq.data() + at);
    }
  }
  const DType dtype = in[0].dtype();
  return {of_doubles(dq, in[0].shape(), dtype, in[0].device()),
          of_doubles(dk, in[1].shape(), dtype, in[0].device()),
          of_doubles(dv, in[2].shape(), dtype, in[0].device())};
}

std::vector<Tensor> shape_rule(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check_attention(in, attrs, op);
  std::vector<Tensor> gradients;
  for (const Tensor& x : in.first(3)) gradients.push_back(x.as_meta());
  return gradients;
}

}  // namespace

const Op& attention_backward_op() {
  static const Op op = [] {
    Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, run_f32);
    kernel.workspace = workspace_bytes;
    OpBuilder builder("attention_backward");
    builder.doc("The gradients of attention for q, k and v, from its result and lse.")
        .source("Dao et al. 2022, FlashAttention, appendix B.4")
        .attrs(AttentionAttrs{})
        .input("q", "[N, H, D]")
        .input("k", "[N, Hkv, D]")
        .input("v", "[N, Hkv, D]")
        .input("positions", "[N]", Kind::kIndex)
        .input("out", "[N, H, D]")
        .input("lse", "[N, H]")
        .input("dout", "[N, H, D]")
        .output("dq", "[N, H, D]", 0)
        .output("dk", "[N, Hkv, D]", 1)
        .output("dv", "[N, Hkv, D]", 2)
        .shape_rule(shape_rule)
        .kernel(std::move(kernel))
        .reference(reference)
        .not_differentiable()
        .accuracy(1, 70);
    for (Sample& sample : packed_attention_samples(true)) builder.sample(std::move(sample));
    return builder.build();
  }();
  return op;
}

}  // namespace yiti
