#include "devices/cuda/own_attention.h"

#include "devices/common/element_types.h"

namespace yiti::devices::cuda {
namespace {

constexpr int64_t kMaxHeadDim = 256;  // of registers
constexpr int64_t kTileRows = 16;

// How a call's tokens and heads are cut into tiles of a warp, which has one run of tokens that
// share their keys, and `splits` parts of it.
struct Tiles {
  Extent global, local;

  Tiles(const Operand& q, int64_t kv_heads, int64_t splits) {
    const int64_t group = q.dim(1) / kv_heads, heads = std::min(group, kTileRows);
    const int64_t tokens = kTileRows / heads, warps = q.dim(2) <= 128 ? 4 : 2;
    const auto size = [](int64_t n) { return static_cast<size_t>(n); };
    const auto blocks = [](int64_t n, int64_t each) { return (n + each - 1) / each; };
    local = {size(32 * warps), 1, 1};
    global = {size(blocks(q.dim(0), tokens * warps) * warps * 32),
              size(kv_heads * blocks(group, kTileRows)), size(tokens * splits)};
  }
};

// Elements of keys and values may be read four at a time.
bool lie_on_vectors(const Pointer& k, const Pointer& v) {
  const auto lies = [](const Pointer& x) {
    return x.place.offset % static_cast<uint64_t>(4 * x.element_bytes) == 0;
  };
  return lies(k) && lies(v);
}

std::string options_of(const Operand& q, const char* kept, const Pointer& k, const Pointer& v) {
  return fmt::format("-DHEAD_DIM={} -DKEPT_AS={} -DVECTORS={}", q.dim(2), kept,
                     lie_on_vectors(k, v) ? "true" : "false");
}

const char* kind_of_rows(uint32_t kept) {
  return kept == YITI_DTYPE_F32 ? "kept_f32" : kept == YITI_DTYPE_I8 ? "coded_f32" : "rounded_f32";
}

const char* kind_of_pool(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F32: return "kept_f32";
    case YITI_DTYPE_F16: return "kept_f16";
    case YITI_DTYPE_BF16: return "kept_bf16";
    default: return "kept_i8";
  }
}

}  // namespace

bool attend(Launcher& run, const RowAttentionCall& call) {
  const Operand &q = call.q, &k = call.k;
  if (q.dim(2) > kMaxHeadDim) return false;
  const Tiles tiles(q, k.dim(1), 1);
  const std::string options =
      fmt::format("{} -DINDEX={}", options_of(q, kind_of_rows(call.kept), call.keys, call.values),
                  index_type(call.positions));
  run.launch({"tile_attention", "tile_attention", options}, tiles.global, tiles.local, pointer(q),
             call.keys, call.values, call.key_scales, call.value_scales, pointer(call.positions),
             pointer(call.out), pointer(call.lse), call.lse ? 1 : 0, q.dim(0), q.dim(1), k.dim(1),
             call.window, call.scale, Launcher::kFault);
  return true;
}

bool attend(Launcher& run, const PagedAttentionCall& call) {
  const Operand &q = call.q, &tables = call.tables;
  if (q.dim(2) > kMaxHeadDim) return false;
  const Pointer k_pool = pointer(call.k_pool), v_pool = pointer(call.v_pool);
  const Tiles tiles(q, call.k_pool.dim(1), call.splits);
  const std::string options =
      options_of(q, kind_of_pool(call.k_pool.dtype()), k_pool, v_pool) + " -DPAGED";
  run.launch({"tile_attention", "tile_attention_paged", options}, tiles.global, tiles.local,
             pointer(q), k_pool, v_pool, pointer(tables), pointer(call.sequence),
             pointer(call.positions), call.out, call.splits, q.dim(0), q.dim(1), call.k_pool.dim(1),
             tables.dim(0), tables.dim(1), call.k_pool.dim(0), call.window, call.scale,
             Launcher::kFault);
  return true;
}

}  // namespace yiti::devices::cuda
