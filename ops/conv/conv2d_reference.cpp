#include "ops/conv/conv2d_shape.h"
#include "ops/host_values.h"

namespace yiti {
namespace {

// Calls f(x index, weight index, y index) for each product of the convolution.
template <class F>
void for_each_product(const Conv2dShape& s, const F& f) {
  const Windows& w = s.windows;
  for (int64_t row = 0; row < s.images * s.outputs; ++row) {
    const int64_t image = row / s.outputs, output = row % s.outputs;
    const int64_t first = output / s.group_outputs() * s.group_channels();
    for (int64_t place = 0; place < w.places(); ++place) {
      for (int64_t c = 0; c < s.group_channels(); ++c) {
        w.for_window(place, [&](int64_t tap, int64_t position) {
          f(static_cast<size_t>((image * s.channels + first + c) * w.plane() + position),
            static_cast<size_t>((output * s.group_channels() + c) * w.area() + tap),
            static_cast<size_t>(row * w.places() + place));
        });
      }
    }
  }
}

std::vector<double> zeros(const Shape& shape) {
  return std::vector<double>(static_cast<size_t>(shape.numel()));
}

Tensor like(const Tensor& tensor, const std::vector<double>& values, const Shape& shape) {
  return of_doubles(values, shape, tensor.dtype(), tensor.device());
}

}  // namespace

std::vector<Tensor> conv2d_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Conv2dShape s = conv2d_forward_shape(in, attrs);
  const std::vector<double> x = to_doubles(in[0]), weight = to_doubles(in[1]);
  std::vector<double> y = zeros(s.y());
  if (in[2].defined()) {
    const std::vector<double> bias = to_doubles(in[2]);
    for (size_t i = 0; i < y.size(); ++i) {
      y[i] = bias[i / static_cast<size_t>(s.windows.places()) % bias.size()];
    }
  }
  for_each_product(s, [&](size_t i, size_t j, size_t k) { y[k] += x[i] * weight[j]; });
  return {like(in[0], y, s.y())};
}

std::vector<Tensor> conv2d_backward_input_reference(std::span<const Tensor> in,
                                                    const Attrs& attrs) {
  const Conv2dShape s = conv2d_backward_input_shape(in, attrs);
  const std::vector<double> dy = to_doubles(in[0]), weight = to_doubles(in[1]);
  std::vector<double> dx = zeros(s.x());
  for_each_product(s, [&](size_t i, size_t j, size_t k) { dx[i] += dy[k] * weight[j]; });
  return {like(in[0], dx, s.x())};
}

std::vector<Tensor> conv2d_backward_weight_reference(std::span<const Tensor> in,
                                                     const Attrs& attrs) {
  const Conv2dShape s = conv2d_backward_weight_shape(in, attrs);
  const std::vector<double> dy = to_doubles(in[0]), x = to_doubles(in[1]);
  std::vector<double> dweight = zeros(s.weight());
  for_each_product(s, [&](size_t i, size_t j, size_t k) { dweight[j] += dy[k] * x[i]; });
  return {like(in[0], dweight, s.weight())};
}

}  // namespace yiti
