// Ops that move elements, and casts.
#include <bit>

#include "devices/common/element_types.h"
#include "devices/common/ops.h"
#include "devices/common/walks.h"

namespace yiti::devices {
namespace {

BuildOptions word_options(const Operand& x) { return BuildOptions().define("-DT=", word_type(x)); }

// The elements of `in` to `out`, from element `first` on.
void copy_walk(Launcher& run, const Operand& in, const Walk& in_walk, const Operand& out,
               const Walk& out_walk, int64_t first) {
  Pointer target = pointer(out);
  target.place = target.place.at(first * target.element_bytes);
  run.each({"copies", "copy_walk", word_options(in)}, in.numel(), pointer(in), in_walk, target,
           out_walk);
}

void contiguous(Launcher& run, const Call& call) {
  const Operand x = call.in(0), y = call.out(0);
  copy_walk(run, x, strided_walk(x), y, strided_walk(y), 0);
}

void concat(Launcher& run, const Call& call) {
  const Operand y = call.out(0);
  const int axis = call.axis("axis", call.in(0));
  int64_t start = 0;
  for (int i = 0; i < call.inputs(); ++i) {
    const Operand part = call.in(i);
    copy_walk(run, part, strided_walk(part), y, part_walk(part, y, axis),
              start * dense_step(y, axis));
    start += part.dim(axis);
  }
}

void slice_backward(Launcher& run, const Call& call) {
  const Operand dy = call.in(0), dx = call.out(0);
  const int axis = call.axis("axis", dy);
  const Pointer whole = pointer(dx);
  run.clear(whole.place, dx.numel() * whole.element_bytes);
  copy_walk(run, dy, strided_walk(dy), dx, part_walk(dy, dx, axis, call.integer("step")),
            call.integer("start") * dense_step(dx, axis));
}

void pad(Launcher& run, const Call& call) {
  const Operand x = call.in(0), y = call.out(0);
  require(x.is_f32(), "takes f32; got {}", dtype_name(x.dtype()));
  run.each({"copies", "fill", "-DT=uint"}, y.numel(), pointer(y),
           std::bit_cast<uint32_t>(call.real("value")));
  const auto widths = call.integers("widths");
  int64_t first = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    first += widths[static_cast<size_t>(2 * axis)] * dense_step(y, axis);
  }
  copy_walk(run, x, strided_walk(x), y, part_walk(x, y, -1), first);
}

void where(Launcher& run, const Call& call) {
  const Operand condition = call.in(0), a = call.in(1), b = call.in(2), y = call.out(0);
  run.each({"copies", "where_walk", word_options(a)}, y.numel(), pointer(condition),
           broadcast_walk(condition, y), pointer(a), broadcast_walk(a, y), pointer(b),
           broadcast_walk(b, y), pointer(y));
}

// The storage type of a dtype and the macro that reads an element as a number.
struct Reader {
  const char* type;
  const char* value;
};

Reader reader(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F64: return {"double", "in[i]"};
    case YITI_DTYPE_F32: return {"float", "in[i]"};
    case YITI_DTYPE_F16: return {"half", "vload_half(i,in)"};
    case YITI_DTYPE_BF16: return {"ushort", "from_bf16(in[i])"};
    case YITI_DTYPE_I64: return {"long", "in[i]"};
    case YITI_DTYPE_I32: return {"int", "in[i]"};
    case YITI_DTYPE_I16: return {"short", "in[i]"};
    case YITI_DTYPE_I8: return {"char", "in[i]"};
    case YITI_DTYPE_U8: return {"uchar", "in[i]"};
    case YITI_DTYPE_BOOL: return {"uchar", "in[i]"};
    default: require(false, "takes plain types; got {}", dtype_name(dtype));
  }
  return {};
}

bool is_float(uint32_t dtype) {
  return dtype == YITI_DTYPE_F64 || dtype == YITI_DTYPE_F32 || dtype == YITI_DTYPE_F16 ||
         dtype == YITI_DTYPE_BF16;
}

// What writes x: integers from floats are cut towards zero and limited to the range.
const char* writer(uint32_t from, uint32_t to) {
  const bool cuts = is_float(from);
  switch (to) {
    case YITI_DTYPE_F64: return "out[i]=(double)(x)";
    case YITI_DTYPE_F16: return "vstore_half_rte((float)(x),i,out)";
    case YITI_DTYPE_BF16: return "out[i]=to_bf16((float)(x))";
    case YITI_DTYPE_I64: return cuts ? "out[i]=convert_long_sat_rtz(x)" : "out[i]=(long)(x)";
    case YITI_DTYPE_I32: return cuts ? "out[i]=convert_int_sat_rtz(x)" : "out[i]=(int)(x)";
    case YITI_DTYPE_I16: return cuts ? "out[i]=convert_short_sat_rtz(x)" : "out[i]=(short)(x)";
    case YITI_DTYPE_I8: return cuts ? "out[i]=convert_char_sat_rtz(x)" : "out[i]=(char)(x)";
    case YITI_DTYPE_U8: return cuts ? "out[i]=convert_uchar_sat_rtz(x)" : "out[i]=(uchar)(x)";
    case YITI_DTYPE_BOOL: return "out[i]=(x)!=0";
    default: return "out[i]=(float)(x)";
  }
}

void cast(Launcher& run, const Call& call) {
  const Operand x = call.in(0), y = call.out(0);
  const uint32_t wanted = dtype_of(call.text("dtype"));
  const bool doubles = x.dtype() == YITI_DTYPE_F64 || wanted == YITI_DTYPE_F64;
  require(!doubles || run.backend().has_doubles(), "the device has no f64");
  const Reader from = reader(x.dtype());
  const BuildOptions options = BuildOptions("-DCONVERT")
                                   .define("-DFROM=", from.type)
                                   .define("-DTO=", reader(wanted).type)
                                   .define("-DVALUE(i)=", from.value)
                                   .define("-DPUT(i,x)=", writer(x.dtype(), wanted));
  run.each({"copies", "cast_each", options}, y.numel(), pointer(x), pointer(y));
}

constexpr OpEntry kOps[] = {
    {"contiguous", contiguous, 1},
    {"concat", concat, ~uint64_t{0}},
    {"slice_backward", slice_backward, 1},
    {"pad", pad, 1},
    {"where", where},
    {"cast", cast},
};

}  // namespace

std::span<const OpEntry> copy_ops() { return kOps; }

}  // namespace yiti::devices
