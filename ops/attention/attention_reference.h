// Causal attention by plain loops in double: the references of the attention ops.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/op.h"

namespace yiti {

/// One query row against the keys and values it sees, oldest first, D numbers each.
struct AttentionRow {
  std::span<const double> q;
  std::vector<const double*> keys, values;
  double scale = 1;
};

/// Writes the weighted mean of the values to `out` and returns the log of the sum of e^score.
double attend_row(const AttentionRow& row, std::span<double> out);

/// The elements of heads [..., D] as doubles, through `kept`, one of the KV types.
std::vector<double> rounded_doubles(const Tensor& heads, DType kept);

/// A head as 8-bit codes: each is codes[i] * scale.
struct KeyCodes {
  float scale = 0;
  std::vector<int8_t> codes;
};
KeyCodes key_codes(std::span<const double> head);

/// Keys or values of a pool for heads of `head_dim`, as rows [B, Hkv, 64, D] of doubles.
std::vector<double> pool_keys(const Tensor& k_pool, int64_t head_dim);
std::vector<double> pool_values(const Tensor& v_pool, int64_t head_dim);

/// What attention and its gradient ask of q [N, H, D], k [N, Hkv, D] and their AttentionAttrs.
/// Throws kInvalidArgument where dtypes differ, H is no multiple of Hkv, or an attribute is out of
/// its range.
void check_attention(std::span<const Tensor> in, const Attrs& attrs, const Op& op);

/// The positions of packed documents. Throws kInvalidArgument unless each is 0 or follows the one
/// before it.
std::vector<int64_t> document_positions(const Tensor& positions);
void check_positions(const int32_t* positions, int64_t tokens);

}  // namespace yiti
