// Causal attention. A group of LANES work-items computes one query head of one token: keys are walked in
// blocks of 64 at absolute positions of the token's sequence or document, each lane having as many keys,
// and then as many elements of the result, as there are to a lane. Scores are chains over d, the result
// of a segment of 512 keys is a chain over them in ascending order, put relative to the running maximum
// block by block, and segments are joined in ascending order. So a row's bits depend on its position,
// window and keys alone, keys in pools and in rows give the same, and groups may share out the segments
// of a row.
//
// Built for HEAD_DIM and for K and V of type KV, whose element i is KV_AT(p, i). K lies by elements, the
// keys of a block side by side; V by keys. With PAGED they lie in pools of blocks: K [HEAD_DIM][64], V
// [64][HEAD_DIM]. With SCALED they are 8-bit codes: a key's scale multiplies its score, a value's its
// weight; in pools, scales are behind a block's codes. With WIDE one lane does all, in vectors, whose
// elements from i on are KV_WIDE(p, i); HEAD_DIM is then a multiple of 16.
#define SEGMENT 8  // blocks
#ifdef WIDE
#define LANES 1
#define WIDTH 16
typedef float16 Floats;
#define LOAD(p) vload16(0, p)
#define STORE(x, p) vstore16(x, 0, p)
#define EXP(x) exp_of_16(x)
#define LOAD_KV(p, i) KV_WIDE(p, i)
#define LARGER(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define KEYS_FROM(first) ((int16)(first) + (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
inline float top_of(float16 x) {
  const float8 eight = LARGER(x.lo, x.hi);
  const float4 four = LARGER(eight.lo, eight.hi);
  const float2 two = LARGER(four.lo, four.hi);
  return larger_of(two.x, two.y);
}
inline float total_of(float16 x) {
  const float8 eight = x.lo + x.hi;
  const float4 four = eight.lo + eight.hi;
  const float2 two = four.lo + four.hi;
  return two.x + two.y;
}
#else
#define LANES GROUP
#define WIDTH 1
typedef float Floats;
#define LOAD(p) (*(p))
#define STORE(x, p) *(p) = (x)
#define EXP(x) exp_of(x)
#define LOAD_KV(p, i) KV_AT(p, i)
#define LARGER(a, b) larger_of(a, b)
#define KEYS_FROM(first) (first)
inline float top_of(float x) { return x; }
inline float total_of(float x) { return x; }
#endif
#define ALL_LANES GROUP_OF(LANES, 1, 1)
#define STEP (LANES * WIDTH)

GROUP_TREE(lanes_sum, float, LANES, a + b)
GROUP_TREE(lanes_max, float, LANES, larger_of(a, b))

// A lane's parts of a row of `count` elements, of which part p begins at element i.
#define PARTS_OF(count) (((count) + STEP - 1) / STEP)
#define EACH_PART_OF(count, p, i) \
  for (int p = 0, i = get_local_id(0) * WIDTH; p < PARTS_OF(count); ++p, i += STEP)
#define EACH_PART(p, d) EACH_PART_OF(HEAD_DIM, p, d) if (d < HEAD_DIM)

// What a row has gathered of some keys.
typedef struct {
  float top, total;
  Floats out[PARTS_OF(HEAD_DIM)];
} Gathered;

inline void clear(Gathered *row) {
  for (int part = 0; part < PARTS_OF(HEAD_DIM); ++part) row->out[part] = 0;
  row->top = -INFINITY;
  row->total = 0;
}

// Joins the segment that comes after what `row` has; without keys it changes nothing.
inline void join(Gathered *row, const Gathered *next) {
  if (next->total == 0.0f) return;
  if (row->total == 0.0f) {
    *row = *next;
    return;
  }
  const float top = larger_of(row->top, next->top);
  const float kept = exp_of(row->top - top), added = exp_of(next->top - top);
  row->top = top;
  row->total = fma(row->total, kept, next->total * added);
  for (int part = 0; part < PARTS_OF(HEAD_DIM); ++part) {
    row->out[part] = fma(row->out[part], (Floats)(kept), next->out[part] * (Floats)(added));
  }
}

