// Causal attention on tensor cores. A warp has 16 rows, the heads that share a head of K and V of some
// tokens that share their keys, and walks keys in blocks of 64 at absolute positions; segments of 512
// keys are joined in ascending order, as in attention.cl. So a row's bits depend on its position, window
// and keys alone, whatever tile it lies in; keys in pools and in rows give the same.
//
// Elements are cut into parts of 11 bits, whose products are exact: queries and weights into two, keys and
// values into as many as they need. An mma takes 8 keys 4 apart, or 8 elements of heads, so that a lane
// reads neighbours. What is not finite would spoil rows that do not see it (0 * NaN): such values are kept
// out of the mma and added to the rows that do.

// What K and V are kept as: with `parts` parts, or as 8-bit codes with a scale for each key.
struct kept_f32 {
  typedef float element;
  static constexpr int parts = 2;
  static constexpr bool scaled = false;
  static float widened(float x) { return x; }
};
struct kept_f16 {
  typedef ushort element;
  static constexpr int parts = 1;
  static constexpr bool scaled = false;
  static float widened(ushort x) { return half_to_float(x); }
};
struct kept_bf16 {
  typedef ushort element;
  static constexpr int parts = 1;
  static constexpr bool scaled = false;
  static float widened(ushort x) { return from_bf16(x); }
};
struct kept_i8 {
  typedef signed char element;
  static constexpr int parts = 1;
  static constexpr bool scaled = true;
  static float widened(signed char x) { return (float)x; }
};
// Floats that hold what one of the narrower kinds keeps: rows of training.
struct rounded_f32 : kept_f32 {
  static constexpr int parts = 1;
};
struct coded_f32 : rounded_f32 {
  static constexpr bool scaled = true;
};

inline bool is_finite(float x) { return x - x == 0.0f; }

// x as parts of 11 bits, the largest first. What is not finite is its first part alone.
struct two_parts {
  uint high, low;
};
inline two_parts parts_of(float x) {
  const uint high = as_uint(x) & 0xffffe000u;
  const float value = as_float(high);
  return {high, is_finite(value) ? as_uint(x - value) & 0xffffe000u : 0u};
}

// D += A · B, the least products first.
template <int parts>
inline void add_parts(float (&d)[4], const two_parts (&a)[4], const float (&b)[2]) {
  const uint high[4] = {a[0].high, a[1].high, a[2].high, a[3].high};
  const uint low[4] = {a[0].low, a[1].low, a[2].low, a[3].low};
  const two_parts first = parts_of(b[0]), second = parts_of(b[1]);
  const uint b_high[2] = {first.high, second.high};
  add_product_tf32(d, low, b_high);
  if (parts > 1) {
    const uint b_low[2] = {first.low, second.low};
    add_product_tf32(d, high, b_low);
  }
  add_product_tf32(d, high, b_high);
}

template <class element>
struct alignas(4 * sizeof(element)) four {
  element x[4];
};
// Elements at from[0] to from[3], of which `room` are there; zero elsewhere. With `vectors` all or none
// are there, at a multiple of their size.
template <class kept, bool vectors>
inline void load_four(const typename kept::element *from, int room, float *to) {
  typedef typename kept::element element;
  four<element> raw;
  if (vectors && room > 0) raw = *reinterpret_cast<const four<element> *>(from);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = i < room ? kept::widened(vectors ? raw.x[i] : from[i]) : 0.0f;
  }
}

// A block of keys in a pool: K [dim][64], V [64][dim], and the scales of codes behind each.
template <class kept, int dim, bool vectors>
struct pool_block {
  typedef kept kind;
  typedef typename kept::element element;
  const element *k, *v;

