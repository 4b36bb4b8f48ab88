// Writing keys and values into the blocks of a paged cache.
#pragma once

#include <utility>

#include "core/op.h"

namespace yiti {

const Op& kv_write_op();

namespace ops {

/// Writes each token's keys and values, rounded to the pools' type, into its slot: block * 64 +
/// offset (see key_block.h). Tokens with a negative slot are skipped; no two may share one.
/// k and v [T, Hkv, D] f32, slots [T] i64, pools of one type and the shapes that kv_types.h gives,
/// both updated in place and returned. Throws kInvalidArgument for a slot that there is not.
std::pair<Tensor, Tensor> kv_write(const Tensor& k, const Tensor& v, const Tensor& slots,
                                   const Tensor& k_pool, const Tensor& v_pool);

}  // namespace ops
}  // namespace yiti
