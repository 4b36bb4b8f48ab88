// Convolution and pooling of images [B, C, H, W], one work-item an element of the result.

typedef struct {
  long images, channels, outputs, groups;  // outputs: channels of y
  long height, width, kernel_h, kernel_w, out_h, out_w;
  long stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
} Windows;

// The row or column of an image that a window's tap sees, or -1 outside of it.
inline long seen_at(long place, long tap, long stride, long padding, long dilation, long size) {
  const long at = place * stride - padding + tap * dilation;
  return at >= 0 && at < size ? at : -1;
}

// The pixel of a plane that tap [a, b] of the window at [row, column] sees, or -1.
inline long pixel_at(const Windows *w, long row, long column, long a, long b) {
  const long up = seen_at(row, a, w->stride_h, w->padding_h, w->dilation_h, w->height);
  const long left = seen_at(column, b, w->stride_w, w->padding_w, w->dilation_w, w->width);
  return up < 0 || left < 0 ? -1 : up * w->width + left;
}

// The row or column of the window whose tap sees `at`, or -1.
inline long place_seeing(long at, long tap, long stride, long padding, long dilation, long places) {
  const long from = at + padding - tap * dilation;
  return from >= 0 && from % stride == 0 && from / stride < places ? from / stride : -1;
}

// The window of a plane whose tap [a, b] sees the pixel at [up, left], or -1.
inline long window_seeing(const Windows *w, long up, long left, long a, long b) {
  const long row = place_seeing(up, a, w->stride_h, w->padding_h, w->dilation_h, w->out_h);
  const long column = place_seeing(left, b, w->stride_w, w->padding_w, w->dilation_w, w->out_w);
  return row < 0 || column < 0 ? -1 : row * w->out_w + column;
}

__kernel void conv2d(IN(float, x), IN(float, weight), IN(float, bias), const int has_bias,
                     OUT(float, y), const Windows w, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(weight);
  AT(y);
  if (i >= count) return;
  const long column = i % w.out_w, row = i / w.out_w % w.out_h;
  const long output = i / (w.out_w * w.out_h) % w.outputs;
  const long image = i / (w.out_w * w.out_h * w.outputs);
  const long own = w.channels / w.groups, first = output / (w.outputs / w.groups) * own;
  float sum = 0;
  for (long c = 0; c < own; ++c) {
    const long plane = (image * w.channels + first + c) * w.height * w.width;
    for (long a = 0; a < w.kernel_h; ++a) {
      for (long b = 0; b < w.kernel_w; ++b) {
        const long at = pixel_at(&w, row, column, a, b);
        if (at < 0) continue;
        sum = fma(x[plane + at], weight[((output * own + c) * w.kernel_h + a) * w.kernel_w + b],
                  sum);
      }
    }
  }
  y[i] = has_bias ? sum + bias[bias_at + output] : sum;
}

__kernel void conv2d_backward_input(IN(float, dy), IN(float, weight), OUT(float, dx),
                                    const Windows w, const long count) {
  const long i = get_global_id(0);
  AT(dy);
  AT(weight);
  AT(dx);
  if (i >= count) return;
  const long left = i % w.width, up = i / w.width % w.height;
  const long channel = i / (w.width * w.height) % w.channels;
  const long image = i / (w.width * w.height * w.channels);
  const long own = w.channels / w.groups, outputs = w.outputs / w.groups;
  const long first = channel / own * outputs, c = channel % own;
  float sum = 0;
  for (long output = first; output < first + outputs; ++output) {
    const long plane = (image * w.outputs + output) * w.out_h * w.out_w;
    for (long a = 0; a < w.kernel_h; ++a) {
      for (long b = 0; b < w.kernel_w; ++b) {
        const long at = window_seeing(&w, up, left, a, b);
        if (at < 0) continue;
        sum = fma(dy[plane + at], weight[((output * own + c) * w.kernel_h + a) * w.kernel_w + b],
                  sum);
      }
    }
  }
  dx[i] = sum;
}