  // Elements d to d + 7 of keys `key` to key + 3; `room` keys and elements below `dim` are there.
  void load_keys(int key, int room, int d, float (&to)[4][8]) const {
    for (int i = 0; i < 8; ++i) {
      float keys[4];
      // Keys that are missing are masked, and lie in the pool.
      load_four<kept, vectors>(k + (d + i) * 64 + key, room > 0 && d + i < dim ? 4 : 0, keys);
      for (int j = 0; j < 4; ++j) to[j][i] = keys[j];
    }
  }
  void load_values(int key, bool is_there, int d, float (&to)[4]) const {
    load_four<kept, vectors && dim % 4 == 0>(v + key * dim + d, is_there ? dim - d : 0, to);
  }
  float key_scale(int key) const { return reinterpret_cast<const float *>(k + 64 * dim)[key]; }
  float value_scale(int key) const { return reinterpret_cast<const float *>(v + 64 * dim)[key]; }
};

// The same of K and V that lie in rows of `stride` elements.
template <class kept, int dim, bool vectors>
struct row_block {
  typedef kept kind;
  typedef typename kept::element element;
  const element *k, *v;
  const float *k_scales, *v_scales;
  long stride, scale_stride;

  void load_keys(int key, int room, int d, float (&to)[4][8]) const {
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 8; i += 4) {
        load_four<kept, vectors && dim % 4 == 0>(k + (key + j) * stride + d + i,
                                                 j < room ? dim - d - i : 0, &to[j][i]);
      }
    }
  }
  void load_values(int key, bool is_there, int d, float (&to)[4]) const {
    load_four<kept, vectors && dim % 4 == 0>(v + key * stride + d, is_there ? dim - d : 0, to);
  }
  float key_scale(int key) const { return k_scales[key * scale_stride]; }
  float value_scale(int key) const { return v_scales[key * scale_stride]; }
};

// Where a lane is: of 16 rows it has g and g + 8, of 8 columns 2q and 2q + 1.
struct lane_place {
  int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, q = lane % 4;

  int row(int i) const { return g + i / 2 * 8; }
  // Of 32 in the four tiles of a group, the one in tile t.
  int column(int i, int t) const { return 4 * (2 * q + i % 2) + t; }
};

// What a lane's two rows have gathered of some keys: out[4 j + u] has element column(i, u) of the 32 of
// group j.
template <int dim>
struct gathered {
  static constexpr int groups = (dim + 31) / 32;
  float top[2], total[2], out[4 * groups][4];

  void clear() {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      top[h] = -INFINITY;
      total[h] = 0;
    }
#pragma unroll
    for (int i = 0; i < 16 * groups; ++i) out[i / 4][i % 4] = 0;
  }
  // Joins the segment that comes after; without keys it changes nothing.
  void join(const gathered &next) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (next.total[h] == 0.0f) continue;
      const bool is_first = total[h] == 0.0f;
      const float both = is_first ? next.top[h] : larger_of(top[h], next.top[h]);
      const float kept = is_first ? 0.0f : exp_of(top[h] - both);
      const float added = is_first ? 1.0f : exp_of(next.top[h] - both);
      top[h] = both;
      total[h] = is_first ? next.total[h] : fma(total[h], kept, next.total[h] * added);
#pragma unroll
      for (int e = 0; e < 8 * groups; ++e) {
        const float added_out = next.out[e / 2][2 * h + e % 2];
        float &own = out[e / 2][2 * h + e % 2];
        own = is_first ? added_out : fma(own, kept, added_out * added);
      }
    }
  }
};

// Keys that a row sees.
struct seen_keys {
  int lowest, position;
  bool has(int key) const { return key >= lowest && key <= position; }
};

// The queries of a warp, scaled, in shared memory; rows are so far apart that lanes meet no bank twice.
template <int dim>
struct query_rows {
  static constexpr int stride = gathered<dim>::groups * 32 + 2;
  float *room;

  // Elements 32 j + 8 q + 2 s and the next one of a lane's two rows.
  void load(const lane_place &at, int j, int s, two_parts (&a)[4]) const {
    for (int i = 0; i < 4; ++i) {
      a[i] = parts_of(room[(at.g + i % 2 * 8) * stride + 32 * j + 8 * at.q + 2 * s + i / 2]);
    }
  }
};

