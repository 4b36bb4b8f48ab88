// RMS norm of rows of up to 8192 elements: 256 threads have a row in registers, so that it is read once.
// Thread t has elements 4 t to 4 t + 3 of each 1024; it adds squares in order, lanes and then warps are
// added as a tree and a chain, so that a row's bits depend on the row alone.

// Four elements of a row, of which `room` are there; zero elsewhere.
inline void load_four_floats(const float *from, long room, float (&to)[4]) {
  struct alignas(16) four_floats {
    float x[4];
  };
  if (VECTORS && room >= 4) {
    const four_floats all = *reinterpret_cast<const four_floats *>(from);
    for (int i = 0; i < 4; ++i) to[i] = all.x[i];
    return;
  }
  for (int i = 0; i < 4; ++i) to[i] = i < room ? from[i] : 0.0f;
}
inline void store_four_floats(float *target, long room, const float (&from)[4]) {
  struct alignas(16) four_floats {
    float x[4];
  };
  if (VECTORS && room >= 4) {
    *reinterpret_cast<four_floats *>(target) = {{from[0], from[1], from[2], from[3]}};
    return;
  }
  for (int i = 0; i < 4 && i < room; ++i) target[i] = from[i];
}

// y = x * rstd * weight. With `adds`, x + other is normed and stored in `sum`.
__kernel GROUP_OF(256, 1, 1) void wide_rms_norm(IN(float, x), IN(float, other), IN(float, weight),
                                                OUT(float, sum), OUT(float, y), OUT(float, rstd),
                                                const float eps, const int adds, const int keeps,
                                                const long width) {
  SHARED float warp_sums[8];
  const long row = (long)blockIdx.x * width;
  const int thread = (int)threadIdx.x;
  float values[PARTS][4], squares = 0;
#pragma unroll
  for (int part = 0; part < PARTS; ++part) {
    const long i = 4 * (thread + 256 * part), room = width - i;
    load_four_floats(x + x_at + row + i, room, values[part]);
    if (adds) {
      float others[4];
      load_four_floats(other + other_at + row + i, room, others);
      for (int j = 0; j < 4; ++j) values[part][j] += others[j];
      store_four_floats(sum + sum_at + row + i, room, values[part]);
    }
    for (int j = 0; j < 4; ++j) squares = fma(values[part][j], values[part][j], squares);
  }
  for (int mask = 16; mask > 0; mask /= 2) squares += exchange(squares, mask);
  if (thread % 32 == 0) warp_sums[thread / 32] = squares;
  barrier(CLK_LOCAL_MEM_FENCE);
  float total = warp_sums[0];
  for (int warp = 1; warp < 8; ++warp) total += warp_sums[warp];
  const float scale = 1.0f / sqrt(total / (float)width + eps);
#pragma unroll
  for (int part = 0; part < PARTS; ++part) {
    const long i = 4 * (thread + 256 * part), room = width - i;
    float factors[4], result[4];
    load_four_floats(weight + weight_at + i, room, factors);
    for (int j = 0; j < 4; ++j) result[j] = values[part][j] * scale * factors[j];
    store_four_floats(y + y_at + row + i, room, result);
  }
  if (keeps && thread == 0) rstd[rstd_at + blockIdx.x] = scale;
}
