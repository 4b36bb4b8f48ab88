#include "ops/kernels/cpu/attention.h"

#include "ops/kernels/cpu/attention_keys.h"
#include "ops/kernels/cpu/attention_multiply.h"
#include "ops/kernels/cpu/scalar_log.h"

namespace yiti::cpu::YITI_ISA {
namespace {

constexpr float kLowest = -__builtin_inff();
constexpr float kIota[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Levels of the merge tree that can wait while positions are below `positions`.
int64_t tree_levels(int64_t positions) {
  int64_t levels = 0;
  for (int64_t last = (positions - 1) / kKeySegment; last > 0; last /= 2) ++levels;
  return levels;
}

// What a tile's rows have gathered of the present segment, and what waits to be merged.
struct Rows {
  float *q, *scores;
  KeyRoom room;
  float *top, *next_top, *correction;  // [rows]
  float* sums;                         // [rows][16]
  float* out;                          // [rows][wide]
  float *waiting_top, *waiting_sum;    // [levels][rows]
  float* waiting_out;                  // [levels][rows][wide]
};

// Cuts `base` into the parts of Rows; returns the floats used. All parts start on 64 bytes.
int64_t lay_out(int64_t rows, int64_t head_dim, int64_t levels, float* base, Rows& out) {
  int64_t used = 0;
  const auto take = [&](int64_t count) {
    float* part = base == nullptr ? nullptr : base + used;
    used += padded(count);
    return part;
  };
  const int64_t wide = padded(head_dim);
  out.q = take(rows * head_dim);
  out.scores = take(rows * kKeyBlock);
  out.room.keys = take(head_dim * kKeyBlock);
  out.room.values = take(wide * kKeyBlock);
  constexpr int64_t kScaleFloats = sizeof(RowScales) / sizeof(float);
  out.room.k_scales = reinterpret_cast<RowScales*>(take(kScaleFloats));
  out.room.v_scales = reinterpret_cast<RowScales*>(take(kScaleFloats));
  out.top = take(rows);
  out.next_top = take(rows);
  out.correction = take(rows);
  out.sums = take(rows * kLanes);
  out.out = take(rows * wide);
  out.waiting_top = take(levels * rows);
  out.waiting_sum = take(levels * rows);
  out.waiting_out = take(levels * rows * wide);
  return used;
}

int64_t forward_scratch(int64_t rows, int64_t head_dim, int64_t positions) {
  Rows unused;
  return lay_out(rows, head_dim, tree_levels(positions), nullptr, unused);
}

int64_t part_floats(int64_t rows, int64_t head_dim) {
  return 2 * padded(rows) + rows * padded(head_dim);
}

float exp_one(float x) {
  float lanes[kLanes];
  store(lanes, exp_below_zero(set1(x)));
  return lanes[0];
}

class Forward {
 public:
  explicit Forward(const AttentionTile& tile)
      : t_(tile), wide_(padded(tile.head_dim)), rows_(tile.tokens * tile.heads) {
    lay_out(rows_, t_.head_dim, tree_levels(t_.first + t_.tokens), t_.scratch, r_);
  }

  void run() {
    scale_queries();
    for_segments([&](int64_t segment) {
      gather(segment);
      end_segment(segment);
    });
  }

  void run_segment(int64_t segment, float* part) {
    scale_queries();
    gather(segment);
    float *tops = part, *sums = tops + padded(rows_), *out = sums + padded(rows_);
    for (int64_t row = 0; row < rows_; ++row) {
      tops[row] = r_.top[row];
      sums[row] = sum(load(r_.sums + row * kLanes));
    }
    for (int64_t i = 0; i < rows_ * wide_; i += kLanes) store(out + i, load(r_.out + i));
  }

  void merge_segments(const float* parts, int64_t stride) {
    for_segments([&](int64_t segment) {
      const float* tops = parts + segment * stride;
      const float *sums = tops + padded(rows_), *out = sums + padded(rows_);
      for (int64_t row = 0; row < rows_; ++row) {
        r_.top[row] = tops[row];
        store(r_.sums + row * kLanes, load_n(sums + row, 1));
      }
      for (int64_t i = 0; i < rows_ * wide_; i += kLanes) store(r_.out + i, load(out + i));
      end_segment(segment);
    });
  }

 private:
  template <class F>
  void for_segments(const F& f) const {
    const int64_t last = t_.first + t_.tokens - 1;
    for (int64_t s = lowest(t_.first) / kKeySegment; s <= last / kKeySegment; ++s) f(s);
  }

  void gather(int64_t segment) {
    constexpr int64_t kBlocks = kKeySegment / kKeyBlock;
    const int64_t last = t_.first + t_.tokens - 1;
    const int64_t begin = larger(segment * kBlocks, lowest(t_.first) / kKeyBlock);
    const int64_t end = smaller((segment + 1) * kBlocks, last / kKeyBlock + 1);
    start_segment();
    for (int64_t block = begin; block < end; ++block) visit(block);
  }

  // The first position that the token at `position` sees.
  int64_t lowest(int64_t position) const {
    return t_.window > 0 ? larger(0, position - t_.window + 1) : 0;
  }
  // Tokens [begin, end) of the tile whose position is at least `from` and that see a key below
  // `to`.
  int64_t begin_from(int64_t from) const { return larger(0, smaller(t_.tokens, from - t_.first)); }
  int64_t end_below(int64_t to) const {
    return t_.window > 0 ? larger(0, smaller(t_.tokens, to + t_.window - 1 - t_.first)) : t_.tokens;
  }

  void scale_queries() {
    const Vec scale = set1(t_.scale);
    for (int64_t row = 0; row < rows_; ++row) {
      const float* q =
          t_.q + row / t_.heads * t_.q_token_stride + row % t_.heads * t_.q_head_stride;
      float* target = r_.q + row * t_.head_dim;
      for_lanes(t_.head_dim,
                [=](int64_t d, int n) { store_some(target + d, load_some(q + d, n) * scale, n); });
    }
  }

  void start_segment() {
    for (int64_t row = 0; row < rows_; ++row) r_.top[row] = kLowest;
    for (int64_t i = 0; i < rows_ * kLanes; ++i) r_.sums[i] = 0;
    for (int64_t i = 0; i < rows_ * wide_; ++i) r_.out[i] = 0;
  }

  void visit(int64_t block) {
    const int64_t start = block * kKeyBlock, end = start + kKeyBlock;
    const int64_t first = begin_from(start), past = end_below(end);
    if (first >= past) return;
    const int64_t rows = (past - first) * t_.heads;
    const int64_t count = smaller(kKeyBlock, t_.first + t_.tokens - start);
    const KeyBlock keys = load_block(t_.keys, block, count, t_.head_dim, r_.room);
    const int64_t row = first * t_.heads;
    const bool has_next = t_.keys.table != nullptr && end < t_.first + t_.tokens;
    next_keys_ = has_next ? pool_block(t_.keys, t_.keys.k, block + 1) : nullptr;
    multiply_by<false>(
        {r_.q + row * t_.head_dim, t_.head_dim, 1, keys.k, kKeyBlock, t_.head_dim,
         r_.scores + row * kKeyBlock, kKeyBlock, kKeyBlock, static_cast<const char*>(keys.v)},
        rows, keys.form);
    if (keys.k_scales != nullptr) scale_scores(keys.k_scales, row, rows);
    take_exponentials(first, past, start);
    if (keys.v_scales != nullptr) scale_scores(keys.v_scales, row, rows);
    // Tokens that see the whole block go together, the others one by one with the keys they see.
    const int64_t whole = larger(first, smaller(past, begin_from(end - 1)));
    const int64_t whole_end = larger(whole, smaller(past, end_below(start + 1)));
    for (int64_t token = first; token < whole; ++token) add_values(keys, token, start);
    if (whole < whole_end) add_values(keys, whole, whole_end, 0, kKeyBlock);
    for (int64_t token = whole_end; token < past; ++token) add_values(keys, token, start);
  }

  template <bool kAdd>
  static void multiply_by(const Product& product, int64_t rows, KeyForm form) {
    visit_form(form, [&](auto source) { multiply<decltype(source), kAdd>(product, rows); });
  }

  // Each key's score, or the weight of its value, times the scale of its codes.
  void scale_scores(const float* scales, int64_t row, int64_t rows) {
    for (float* scores = r_.scores + row * kKeyBlock; rows > 0; --rows, scores += kKeyBlock) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        store(scores + j * kLanes, load(scores + j * kLanes) * load(scales + j * kLanes));
      }
    }
  }

