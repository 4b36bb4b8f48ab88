// The types that keys and values are kept in, and the shapes of their pools.
#pragma once

#include <string_view>

#include "core/tensor.h"
#include "ops/attention/key_block.h"

namespace yiti {

/// Whether it is f32, f16, bf16 or i8.
bool is_kv_type(DType dtype);
/// By its name. Throws kInvalidArgument, in `where`, unless it is one of those.
DType kv_type(std::string_view type_name, std::string_view where);
/// How heads of a type lie in pools; types that are none of those are as f32.
KeyForm key_form(DType dtype);

/// Pools of `blocks` blocks; key_block.h says how they are filled.
Shape key_pool_shape(int64_t blocks, int64_t kv_heads, int64_t head_dim, DType dtype);
Shape value_pool_shape(int64_t blocks, int64_t kv_heads, int64_t head_dim, DType dtype);
/// Throws kInvalidArgument, in `where`, unless the pools are of one type and of the shapes above.
/// For references, f64 is allowed, too.
void check_pools(const Tensor& k_pool, const Tensor& v_pool, int64_t head_dim,
                 std::string_view where);

}  // namespace yiti
