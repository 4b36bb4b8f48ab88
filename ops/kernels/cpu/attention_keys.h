// Brings a key block into the form that attention multiplies with. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/attention.h"
#include "ops/kernels/cpu/row_sum.h"
#include "ops/kernels/cpu/transpose.h"

namespace yiti::cpu::YITI_ISA {

inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Calls f with what reads elements of `form`.
template <class F>
inline auto visit_form(KeyForm form, F f) {
  switch (form) {
    case KeyForm::kF16: return f(F16Source{});
    case KeyForm::kBF16: return f(BF16Source{});
    case KeyForm::kI8: return f(I8Source{});
    default: return f(F32Source{});
  }
}

inline int64_t element_bytes(KeyForm form) {
  return visit_form(form, [](auto source) {
    return static_cast<int64_t>(sizeof(typename decltype(source)::Type));
  });
}

/// What turns rows into 8-bit codes and back: scale = largest magnitude / 127.
struct RowScales {
  float scale[kKeyBlock], inverse[kKeyBlock];
};

/// A row with a NaN or an infinity gets a NaN for its scale, so that all of it becomes NaN.
inline void find_scale(const float* row, int64_t width, float& scale, float& inverse) {
  // Below this, 127 / top would overflow; such a row counts as zero.
  constexpr float kSmallest = 1e-35f;
  Vec tops = zero(), probe = zero();
  for_lanes(width, [&](int64_t d, int n) {
    const Vec x = load_some(row + d, n);
    tops = max(tops, abs(x));
    probe = probe + x * zero();
  });
  const float top = max_lane(tops), poison = sum(probe);
  const bool finite = poison == 0.0f, zero_row = !(top > kSmallest);
  scale = !finite ? poison : zero_row ? 0.0f : top / 127.0f;
  inverse = !finite || zero_row ? 0.0f : 127.0f / top;
}

/// Up to 64 rows of K or V, `stride` floats apart, and what they are rounded to.
struct KeyRows {
  const float* rows;
  int64_t stride, count, width;
  KeyForm form;
  const RowScales* scales;  ///< of codes, else null
  bool as_codes;            ///< codes are left as they are, without their scale

