// Rotary position embedding.

#ifdef cl_khr_fp64
// cos and sin of position * frequency, times factor: in double, rounded once.
__kernel void rope_table(IN(INDEX, positions), IN(float, frequencies), OUT(float, cosines),
                         OUT(float, sines), const double factor, const long pairs,
                         const long count) {
  const long i = get_global_id(0);
  AT(positions);
  AT(frequencies);
  AT(cosines);
  AT(sines);
  if (i >= count) return;
  const double angle = (double)positions[i / pairs] * (double)frequencies[i % pairs];
  cosines[i] = (float)(cos(angle) * factor);
  sines[i] = (float)(sin(angle) * factor);
}
#endif

// Pairs (i, i + pairs) of heads of `width` elements, one a work-item; the rest passes through.
__kernel void rope(IN(float, x), IN(float, cosines), IN(float, sines), OUT(float, y),
                   const float sign, const long heads, const long width, const long pairs,
                   const long count) {
  const long i = get_global_id(0), items = width - pairs;  // of a head
  if (i >= count) return;
  const long head = i / items, d = i - head * items;
  x += x_at + head * width;
  y += y_at + head * width;
  if (d >= pairs) {
    y[d + pairs] = x[d + pairs];
    return;
  }
  const long angle = head / heads * pairs + d;
  const float c = cosines[cosines_at + angle], s = sines[sines_at + angle] * sign;
  const float first = x[d], second = x[d + pairs];
  y[d] = fma(-second, s, first * c);
  y[d + pairs] = fma(first, s, second * c);
}