// Adds the keys of a block, whose first one has position `first`; `all` has those that some row sees.
template <class block_type, int dim>
inline void add_keys(const block_type &block, int first, const seen_keys &all,
                     const seen_keys (&rows)[2], const query_rows<dim> &queries,
                     gathered<dim> &sums) {
  typedef typename block_type::kind kept;
  constexpr int groups = gathered<dim>::groups;
  const lane_place at;
  float weights[8][4];
  for (int i = 0; i < 32; ++i) weights[i / 4][i % 4] = 0;
#pragma unroll 1
  for (int j = 0; j < groups; ++j) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int key = 32 * c + 4 * at.g;
      float keys[4][8];
      block.load_keys(key, all.position + 1 - first - key, 32 * j + 8 * at.q, keys);
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        two_parts a[4];
        queries.load(at, j, s, a);
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          const float b[2] = {keys[t][2 * s], keys[t][2 * s + 1]};
          add_parts<kept::parts>(weights[4 * c + t], a, b);
        }
      }
    }
  }
  const auto key_of = [&](int tile, int i) { return tile / 4 * 32 + at.column(i, tile % 4); };
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0}, correction[2];
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    const int tile = i / 4, h = i % 4 / 2, key = key_of(tile, i % 4);
    float &score = weights[tile][i % 4];
    if (!rows[h].has(first + key)) {
      score = -INFINITY;
      continue;
    }
    if (kept::scaled) score *= block.key_scale(key);
    top[h] = larger_of(top[h], score);
  }
  for (int h = 0; h < 2; ++h) {
    top[h] = larger_of(top[h], exchange(top[h], 1));
    top[h] = larger_of(sums.top[h], larger_of(top[h], exchange(top[h], 2)));
    correction[h] = top[h] == sums.top[h] ? 1.0f : exp_of(sums.top[h] - top[h]);
    sums.top[h] = top[h];
  }
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    const int tile = i / 4, h = i % 4 / 2, key = key_of(tile, i % 4);
    float &weight = weights[tile][i % 4];
    const bool sees = rows[h].has(first + key);
    weight = sees ? exp_of(weight - top[h]) : 0.0f;
    total[h] += weight;
    if (kept::scaled && sees) weight *= block.value_scale(key);
  }
  for (int h = 0; h < 2; ++h) {
    total[h] += exchange(total[h], 1);
    total[h] += exchange(total[h], 2);
    sums.total[h] = fma(sums.total[h], correction[h], total[h]);
  }
  // Without a -0, which a block that a row does not see would turn into 0.
#pragma unroll
  for (int i = 0; i < 16 * groups; ++i) {
    sums.out[i / 4][i % 4] = sums.out[i / 4][i % 4] * correction[i % 4 / 2] + 0.0f;
  }
  bool spoilt = false;
#pragma unroll
  for (int tile = 0; tile < 8; ++tile) {
    const two_parts a[4] = {parts_of(weights[tile][0]), parts_of(weights[tile][2]),
                            parts_of(weights[tile][1]), parts_of(weights[tile][3])};
    const int low = key_of(tile, 0), high = key_of(tile, 1);
    const bool has_low = all.has(first + low), has_high = all.has(first + high);
#pragma unroll
    for (int j = 0; j < groups; ++j) {
      float values[2][4];
      block.load_values(low, has_low, 32 * j + 4 * at.g, values[0]);
      block.load_values(high, has_high, 32 * j + 4 * at.g, values[1]);
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        float b[2] = {values[0][u], values[1][u]};
        for (float &x : b) {
          if (sizeof(typename kept::element) == 1 || is_finite(x)) continue;
          x = 0;
          spoilt = true;
        }
        add_parts<kept::parts>(sums.out[4 * j + u], a, b);
      }
    }
  }
  if (!any_lane(spoilt)) return;
#pragma unroll 1
  for (int key = 0; key < 64; ++key) {
#pragma unroll
    for (int i = 0; i < 4 * groups; ++i) {
      if (!rows[i % 4 / 2].has(first + key)) continue;
      float values[4];
      block.load_values(key, true, i / 4 * 32 + at.column(i % 4, 0), values);
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        if (!is_finite(values[u])) sums.out[i / 4 * 4 + u][i % 4] += values[u];
      }
    }
  }
}

