#include "ops/kernels/cpu/attention_backward.h"

#include "ops/kernels/cpu/attention_keys.h"
#include "ops/kernels/cpu/attention_multiply.h"

namespace yiti::cpu::YITI_ISA {
namespace {

constexpr int64_t kBlock = kKeyBlock;

struct Parts {
  float* delta;                      // [tokens]: sum over d of out dout
  float *k_columns, *v_columns, *k;  // [D][64], [D][64], [64][wide]
  float *q, *dout, *dq;              // [64][wide]
  float *p, *ds;                     // [64][64]
  float *dk, *dv;                    // [64][wide]
};

int64_t lay_out(int64_t tokens, int64_t head_dim, float* base, Parts& out) {
  int64_t used = 0;
  const auto take = [&](int64_t count) {
    float* part = base == nullptr ? nullptr : base + used;
    used += padded(count);
    return part;
  };
  const int64_t rows = kBlock * padded(head_dim);
  out.delta = take(tokens);
  for (float** part :
       {&out.k_columns, &out.v_columns, &out.k, &out.q, &out.dout, &out.dq, &out.dk, &out.dv}) {
    *part = take(rows);
  }
  out.p = take(kBlock * kBlock);
  out.ds = take(kBlock * kBlock);
  return used;
}

int64_t scratch(int64_t tokens, int64_t head_dim) {
  Parts unused;
  return lay_out(tokens, head_dim, nullptr, unused);
}

// Up to 64 tokens from `start` on.
struct Queries {
  int64_t start, rows;
};

class Backward {
 public:
  explicit Backward(const AttentionBackward& unit) : u_(unit), wide_(padded(unit.head_dim)) {
    lay_out(u_.tokens, u_.head_dim, u_.scratch, s_);
  }

  void run() {
    for (int64_t t = 0; t < u_.tokens; ++t) {
      const float *out = row(u_.out, t), *dout = row(u_.dout, t);
      s_.delta[t] = sum_row(u_.head_dim, [=](Vec acc, int64_t d, int n) {
        return fma(load_some(out + d, n), load_some(dout + d, n), acc);
      });
      for (int64_t d = 0; d < u_.head_dim; ++d) u_.dq[t * u_.dq_stride + d] = 0;
    }
    for (int64_t key = 0; key < u_.tokens; key += kBlock) visit_keys(key);
    const Vec scale = set1(u_.scale);
    for (int64_t t = 0; t < u_.tokens; ++t) {
      float* dq = u_.dq + t * u_.dq_stride;
      for_lanes(u_.head_dim,
                [=](int64_t d, int n) { store_some(dq + d, load_some(dq + d, n) * scale, n); });
    }
  }

 private:
  static const float* row(const HeadRows& rows, int64_t t) { return rows.data + t * rows.stride; }
  KeyRows rows_of(const HeadRows& rows, int64_t start, int64_t count, KeyForm form) const {
    return {row(rows, start), rows.stride, count, u_.head_dim, form, nullptr, false};
  }

  void visit_keys(int64_t start) {
    const int64_t count = smaller(kBlock, u_.tokens - start);
    KeyRows keys = rows_of(u_.k, start, count, u_.form);
    KeyRows values = rows_of(u_.v, start, count, u_.form);
    RowScales k_scales, v_scales;
    if (u_.form == KeyForm::kI8) {
      find_scales(keys, k_scales);
      find_scales(values, v_scales);
      keys.scales = &k_scales;
      values.scales = &v_scales;
    }
    transpose_rows(keys, s_.k_columns);
    transpose_rows(values, s_.v_columns);
    copy_rows(keys, s_.k);
    for (int64_t i = 0; i < kBlock * wide_; ++i) s_.dk[i] = s_.dv[i] = 0;
    const int64_t past =
        u_.window > 0 ? smaller(u_.tokens, start + count - 1 + u_.window) : u_.tokens;
    for (int64_t query = start; query < past; query += kBlock) {
      visit(start, count, {query, smaller(kBlock, past - query)});
    }
    for (int64_t i = 0; i < count; ++i) {
      const float *dk = s_.dk + i * wide_, *dv = s_.dv + i * wide_;
      const int64_t at = (start + i) * u_.dk_stride;
      for_lanes(u_.head_dim, [&](int64_t d, int n) {
        store_some(u_.dk + at + d, load(dk + d), n);
        store_some(u_.dv + at + d, load(dv + d), n);
      });
    }
  }

