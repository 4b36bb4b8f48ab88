// Brings a key block into the form that attention multiplies with. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/attention.h"
#include "ops/kernels/cpu/row_sum.h"
#include "ops/kernels/cpu/transpose.h"

namespace yiti::cpu::YITI_ISA {

inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

inline Vec through_half(Vec x) {
  uint16_t lanes[kLanes];
  store_half(lanes, x);
  return load_half(lanes);
}

/// columns[d * 64 + i] = rows[i][d] for `count` rows `stride` floats apart; what is missing of 64
/// repeats the last row.
inline void transpose_rows(const float* rows, int64_t stride, int64_t count, int64_t width,
                           bool half, float* columns) {
  for (int64_t group = 0; group < kKeyBlock; group += kLanes) {
    const float* row[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) row[i] = rows + smaller(group + i, count - 1) * stride;
    int64_t d = 0;
    for (; d + kColumns <= width; d += kColumns) {
      Vec out[kColumns];
      load_columns<F32Source>(row, d, out);
      for (int64_t j = 0; j < kColumns; ++j) {
        store(columns + (d + j) * kKeyBlock + group, half ? through_half(out[j]) : out[j]);
      }
    }
    for (; d < width; ++d) {
      const Vec out = load_column<F32Source>(row, d);
      store(columns + d * kKeyBlock + group, half ? through_half(out) : out);
    }
  }
}

/// Rows of `width` at a padded distance, zero behind.
inline void copy_rows(const float* rows, int64_t stride, int64_t count, int64_t width, bool half,
                      float* out) {
  for (int64_t i = 0; i < count; ++i) {
    for_lanes(width, [&](int64_t d, int n) {
      const Vec x = load_some(rows + i * stride + d, n);
      store(out + i * padded(width) + d, half ? through_half(x) : x);
    });
  }
}

inline Vec load_half_some(const uint16_t* p, int count) {
  if (count == kLanes) return load_half(p);
  uint16_t lanes[kLanes] = {};
  for (int i = 0; i < count; ++i) lanes[i] = p[i];
  return load_half(lanes);
}

/// A block as the products take it.
struct KeyBlock {
  const void* k;  ///< [D][64]
  const void* v;  ///< [64][v_stride]
  int64_t v_stride;
  bool half;
};

/// Where block `index` of the source lies in `pool`, its k or v.
inline const char* pool_block(const KeySource& source, const void* pool, int64_t index) {
  const int64_t element = source.half ? sizeof(uint16_t) : sizeof(float);
  return static_cast<const char*>(pool) + source.table[index] * source.block_stride * element;
}

/// The block `index` of the source, whose first `count` keys are there. `keys` [D][64] and `values`
/// [64][padded D] are scratch.
inline KeyBlock load_block(const KeySource& source, int64_t index, int64_t count, int64_t head_dim,
                           float* keys, float* values) {
  const int64_t wide = padded(head_dim);
  if (source.table == nullptr) {
    const int64_t start = index * kKeyBlock;
    transpose_rows(static_cast<const float*>(source.k) + start * source.k_stride, source.k_stride,
                   count, head_dim, source.half, keys);
    copy_rows(static_cast<const float*>(source.v) + start * source.v_stride, source.v_stride, count,
              head_dim, source.half, values);
    return {keys, values, wide, false};
  }
  const char* pool_k = pool_block(source, source.k, index);
  const char* pool_v = pool_block(source, source.v, index);
  if (!source.half) {
    const auto* k = reinterpret_cast<const float*>(pool_k);
    const auto* v = reinterpret_cast<const float*>(pool_v);
    if (wide == head_dim) return {k, v, wide, false};
    copy_rows(v, head_dim, count, head_dim, false, values);
    return {k, values, wide, false};
  }
  const auto* k = reinterpret_cast<const uint16_t*>(pool_k);
  const auto* v = reinterpret_cast<const uint16_t*>(pool_v);
  if (wide == head_dim) return {k, v, wide, true};  // widened as it is multiplied: that is free
  for (int64_t i = 0; i < head_dim * kKeyBlock; i += kLanes) store(keys + i, load_half(k + i));
  for (int64_t i = 0; i < count; ++i) {
    for_lanes(head_dim, [&](int64_t d, int n) {
      store(values + i * wide + d, load_half_some(v + i * head_dim + d, n));
    });
  }
  return {keys, values, wide, false};
}

}  // namespace yiti::cpu::YITI_ISA
