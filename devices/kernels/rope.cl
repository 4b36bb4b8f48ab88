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

// Pairs (i, i + pairs) of heads of `width` elements; the rest passes through.
__kernel void rope(IN(float, x), IN(float, cosines), IN(float, sines), OUT(float, y),
                   const float sign, const long heads, const long width, const long pairs,
                   const long count) {
  const long i = get_global_id(0), d = i % width;
  AT(x);
  AT(cosines);
  AT(sines);
  AT(y);
  if (i >= count) return;
  if (d >= 2 * pairs) {
    y[i] = x[i];
    return;
  }
  const long at = i / (width * heads) * pairs + d % pairs;
  const float c = cosines[at], s = sines[at] * sign;
  y[i] = d < pairs ? fma(-x[i + pairs], s, x[i] * c) : fma(x[i - pairs], s, x[i] * c);
}
