// Products of quantised weights [N, K] with rows of activations, which are rounded to 8-bit codes in
// blocks of 32 with scale = largest magnitude / 127. An element of the result is sixteen chains of fused
// multiply-adds over the blocks, added as a tree: its bits depend neither on how many rows there are nor
// on tiles.
//
// Built for one of Q4_0, Q4_1 and Q8_0. STEP rows lie together, block by block: the scales of all, the
// minimums, then of each the first byte of codes, the second … One is GGUF's layout, 16 are a panel.
#ifndef STEP
#define STEP 1
#endif
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

// Where block b of a row begins; the rest of this takes that and the row's place among its STEP.
inline __global const uchar *block_at(__global const uchar *weight, long row, long b, long blocks) {
  return weight + (row / STEP * blocks + b) * (STEP * BYTES);
}
// Where byte i of a block of a row lies.
inline int byte_at(int i, int place) {
  return i < CODES ? i / 2 * 2 * STEP + 2 * place + i % 2 : STEP * i + place;
}
inline float block_scale(__global const uchar *block, int place) {
  return half_at(block + 2 * place);
}
inline float block_minimum(__global const uchar *block, int place) {
  return half_at(block + 2 * STEP + 2 * place);
}

// Sixteen bytes of a block's codes.
inline uchar16 code_bytes(__global const uchar *block, int place, int first) {
  __global const uchar *from = block + byte_at(CODES + first, place);
#if STEP == 1
  return vload16(0, from);
#else
  uchar bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = from[i * STEP];
  return vload16(0, (__private const uchar *)bytes);
#endif
}

// Elements 0 to 15 and 16 to 31 of a block, as codes.
inline void block_codes(__global const uchar *block, int place, short16 *low, short16 *high) {
#if defined(Q8_0)
  *low = convert_short16(as_char16(code_bytes(block, place, 0)));
  *high = convert_short16(as_char16(code_bytes(block, place, 16)));
#else
  const uchar16 packed = code_bytes(block, place, 0);
  *low = convert_short16(packed & (uchar16)15);
  *high = convert_short16(packed >> (uchar16)4);
#if defined(Q4_0)
  *low -= (short16)8;
  *high -= (short16)8;
#endif
#endif
}

// Elements of a block as floats, eight by eight.
inline void block_floats(__global const uchar *block, int place, float8 *w) {
  short16 low, high;
  block_codes(block, place, &low, &high);
  const float scale = block_scale(block, place);
#if defined(Q4_1)
  const float minimum = block_minimum(block, place);
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

#if STEP == 1
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
    block_floats(block, 0, w);
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
#elif defined(__OPENCL_VERSION__)
inline float16 halves_at(__global const uchar *p) {
  const uint16 bits = convert_uint16(vload16(0, (__global const ushort *)p)), size = bits & 0x7fff;
  const float16 normal = as_float16((size << 13) + (112u << 23));
  const float16 low = convert_float16(as_int16(size)) * 5.9604644775390625e-8f;
  return as_float16(as_uint16(select(normal, low, size < 0x400)) | (bits & 0x8000) << 16);
}

#if defined(Q8_0)
#define CODES_LOW(j) convert_float16(vload16(j, (__global const char *)codes))
#define CODES_HIGH(j) convert_float16(vload16(16 + (j), (__global const char *)codes))
#elif defined(Q4_0)
#define CODES_LOW(j) convert_float16(as_char16(vload16(j, codes) & (uchar16)15) - (char16)8)
#define CODES_HIGH(j) convert_float16(as_char16(vload16(j, codes) >> (uchar16)4) - (char16)8)
#else
#define CODES_LOW(j) convert_float16(as_char16(vload16(j, codes) & (uchar16)15))
#define CODES_HIGH(j) convert_float16(as_char16(vload16(j, codes) >> (uchar16)4))
#endif

// One panel a work-item, whose columns are a vector's lanes: for each block two chains over its codes,
// which are scaled and added to one over the blocks.
__kernel void multiply_panels(IN(float, x), IN(uchar, weight), IN(float, bias), const int has_bias,
                              OUT(float, y), const long m, const long n, const long blocks) {
  const long column = get_global_id(0) * STEP, row = get_global_id(1) * ROWS;
  const long width = blocks * BLOCK;
  AT(weight);
  __global const uchar *block = block_at(weight, column, 0, blocks);
  x += x_at + row * width;
  y += y_at + row * n + column;
  float16 sums[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r) sums[r] = 0.0f;
  for (long b = 0; b < blocks; ++b, block += STEP * BYTES, x += BLOCK) {
    __global const uchar *codes = block + STEP * CODES;
    float16 low[ROWS], high[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) low[r] = high[r] = 0.0f;
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      const float16 first = CODES_LOW(j), second = CODES_HIGH(j);
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        low[r] = fma(first, (float16)(x[r * width + j]), low[r]);
        high[r] = fma(second, (float16)(x[r * width + 16 + j]), high[r]);
      }
    }
    const float16 scale = halves_at(block);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      sums[r] = fma(scale, low[r] + high[r], sums[r]);
#if defined(Q4_1)
      __global const float *from = x + r * width;
      const float of_x = sum_of((vload8(0, from) + vload8(1, from)) + (vload8(2, from) + vload8(3, from)));
      sums[r] = fma(halves_at(block + 2 * STEP), (float16)(of_x), sums[r]);
#endif
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (row + r >= m) continue;
    float lanes[STEP];
    vstore16(sums[r], 0, (__private float *)lanes);
    for (int i = 0; i < STEP && column + i < n; ++i) {
      y[r * n + i] = has_bias ? lanes[i] + bias[bias_at + column + i] : lanes[i];
    }
  }
}
#endif

inline void put_block(__global const uchar *block, int place, __global float *y) {
  float8 w[4];
  block_floats(block, place, w);
  for (int part = 0; part < 4; ++part) vstore8(w[part], part, y);
}

// One block of a matrix a work-item.
__kernel void dequantise(IN(uchar, weight), OUT(float, y), const long blocks, const long count) {
  const long i = get_global_id(0), row = i / blocks;
  AT(weight);
  AT(y);
  if (i >= count) return;
  put_block(block_at(weight, row, i % blocks, blocks), row % STEP, y + i * BLOCK);
#ifdef ROUNDED
  for (int k = 0; k < BLOCK; ++k) y[i * BLOCK + k] = from_bf16(to_bf16(y[i * BLOCK + k]));
#endif
}

// Between GGUF's layout and panels, one block of a row a work-item; rows that fill a panel up are zeros.
__kernel void pack(IN(uchar, rows), OUT(uchar, packed), const long n, const long blocks,
                   const long count) {
  const long i = get_global_id(0), row = i / blocks;
  AT(rows);
  AT(packed);
  if (i >= count) return;
  packed += (row / STEP * blocks + i % blocks) * (STEP * BYTES);
  for (int byte = 0; byte < BYTES; ++byte) {
    packed[byte_at(byte, row % STEP)] = row < n ? rows[i * BYTES + byte] : 0;
  }
}
__kernel void unpack(IN(uchar, packed), OUT(uchar, rows), const long blocks, const long count) {
  const long i = get_global_id(0), row = i / blocks;
  AT(packed);
  AT(rows);
  if (i >= count) return;
  __global const uchar *block = block_at(packed, row, i % blocks, blocks);
  for (int byte = 0; byte < BYTES; ++byte) rows[i * BYTES + byte] = block[byte_at(byte, row % STEP)];
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
  put_block(block_at(weight, id, i % blocks, blocks), id % STEP, y + i * BLOCK);
}
