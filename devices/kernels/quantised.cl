// Products of quantised weights [N, K] with rows of activations, which are rounded to 8-bit codes in
// blocks of 32 with scale = largest magnitude / 127. An element of the result is sixteen chains of fused
// multiply-adds over the blocks, added as a tree: its bits depend neither on how many rows there are nor
// on tiles.
//
// Built for one of Q4_0, Q4_1 and Q8_0, in GGUF's layout: row after row of blocks.
#define BLOCK 32
#define COLUMNS 16

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

// A finite binary16 as a float: vload_half is slow where no instruction does it.
inline float half_at(__global const uchar *p) {
  const uint bits = p[0] | (uint)p[1] << 8, size = bits & 0x7fff;
  const float normal = as_float((size << 13) + (112u << 23));
  const float x = size < 0x400 ? (float)(int)size * 5.9604644775390625e-8f : normal;
  return bits < 0x8000 ? x : -x;
}

inline float block_scale(__global const uchar *block) { return half_at(block); }
inline float block_minimum(__global const uchar *block) { return half_at(block + 2); }

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

// Elements of a block as floats, eight by eight.
inline void block_floats(__global const uchar *block, float8 *w) {
  short16 low, high;
  block_codes(block, &low, &high);
  const float scale = block_scale(block);
#if defined(Q4_1)
  const float minimum = block_minimum(block);
#define SCALED_CODES(c) fma(convert_float8(c), (float8)(scale), (float8)(minimum))
#else
#define SCALED_CODES(c) (convert_float8(c) * (float8)(scale))
#endif
  w[0] = SCALED_CODES(low.lo);
  w[1] = SCALED_CODES(low.hi);
  w[2] = SCALED_CODES(high.lo);
  w[3] = SCALED_CODES(high.hi);
}

inline float sum_of(float8 x) {
  const float4 four = x.lo + x.hi;
  const float2 two = four.lo + four.hi;
  return two.x + two.y;
}

// One block of activations a work-item: codes, and (scale, scale * sum of codes).
__kernel void quantise_rows(IN(float, x), OUT(char, codes), OUT(float2, scales),
                            const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(codes);
  AT(scales);
  if (i >= count) return;
  x += i * BLOCK;
  const float2 scale = code_scale(x, BLOCK);
  int sum = 0;
  for (int k = 0; k < BLOCK; ++k) {
    const int code = scale.y == 0.0f ? 0 : (int)rint(x[k] * scale.y);
    codes[i * BLOCK + k] = (char)code;
    sum += code;
  }
  scales[i] = PAIR(scale.x, scale.x * (float)sum);
}

// The same as floats: codes times scale.
__kernel void round_rows(IN(float, x), OUT(float, rounded), const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(rounded);
  if (i >= count) return;
  x += i * BLOCK;
  rounded += i * BLOCK;
  const float2 scale = code_scale(x, BLOCK);
  for (int k = 0; k < BLOCK; ++k) {
    rounded[k] = scale.x * (scale.y == 0.0f ? 1.0f : rint(x[k] * scale.y));
  }
}

// One column a work-item, for ROWS rows of activations; rows that are missing are there to be read.
__kernel GROUP_OF(COLUMNS, 1, 1) void multiply_blocks(IN(float, x), IN(uchar, weight),
                                                      IN(float, bias), const int has_bias,
                                                      OUT(float, y), const long m, const long n,
                                                      const long blocks) {
  const long column = get_global_id(0), row = get_global_id(1) * ROWS, width = blocks * BLOCK;
  if (column >= n) return;
  AT(weight);
  __global const uchar *block = weight + column * blocks * BYTES;
  x += x_at + row * width;
  y += y_at + row * n + column;
  float8 first[ROWS], second[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r) first[r] = second[r] = 0.0f;
  for (long b = 0; b < blocks; ++b, block += BYTES, x += BLOCK) {
    float8 w[4];
    block_floats(block, w);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      __global const float *from = x + r * width;
      first[r] = fma(w[1], vload8(1, from), fma(w[0], vload8(0, from), first[r]));
      second[r] = fma(w[3], vload8(3, from), fma(w[2], vload8(2, from), second[r]));
    }
  }
  const float shift = has_bias ? bias[bias_at + column] : 0.0f;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (row + r < m) y[r * n] = sum_of(first[r] + second[r]) + shift;
  }
}

inline void put_block(__global const uchar *block, __global float *y) {
  float8 w[4];
  block_floats(block, w);
  for (int part = 0; part < 4; ++part) vstore8(w[part], part, y);
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