  void add_values(const KeyBlock& keys, int64_t token, int64_t start) {
    const int64_t position = t_.first + token;
    add_values(keys, token, token + 1, larger(0, lowest(position) - start),
               smaller(kKeyBlock, position + 1 - start));
  }

  void add_values(const KeyBlock& keys, int64_t token, int64_t past, int64_t key, int64_t key_end) {
    const int64_t row = token * t_.heads;
    const char* v =
        static_cast<const char*>(keys.v) + key * keys.v_stride * element_bytes(keys.form);
    multiply_by<true>({r_.scores + row * kKeyBlock + key, kKeyBlock, 1, v, keys.v_stride,
                       key_end - key, r_.out + row * wide_, wide_, wide_, next_keys_},
                      (past - token) * t_.heads, keys.form);
  }

  // Scores of the tokens' rows become e^(score - top), and what was gathered is put relative to the
  // new top.
  void take_exponentials(int64_t token, int64_t past, int64_t start) {
    const int64_t first_row = token * t_.heads, past_row = past * t_.heads;
    for (int64_t row = first_row; row < past_row; ++row) find_top(row, start);
    for_lanes(past_row - first_row, [&](int64_t i, int n) {
      const int64_t row = first_row + i;
      const Vec next = load_some(r_.next_top + row, n);
      store_some(r_.correction + row, exp_below_zero(load_some(r_.top + row, n) - next), n);
      store_some(r_.top + row, next, n);
    });
    for (int64_t row = first_row; row < past_row; ++row) {
      float* scores = r_.scores + row * kKeyBlock;
      const Vec top = set1(r_.top[row]);
      Vec e[4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        e[j] = exp_below_zero(load(scores + j * kLanes) - top);
        store(scores + j * kLanes, e[j]);
      }
      const Vec factor = set1(r_.correction[row]);
      float* sums = r_.sums + row * kLanes;
      store(sums, fma(load(sums), factor, (e[0] + e[1]) + (e[2] + e[3])));
      if (r_.correction[row] == 1.0f) continue;
      float* out = r_.out + row * wide_;
      for (int64_t d = 0; d < wide_; d += kLanes) store(out + d, load(out + d) * factor);
    }
  }