  void visit(int64_t start, int64_t count, const Queries& queries) {
    gather(queries);
    const int64_t rows = queries.rows;
    multiply<F32Source, false>(
        {s_.q, wide_, 1, s_.k_columns, kBlock, u_.head_dim, s_.p, kBlock, kBlock}, rows);
    multiply<F32Source, false>(
        {s_.dout, wide_, 1, s_.v_columns, kBlock, u_.head_dim, s_.ds, kBlock, kBlock}, rows);
    for (int64_t r = 0; r < rows; ++r) differentiate(start, queries.start + r, r);
    multiply<F32Source, true>({s_.p, 1, kBlock, s_.dout, wide_, rows, s_.dv, wide_, wide_}, count);
    multiply<F32Source, true>({s_.ds, 1, kBlock, s_.q, wide_, rows, s_.dk, wide_, wide_}, count);
    multiply<F32Source, true>({s_.ds, kBlock, 1, s_.k, wide_, count, s_.dq, wide_, wide_}, rows);
    for (int64_t r = 0; r < rows; ++r) {
      float* dq = u_.dq + (queries.start + r) * u_.dq_stride;
      const float* sums = s_.dq + r * wide_;
      for_lanes(u_.head_dim, [=](int64_t d, int n) { store_some(dq + d, load(sums + d), n); });
    }
  }

  // Rows of scaled q, of dout and of dq as it stands.
  void gather(const Queries& queries) {
    copy_rows(rows_of(u_.q, queries.start, queries.rows, KeyForm::kF32), s_.q);
    const Vec scale = set1(u_.scale);
    for (int64_t i = 0; i < queries.rows * wide_; i += kLanes)
      store(s_.q + i, load(s_.q + i) * scale);
    copy_rows(rows_of(u_.dout, queries.start, queries.rows, KeyForm::kF32), s_.dout);
    copy_rows(rows_of({u_.dq, u_.dq_stride}, queries.start, queries.rows, KeyForm::kF32), s_.dq);
  }

  // Scores become probabilities p, and dP becomes dS = p (dP - delta); both 0 where unseen.
  void differentiate(int64_t start, int64_t token, int64_t r) {
    static constexpr float kIota[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const int64_t lowest = u_.window > 0 ? larger(0, token - u_.window + 1) : 0;
    const int64_t key = larger(0, lowest - start), key_end = smaller(kBlock, token + 1 - start);
    const bool whole = key == 0 && key_end == kBlock;
    const Vec lse = set1(u_.lse[token * u_.lse_stride]), delta = set1(s_.delta[token]);
    const Vec from = set1(static_cast<float>(key)), to = set1(static_cast<float>(key_end));
    for (int64_t j = 0; j < kBlock; j += kLanes) {
      float *p = s_.p + r * kBlock + j, *ds = s_.ds + r * kBlock + j;
      Vec probability = exp_below_zero(load(p) - lse);
      Vec slope = probability * (load(ds) - delta);
      if (!whole) {
        const Vec index = load(kIota) + set1(static_cast<float>(j));
        const auto seen = [&](Vec x) {
          return select_less(index, from, zero(), select_less(index, to, x, zero()));
        };
        probability = seen(probability);
        slope = seen(slope);
      }
      store(p, probability);
      store(ds, slope);
    }
  }

  const AttentionBackward& u_;
  const int64_t wide_;
  Parts s_;
};

void run(const AttentionBackward& unit) { Backward(unit).run(); }

void add(const float* x, float* sum, int64_t n) {
  for_lanes(n, [=](int64_t i, int count) {
    store_some(sum + i, load_some(sum + i, count) + load_some(x + i, count), count);
  });
}

}  // namespace

extern const AttentionBackwardTable attention_backward_table;
const AttentionBackwardTable attention_backward_table = {scratch, run, add};

}  // namespace yiti::cpu::YITI_ISA
