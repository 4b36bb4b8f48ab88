// Norms and softmax: a group gives a row of `width` elements. Lane l adds elements l, l + 64, … in
// order; lanes are added by a tree, so a row's bits depend on the row alone.

inline float mean_of(float total, long width) { return width == 0 ? 0.0f : total / (float)width; }

// y = x * rstd * weight. With `sum`, x + other is normed and stored there.
__kernel ONE_GROUP void rms_norm(IN(float, x), IN(float, other), IN(float, weight), OUT(float, sum),
                                 OUT(float, y), OUT(float, rstd), const float eps,
                                 const int adds, const int keeps, const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(y);
  AT(weight);
  if (adds) {
    ROW(other);
    ROW(sum);
  }
  float squares = 0;
  EACH(i) {
    const float value = adds ? x[i] + other[i] : x[i];
    if (adds) sum[i] = value;
    squares = fma(value, value, squares);
  }
  const float scale = 1.0f / sqrt(mean_of(group_sum(squares, room), width) + eps);
  EACH(i) y[i] = (adds ? sum[i] : x[i]) * scale * weight[i];
  if (keeps && get_local_id(0) == 0) rstd[rstd_at + get_group_id(0)] = scale;
}

// dx = rstd (g - xhat mean(g xhat)) with g = dy weight and xhat = x rstd.
__kernel ONE_GROUP void rms_norm_backward(IN(float, x), IN(float, weight), IN(float, rstd),
                                          IN(float, dy), OUT(float, dx), const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(dy);
  ROW(dx);
  AT(weight);
  const float r = rstd[rstd_at + get_group_id(0)];
  float dot_sum = 0;
  EACH(i) dot_sum = fma(dy[i] * weight[i], x[i], dot_sum);
  const float shrink = r * r * mean_of(group_sum(dot_sum, room), width);
  EACH(i) dx[i] = r * fma(-x[i], shrink, dy[i] * weight[i]);
}

__kernel ONE_GROUP void layer_norm(IN(float, x), IN(float, weight), IN(float, bias), OUT(float, y),
                                   OUT(float, mean), OUT(float, rstd), const float eps,
                                   const int has_weight, const int has_bias, const int keeps,
                                   const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(y);
  float total = 0, squares = 0;
  EACH(i) total += x[i];
  const float m = mean_of(group_sum(total, room), width);
  EACH(i) squares = fma(x[i] - m, x[i] - m, squares);
  const float r = 1.0f / sqrt(mean_of(group_sum(squares, room), width) + eps);
  EACH(i) {
    float value = (x[i] - m) * r;
    if (has_weight) value *= weight[weight_at + i];
    y[i] = has_bias ? value + bias[bias_at + i] : value;
  }
  if (!keeps || get_local_id(0) != 0) return;
  mean[mean_at + get_group_id(0)] = m;
  rstd[rstd_at + get_group_id(0)] = r;
}

// dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy weight.
__kernel ONE_GROUP void layer_norm_backward(IN(float, x), IN(float, weight), IN(float, mean),
                                            IN(float, rstd), IN(float, dy), OUT(float, dx),
                                            const int has_weight, const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(dy);
  ROW(dx);
  const float m = mean[mean_at + get_group_id(0)], r = rstd[rstd_at + get_group_id(0)];
  float total = 0, dot_sum = 0;
  EACH(i) {
    const float g = has_weight ? dy[i] * weight[weight_at + i] : dy[i];
    total += g;
    dot_sum = fma(g, (x[i] - m) * r, dot_sum);
  }
  const float shift = mean_of(group_sum(total, room), width);
  const float shrink = mean_of(group_sum(dot_sum, room), width);
  EACH(i) {
    const float g = has_weight ? dy[i] * weight[weight_at + i] : dy[i];
    dx[i] = r * fma(-((x[i] - m) * r), shrink, g - shift);
  }
}

// Column sums of dy xhat and of dy, over rows: a work-item a column.
__kernel void norm_backward_weight(IN(float, x), IN(float, mean), IN(float, rstd), IN(float, dy),
                                   OUT(float, dweight), OUT(float, dbias), const int shifts,
                                   const long rows, const long width) {
  const long column = get_global_id(0);
  AT(x);
  AT(rstd);
  AT(dy);
  if (column >= width) return;
  float weight_sum = 0, bias_sum = 0;
  for (long row = 0; row < rows; ++row) {
    const float g = dy[row * width + column];
    const float centred = x[row * width + column] - (shifts ? mean[mean_at + row] : 0.0f);
    weight_sum = fma(g, centred * rstd[row], weight_sum);
    bias_sum += g;
  }
  dweight[dweight_at + column] = weight_sum;
  if (shifts) dbias[dbias_at + column] = bias_sum;
}

__kernel ONE_GROUP void softmax(IN(float, x), OUT(float, y), const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(y);
  const float top = row_top(x, width, room);
  float sum = 0;
  EACH(i) {
    y[i] = exp_of(x[i] - top);
    sum += y[i];
  }
  const float total = group_sum(sum, room);
  EACH(i) y[i] /= total;
}

__kernel ONE_GROUP void log_softmax(IN(float, x), OUT(float, y), const long width) {
  SHARED float room[GROUP];
  ROW(x);
  ROW(y);
  const float top = row_top(x, width, room);
  float sum = 0;
  EACH(i) sum += exp_of(x[i] - top);
  const float lse = top + log(group_sum(sum, room));
  EACH(i) y[i] = x[i] - lse;
}

__kernel ONE_GROUP void softmax_backward(IN(float, y), IN(float, dy), OUT(float, dx),
                                         const long width) {
  SHARED float room[GROUP];
  ROW(y);
  ROW(dy);
  ROW(dx);
  float sum = 0;
  EACH(i) sum = fma(y[i], dy[i], sum);
  const float total = group_sum(sum, room);
  EACH(i) dx[i] = y[i] * (dy[i] - total);
}

__kernel ONE_GROUP void log_softmax_backward(IN(float, y), IN(float, dy), OUT(float, dx),
                                             const long width) {
  SHARED float room[GROUP];
  ROW(y);
  ROW(dy);
  ROW(dx);
  float sum = 0;
  EACH(i) sum += dy[i];
  const float total = group_sum(sum, room);
  EACH(i) dx[i] = fma(-exp_of(y[i]), total, dy[i]);
}