  void find_top(int64_t row, int64_t start) {
    const int64_t position = t_.first + row / t_.heads;
    const int64_t key = lowest(position) - start, key_end = position + 1 - start;
    float* scores = r_.scores + row * kKeyBlock;
    if (key > 0 || key_end < kKeyBlock) {
      const Vec from = set1(static_cast<float>(key)), to = set1(static_cast<float>(key_end));
      for (int j = 0; j < 4; ++j) {
        const Vec index = load(kIota) + set1(static_cast<float>(j * kLanes));
        Vec s = select_less(index, to, load(scores + j * kLanes), set1(kLowest));
        s = select_less(index, from, set1(kLowest), s);
        store(scores + j * kLanes, s);
      }
    }
    const Vec top = max(max(load(scores), load(scores + kLanes)),
                        max(load(scores + 2 * kLanes), load(scores + 3 * kLanes)));
    const float best = max_lane(top);
    r_.next_top[row] = best > r_.top[row] ? best : r_.top[row];
  }

  // A row's part of the segment: its result if it is the last one, else a leaf of the tree.
  void end_segment(int64_t segment) {
    const int64_t start = segment * kKeySegment;
    const int64_t past = end_below(start + kKeySegment);
    for (int64_t token = begin_from(start); token < past; ++token) {
      const int64_t position = t_.first + token;
      const int64_t first = lowest(position) / kKeySegment;
      const bool last = position / kKeySegment == segment;
      for (int64_t head = 0; head < t_.heads; ++head) {
        const int64_t row = token * t_.heads + head;
        float total = sum(load(r_.sums + row * kLanes));
        int64_t level = 0;
        for (; last ? (segment >> level) > 0 : (segment >> level & 1) != 0; ++level) {
          const bool waits = (segment >> level & 1) != 0 && (segment >> level << level) > first;
          if (waits) total = merge(row, level, total);
        }
        if (last) {
          finish(token, head, total);
        } else {
          set_aside(row, level, total);
        }
      }
    }
  }