// A warp's 16 rows among the tokens and heads of a call.
struct tile_rows {
  long heads, first_token, first_head;
  int tokens, heads_here;  ///< heads_here of each token

  long token(int row) const { return first_token + row / heads_here; }
  long head(int row) const { return first_head + row % heads_here; }
  bool has(int row) const { return row < tokens * heads_here; }
  long number(int row) const { return token(row) * heads + head(row); }
};

// blockIdx.y gives a head of K and V and a part, of at most 16, of the heads that share it.
inline tile_rows tile_of(long tile, long heads, long kv_heads, long tokens) {
  const int group = (int)(heads / kv_heads), part_count = (group + 15) / 16;
  const int number = (int)blockIdx.y, part = number % part_count, most = min(group, 16);
  const long first_token = tile * (16 / most);
  return {heads, first_token, (long)number / part_count * group + 16 * part,
          (int)max(0L, min((long)(16 / most), tokens - first_token)), min(most, group - 16 * part)};
}

// Of the tokens of a tile, those of run `wanted`, neighbours for which source(token) is the same.
struct token_run {
  long begin, end;
};
template <class function>
inline token_run run_of(const tile_rows &tile, int wanted, const function &source) {
  token_run found = {0, 0};
  int run = -1;
  for (long token = tile.first_token; token < tile.first_token + tile.tokens; ++token) {
    if (token == tile.first_token || source(token) != source(token - 1)) ++run;
    if (run != wanted) continue;
    if (found.end == 0) found.begin = token;
    found.end = token + 1;
  }
  return found;
}

inline seen_keys keys_of(int position, long window) {
  return {window > 0 && position >= window ? position - (int)window + 1 : 0, position};
}

// Gathers a warp's rows. seen(token) gives the keys that a token sees; block_at(b, f) calls f with block
// b, where it is there. Of several `splits`, this is segment `split` alone.
template <int dim, class seen_function, class block_function>
inline void attend(const tile_rows &tile, const token_run &run, const float *q, float scale,
                   float *room, int split, int splits, const seen_function &seen,
                   const block_function &block_at, gathered<dim> &row) {
  const lane_place at;
  const query_rows<dim> queries = {room};
  for (int i = at.lane; i < 16 * queries.stride; i += 32) {
    const int r = i / queries.stride, d = i % queries.stride;
    const bool is_there = tile.has(r) && d < dim;
    room[i] = is_there ? q[tile.number(r) * dim + d] * scale : 0.0f;
  }
  wait_for_warp();
  seen_keys all = {2147483647, -1}, rows[2];
  for (long token = run.begin; token < run.end; ++token) {
    const seen_keys one = seen(token);
    if (one.position < 0) continue;
    all.lowest = min(all.lowest, one.lowest);
    all.position = max(all.position, one.position);
  }
  for (int h = 0; h < 2; ++h) {
    const int r = at.g + 8 * h;
    const bool is_here = tile.has(r) && tile.token(r) >= run.begin && tile.token(r) < run.end;
    rows[h] = is_here ? seen(tile.token(r)) : seen_keys{0, -1};
  }
  constexpr int segment = 8;
  int begin = all.position < 0 ? 0 : all.lowest / 64, end = (all.position + 64) / 64;
  if (splits > 1) {
    begin = max(begin, split * segment);
    end = min(end, (split + 1) * segment);
  }
  gathered<dim> sums;
  sums.clear();
  row.clear();
#pragma unroll 1
  for (int b = begin; b < end; ++b) {
    block_at(b, [&](const auto &block) { add_keys(block, 64 * b, all, rows, queries, sums); });
    if ((b + 1) % segment != 0 && b + 1 < end) continue;
    row.join(sums);
    sums.clear();
  }
}