// A row that sees no key is zero.
inline void put_row(const Gathered *row, __global float *out) {
  const int seen = row->total != 0.0f;
  EACH_PART(part, d) STORE(seen ? row->out[part] / (Floats)(row->total) : (Floats)(0.0f), out + d);
}

#ifdef KV
#ifdef SCALED
#define BLOCK_ELEMENTS (GROUP * (HEAD_DIM + 4))
#else
#define BLOCK_ELEMENTS (GROUP * HEAD_DIM)
#endif

typedef struct {
  __global const KV *k, *v;
  __global const float *k_scales, *v_scales;
  long k_stride, v_stride;  // between elements of keys, and between values
} KeyBlock;

// Adds keys [begin, end) of a block.
inline void add_block(const KeyBlock *block, int begin, int end, __local const float *query,
                      __local float *weights, __local float *room, Gathered *row) {
  Floats scores[PARTS_OF(GROUP)];
  for (int part = 0; part < PARTS_OF(GROUP); ++part) scores[part] = 0;
  for (int d = 0; d < HEAD_DIM; ++d) {
    const Floats own = query[d];
    EACH_PART_OF(GROUP, part, key) {
      scores[part] = fma(own, LOAD_KV(block->k, d * block->k_stride + key), scores[part]);
    }
  }
  Floats tops = -INFINITY;
  EACH_PART_OF(GROUP, part, key) {
#ifdef SCALED
    scores[part] *= LOAD(block->k_scales + key);
#endif
    const Floats seen = KEYS_FROM(key) >= begin && KEYS_FROM(key) < end ? scores[part] : (Floats)(-INFINITY);
    scores[part] = seen;
    tops = LARGER(tops, seen);
  }
  const float top = larger_of(row->top, lanes_max(top_of(tops), room));
  const float correction = exp_of(row->top - top);
  Floats total = 0;
  EACH_PART_OF(GROUP, part, key) {
    const Floats weight = EXP(scores[part] - (Floats)(top));
    total += weight;
#ifdef SCALED
    STORE(weight * LOAD(block->v_scales + key), weights + key);
#else
    STORE(weight, weights + key);
#endif
  }
  row->top = top;
  row->total = fma(row->total, correction, lanes_sum(total_of(total), room));
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH_PART(part, d) row->out[part] *= (Floats)(correction);
  for (int i = begin; i < end; ++i) {
    const Floats weight = weights[i];
    EACH_PART(part, d) {
      row->out[part] = fma(weight, LOAD_KV(block->v, i * block->v_stride + d), row->out[part]);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

inline void load_query(__global const float *q, float scale, __local float *query) {
  EACH_PART(part, d) STORE(LOAD(q + d) * (Floats)(scale), query + d);
  barrier(CLK_LOCAL_MEM_FENCE);
}

// After block b of a segment: joins it to the row where it was the last one.
inline void end_block(int b, int position, Gathered *segment, Gathered *row) {
  if ((b + 1) % SEGMENT != 0 && (b + 1) * GROUP <= position) return;
  join(row, segment);
  clear(segment);
}

inline int lowest_key(int position, long window) {
  return window > 0 && position >= window ? position - (int)window + 1 : 0;
}

#ifdef PAGED
// Of `splits` groups, each gathers one segment of a row into out [rows, splits, 2 + HEAD_DIM]: top, total,
// and what is to be divided by it; one group alone gathers all, and gives the result.
__kernel ALL_LANES void attention_paged(IN(float, q), IN(KV, k_pool), IN(KV, v_pool),
                                        IN(int, tables), IN(int, sequence), IN(int, positions),
                                        OUT(float, out), const long splits, const long heads,
                                        const long kv_heads, const long sequences,
                                        const long table_width, const long blocks,
                                        const long window, const float scale, FAULT) {
  SHARED float query[HEAD_DIM], weights[GROUP], room[LANES];
  const long id = get_group_id(0), token = id / splits / heads, head = id / splits % heads;
  AT(q);
  AT(k_pool);
  AT(v_pool);
  AT(tables);
  AT(out);
  q += id / splits * HEAD_DIM;
  out += splits == 1 ? id * HEAD_DIM : id * (HEAD_DIM + 2);
  const int own = sequence[sequence_at + token], given = positions[positions_at + token];
  const int lowest = lowest_key(given, window);
  int fits = own < sequences && given >= 0 && given < table_width * GROUP;
  if (own >= 0 && fits) {
    tables += own * table_width;
    for (int b = lowest / GROUP; b <= given / GROUP; ++b) {
      fits = fits && tables[b] >= 0 && tables[b] < blocks;
    }
  }
  if (own >= 0 && !fits && get_local_id(0) == 0) REPORT;
  const int position = own >= 0 && fits ? given : -1;
  int begin = lowest / GROUP, end = position < 0 ? begin : position / GROUP + 1;
  if (splits > 1) {
    const int first_block = (begin / SEGMENT + (int)(id % splits)) * SEGMENT;
    begin = max(begin, first_block);
    end = min(end, first_block + SEGMENT);
  }
  Gathered row, segment;
  clear(&row);
  clear(&segment);
  load_query(q, scale, query);
  for (int b = begin; b < end; ++b) {
    const long first = (tables[b] * kv_heads + head / (heads / kv_heads)) * BLOCK_ELEMENTS;
    KeyBlock block;
    block.k = k_pool + first;
    block.v = v_pool + first;
    block.k_stride = GROUP;
    block.v_stride = HEAD_DIM;
#ifdef SCALED
    block.k_scales = (__global const float *)(block.k + GROUP * HEAD_DIM);
    block.v_scales = (__global const float *)(block.v + GROUP * HEAD_DIM);
#endif
    add_block(&block, max(0, lowest - b * GROUP), min(GROUP, position + 1 - b * GROUP), query,
              weights, room, &segment);
    end_block(b, position, &segment, &row);
  }
  if (splits == 1) {
    put_row(&row, out);
    return;
  }
  EACH_PART(part, d) STORE(row.out[part], out + 2 + d);
  if (get_local_id(0) == 0) {
    out[0] = row.top;
    out[1] = row.total;
  }
}
#else
// K [Hkv, HEAD_DIM, room] and V [T, Hkv, HEAD_DIM] of packed documents; scales, where SCALED, [Hkv,
// room]. There is room for a block behind the last key.
__kernel ALL_LANES void attention(IN(float, q), IN(KV, k), IN(KV, v), IN(float, k_scales),
                                  IN(float, v_scales), IN(INDEX, positions), OUT(float, out),
                                  OUT(float, lse), const int keeps, const long heads,
                                  const long kv_heads, const long key_room, const long window,
                                  const float scale, FAULT) {
  SHARED float query[HEAD_DIM], weights[GROUP], room[LANES];
  const long token = get_group_id(0) / heads, head = get_group_id(0) % heads;
  AT(q);
  AT(k);
  AT(v);
  AT(k_scales);
  AT(v_scales);
  AT(positions);
  AT(out);
  q += get_group_id(0) * (long)HEAD_DIM;
  out += get_group_id(0) * (long)HEAD_DIM;
  const long given = positions[token];
  const int goes_on = given == 0 || (token > 0 && given == positions[token - 1] + 1);
  const int fits = goes_on && given >= 0 && given <= token;
  if (!fits && get_local_id(0) == 0) REPORT;
  const int position = fits ? (int)given : -1, lowest = lowest_key(position, window);
  Gathered row, segment;
  clear(&row);
  clear(&segment);
  load_query(q, scale, query);
  for (int b = lowest / GROUP; b * GROUP <= position; ++b) {
    const long first = token - position + b * GROUP, kv_head = head / (heads / kv_heads);
    KeyBlock block;
    block.k = k + kv_head * HEAD_DIM * key_room + first;
    block.v = v + (first * kv_heads + kv_head) * HEAD_DIM;
    block.k_stride = key_room;
    block.v_stride = kv_heads * HEAD_DIM;
#ifdef SCALED
    block.k_scales = k_scales + kv_head * key_room + first;
    block.v_scales = v_scales + kv_head * key_room + first;
#endif
    add_block(&block, max(0, lowest - b * GROUP), min(GROUP, position + 1 - b * GROUP), query,
              weights, room, &segment);
    end_block(b, position, &segment, &row);
  }
  put_row(&row, out);
  if (keeps && get_local_id(0) == 0) lse[lse_at + get_group_id(0)] = row.top + log(row.total);
}
#endif
#endif

// The rows whose segments attention_paged has gathered.
__kernel ALL_LANES void join_segments(IN(float, parts), OUT(float, out), const long splits) {
  AT(parts);
  AT(out);
  parts += get_group_id(0) * splits * (HEAD_DIM + 2);
  Gathered row, next;
  clear(&row);
  for (long i = 0; i < splits; ++i, parts += HEAD_DIM + 2) {
    clear(&next);
    next.top = parts[0];
    next.total = parts[1];
    EACH_PART(part, d) next.out[part] = LOAD(parts + 2 + d);
    join(&row, &next);
  }
  put_row(&row, out + get_group_id(0) * (long)HEAD_DIM);
}

#ifdef KEPT
// x rounded to what the cache keeps (ROUNDED(x)), a head a work-item.
__kernel void round_heads(IN(float, x), OUT(float, y), const long width, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(y);
  if (i >= count) return;
  x += i * width;
  y += i * width;
  for (long d = 0; d < width; ++d) y[d] = ROUNDED(x[d]);
}
#endif

// Heads as 8-bit codes in floats: with their scale apart, or multiplied in.
__kernel void code_heads(IN(float, x), OUT(float, y), OUT(float, scales), const int apart,
                         const long width, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(y);
  if (i >= count) return;
  x += i * width;
  y += i * width;
  const float2 scale = code_scale(x, width);
  for (long d = 0; d < width; ++d) y[d] = rint(x[d] * scale.y) * (apart ? 1.0f : scale.x);
  if (apart) scales[scales_at + i] = scale.x;
}

// Keys [T, heads, width] by elements: [heads, width, room].
__kernel void turn_keys(IN(float, k), OUT(float, turned), const long heads, const long width,
                        const long room, const long count) {
  const long i = get_global_id(0), head = i % heads, token = i / heads;
  AT(k);
  AT(turned);
  if (i >= count) return;
  for (long d = 0; d < width; ++d) turned[(head * width + d) * room + token] = k[i * width + d];
}

#ifdef POOL
// One token's head of K and V a work-item, into its slot of the pools: PUT(p, i, x) writes x there.
__kernel void kv_write(IN(float, k), IN(float, v), IN(long, slots), OUT(POOL, k_pool),
                       OUT(POOL, v_pool), const long heads, const long width, const long blocks,
                       FAULT, const long count) {
  const long i = get_global_id(0);
  AT(k);
  AT(v);
  AT(k_pool);
  AT(v_pool);
  if (i >= count) return;
  const long slot = slots[slots_at + i / heads], offset = slot % GROUP;
  if (slot < 0) return;
  if (slot >= blocks * GROUP) {
    REPORT;
    return;
  }
  k += i * width;
  v += i * width;
#ifdef SCALED
  const long first = (slot / GROUP * heads + i % heads) * GROUP * (width + 4);
  const float2 k_scale = code_scale(k, width), v_scale = code_scale(v, width);
  ((__global float *)(k_pool + first + GROUP * width))[offset] = k_scale.x;
  ((__global float *)(v_pool + first + GROUP * width))[offset] = v_scale.x;
  const float k_factor = k_scale.y, v_factor = v_scale.y;
#else
  const long first = (slot / GROUP * heads + i % heads) * GROUP * width;
  const float k_factor = 1.0f, v_factor = 1.0f;
#endif
  for (long d = 0; d < width; ++d) {
    PUT(k_pool, first + d * GROUP + offset, k[d] * k_factor);
    PUT(v_pool, first + offset * width + d, v[d] * v_factor);
  }
}
#endif
