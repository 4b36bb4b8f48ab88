#include "ops/attention/kv_types.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

constexpr std::array kTypes = {DType::kF32, DType::kF16, DType::kBF16, DType::kI8};
constexpr std::string_view kNames = "f32, f16, bf16 or i8";

}  // namespace

bool is_kv_type(DType dtype) { return std::ranges::find(kTypes, dtype) != kTypes.end(); }

DType kv_type(std::string_view type_name, std::string_view where) {
  const auto found = std::ranges::find_if(kTypes, [&](DType t) { return name(t) == type_name; });
  check(found != kTypes.end(), where, "keys and values in \"{}\"; wants {}", type_name, kNames);
  return *found;
}

KeyForm key_form(DType dtype) {
  switch (dtype) {
    case DType::kF16: return KeyForm::kF16;
    case DType::kBF16: return KeyForm::kBF16;
    case DType::kI8: return KeyForm::kI8;
    default: return KeyForm::kF32;
  }
}

Shape key_pool_shape(int64_t blocks, int64_t kv_heads, int64_t head_dim, DType dtype) {
  return {blocks, kv_heads, kept_dim(head_dim, key_form(dtype)), kKeyBlock};
}

Shape value_pool_shape(int64_t blocks, int64_t kv_heads, int64_t head_dim, DType dtype) {
  return {blocks, kv_heads, kKeyBlock, kept_dim(head_dim, key_form(dtype))};
}

void check_pools(const Tensor& k_pool, const Tensor& v_pool, int64_t head_dim,
                 std::string_view where) {
  const DType dtype = k_pool.dtype();
  check((is_kv_type(dtype) || dtype == DType::kF64) && v_pool.dtype() == dtype, where,
        "pools of {} and {}; wants both of {}", name(dtype), name(v_pool.dtype()), kNames);
  const int64_t blocks = k_pool.dim(0), heads = k_pool.dim(1);
  const Shape keys = key_pool_shape(blocks, heads, head_dim, dtype);
  const Shape values = value_pool_shape(blocks, heads, head_dim, dtype);
  check(k_pool.shape() == keys && v_pool.shape() == values, where,
        "pools of {} and {}; wants {} and {} for heads of {} in {}", k_pool.shape(), v_pool.shape(),
        keys, values, head_dim, name(dtype));
}

}  // namespace yiti