// Calls put(row, h, first element, four elements) for all that a lane has of the rows of `run`.
template <int dim, class function>
inline void each_four(const tile_rows &tile, const token_run &run, const gathered<dim> &row,
                      const function &put) {
  const lane_place at;
#pragma unroll
  for (int e = 0; e < 4 * gathered<dim>::groups; ++e) {
    const int i = e % 4, j = e / 4, r = at.row(i);
    if (!tile.has(r) || tile.token(r) < run.begin || tile.token(r) >= run.end) continue;
    const float values[4] = {row.out[4 * j][i], row.out[4 * j + 1][i], row.out[4 * j + 2][i],
                             row.out[4 * j + 3][i]};
    put(r, i / 2, 32 * j + at.column(i, 0), values);
  }
}

template <int dim>
inline void put_rows(const tile_rows &tile, const token_run &run, const gathered<dim> &row,
                     float *out) {
  each_four(tile, run, row, [&](int r, int h, int d, const float (&values)[4]) {
    const float total = row.total[h];
    for (int u = 0; u < 4 && d + u < dim; ++u) {
      // A row that sees no key is zero.
      out[tile.number(r) * dim + d + u] = total == 0.0f ? 0.0f : values[u] / total;
    }
  });
}

// For join_segments in attention.cl: top, total, and what is to be divided by it.
template <int dim>
inline void put_parts(const tile_rows &tile, const token_run &run, const gathered<dim> &row,
                      int split, int splits, float *parts) {
  each_four(tile, run, row, [&](int r, int h, int d, const float (&values)[4]) {
    float *part = parts + (tile.number(r) * splits + split) * (dim + 2);
    for (int u = 0; u < 4 && d + u < dim; ++u) part[2 + d + u] = values[u];
    if (d != 0) return;
    part[0] = row.top[h];
    part[1] = row.total[h];
  });
}

constexpr int warps_for(int dim) { return dim <= 128 ? 4 : 2; }

// A pool's blocks, as attention_paged has them.
struct paged_call {
  const float *q;
  const int *tables, *sequence, *positions;
  float *out;
  int *fault;
  int op_number;
  long splits, tokens, heads, kv_heads, sequences, table_width, blocks, window;
  float scale;
};

template <class kept, int dim, bool vectors>
inline void attend_pool(const paged_call &call, const typename kept::element *k_pool,
                        const typename kept::element *v_pool, float *room) {
  const int warp = (int)threadIdx.x / 32;
  const tile_rows tile = tile_of((long)blockIdx.x * warps_for(dim) + warp, call.heads,
                                 call.kv_heads, call.tokens);
  const int splits = (int)call.splits, split = (int)blockIdx.z % splits;
  const auto source = [&](long token) { return call.sequence[token]; };
  const token_run run = run_of(tile, (int)blockIdx.z / splits, source);
  if (run.end == 0) return;
  const lane_place at;
  int *fault = call.fault;
  const int op_number = call.op_number, own = source(run.begin);
  const auto seen = [&](long token) {
    const int given = call.positions[token];
    const bool fits = own < call.sequences && given >= 0 && given < call.table_width * 64;
    if (own >= 0 && !fits && at.lane == 0) REPORT;
    return own >= 0 && fits ? keys_of(given, call.window) : seen_keys{0, -1};
  };
  const long kv_head = tile.first_head / (call.heads / call.kv_heads);
  constexpr int elements = 64 * (kept::scaled ? dim + 4 : dim);
  const auto block_at = [&](int b, const auto &add) {
    const int number = call.tables[own * call.table_width + b];
    if (number < 0 || number >= call.blocks) {
      if (at.lane == 0) REPORT;
      return;
    }
    const long first = (number * call.kv_heads + kv_head) * elements;
    add(pool_block<kept, dim, vectors>{k_pool + first, v_pool + first});
  };
  gathered<dim> row;
  attend<dim>(tile, run, call.q, call.scale, room + warp * 16 * query_rows<dim>::stride, split,
              splits, seen, block_at, row);
  if (splits == 1) {
    put_rows(tile, run, row, call.out);
  } else {
    put_parts(tile, run, row, split, splits, call.out);
  }
}

