#include "ops/attention/attention_paged.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/attention/attention_reference.h"
#include "ops/attention/head_view.h"
#include "ops/attention/kv_types.h"
#include "ops/attention/kv_write.h"
#include "ops/attention/token_runs.h"
#include "ops/host_values.h"

namespace yiti {
namespace {

using cpu::AttentionTile;
using cpu::HeadView;
using cpu::TileWorkspace;
using cpu::TokenRun;

constexpr const char* kName = "attention_paged";

int64_t lowest_key(int64_t position, int64_t window) {
  return window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
}

// One token's place, checked against the tables. Blocks that its window has left may be gone.
void check_token(int64_t token, int64_t sequence, int64_t position, int64_t window,
                 const int32_t* tables, int64_t sequences, int64_t width, int64_t blocks) {
  check(sequence < sequences, kName, "sequence {} of token {}; there are {}", sequence, token,
        sequences);
  check(position >= 0 && position < width * kKeyBlock, kName,
        "position {} of token {}; tables hold {} blocks of {}", position, token, width, kKeyBlock);
  for (int64_t b = lowest_key(position, window) / kKeyBlock; b <= position / kKeyBlock; ++b) {
    const int64_t block = tables[sequence * width + b];
    check(block >= 0 && block < blocks, kName, "block {} of sequence {} is {}; the pool has {}", b,
          sequence, block, blocks);
  }
}

// What all tiles share.
struct Paged {
  explicit Paged(const KernelArgs& args)
      : q(args.in[0]),
        k_pool(args.in[1].contiguous()),
        v_pool(args.in[2].contiguous()),
        tables_tensor(args.in[3].contiguous()),
        sequence_tensor(args.in[4].contiguous()),
        positions_tensor(args.in[5].contiguous()),
        tables(tables_tensor.data<int32_t>()),
        sequence(sequence_tensor.data<int32_t>()),
        positions(positions_tensor.data<int32_t>()),
        kv_heads(args.in[1].dim(1)),
        group(kv_heads == 0 ? 1 : q.heads() / kv_heads),
        width(args.in[3].dim(1)) {}

  HeadView q;
  Tensor k_pool, v_pool, tables_tensor, sequence_tensor, positions_tensor;
  const int32_t *tables, *sequence, *positions;
  int64_t kv_heads, group, width;
};

// Few tokens with a long context leave threads idle unless they share the segments of its keys.
struct SegmentSplit {
  bool worthwhile;
  int64_t segments;     // of the longest context that the tables have room for
  int64_t part_floats;  // of one item and segment
  int64_t items;        // at most

