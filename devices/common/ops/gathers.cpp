// Ops that read or add where ids and indices say.
#include "devices/common/element_types.h"
#include "devices/common/ops.h"
#include "devices/common/products.h"

namespace yiti::devices {
namespace {

BuildOptions options_of(const char* type, const Operand& index) {
  return BuildOptions().define("-DT=", type).define("-DINDEX=", index_type(index));
}

void embedding(Launcher& run, const Call& call) {
  const Operand ids = call.in(0), weight = call.in(1), y = call.out(0);
  const int64_t rows = weight.dim(0), width = weight.dim(1);
  if (is_quantised(weight.dtype())) {
    const int64_t blocks = width / 32;
    run.each({"quantised", "embed", quantised_options(weight, 1, index_type(ids))},
             ids.numel() * blocks, pointer(ids), pointer(weight), pointer(y), rows, blocks,
             Launcher::kFault);
    return;
  }
  const char* reader =
      weight.dtype() == YITI_DTYPE_F32    ? "-DWEIGHT=float -DVALUE(i)=weight[i]"
      : weight.dtype() == YITI_DTYPE_F16  ? "-DWEIGHT=half -DVALUE(i)=vload_half(i,weight)"
      : weight.dtype() == YITI_DTYPE_BF16 ? "-DWEIGHT=ushort -DVALUE(i)=from_bf16(weight[i])"
                                          : nullptr;
  require(reader != nullptr, "takes no weight of {}", dtype_name(weight.dtype()));
  run.each({"gathers", "embed", BuildOptions(reader).define("-DINDEX=", index_type(ids))},
           y.numel(), pointer(ids), pointer(weight), pointer(y), rows, width, Launcher::kFault);
}

// Rows of dy [N, ...] added to zeros [R, ...] by number: of embedding_backward and
// index_select_backward.
void add_rows(Launcher& run, const Call& call) {
  const Operand dy = call.in(0), index = call.in(1), out = call.out(0);
  const BuildOptions options = options_of(number_type(dy), index);
  const int64_t width = out.numel(1, out.rank());
  run.clear(pointer(out).place, out.numel() * element_bytes(out.dtype()));
  run.each({"gathers", "add_rows", options}, width, pointer(dy), pointer(index), pointer(out),
           index.numel(), out.dim(0), Launcher::kFault);
}

void index_select(Launcher& run, const Call& call) {
  const Operand x = call.in(0), index = call.in(1), y = call.out(0);
  run.each({"gathers", "select_rows", options_of(word_type(x), index)}, y.numel(), pointer(x),
           pointer(index), pointer(y), x.dim(0), x.numel(1, x.rank()), Launcher::kFault);
}

void gather(Launcher& run, const Call& call) {
  const Operand x = call.in(0), index = call.in(1);
  const int axis = call.axis("axis", x);
  run.each({"gathers", "gather", options_of(word_type(x), index)}, index.numel(), pointer(x),
           pointer(index), pointer(call.out(0)), index.dim(axis), x.dim(axis),
           x.numel(axis + 1, x.rank()), Launcher::kFault);
}

void scatter_add(Launcher& run, const Call& call) {
  const Operand x = call.in(0), index = call.in(1), source = call.in(2), y = call.out(0);
  const int axis = call.axis("axis", x);
  const BuildOptions options = options_of(number_type(x), index);
  const int64_t inner = x.numel(axis + 1, x.rank());
  run.copy(pointer(y).place, pointer(x).place, x.numel() * element_bytes(x.dtype()));
  run.each({"gathers", "scatter_add", options}, x.numel(0, axis) * inner, pointer(index),
           pointer(source), pointer(y), index.dim(axis), x.dim(axis), inner, Launcher::kFault);
}

void one_hot(Launcher& run, const Call& call) {
  const Operand index = call.in(0), y = call.out(0);
  run.each({"gathers", "one_hot", BuildOptions().define("-DINDEX=", index_type(index))}, y.numel(),
           pointer(index), pointer(y), call.integer("size"), Launcher::kFault);
}

constexpr OpEntry kOps[] = {
    {"embedding", embedding},
    {"embedding_backward", add_rows},
    {"index_select", index_select},
    {"index_select_backward", add_rows},
    {"gather", gather},
    {"scatter_add", scatter_add},
    {"one_hot", one_hot},
};

}  // namespace

std::span<const OpEntry> gather_ops() { return kOps; }

}  // namespace yiti::devices
