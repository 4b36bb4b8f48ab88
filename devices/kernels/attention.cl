// Causal attention. A group of 64 work-items computes one query head of one token: keys are walked in
// blocks of 64 at absolute positions of the token's sequence or document, a lane a key, then a lane
// an element of the result. Scores are chains over d, the result of a segment of 512 keys is a chain
// over them in ascending order, put relative to the running maximum block by block, and segments are
// joined in ascending order. So a row's bits depend on its position, window and keys alone, keys in
// pools and in rows give the same, and groups may share out the segments of a row.
//
// Built for HEAD_DIM and for K and V of type KV, whose element i is KV_AT(p, i). With PAGED they lie in
// pools of blocks: K [HEAD_DIM][64], V [64][HEAD_DIM]. With SCALED they are 8-bit codes: a key's scale
// multiplies its score, a value's its weight; in pools, scales are behind a block's codes.
#define PARTS ((HEAD_DIM + GROUP - 1) / GROUP)
#define EACH_PART(part, d) \
  for (int part = 0, d = get_local_id(0); part < PARTS; ++part, d += GROUP)
#define SEGMENT 8  // blocks

// What a row has gathered of some keys.
typedef struct {
  float top, total, out[PARTS];
} Gathered;

inline void clear(Gathered *row) {
  for (int part = 0; part < PARTS; ++part) row->out[part] = 0;
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
  for (int part = 0; part < PARTS; ++part) {
    row->out[part] = fma(row->out[part], kept, next->out[part] * added);
  }
}

// A row that sees no key is zero.
inline void put_row(const Gathered *row, __global float *out) {
  EACH_PART(part, d) {
    if (d < HEAD_DIM) out[d] = row->total == 0.0f ? 0.0f : row->out[part] / row->total;
  }
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
  long stride;  // between keys that lie in rows, in elements
  int scale_stride;
} KeyBlock;

inline float key_at(const KeyBlock *block, int key, int d) {
#ifdef PAGED
  return KV_AT(block->k, d * GROUP + key);
#else
  return KV_AT(block->k, key * block->stride + d);
#endif
}

inline float value_at(const KeyBlock *block, int key, int d) {
#ifdef PAGED
  return KV_AT(block->v, key * HEAD_DIM + d);
#else
  return KV_AT(block->v, key * block->stride + d);
#endif
}

// Adds keys [begin, end) of a block.
inline void add_block(const KeyBlock *block, int begin, int end, __local const float *query,
                      __local float *weights, __local float *room, Gathered *row) {
  const int lane = get_local_id(0), key = clamp(lane, begin, end - 1);
  const int seen = lane == key;
  float score = 0;
  for (int d = 0; d < HEAD_DIM; ++d) score = fma(query[d], key_at(block, key, d), score);
#ifdef SCALED
  score *= block->k_scales[key * block->scale_stride];
#endif
  const float top = larger_of(row->top, group_max(seen ? score : -INFINITY, room));
  const float correction = exp_of(row->top - top), weight = seen ? exp_of(score - top) : 0.0f;
  row->top = top;
  row->total = fma(row->total, correction, group_sum(weight, room));
#ifdef SCALED
  weights[lane] = weight * block->v_scales[key * block->scale_stride];
#else
  weights[lane] = weight;
#endif
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH_PART(part, d) {
    if (d < HEAD_DIM) {
      float sum = row->out[part] * correction;
      for (int i = begin; i < end; ++i) sum = fma(weights[i], value_at(block, i, d), sum);
      row->out[part] = sum;
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

inline void load_query(__global const float *q, float scale, __local float *query) {
  EACH_PART(part, d) {
    if (d < HEAD_DIM) query[d] = q[d] * scale;
  }
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
__kernel ONE_GROUP void attention_paged(IN(float, q), IN(KV, k_pool), IN(KV, v_pool),
                                        IN(int, tables), IN(int, sequence), IN(int, positions),
                                        OUT(float, out), const long splits, const long heads,
                                        const long kv_heads, const long sequences,
                                        const long table_width, const long blocks,
                                        const long window, const float scale, FAULT) {
  SHARED float query[HEAD_DIM], weights[GROUP], room[GROUP];
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
#ifdef SCALED
    block.k_scales = (__global const float *)(block.k + GROUP * HEAD_DIM);
    block.v_scales = (__global const float *)(block.v + GROUP * HEAD_DIM);
    block.scale_stride = 1;
#endif
    add_block(&block, max(0, lowest - b * GROUP), min(GROUP, position + 1 - b * GROUP), query,
              weights, room, &segment);
    end_block(b, position, &segment, &row);
  }
  if (splits == 1) {
    put_row(&row, out);
    return;
  }
  EACH_PART(part, d) {
    if (d < HEAD_DIM) out[2 + d] = row.out[part];
  }
  if (get_local_id(0) == 0) {
    out[0] = row.top;
    out[1] = row.total;
  }
}
#else
// K and V in rows [T, Hkv, HEAD_DIM] of packed documents; scales, where SCALED, [T, Hkv].
__kernel ONE_GROUP void attention(IN(float, q), IN(KV, k), IN(KV, v), IN(float, k_scales),
                                  IN(float, v_scales), IN(INDEX, positions), OUT(float, out),
                                  OUT(float, lse), const int keeps, const long heads,
                                  const long kv_heads, const long window, const float scale,
                                  FAULT) {
  SHARED float query[HEAD_DIM], weights[GROUP], room[GROUP];
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
    const long first = (token - position + b * GROUP) * kv_heads + head / (heads / kv_heads);
    KeyBlock block;
    block.k = k + first * HEAD_DIM;
    block.v = v + first * HEAD_DIM;
    block.stride = kv_heads * HEAD_DIM;
#ifdef SCALED
    block.k_scales = k_scales + first;
    block.v_scales = v_scales + first;
    block.scale_stride = (int)kv_heads;
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
__kernel ONE_GROUP void join_segments(IN(float, parts), OUT(float, out), const long splits) {
  AT(parts);
  AT(out);
  parts += get_group_id(0) * splits * (HEAD_DIM + 2);
  Gathered row, next;
  clear(&row);
  for (long i = 0; i < splits; ++i, parts += HEAD_DIM + 2) {
    next.top = parts[0];
    next.total = parts[1];
    EACH_PART(part, d) next.out[part] = d < HEAD_DIM ? parts[2 + d] : 0;
    join(&row, &next);
  }
  put_row(&row, out + get_group_id(0) * (long)HEAD_DIM);
}

// The scale of a head's 8-bit codes, largest magnitude / 127, and its inverse. A head with a NaN or
// an infinity gets NaN for its scale; a tiny one counts as zero.
inline float2 code_scale(__global const float *head, long width) {
  float top = 0, probe = 0;
  for (long d = 0; d < width; ++d) {
    top = fmax(top, fabs(head[d]));
    probe += head[d] * 0.0f;
  }
  if (probe != 0.0f) return PAIR(probe, 0.0f);
  return top > 1e-35f ? PAIR(top / 127.0f, 127.0f / top) : PAIR(0.0f, 0.0f);
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