  SegmentSplit(std::span<const Tensor> in, Device& device)
      : segments((in[3].dim(1) * kKeyBlock + kKeySegment - 1) / kKeySegment) {
    constexpr int64_t kItemsForThread = 4;  // with more, whole items are shared out well enough
    const int64_t kv_heads = std::max<int64_t>(1, in[1].dim(1)), tokens = in[0].dim(0);
    const int64_t enough = kItemsForThread * device.threads().size();
    items = std::min(tokens * kv_heads, enough);
    worthwhile = device.threads().size() > 1 && tokens * kv_heads < enough;
    // A token for each row of the item, at worst.
    const int64_t group = in[0].dim(1) / kv_heads, rows = std::max<int64_t>(1, items / kv_heads);
    part_floats = cpu::attention_table_for(device.isa()).part_floats(rows * group, in[0].dim(2));
  }
  size_t bytes() const {
    if (segments <= 1) return 0;
    return static_cast<size_t>(items * segments * part_floats) * sizeof(float);
  }
};

TileWorkspace workspace_plan(std::span<const Tensor> in, Device& device) {
  const int64_t tokens = in[0].dim(0), kv_heads = std::max<int64_t>(1, in[1].dim(1));
  const int64_t group = std::max<int64_t>(1, in[0].dim(1) / kv_heads);
  const int64_t rows = std::min(std::max<int64_t>(1, tokens), cpu::tile_tokens(group)) * group;
  const auto& table = cpu::attention_table_for(device.isa());
  return {tokens, table.forward_scratch(rows, in[0].dim(2), in[3].dim(1) * kKeyBlock)};
}

size_t workspace_bytes(std::span<const Tensor> in, const Attrs&, Device& device) {
  return workspace_plan(in, device).bytes(device.threads().size()) +
         SegmentSplit(in, device).bytes();
}

AttentionTile tile_of(const KernelArgs& args, const Paged& p, TokenRun run, int64_t kv_head) {
  const auto& attrs = args.attrs.as<AttentionPagedAttrs>();
  const int64_t dim = p.q.head_dim(), head = kv_head * p.group, heads = p.q.heads();
  const DType kept = args.in[1].dtype();
  const int64_t block = kept_dim(dim, key_form(kept)) * kKeyBlock;
  const auto skip = static_cast<size_t>(kv_head * block * info(kept).block_bytes);
  AttentionTile tile{};
  tile.keys = {.table = p.tables + p.sequence[run.first] * p.width,
               .k = p.k_pool.raw() + skip,
               .v = p.v_pool.raw() + skip,
               .block_stride = p.kv_heads * block,
               .k_stride = 0,
               .v_stride = 0,
               .form = key_form(kept)};
  tile.first = p.positions[run.first];
  tile.tokens = run.count;
  tile.heads = p.group;
  tile.head_dim = dim;
  tile.window = attrs.window;
  tile.scale = static_cast<float>(attrs.scale);
  tile.q = p.q.at(run.first, head);
  tile.q_token_stride = p.q.token_stride();
  tile.q_head_stride = p.q.head_stride();
  tile.out = args.out[0].data<float>() + (run.first * heads + head) * dim;
  tile.out_token_stride = heads * dim;
  return tile;
}

void run_f32(const KernelArgs& args) {
  const Paged p(args);
  const int64_t tokens = p.q.tokens(), row = p.q.heads() * p.q.head_dim();
  const int64_t window = args.attrs.as<AttentionPagedAttrs>().window;
  float* out = args.out[0].data<float>();
  for (int64_t t = 0; t < tokens; ++t) {
    if (p.sequence[t] < 0) {
      std::fill_n(out + t * row, row, 0.0f);
    } else {
      check_token(t, p.sequence[t], p.positions[t], window, p.tables, args.in[3].dim(0), p.width,
                  args.in[1].dim(0));
    }
  }
  if (row == 0) return;
  const TileWorkspace plan = workspace_plan(args.in, args.device);
  TokenRun* runs = plan.runs(args.workspace);
  const int64_t count = cpu::cut_into_runs(
      tokens, cpu::tile_tokens(p.group),
      [&](int64_t t) {
        return p.sequence[t] == p.sequence[t - 1] && p.positions[t] == p.positions[t - 1] + 1;
      },
      runs);
  const auto& table = cpu::attention_table_for(args.device.isa());
  ThreadPool& threads = args.device.threads();
  // Calls f(tile, item, part) for each of the items' `parts` parts.
  const auto for_tiles = [&](int64_t parts, const auto& f) {
    cpu::share_out(threads, count * p.kv_heads * parts, [&](int64_t task, int64_t worker) {
      // The last tiles see the most keys, so they go first.
      const int64_t item = task / parts;
      const TokenRun run = runs[count - 1 - item / p.kv_heads];
      if (p.sequence[run.first] < 0) return;
      AttentionTile tile = tile_of(args, p, run, item % p.kv_heads);
      tile.scratch = plan.scratch(args.workspace, worker);
      f(tile, item, task % parts);
    });
  };
  const SegmentSplit split(args.in, args.device);
  const int64_t longest = tokens == 0 ? 0 : *std::max_element(p.positions, p.positions + tokens);
  if (!split.worthwhile || longest < kKeySegment) {
    return for_tiles(1, [&](const AttentionTile& tile, int64_t, int64_t) { table.forward(tile); });
  }
  auto* parts = reinterpret_cast<float*>(args.workspace + plan.bytes(threads.size()));
  const auto part = [&](int64_t item, int64_t segment) {
    return parts + (item * split.segments + segment) * split.part_floats;
  };
  for_tiles(split.segments, [&](const AttentionTile& tile, int64_t item, int64_t segment) {
    const int64_t first = lowest_key(tile.first, window) / kKeySegment;
    const int64_t last = (tile.first + tile.tokens - 1) / kKeySegment;
    if (segment >= first && segment <= last) {
      table.forward_segment(tile, segment, part(item, segment));
    }
  });
  for_tiles(1, [&](const AttentionTile& tile, int64_t item, int64_t) {
    table.merge_segments(tile, part(item, 0), split.part_floats);
  });
}

std::optional<std::string> refuses(std::span<const Tensor> in, const Attrs&) {
  if (in[0].dtype() != DType::kF32) return "takes f32 queries";
  if (!is_kv_type(in[1].dtype())) return "takes pools of f32, f16, bf16 or i8";
  for (size_t i = 3; i < 6; ++i) {
    if (in[i].dtype() != DType::kI32) return "takes i32 tables, sequences and positions";
  }
  return std::nullopt;
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<AttentionPagedAttrs>();
  const std::vector<double> q = to_doubles(in[0]), sequence = to_doubles(in[4]),
                            positions = to_doubles(in[5]), table_values = to_doubles(in[3]);
  const std::vector<int32_t> tables(table_values.begin(), table_values.end());
  const int64_t tokens = in[0].dim(0), heads = in[0].dim(1), dim = in[0].dim(2);
  const int64_t kv_heads = in[1].dim(1), width = in[3].dim(1);
  const std::vector<double> k = pool_keys(in[1], dim), v = pool_values(in[2], dim);
  std::vector<double> out(q.size());
  for (int64_t t = 0; t < tokens; ++t) {
    const auto s = static_cast<int64_t>(sequence[static_cast<size_t>(t)]);
    const auto position = static_cast<int64_t>(positions[static_cast<size_t>(t)]);
    if (s < 0) continue;
    check_token(t, s, position, a.window, tables.data(), in[3].dim(0), width, in[1].dim(0));
    for (int64_t h = 0; h < heads; ++h) {
      const auto at = static_cast<size_t>((t * heads + h) * dim);
      AttentionRow row{std::span(q).subspan(at, static_cast<size_t>(dim)), {}, {}, a.scale};
      for (int64_t i = lowest_key(position, a.window); i <= position; ++i) {
        const int64_t block = tables[static_cast<size_t>(s * width + i / kKeyBlock)];
        const int64_t head = block * kv_heads + h / (heads / kv_heads);
        const int64_t key = (head * kKeyBlock + i % kKeyBlock) * dim;
        row.keys.push_back(k.data() + key);
        row.values.push_back(v.data() + key);
      }
      attend_row(row, std::span(out).subspan(at, static_cast<size_t>(dim)));
    }
  }
  return {of_doubles(out, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> shape_rule(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const int64_t heads = in[0].dim(1), kv_heads = in[1].dim(1);
  check(kv_heads > 0 ? heads % kv_heads == 0 : heads == 0, op.name,
        "q has {} heads; wants a multiple of the pools' {}", heads, kv_heads);
  check(attrs.as<AttentionPagedAttrs>().window >= 0, op.name, "window is negative");
  check_pools(in[1], in[2], in[0].dim(2), op.name);
  return {Tensor::meta(in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<double> wave(int64_t count, double phase) {
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(phase + 1.7 * static_cast<double>(i));
  }
  return values;
}

// Two sequences of two blocks and a row of padding; heads of 10.
std::vector<Tensor> sample_inputs(DType floats, const DevicePtr& device) {
  const Shape queries = {5, 4, 10}, keys = {5, 2, 10, kKeyBlock}, values = {5, 2, kKeyBlock, 10};
  const auto i32 = [&](std::vector<int32_t> x, const Shape& shape) {
    return Tensor::from(x, shape, device);
  };
  return {of_doubles(wave(queries.numel(), 0), queries, floats, device),
          of_doubles(wave(keys.numel(), 1), keys, floats, device),
          of_doubles(wave(values.numel(), 2), values, floats, device),
          i32({4, 0, 2, 1}, {2, 2}),
          i32({0, 0, -1, 1, 1}, {5}),
          i32({63, 64, 0, 0, 100}, {5})};
}

// The same with keys and values as 8-bit codes.
std::vector<Tensor> coded_inputs(DType floats, const DevicePtr& device) {
  std::vector<Tensor> in = sample_inputs(floats, device);
  constexpr int64_t kSlots = 5 * kKeyBlock;
  const Shape heads = {kSlots, 2, 10};
  std::vector<int64_t> slots(kSlots);
  std::iota(slots.begin(), slots.end(), 0);
  const std::vector<Tensor> pools = kv_write_op().reference(
      std::vector{of_doubles(wave(heads.numel(), 1), heads, floats, device),
                  of_doubles(wave(heads.numel(), 2), heads, floats, device),
                  Tensor::from(slots, {kSlots}, device),
                  Tensor::zeros(key_pool_shape(5, 2, 10, DType::kI8), DType::kI8, device),
                  Tensor::zeros(value_pool_shape(5, 2, 10, DType::kI8), DType::kI8, device)},
      {});
  in[1] = pools[0];
  in[2] = pools[1];
  return in;
}

std::vector<Tensor> no_tokens(DType floats, const DevicePtr& device) {
  const Tensor none = Tensor::zeros({0}, DType::kI32, device);
  return {Tensor::zeros({0, 2, 8}, floats, device),
          Tensor::zeros({1, 2, 8, kKeyBlock}, floats, device),
          Tensor::zeros({1, 2, kKeyBlock, 8}, floats, device),
          Tensor::zeros({1, 1}, DType::kI32, device),
          none,
          none};
}

}  // namespace

const Op& attention_paged_op() {
  static const Op op =
      OpBuilder("attention_paged")
          .doc("Causal attention of each token over the cached keys of its sequence.")
          .source("Kwon et al. 2023, PagedAttention; Dao et al. 2022, FlashAttention")
          .attrs(AttentionPagedAttrs{})
          .input("q", "[T, H, D]")
          .input("k_pool", "[B, Hkv, E, 64]", Kind::kAny)
          .input("v_pool", "[B, Hkv, 64, E]", Kind::kAny)
          .input("tables", "[S, M]", Kind::kIndex)
          .input("sequence", "[T]", Kind::kIndex)
          .input("positions", "[T]", Kind::kIndex)
          .output("out", "[T, H, D]")
          .shape_rule(shape_rule)
          .kernel({.name = "cpu.f32",
                   .device_kind = "cpu",
                   .refuses = refuses,
                   .run = run_f32,
                   .workspace = workspace_bytes})
          .reference(reference)
          .not_differentiable()
          .sample({.shapes = {}, .attrs = AttentionPagedAttrs{0.3, 0}, .make = sample_inputs})
          .sample({.shapes = {}, .attrs = AttentionPagedAttrs{0.3, 40}, .make = sample_inputs})
          .sample({.shapes = {}, .attrs = AttentionPagedAttrs{0.3, 40}, .make = coded_inputs})
          .sample({.shapes = {}, .attrs = AttentionPagedAttrs{}, .make = no_tokens})
          .accuracy(4)
          .build();
  return op;
}

Tensor ops::attention_paged(const Tensor& q, const Tensor& k_pool, const Tensor& v_pool,
                            const Tensor& tables, const Tensor& sequence, const Tensor& positions,
                            double scale, int64_t window) {
  return attention_paged_op()({q, k_pool, v_pool, tables, sequence, positions},
                              AttentionPagedAttrs{scale, window})[0];
}

}  // namespace yiti