  // Adds what waits at `level` to the row's part; returns the sum of both.
  float merge(int64_t row, int64_t level, float total) {
    const int64_t slot = level * rows_ + row;
    const float left_top = r_.waiting_top[slot], right_top = r_.top[row];
    const float top = left_top > right_top ? left_top : right_top;
    const float left = exp_one(left_top - top), right = exp_one(right_top - top);
    float* out = r_.out + row * wide_;
    const float* waiting = r_.waiting_out + slot * wide_;
    for (int64_t d = 0; d < wide_; d += kLanes) {
      store(out + d, fma(load(waiting + d), set1(left), load(out + d) * set1(right)));
    }
    r_.top[row] = top;
    return r_.waiting_sum[slot] * left + total * right;
  }

  void set_aside(int64_t row, int64_t level, float total) {
    const int64_t slot = level * rows_ + row;
    r_.waiting_top[slot] = r_.top[row];
    r_.waiting_sum[slot] = total;
    for (int64_t d = 0; d < wide_; d += kLanes) {
      store(r_.waiting_out + slot * wide_ + d, load(r_.out + row * wide_ + d));
    }
  }

  void finish(int64_t token, int64_t head, float total) {
    const int64_t row = token * t_.heads + head;
    const float* out = r_.out + row * wide_;
    float* target = t_.out + token * t_.out_token_stride + head * t_.head_dim;
    for_lanes(t_.head_dim,
              [=](int64_t d, int n) { store_some(target + d, load(out + d) / set1(total), n); });
    if (t_.lse == nullptr) return;
    t_.lse[token * t_.lse_token_stride + head] =
        static_cast<float>(static_cast<double>(r_.top[row]) + log_of(static_cast<double>(total)));
  }

  const AttentionTile& t_;
  const int64_t wide_, rows_;
  const char* next_keys_ = nullptr;
  Rows r_;
};

void forward(const AttentionTile& tile) { Forward(tile).run(); }

void forward_segment(const AttentionTile& tile, int64_t segment, float* part) {
  Forward(tile).run_segment(segment, part);
}

void merge_segments(const AttentionTile& tile, const float* parts, int64_t stride) {
  Forward(tile).merge_segments(parts, stride);
}

// narrow_key and narrow_value give 16 elements of a row as T.
template <class T, class NarrowKey, class NarrowValue>
void write_rows(const float* key, const float* value, int64_t head_dim, int64_t offset, void* k,
                void* v, NarrowKey narrow_key, NarrowValue narrow_value) {
  for_lanes(head_dim, [&](int64_t d, int n) {
    T lanes[kLanes];
    narrow_key(lanes, load_some(key + d, n));
    for (int i = 0; i < n; ++i) static_cast<T*>(k)[(d + i) * kKeyBlock + offset] = lanes[i];
    narrow_value(lanes, load_some(value + d, n));
    for (int i = 0; i < n; ++i) static_cast<T*>(v)[offset * head_dim + d + i] = lanes[i];
  });
}

// Finds the scale of a row's codes, writes it behind the block's codes, and gives what makes them.
auto code_writer(const float* row, int64_t head_dim, int64_t offset, void* block) {
  float inverse;
  auto* scales = reinterpret_cast<float*>(static_cast<int8_t*>(block) + head_dim * kKeyBlock);
  find_scale(row, head_dim, scales[offset], inverse);
  return [inverse](int8_t* lanes, Vec x) {
    float codes[kLanes];
    store(codes, to_float(to_int(x * set1(inverse))));
    for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<int8_t>(static_cast<int32_t>(codes[i]));
  };
}

void write(KeyForm form, const float* key, const float* value, int64_t head_dim, int64_t offset,
           void* k, void* v) {
  switch (form) {
    case KeyForm::kF16:
      return write_rows<uint16_t>(key, value, head_dim, offset, k, v, store_half, store_half);
    case KeyForm::kBF16:
      return write_rows<uint16_t>(key, value, head_dim, offset, k, v, store_bf16, store_bf16);
    case KeyForm::kI8:
      return write_rows<int8_t>(key, value, head_dim, offset, k, v,
                                code_writer(key, head_dim, offset, k),
                                code_writer(value, head_dim, offset, v));
    default: return write_rows<float>(key, value, head_dim, offset, k, v, store, store);
  }
}

}  // namespace

extern const AttentionTable attention_table;
const AttentionTable attention_table = {forward_scratch, forward,        part_floats,
                                        forward_segment, merge_segments, write};

}  // namespace yiti::cpu::YITI_ISA
