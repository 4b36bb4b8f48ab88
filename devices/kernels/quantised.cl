// Products of quantised weights [N, K] with rows of activations, which become 8-bit codes in blocks
// of 32 with scale = largest magnitude / 127. A block's product is an exact integer, scaled by
// weight and activation scale; Q4_1's minimum meets the sum of the block's rounded activations. An
// element of the result is one chain over the blocks of each leaf, and leaves are added in order: its
// bits depend neither on how many rows there are nor on tiles.
//
// Built for one of Q4_0, Q4_1 and Q8_0, in GGUF's layout: row after row of blocks.
#define BLOCK 32
#define LEAVES 8
#define COLUMNS 8

#if defined(Q4_0)
#define BYTES 18
#define CODES 2
#elif defined(Q4_1)
#define BYTES 20
#define CODES 4
#else
#define BYTES 34
#define CODES 2
#endif

inline float block_scale(__global const uchar *block) {
  return vload_half(0, (__global const half *)block);
}
inline float block_minimum(__global const uchar *block) {
  return vload_half(1, (__global const half *)block);
}

// Elements 0 to 15 and 16 to 31 of a block, as codes.
inline void block_codes(__global const uchar *block, short16 *low, short16 *high) {
#if defined(Q8_0)
  *low = convert_short16(vload16(0, (__global const char *)block + CODES));
  *high = convert_short16(vload16(1, (__global const char *)block + CODES));
#else
  const uchar16 packed = vload16(0, block + CODES);
  *low = convert_short16(packed & (uchar16)15);
  *high = convert_short16(packed >> (uchar16)4);
#if defined(Q4_0)
  *low -= (short16)8;
  *high -= (short16)8;
#endif
#endif
}

// A product of codes is below 2^14 in size, two of them below 2^15.
inline int dot_of(short16 w_low, short16 w_high, short16 x_low, short16 x_high) {
  const short16 pairs = w_low * x_low + w_high * x_high;
  const int8 eight = convert_int8(pairs.lo) + convert_int8(pairs.hi);
  const int4 four = eight.lo + eight.hi;
  const int2 two = four.lo + four.hi;
  return two.x + two.y;
}

// One block of activations a work-item: codes, and (scale, scale * sum of codes). What is not
// finite gets NaN for its scale, so that all of its row's results are NaN.
__kernel void quantise_rows(IN(float, x), OUT(char, codes), OUT(float2, scales),
                            const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(codes);
  AT(scales);
  if (i >= count) return;
  x += i * BLOCK;
  float top = 0.0f, probe = 0.0f;
  for (int k = 0; k < BLOCK; ++k) {
    top = fmax(top, fabs(x[k]));
    probe += x[k] * 0.0f;
  }
  // Below 1e-35, 127 / top would overflow; such a block counts as zero.
  const int counts = top > 1e-35f && probe == 0.0f;
  const float inverse = counts ? 127.0f / top : 0.0f;
  int sum = 0;
  for (int k = 0; k < BLOCK; ++k) {
    const int code = counts ? (int)rint(x[k] * inverse) : 0;
    codes[i * BLOCK + k] = (char)code;
    sum += code;
  }
  const float scale = counts ? top / 127.0f : probe;
  scales[i] = PAIR(scale, scale * (float)sum);
}

// Work-item (c, l) of a group: leaf l of one column, for ROWS rows of activations.
__kernel GROUP_OF(COLUMNS, LEAVES, 1) void multiply_codes(
    IN(char, codes), IN(float2, scales), IN(uchar, weight), IN(float, bias), const int has_bias,
    OUT(float, y), const long m, const long n, const long blocks, const long leaf) {
  SHARED float sums[LEAVES][COLUMNS][ROWS];
  const int c = get_local_id(0), l = get_local_id(1);
  const long column = get_global_id(0), row = get_global_id(2) * ROWS;
  AT(codes);
  AT(scales);
  AT(weight);
  AT(y);
  const long begin = min(blocks, l * leaf), end = min(blocks, begin + leaf);
  __global const uchar *block = weight + (min(column, n - 1) * blocks + begin) * BYTES;
  float chains[ROWS];
  for (int r = 0; r < ROWS; ++r) chains[r] = 0.0f;
  for (long b = begin; b < end; ++b, block += BYTES) {
    short16 low, high;
    block_codes(block, &low, &high);
    const float scale = block_scale(block);
    for (int r = 0; r < ROWS; ++r) {
      const long at = min(row + r, m - 1) * blocks + b;
      const short16 x_low = convert_short16(vload16(2 * at, codes));
      const short16 x_high = convert_short16(vload16(2 * at + 1, codes));
      const float2 s = scales[at];
      chains[r] = fma((float)dot_of(low, high, x_low, x_high), scale * s.x, chains[r]);
#if defined(Q4_1)
      chains[r] = fma(block_minimum(block), s.y, chains[r]);
#endif
    }
  }
  for (int r = 0; r < ROWS; ++r) sums[l][c][r] = chains[r];
  barrier(CLK_LOCAL_MEM_FENCE);
  // Lane l adds up rows l, l + 8, …
  const long leaves = max(1L, (blocks + leaf - 1) / leaf);
  for (int r = l; r < ROWS && row + r < m && column < n; r += LEAVES) {
    float total = sums[0][c][r];
    for (long i = 1; i < leaves; ++i) total += sums[i][c][r];
    y[(row + r) * n + column] = has_bias ? total + bias[bias_at + column] : total;
  }
}

inline void put_block(__global const uchar *block, __global float *y) {
  short16 low, high;
  block_codes(block, &low, &high);
  float16 first = convert_float16(low) * block_scale(block);
  float16 second = convert_float16(high) * block_scale(block);
#if defined(Q4_1)
  first += (float16)block_minimum(block);
  second += (float16)block_minimum(block);
#endif
  vstore16(first, 0, y);
  vstore16(second, 1, y);
}

// One block of a matrix a work-item.
__kernel void dequantise(IN(uchar, weight), OUT(float, y), const long count) {
  const long i = get_global_id(0);
  AT(weight);
  AT(y);
  if (i < count) put_block(weight + i * BYTES, y + i * BLOCK);
}

// One block of a row of `rows` that an id names; NaN where there is no such row.
__kernel void embed(IN(INDEX, ids), IN(uchar, weight), OUT(float, y), const long rows,
                    const long blocks, FAULT, const long count) {
  const long i = get_global_id(0);
  AT(ids);
  AT(weight);
  AT(y);
  if (i >= count) return;
  const INDEX id = ids[i / blocks];
  if (id < 0 || id >= rows) {
    REPORT;
    for (int k = 0; k < BLOCK; ++k) y[i * BLOCK + k] = NAN;
    return;
  }
  put_block(weight + ((long)id * blocks + i % blocks) * BYTES, y + i * BLOCK);
}
