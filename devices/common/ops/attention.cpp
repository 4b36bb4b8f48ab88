// Rope, attention over packed documents and over a paged cache, and the cache.
#include "devices/common/attention.h"

#include <algorithm>

#include "devices/common/element_types.h"
#include "devices/common/ops.h"

namespace yiti::devices {
namespace {

constexpr int64_t kKeyBlock = 64;      // GROUP in kernels/common.cl
constexpr int64_t kSegment = 8;        // blocks of keys: SEGMENT in kernels/attention.cl
constexpr int64_t kMostParts = 16384;  // of rows that are shared out by segments
constexpr int64_t kMaxHeadDim = 512;   // of local memory and registers

void require_heads(const Operand& q) {
  require(q.is_f32(), "takes f32; got {}", dtype_name(q.dtype()));
  require(q.dim(2) >= 1 && q.dim(2) <= kMaxHeadDim, "heads of {} elements; takes 1 to {}", q.dim(2),
          kMaxHeadDim);
}

void rope_table(Launcher& run, const Call& call) {
  const Operand positions = call.in(0), frequencies = call.in(1);
  require(frequencies.is_f32(), "takes f32; got {}", dtype_name(frequencies.dtype()));
  require(run.backend().has_doubles(), "the device has no f64");
  run.each({"rope", "rope_table", BuildOptions().define("-DINDEX=", index_type(positions))},
           call.out(0).numel(), pointer(positions), pointer(frequencies), pointer(call.out(0)),
           pointer(call.out(1)), call.number("attention_factor"), frequencies.numel());
}

void rope(Launcher& run, const Call& call) {
  require_f32(call, 3);
  const Operand x = call.in(0), cosines = call.in(1);
  const int64_t heads = x.dim(1), width = x.dim(2), pairs = cosines.dim(1);
  run.each({"rope", "rope", "-DINDEX=int"}, x.dim(0) * heads * (width - pairs), pointer(x),
           pointer(cosines), pointer(call.in(2)), pointer(call.out(0)),
           call.flag("inverse") ? -1.0f : 1.0f, heads, width, pairs);
}

// Build options that read, write and round elements of a cache.
struct KeptType {
  const char* read;
  const char* write;
  const char* round;
};

KeptType kept_type(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F32:
      return {"-DKV=float -DKV_AT(p,i)=(p)[i] -DKV_WIDE(p,i)=vload16(0,(p)+(i))",
              "-DPOOL=float -DPUT(p,i,x)=(p)[i]=(x)", ""};
    case YITI_DTYPE_F16:
      return {"-DKV=half -DKV_AT(p,i)=vload_half(i,p) -DKV_WIDE(p,i)=vload_half16(0,(p)+(i))",
              "-DPOOL=half -DPUT(p,i,x)=vstore_half_rte(x,i,p)",
              "-DKEPT -DROUNDED(x)=round_half(x)"};
    case YITI_DTYPE_BF16:
      return {
          "-DKV=ushort -DKV_AT(p,i)=from_bf16((p)[i]) -DKV_WIDE(p,i)="
          "as_float16(convert_uint16(vload16(0,(p)+(i)))<<16)",
          "-DPOOL=ushort -DPUT(p,i,x)=(p)[i]=to_bf16(x)",
          "-DKEPT -DROUNDED(x)=from_bf16(to_bf16(x))"};
    case YITI_DTYPE_I8:
      return {
          "-DSCALED -DKV=char -DKV_AT(p,i)=(float)((p)[i]) -DKV_WIDE(p,i)="
          "convert_float16(vload16(0,(p)+(i)))",
          "-DSCALED -DPOOL=char -DPUT(p,i,x)=(p)[i]=(char)rint(x)", ""};
    default: require(false, "takes pools of f32, f16, bf16 or i8; got {}", dtype_name(dtype));
  }
  return {};
}

// Work-items that share a row, and the build options that say so.
struct Lanes {
  size_t count;
  const char* options;
};

Lanes lanes_of(const Launcher& run, int64_t head_dim) {
  if (run.backend().wide_vectors() && head_dim % 16 == 0) return {1, "-DWIDE"};
  return {kGroup, ""};
}

// x [T, heads, D] by elements, [heads, D, room], with room for a block of keys behind the last.
Pointer turned(Launcher& run, const Pointer& x, int64_t tokens, int64_t heads, int64_t width) {
  const int64_t room = tokens + kKeyBlock;
  const Pointer all = floats(run.take_floats(heads * width * room));
  run.each({"attention", "turn_keys", BuildOptions().define("-DHEAD_DIM=", width)}, tokens * heads,
           x, all, heads, width, room);
  return all;
}

// K or V [T, Hkv, D] as floats of what a cache of `kept` would hold; of codes, with their scales
// apart or multiplied in.
struct KeptRows {
  Pointer values, scales;
};

KeptRows kept_rows(Launcher& run, const Operand& x, uint32_t kept, bool scales_apart) {
  if (kept == YITI_DTYPE_F32) return {pointer(x), {{}, 1}};
  const int64_t heads = x.dim(0) * x.dim(1), width = x.dim(2);
  const Pointer values = floats(run.take_floats(x.numel()));
  const BuildOptions dim = BuildOptions().define("-DHEAD_DIM=", width);
  if (kept != YITI_DTYPE_I8) {
    run.each({"attention", "round_heads", BuildOptions(dim).add(kept_type(kept).round)}, heads,
             pointer(x), values, width);
    return {values, {{}, 1}};
  }
  const Pointer scales = scales_apart ? floats(run.take_floats(heads)) : Pointer{{}, 1};
  run.each({"attention", "code_heads", dim}, heads, pointer(x), values, scales,
           scales_apart ? 1 : 0, width);
  return {values, scales};
}

void attention(Launcher& run, const Call& call) {
  const Operand q = call.in(0), k = call.in(1), positions = call.in(3), lse = call.out(1);
  require_heads(q);
  const uint32_t kept = dtype_of(call.text("kv_dtype"));
  if (q.numel() == 0) return;
  const KeptRows keys = kept_rows(run, k, kept, true);
  const KeptRows values = kept_rows(run, call.in(2), kept, true);
  const int64_t window = call.integer("window");
  const float scale = call.real("scale");
  const RowAttentionCall rows{q,      k,           positions,     call.out(0), lse,
                              kept,   keys.values, values.values, keys.scales, values.scales,
                              window, scale};
  if (run.backend().attend(run, rows)) return;
  const int64_t tokens = q.dim(0), heads = q.dim(1), kv_heads = k.dim(1);
  const bool scaled = kept == YITI_DTYPE_I8;
  const Pointer by_elements = turned(run, keys.values, tokens, kv_heads, q.dim(2));
  const Pointer none = {{}, 1};
  const Pointer key_scales = scaled ? turned(run, keys.scales, tokens, kv_heads, 1) : none;
  const Pointer value_scales = scaled ? turned(run, values.scales, tokens, kv_heads, 1) : none;
  const Lanes lanes = lanes_of(run, q.dim(2));
  const BuildOptions options = BuildOptions(kept_type(YITI_DTYPE_F32).read)
                                   .define("-DHEAD_DIM=", q.dim(2))
                                   .define("-DINDEX=", index_type(positions))
                                   .add(scaled ? "-DSCALED" : "")
                                   .add(lanes.options);
  run.groups({"attention", "attention", options}, tokens * heads, lanes.count, pointer(q),
             by_elements, values.values, key_scales, value_scales, pointer(positions),
             pointer(call.out(0)), pointer(lse), lse ? 1 : 0, heads, kv_heads, tokens + kKeyBlock,
             window, scale, Launcher::kFault);
}

void attention_backward(Launcher& run, const Call& call) {
  const Operand q = call.in(0), k = call.in(1), positions = call.in(3), lse = call.in(5);
  const Operand dout = call.in(6);
  require_heads(q);
  const uint32_t kept = dtype_of(call.text("kv_dtype"));
  if (q.numel() == 0) return;
  const int64_t tokens = q.dim(0), heads = q.dim(1), kv_heads = k.dim(1);
  const Pointer keys = kept_rows(run, k, kept, false).values;
  const Pointer values = kept_rows(run, call.in(2), kept, false).values;
  const Pointer delta = floats(run.take_floats(tokens * heads));
  const BuildOptions options =
      BuildOptions().define("-DHEAD_DIM=", q.dim(2)).define("-DINDEX=", index_type(positions));
  const auto window = call.integer("window");
  const float scale = call.real("scale");
  run.rows({"attention_backward", "deltas", options}, tokens * heads, pointer(call.in(4)),
           pointer(dout), delta);
  run.rows({"attention_backward", "query_gradient", options}, tokens * heads, pointer(q), keys,
           values, pointer(positions), pointer(lse), pointer(dout), delta, pointer(call.out(0)),
           heads, kv_heads, window, scale, Launcher::kFault);
  run.rows({"attention_backward", "key_gradient", options}, tokens * kv_heads, pointer(q), keys,
           values, pointer(positions), pointer(lse), pointer(dout), delta, pointer(call.out(1)),
           pointer(call.out(2)), tokens, heads, kv_heads, window, scale);
}

void attention_paged(Launcher& run, const Call& call) {
  const Operand q = call.in(0), k_pool = call.in(1), tables = call.in(3);
  require_heads(q);
  const Lanes lanes = lanes_of(run, q.dim(2));
  const BuildOptions options = BuildOptions("-DPAGED")
                                   .define("-DHEAD_DIM=", q.dim(2))
                                   .add(kept_type(k_pool.dtype()).read)
                                   .add(lanes.options);
  for (int i = 3; i < 6; ++i) {
    require(call.in(i).dtype() == YITI_DTYPE_I32, "takes i32 tables, sequences and positions");
  }
  const int64_t rows = q.dim(0) * q.dim(1), part = q.dim(2) + 2;
  const int64_t segments = (tables.dim(1) + kSegment - 1) / kSegment;
  // Room for as many parts as there can be at any smaller number of rows.
  const Place parts =
      run.take_floats(segments > 1 ? std::min(rows * segments, kMostParts) * part : 0);
  const int64_t splits = rows * segments <= kMostParts ? segments : 1;
  const PagedAttentionCall paged{q,
                                 k_pool,
                                 call.in(2),
                                 tables,
                                 call.in(4),
                                 call.in(5),
                                 splits > 1 ? floats(parts) : pointer(call.out(0)),
                                 splits,
                                 call.integer("window"),
                                 call.real("scale")};
  if (!run.backend().attend(run, paged)) {
    run.groups({"attention", "attention_paged", options}, rows * splits, lanes.count, pointer(q),
               pointer(k_pool), pointer(paged.v_pool), pointer(tables), pointer(paged.sequence),
               pointer(paged.positions), paged.out, splits, q.dim(1), k_pool.dim(1), tables.dim(0),
               tables.dim(1), k_pool.dim(0), paged.window, paged.scale, Launcher::kFault);
  }
  if (splits == 1) return;
  run.groups({"attention", "join_segments", options}, rows, lanes.count, floats(parts),
             pointer(call.out(0)), splits);
}

void kv_write(Launcher& run, const Call& call) {
  const Operand k = call.in(0), slots = call.in(2), k_pool = call.in(3);
  require_f32(call, 2);
  require(slots.dtype() == YITI_DTYPE_I64, "takes i64 slots; got {}", dtype_name(slots.dtype()));
  const BuildOptions options = BuildOptions("-DHEAD_DIM=1").add(kept_type(k_pool.dtype()).write);
  run.each({"attention", "kv_write", options}, k.dim(0) * k.dim(1), pointer(k), pointer(call.in(1)),
           pointer(slots), pointer(k_pool), pointer(call.out(1)), k.dim(1), k.dim(2), k_pool.dim(0),
           Launcher::kFault);
}

constexpr OpEntry kOps[] = {
    {"rope_table", rope_table},
    {"rope", rope},
    {"attention", attention},
    {"attention_backward", attention_backward},
    {"attention_paged", attention_paged},
    {"kv_write", kv_write},
};

}  // namespace

std::span<const OpEntry> attention_ops() { return kOps; }

}  // namespace yiti::devices