__kernel void conv2d_backward_weight(IN(float, dy), IN(float, x), OUT(float, dweight),
                                     const Windows w, const long count) {
  const long i = get_global_id(0);
  AT(dy);
  AT(x);
  AT(dweight);
  if (i >= count) return;
  const long own = w.channels / w.groups;
  const long b = i % w.kernel_w, a = i / w.kernel_w % w.kernel_h;
  const long c = i / (w.kernel_w * w.kernel_h) % own, output = i / (w.kernel_w * w.kernel_h * own);
  const long channel = output / (w.outputs / w.groups) * own + c;
  float sum = 0;
  for (long image = 0; image < w.images; ++image) {
    const long plane = (image * w.channels + channel) * w.height * w.width;
    for (long row = 0; row < w.out_h; ++row) {
      for (long column = 0; column < w.out_w; ++column) {
        const long at = pixel_at(&w, row, column, a, b);
        if (at < 0) continue;
        sum = fma(dy[((image * w.outputs + output) * w.out_h + row) * w.out_w + column],
                  x[plane + at], sum);
      }
    }
  }
  dweight[i] = sum;
}

// The first NaN of a window, or the first of its largest elements.
__kernel void max_pool2d(IN(float, x), OUT(float, y), OUT(long, index), const int keeps,
                         const Windows w, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(y);
  if (i >= count) return;
  const long column = i % w.out_w, row = i / w.out_w % w.out_h;
  x += i / (w.out_w * w.out_h) * w.height * w.width;
  long best = -1;
  for (long a = 0; a < w.kernel_h; ++a) {
    for (long b = 0; b < w.kernel_w; ++b) {
      const long at = pixel_at(&w, row, column, a, b);
      if (at < 0) continue;
      if (best < 0 || (x[best] == x[best] && !(x[at] <= x[best]))) best = at;
    }
  }
  y[i] = x[best];
  if (keeps) index[index_at + i] = best;
}

// How many elements a window's mean is over.
inline float taps_of(const Windows *w, int counts_padding, long row, long column) {
  if (counts_padding) return (float)(w->kernel_h * w->kernel_w);
  long taps = 0;
  for (long a = 0; a < w->kernel_h; ++a) {
    for (long b = 0; b < w->kernel_w; ++b) taps += pixel_at(w, row, column, a, b) >= 0;
  }
  return (float)taps;
}

__kernel void avg_pool2d(IN(float, x), OUT(float, y), const int counts_padding, const Windows w,
                         const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(y);
  if (i >= count) return;
  const long column = i % w.out_w, row = i / w.out_w % w.out_h;
  x += i / (w.out_w * w.out_h) * w.height * w.width;
  float sum = 0;
  for (long a = 0; a < w.kernel_h; ++a) {
    for (long b = 0; b < w.kernel_w; ++b) {
      const long at = pixel_at(&w, row, column, a, b);
      if (at >= 0) sum += x[at];
    }
  }
  y[i] = sum / taps_of(&w, counts_padding, row, column);
}

__kernel void avg_pool2d_backward(IN(float, dy), OUT(float, dx), const int counts_padding,
                                  const Windows w, const long count) {
  const long i = get_global_id(0);
  AT(dy);
  AT(dx);
  if (i >= count) return;
  const long left = i % w.width, up = i / w.width % w.height;
  dy += i / (w.width * w.height) * w.out_h * w.out_w;
  float sum = 0;
  for (long a = 0; a < w.kernel_h; ++a) {
    for (long b = 0; b < w.kernel_w; ++b) {
      const long at = window_seeing(&w, up, left, a, b);
      if (at < 0) continue;
      sum += dy[at] / taps_of(&w, counts_padding, at / w.out_w, at % w.out_w);
    }
  }
  dx[i] = sum;
}