  Vec rounded(Vec x, Vec scale, Vec inverse) const {
    uint16_t lanes[kLanes];
    switch (form) {
      case KeyForm::kF16: store_half(lanes, x); return load_half(lanes);
      case KeyForm::kBF16: store_bf16(lanes, x); return load_bf16(lanes);
      case KeyForm::kI8: x = to_float(to_int(x * inverse)); return as_codes ? x : x * scale;
      default: return x;
    }
  }
};

/// The scales of rows; those that are missing of 64 repeat the last one.
inline void find_scales(const KeyRows& r, RowScales& scales) {
  for (int64_t i = 0; i < kKeyBlock; ++i) {
    if (i < r.count) {
      find_scale(r.rows + i * r.stride, r.width, scales.scale[i], scales.inverse[i]);
    } else {
      scales.scale[i] = scales.scale[i - 1];
      scales.inverse[i] = scales.inverse[i - 1];
    }
  }
}

/// columns[d * 64 + i] = rows[i][d]; what is missing of 64 rows repeats the last one.
inline void transpose_rows(const KeyRows& r, float* columns) {
  for (int64_t group = 0; group < kKeyBlock; group += kLanes) {
    const Vec scale = r.scales == nullptr ? zero() : load(r.scales->scale + group);
    const Vec inverse = r.scales == nullptr ? zero() : load(r.scales->inverse + group);
    const float* row[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      row[i] = r.rows + smaller(group + i, r.count - 1) * r.stride;
    }
    const auto put = [&](int64_t d, Vec x) {
      store(columns + d * kKeyBlock + group, r.rounded(x, scale, inverse));
    };
    int64_t d = 0;
    for (; d + kColumns <= r.width; d += kColumns) {
      Vec out[kColumns];
      load_columns<F32Source>(row, d, out);
      for (int64_t j = 0; j < kColumns; ++j) put(d + j, out[j]);
    }
    for (; d < r.width; ++d) put(d, load_column<F32Source>(row, d));
  }
}

/// Rows at a padded distance, zero behind.
inline void copy_rows(const KeyRows& r, float* out) {
  for (int64_t i = 0; i < r.count; ++i) {
    const Vec scale = r.scales == nullptr ? zero() : set1(r.scales->scale[i]);
    const Vec inverse = r.scales == nullptr ? zero() : set1(r.scales->inverse[i]);
    for_lanes(r.width, [&](int64_t d, int n) {
      const Vec x = load_some(r.rows + i * r.stride + d, n);
      store(out + i * padded(r.width) + d, r.rounded(x, scale, inverse));
    });
  }
}

/// A block as the products take it.
struct KeyBlock {
  const void* k;  ///< [D][64]
  const void* v;  ///< [64][v_stride]
  int64_t v_stride;
  KeyForm form;
  const float *k_scales, *v_scales;  ///< [64], where k and v are codes; else null
};

/// Room for a block that is brought into form.
struct KeyRoom {
  float *keys, *values;  ///< [D][64], [64][padded D]
  RowScales *k_scales, *v_scales;
};

/// Where block `index` of the source lies in `pool`, its k or v.
inline const char* pool_block(const KeySource& source, const void* pool, int64_t index) {
  return static_cast<const char*>(pool) +
         source.table[index] * source.block_stride * element_bytes(source.form);
}

/// The block `index`, with `count` keys, of rows that are in no pool.
inline KeyBlock gather_block(const KeySource& source, int64_t index, int64_t count,
                             int64_t head_dim, const KeyRoom& room) {
  const int64_t start = index * kKeyBlock;
  const auto rows_at = [&](const void* first, int64_t stride, RowScales* scales) {
    KeyRows rows{static_cast<const float*>(first) + start * stride,
                 stride,
                 count,
                 head_dim,
                 source.form,
                 nullptr,
                 true};
    if (source.form == KeyForm::kI8) {
      find_scales(rows, *scales);
      rows.scales = scales;
    }
    return rows;
  };
  const KeyRows keys = rows_at(source.k, source.k_stride, room.k_scales);
  const KeyRows values = rows_at(source.v, source.v_stride, room.v_scales);
  transpose_rows(keys, room.keys);
  copy_rows(values, room.values);
  const bool codes = source.form == KeyForm::kI8;
  return {room.keys,
          room.values,
          padded(head_dim),
          KeyForm::kF32,
          codes ? room.k_scales->scale : nullptr,
          codes ? room.v_scales->scale : nullptr};
}

/// The block `index` of the source, whose first `count` keys are there.
inline KeyBlock load_block(const KeySource& source, int64_t index, int64_t count, int64_t head_dim,
                           const KeyRoom& room) {
  if (source.table == nullptr) return gather_block(source, index, count, head_dim, room);
  const int64_t wide = padded(head_dim);
  const char* k = pool_block(source, source.k, index);
  const char* v = pool_block(source, source.v, index);
  KeyBlock block{k, v, wide, source.form, nullptr, nullptr};
  if (source.form == KeyForm::kI8) {
    block.k_scales = reinterpret_cast<const float*>(k + head_dim * kKeyBlock);
    block.v_scales = reinterpret_cast<const float*>(v + head_dim * kKeyBlock);
  }
  if (wide == head_dim) return block;  // widened as it is multiplied: that is free
  visit_form(source.form, [&](auto reader) {
    using Source = decltype(reader);
    const auto* keys = reinterpret_cast<const typename Source::Type*>(k);
    const auto* values = reinterpret_cast<const typename Source::Type*>(v);
    for (int64_t i = 0; i < head_dim * kKeyBlock; i += kLanes) {
      store(room.keys + i, Source::load16(keys + i));
    }
    for (int64_t i = 0; i < count; ++i) {
      for_lanes(head_dim, [&](int64_t d, int n) {
        store(room.values + i * wide + d, gather<Source>(values + i * head_dim + d, 1, n));
      });
    }
  });
  block.k = room.keys;
  block.v = room.values;
  block.form = KeyForm::kF32;
  return block;
}

}  // namespace yiti::cpu::YITI_ISA