// Packed documents, as attention has them.
template <class index>
struct rows_call {
  const float *q, *k_scales, *v_scales;
  const index *positions;
  float *out, *lse;
  int *fault;
  int op_number, keeps;
  long tokens, heads, kv_heads, window;
  float scale;
};

template <class kept, int dim, bool vectors, class index>
inline void attend_rows(const rows_call<index> &call, const typename kept::element *k,
                        const typename kept::element *v, float *room) {
  const int warp = (int)threadIdx.x / 32;
  const tile_rows tile = tile_of((long)blockIdx.x * warps_for(dim) + warp, call.heads,
                                 call.kv_heads, call.tokens);
  const auto source = [&](long token) { return token - (long)call.positions[token]; };
  const token_run run = run_of(tile, (int)blockIdx.z, source);
  if (run.end == 0) return;
  const lane_place at;
  int *fault = call.fault;
  const int op_number = call.op_number;
  const auto seen = [&](long token) {
    const long given = call.positions[token];
    const bool goes_on = given == 0 || (token > 0 && given == call.positions[token - 1] + 1);
    const bool fits = goes_on && given >= 0 && given <= token;
    if (!fits && at.lane == 0) REPORT;
    return fits ? keys_of((int)given, call.window) : seen_keys{0, -1};
  };
  const long kv_head = tile.first_head / (call.heads / call.kv_heads), start = source(run.begin);
  const auto block_at = [&](int b, const auto &add) {
    const long first = (start + 64L * b) * call.kv_heads + kv_head;
    add(row_block<kept, dim, vectors>{k + first * dim, v + first * dim, call.k_scales + first,
                                      call.v_scales + first, call.kv_heads * dim, call.kv_heads});
  };
  gathered<dim> row;
  attend<dim>(tile, run, call.q, call.scale, room + warp * 16 * query_rows<dim>::stride, 0, 1, seen,
              block_at, row);
  put_rows(tile, run, row, call.out);
  if (!call.keeps) return;
  each_four(tile, run, row, [&](int r, int h, int d, const float (&)[4]) {
    if (d == 0) call.lse[tile.number(r)] = row.top[h] + log(row.total[h]);
  });
}

#ifdef HEAD_DIM
#define ROOM SHARED float room[warps_for(HEAD_DIM) * 16 * query_rows<HEAD_DIM>::stride]

#ifdef PAGED
__kernel GROUP_OF(32 * warps_for(HEAD_DIM), 1, 1) void tile_attention_paged(
    IN(float, q), IN(KEPT_AS::element, k_pool), IN(KEPT_AS::element, v_pool), IN(int, tables),
    IN(int, sequence), IN(int, positions), OUT(float, out), const long splits, const long tokens,
    const long heads, const long kv_heads, const long sequences, const long table_width,
    const long blocks, const long window, const float scale, FAULT) {
  ROOM;
  const paged_call call = {q + q_at, tables + tables_at, sequence + sequence_at,
                           positions + positions_at, out + out_at, fault, op_number, splits, tokens,
                           heads, kv_heads, sequences, table_width, blocks, window, scale};
  attend_pool<KEPT_AS, HEAD_DIM, VECTORS>(call, k_pool + k_pool_at, v_pool + v_pool_at, room);
}
#else
__kernel GROUP_OF(32 * warps_for(HEAD_DIM), 1, 1) void tile_attention(
    IN(float, q), IN(KEPT_AS::element, k), IN(KEPT_AS::element, v), IN(float, k_scales),
    IN(float, v_scales), IN(INDEX, positions), OUT(float, out), OUT(float, lse), const int keeps,
    const long tokens, const long heads, const long kv_heads, const long window, const float scale,
    FAULT) {
  ROOM;
  const rows_call<INDEX> call = {q + q_at, k_scales + k_scales_at, v_scales + v_scales_at,
                                 positions + positions_at, out + out_at, lse + lse_at, fault,
                                 op_number, keeps, tokens, heads, kv_heads, window, scale};
  attend_rows<KEPT_AS, HEAD_DIM, VECTORS>(call, k + k_at, v + v_at, room);
}
#endif
#endif
