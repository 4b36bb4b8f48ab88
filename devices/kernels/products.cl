// C [M, N] = A [M, K] · B [K, N] in float32.
//
// K is cut into at most LEAVES leaves of `leaf` elements, a function of K alone. Each element of C
// is one chain of fused multiply-adds per leaf in ascending k; leaves are added in order. So its
// bits depend neither on M nor on tiles. A group makes a tile of ROWS rows and 4 * WIDE columns:
// work-item (w, l) adds up leaf l of 4 columns.
//
// B is of type B_TYPE, element i of it being B_AT(i).
#define ROWS 8
#define LEAVES 8
#define WIDE 8

// A with any strides as tiles [ceil(M / 8)][K][8]; rows that are missing are zero.
__kernel void pack_rows(IN(float, a), const long row_step, const long column_step, const long m,
                        const long k, OUT(float, tiles), const long count) {
  const long i = get_global_id(0);
  AT(a);
  AT(tiles);
  if (i >= count) return;
  const long row = i / (ROWS * k) * ROWS + i % ROWS, column = i / ROWS % k;
  tiles[i] = row < m ? a[row * row_step + column * column_step] : 0.0f;
}

// A [m, k] with any strides to rows whose elements are rounded to bf16.
__kernel void round_rows(IN(float, a), const long row_step, const long column_step, const long k,
                         OUT(float, rows), const long count) {
  const long i = get_global_id(0);
  AT(a);
  AT(rows);
  if (i < count) rows[i] = from_bf16(to_bf16(a[i / k * row_step + i % k * column_step]));
}

#ifdef B_TYPE
__kernel GROUP_OF(WIDE, LEAVES, 1) void multiply(
    IN(float, tiles), IN(B_TYPE, b), const long k_step, const long n_step, IN(float, bias),
    const int has_bias, OUT(float, c), const int accumulates, const long m, const long n,
    const long k, const long leaf) {
  SHARED float8 sums[LEAVES][WIDE][4];
  const int wide = get_local_id(0), l = get_local_id(1);
  const long column = get_global_id(0) * 4, row = get_global_id(2) * ROWS;
  AT(tiles);
  AT(b);
  AT(c);
  tiles += row * k;
  // Columns that are missing read the last one.
  const long last = n - 1;
  const long b0 = min(column, last) * n_step, b1 = min(column + 1, last) * n_step;
  const long b2 = min(column + 2, last) * n_step, b3 = min(column + 3, last) * n_step;
  const long begin = min(k, l * leaf), end = min(k, begin + leaf);
  float8 s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (long i = begin; i < end; ++i) {
    const float8 x = vload8(i, tiles);
    const long at = i * k_step;
    s0 = fma(x, (float8)(B_AT(at + b0)), s0);
    s1 = fma(x, (float8)(B_AT(at + b1)), s1);
    s2 = fma(x, (float8)(B_AT(at + b2)), s2);
    s3 = fma(x, (float8)(B_AT(at + b3)), s3);
  }
  sums[l][wide][0] = s0;
  sums[l][wide][1] = s1;
  sums[l][wide][2] = s2;
  sums[l][wide][3] = s3;
  barrier(CLK_LOCAL_MEM_FENCE);
  // Lane l adds up row l of the tile.
  if (row + l >= m) return;
  const long leaves = max(1L, (k + leaf - 1) / leaf);
  for (int j = 0; j < 4 && column + j < n; ++j) {
    float total = ((__local float *)&sums[0][wide][j])[l];
    for (long i = 1; i < leaves; ++i) total += ((__local float *)&sums[i][wide][j])[l];
    if (has_bias) total += bias[bias_at + column + j];
    __global float *target = c + (row + l) * n + column + j;
    *target = accumulates ? *target + total : total;
  }
}
#endif
