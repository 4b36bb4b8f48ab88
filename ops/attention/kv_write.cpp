#include "ops/attention/kv_write.h"

#include "ops/attention/head_view.h"
#include "ops/attention/key_block.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/attention.h"

namespace yiti {
namespace {

void check_slots(const int64_t* slots, int64_t tokens, int64_t blocks) {
  for (int64_t t = 0; t < tokens; ++t) {
    check(slots[t] < blocks * kKeyBlock, "kv_write", "slot {} of token {} is outside of {} blocks",
          slots[t], t, blocks);
  }
}

// T: what the pools' elements are kept as.
template <class T, auto kWrite>
void write_blocks(const KernelArgs& args) {
  const cpu::HeadView k(args.in[0]), v(args.in[1]);
  const Tensor slots_tensor = args.in[2].contiguous();
  const auto* slots = slots_tensor.data<int64_t>();
  const int64_t heads = k.heads(), width = k.head_dim();
  check_slots(slots, k.tokens(), args.in[3].dim(0));
  auto* k_pool = reinterpret_cast<T*>(args.out[0].raw());
  auto* v_pool = reinterpret_cast<T*>(args.out[1].raw());
  const auto& table = cpu::attention_table_for(args.device.isa());
  args.device.threads().parallel_for(k.tokens(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      if (slots[t] < 0) continue;
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = (slots[t] / kKeyBlock * heads + h) * width * kKeyBlock;
        (table.*kWrite)(k.at(t, h), v.at(t, h), width, slots[t] % kKeyBlock, k_pool + at,
                        v_pool + at);
      }
    }
  });
}

Kernel kernel_for(std::string name, DType pool, void (*run)(const KernelArgs&)) {
  return {
      .name = std::move(name),
      .device_kind = "cpu",
      .refuses = [pool](std::span<const Tensor> in, const Attrs&) -> std::optional<std::string> {
        if (in[0].dtype() != DType::kF32 || in[1].dtype() != DType::kF32) return "takes f32";
        if (in[2].dtype() != DType::kI64) return "takes i64 slots";
        if (in[3].dtype() != pool || in[4].dtype() != pool) {
          return fmt::format("takes pools of {}", yiti::name(pool));
        }
        if (!in[3].is_contiguous() || !in[4].is_contiguous()) return "takes contiguous pools";
        return std::nullopt;
      },
      .run = run};
}

// Copies `value` into one element of `pool`.
void put(const Tensor& pool, const Shape& index, double value) {
  int64_t offset = 0;
  for (int axis = 0; axis < 4; ++axis) offset += index[axis] * pool.strides()[axis];
  const Tensor one = of_doubles(std::span(&value, 1), {1}, pool.dtype(), pool.device());
  const size_t width = one.bytes();
  std::vector<std::byte> bytes(width);
  one.copy_to_host(bytes);
  const Tensor place = pool.as_strided({1}, {1}, offset);
  place.device()->copy_from_host(place.raw(), bytes.data(), width);
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> k = to_doubles(in[0]), v = to_doubles(in[1]), slots = to_doubles(in[2]);
  const int64_t heads = in[0].dim(1), width = in[0].dim(2);
  size_t at = 0;
  for (double given : slots) {
    const auto slot = static_cast<int64_t>(given);
    check_slots(&slot, 1, in[3].dim(0));
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t d = 0; d < width; ++d, ++at) {
        if (slot < 0) continue;
        put(in[3], {slot / kKeyBlock, h, d, slot % kKeyBlock}, k[at]);
        put(in[4], {slot / kKeyBlock, h, slot % kKeyBlock, d}, v[at]);
      }
    }
  }
  return {in[3], in[4]};
}

std::vector<Tensor> sample_inputs(DType floats, const DevicePtr& device) {
  const Shape keys = {3, 2, 5};
  std::vector<double> k(30), v(30);
  for (size_t i = 0; i < k.size(); ++i) {
    k[i] = 0.37 * static_cast<double>(i) - 4;
    v[i] = 2.5 - 0.21 * static_cast<double>(i);
  }
  return {of_doubles(k, keys, floats, device), of_doubles(v, keys, floats, device),
          Tensor::from(std::vector<int64_t>{70, -1, 3}, {3}, device),
          Tensor::zeros({2, 2, 5, kKeyBlock}, floats, device),
          Tensor::zeros({2, 2, kKeyBlock, 5}, floats, device)};
}

}  // namespace

const Op& kv_write_op() {
  using Table = cpu::AttentionTable;
  static const Op op =
      OpBuilder("kv_write")
          .doc("Writes keys and values into the slots of a paged cache, rounded to its dtype.")
          .source("Kwon et al. 2023, PagedAttention")
          .input("k", "[T, Hkv, D]")
          .input("v", "[T, Hkv, D]")
          .input("slots", "[T]", Kind::kIndex)
          .input("k_pool", "[B, Hkv, D, 64]", Kind::kAnyFloat)
          .input("v_pool", "[B, Hkv, 64, D]", Kind::kAnyFloat)
          .updates("k_pool", 3)
          .updates("v_pool", 4)
          .kernel(kernel_for("cpu.f32", DType::kF32, write_blocks<float, &Table::write_f32>))
          .kernel(kernel_for("cpu.f16", DType::kF16, write_blocks<uint16_t, &Table::write_f16>))
          .reference(reference)
          .not_differentiable()
          .sample({.shapes = {}, .attrs = {}, .make = sample_inputs})
          .sample(
              {Shape{0, 2, 8}, Shape{0, 2, 8}, Shape{0}, Shape{1, 2, 8, 64}, Shape{1, 2, 64, 8}})
          .accuracy(1)
          .build();
  return op;
}

std::pair<Tensor, Tensor> ops::kv_write(const Tensor& k, const Tensor& v, const Tensor& slots,
                                        const Tensor& k_pool, const Tensor& v_pool) {
  const auto out = kv_write_op()({k, v, slots, k_pool, v_pool});
  return {out[0], out[1]};
}

}  // namespace yiti
