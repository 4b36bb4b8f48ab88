// The gradients of attention over packed documents, from its result and lse. K and V are rounded
// already. A group gives one head's row of dq, or one key's dk and dv; sums are chains in ascending
// order of keys or queries. Built for HEAD_DIM.
#define PARTS ((HEAD_DIM + GROUP - 1) / GROUP)
#define EACH_PART(part, d) \
  for (int part = 0, d = get_local_id(0); part < PARTS; ++part, d += GROUP)

// The sum over d of out dout, for each token's head.
__kernel ONE_GROUP void deltas(IN(float, out), IN(float, dout), OUT(float, delta)) {
  SHARED float room[GROUP];
  const long row = get_group_id(0);
  AT(out);
  AT(dout);
  float sum = 0;
  for (int d = get_local_id(0); d < HEAD_DIM; d += GROUP) {
    sum = fma(out[row * HEAD_DIM + d], dout[row * HEAD_DIM + d], sum);
  }
  const float total = group_sum(sum, room);
  if (get_local_id(0) == 0) delta[delta_at + row] = total;
}

inline void load_row(__global const float *x, float factor, __local float *row) {
  EACH_PART(part, d) {
    if (d < HEAD_DIM) row[d] = x[d] * factor;
  }
}

inline float dot_with(__global const float *x, __local const float *row) {
  float sum = 0;
  for (int d = 0; d < HEAD_DIM; ++d) sum = fma(x[d], row[d], sum);
  return sum;
}

__kernel ONE_GROUP void query_gradient(IN(float, q), IN(float, k), IN(float, v),
                                       IN(INDEX, positions), IN(float, lse), IN(float, dout),
                                       IN(float, delta), OUT(float, dq), const long heads,
                                       const long kv_heads, const long window, const float scale,
                                       FAULT) {
  SHARED float query[HEAD_DIM], slope[HEAD_DIM], factors[GROUP];
  const long row = get_group_id(0), token = row / heads;
  const long kv_head = row % heads / (heads / kv_heads), stride = kv_heads * HEAD_DIM;
  const int lane = get_local_id(0);
  AT(q);
  AT(k);
  AT(v);
  AT(positions);
  AT(dout);
  dq += dq_at + row * HEAD_DIM;
  const long given = positions[token];
  const int goes_on = given == 0 || (token > 0 && given == positions[token - 1] + 1);
  const int fits = goes_on && given >= 0 && given <= token;
  if (!fits && lane == 0) REPORT;
  const int position = fits ? (int)given : -1;
  load_row(q + row * HEAD_DIM, scale, query);
  load_row(dout + row * HEAD_DIM, 1.0f, slope);
  const float own_lse = lse[lse_at + row], own_delta = delta[delta_at + row];
  const int lowest = window > 0 && position >= window ? position - (int)window + 1 : 0;
  float sums[PARTS];
  for (int part = 0; part < PARTS; ++part) sums[part] = 0;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int b = lowest / GROUP; b * GROUP <= position; ++b) {
    const int begin = max(0, lowest - b * GROUP), end = min(GROUP, position + 1 - b * GROUP);
    const long first = ((token - position + b * GROUP) * kv_heads + kv_head) * HEAD_DIM;
    const int key = clamp(lane, begin, end - 1);
    const float p = exp_of(dot_with(k + first + key * stride, query) - own_lse);
    factors[lane] = p * (dot_with(v + first + key * stride, slope) - own_delta);
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_PART(part, d) {
      if (d < HEAD_DIM) {
        for (int i = begin; i < end; ++i) {
          sums[part] = fma(factors[i], k[first + i * stride + d], sums[part]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  EACH_PART(part, d) {
    if (d < HEAD_DIM) dq[d] = sums[part] * scale;
  }
}

__kernel ONE_GROUP void key_gradient(IN(float, q), IN(float, k), IN(float, v), IN(INDEX, positions),
                                     IN(float, lse), IN(float, dout), IN(float, delta),
                                     OUT(float, dk), OUT(float, dv), const long tokens,
                                     const long heads, const long kv_heads, const long window,
                                     const float scale) {
  SHARED float key[HEAD_DIM], value[HEAD_DIM], weights[GROUP], slopes[GROUP];
  SHARED int sees[GROUP];
  const long row = get_group_id(0), token = row / kv_heads, group = heads / kv_heads;
  const int lane = get_local_id(0);
  AT(q);
  AT(positions);
  AT(lse);
  AT(dout);
  AT(delta);
  load_row(k + k_at + row * HEAD_DIM, scale, key);
  load_row(v + v_at + row * HEAD_DIM, 1.0f, value);
  const long document = token - positions[token];
  float key_sums[PARTS], value_sums[PARTS];
  for (int part = 0; part < PARTS; ++part) key_sums[part] = value_sums[part] = 0;
  for (long head = row % kv_heads * group, past = head + group; head < past; ++head) {
    for (long first = token; first < tokens; first += GROUP) {
      const long query = min(first + lane, tokens - 1), at = query * heads + head;
      barrier(CLK_LOCAL_MEM_FENCE);
      sees[lane] = first + lane < tokens && query - positions[query] == document &&
                   (window == 0 || query - token < window);
      const float p = exp_of(dot_with(q + at * HEAD_DIM, key) - lse[at]);
      weights[lane] = p;
      slopes[lane] = p * (dot_with(dout + at * HEAD_DIM, value) - delta[at]);
      barrier(CLK_LOCAL_MEM_FENCE);
      EACH_PART(part, d) {
        if (d < HEAD_DIM) {
          for (int i = 0; i < GROUP && sees[i]; ++i) {
            const long from = ((first + i) * heads + head) * HEAD_DIM + d;
            value_sums[part] = fma(weights[i], dout[from], value_sums[part]);
            key_sums[part] = fma(slopes[i], q[from], key_sums[part]);
          }
        }
      }
      if (!sees[GROUP - 1]) break;
    }
  }
  EACH_PART(part, d) {
    if (d < HEAD_DIM) {
      dk[dk_at + row * HEAD_DIM + d] = key_sums[part] * scale;
      dv[dv_at + row * HEAD_DIM + d] = value_sums[part];
    }
  }
}
