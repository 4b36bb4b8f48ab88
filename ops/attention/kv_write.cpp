#include "ops/attention/kv_write.h"

#include <array>
#include <bit>

#include "ops/attention/attention_reference.h"
#include "ops/attention/head_view.h"
#include "ops/attention/kv_types.h"
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

void write_blocks(const KernelArgs& args) {
  const cpu::HeadView k(args.in[0]), v(args.in[1]);
  const Tensor slots_tensor = args.in[2].contiguous();
  const auto* slots = slots_tensor.data<int64_t>();
  const DType kept = args.in[3].dtype();
  const KeyForm form = key_form(kept);
  const int64_t heads = k.heads(), width = k.head_dim();
  const int64_t head_bytes = kept_dim(width, form) * kKeyBlock * info(kept).block_bytes;
  check_slots(slots, k.tokens(), args.in[3].dim(0));
  const auto& table = cpu::attention_table_for(args.device.isa());
  args.device.threads().parallel_for(k.tokens(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      if (slots[t] < 0) continue;
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = (slots[t] / kKeyBlock * heads + h) * head_bytes;
        table.write(form, k.at(t, h), v.at(t, h), width, slots[t] % kKeyBlock,
                    args.out[0].raw() + at, args.out[1].raw() + at);
      }
    }
  });
}

std::optional<std::string> refuses(std::span<const Tensor> in, const Attrs&) {
  if (in[0].dtype() != DType::kF32 || in[1].dtype() != DType::kF32) return "takes f32";
  if (in[2].dtype() != DType::kI64) return "takes i64 slots";
  if (!is_kv_type(in[3].dtype())) return "takes pools of f32, f16, bf16 or i8";
  if (!in[3].is_contiguous() || !in[4].is_contiguous()) return "takes contiguous pools";
  return std::nullopt;
}

// Sets one element, at row-major place `at`, of a block of one head.
void put(const Tensor& pool, int64_t block, int64_t head, int64_t at, double value) {
  const Shape& strides = pool.strides();
  const int64_t offset = block * strides[0] + head * strides[1] + at / pool.dim(3) * strides[2] +
                         at % pool.dim(3) * strides[3];
  const Tensor one = of_doubles(std::span(&value, 1), {1}, pool.dtype(), pool.device());
  const size_t width = one.bytes();
  std::vector<std::byte> bytes(width);
  one.copy_to_host(bytes);
  const Tensor place = pool.as_strided({1}, {1}, offset);
  place.device()->copy_from_host(place.raw(), bytes.data(), width);
}

// Puts a head's elements at `first`, `first` + `step`, … of a block, and the scale of codes behind
// all codes.
void put_head(const Tensor& pool, int64_t slot, int64_t head, std::span<const double> elements,
              int64_t first, int64_t step) {
  const int64_t block = slot / kKeyBlock;
  const auto width = static_cast<int64_t>(elements.size());
  std::vector<double> kept(elements.begin(), elements.end());
  if (pool.dtype() == DType::kI8) {
    const KeyCodes codes = key_codes(elements);
    kept.assign(codes.codes.begin(), codes.codes.end());
    const auto scale = std::bit_cast<std::array<int8_t, sizeof(float)>>(codes.scale);
    for (size_t i = 0; i < scale.size(); ++i) {
      const auto behind = static_cast<int64_t>(sizeof(float)) * (slot % kKeyBlock);
      put(pool, block, head, width * kKeyBlock + behind + static_cast<int64_t>(i),
          static_cast<double>(scale[i]));
    }
  }
  for (int64_t d = 0; d < width; ++d) {
    put(pool, block, head, first + d * step, kept[static_cast<size_t>(d)]);
  }
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> k = to_doubles(in[0]), v = to_doubles(in[1]), slots = to_doubles(in[2]);
  const int64_t heads = in[0].dim(1), width = in[0].dim(2);
  size_t at = 0;
  for (double given : slots) {
    const auto slot = static_cast<int64_t>(given);
    check_slots(&slot, 1, in[3].dim(0));
    for (int64_t h = 0; h < heads; ++h, at += static_cast<size_t>(width)) {
      if (slot < 0) continue;
      const int64_t offset = slot % kKeyBlock;
      const auto count = static_cast<size_t>(width);
      put_head(in[3], slot, h, std::span(k).subspan(at, count), offset, kKeyBlock);
      put_head(in[4], slot, h, std::span(v).subspan(at, count), offset * width, 1);
    }
  }
  return {in[3], in[4]};
}

std::vector<Tensor> shape_rule(std::span<const Tensor> in, const Attrs&, const Op& op) {
  check_pools(in[3], in[4], in[0].dim(2), op.name);
  const auto meta = [](const Tensor& pool) {
    return Tensor::meta(pool.shape(), pool.dtype(), pool.device());
  };
  return {meta(in[3]), meta(in[4])};
}

std::vector<Tensor> sample_inputs(DType floats, DType kept, const DevicePtr& device) {
  const Shape keys = {3, 2, 5};
  std::vector<double> k(30), v(30);
  for (size_t i = 0; i < k.size(); ++i) {
    k[i] = 0.37 * static_cast<double>(i) - 4;
    v[i] = 2.5 - 0.21 * static_cast<double>(i);
  }
  return {of_doubles(k, keys, floats, device), of_doubles(v, keys, floats, device),
          Tensor::from(std::vector<int64_t>{70, -1, 3}, {3}, device),
          Tensor::zeros(key_pool_shape(2, 2, 5, kept), kept, device),
          Tensor::zeros(value_pool_shape(2, 2, 5, kept), kept, device)};
}

}  // namespace

const Op& kv_write_op() {
  static const Op op = [] {
    OpBuilder builder("kv_write");
    builder.doc("Writes keys and values into the slots of a paged cache, rounded to its type.")
        .source("Kwon et al. 2023, PagedAttention")
        .input("k", "[T, Hkv, D]")
        .input("v", "[T, Hkv, D]")
        .input("slots", "[T]", Kind::kIndex)
        .input("k_pool", "[B, Hkv, E, 64]", Kind::kAny)
        .input("v_pool", "[B, Hkv, 64, E]", Kind::kAny)
        .updates("k_pool", 3)
        .updates("v_pool", 4)
        .shape_rule(shape_rule)
        .kernel({.name = "cpu.f32", .device_kind = "cpu", .refuses = refuses, .run = write_blocks})
        .reference(reference)
        .not_differentiable()
        .sample({Shape{0, 2, 8}, Shape{0, 2, 8}, Shape{0}, Shape{1, 2, 8, 64}, Shape{1, 2, 64, 8}})
        .accuracy(1);
    const auto sample = [&](std::optional<DType> kept) {
      builder.sample(
          {.shapes = {}, .attrs = {}, .make = [kept](DType floats, const DevicePtr& device) {
             return sample_inputs(floats, kept.value_or(floats), device);
           }});
    };
    sample(std::nullopt);
    for (const DType kept : {DType::kF16, DType::kBF16, DType::kI8}) sample(kept);
    return builder.build();
  }();
  return op;
}

std::pair<Tensor, Tensor> ops::kv_write(const Tensor& k, const Tensor& v, const Tensor& slots,
                                        const Tensor& k_pool, const Tensor& v_pool) {
  const auto out = kv_write_op()({k, v, slots, k_pool, v_pool});
  return {out[0], out[1]};
}

}  // namespace yiti
