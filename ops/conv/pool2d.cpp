#include "ops/conv/pool2d.h"

#include <limits>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/gather.h"
#include "ops/shape/reshape.h"

namespace yiti {
namespace {

struct PoolAttrs : WindowAttrs {
  int64_t kernel_h = 2, kernel_w = 2;
  bool count_include_pad = true;
  int64_t height = 0, width = 0;  // of the image: only avg_pool2d_backward reads them

  void visit(AttrVisitor& v) {
    WindowAttrs::visit(v);
    v.field("kernel_h", kernel_h);
    v.field("kernel_w", kernel_w);
    v.field("count_include_pad", count_include_pad);
    v.field("height", height);
    v.field("width", width);
  }
};

Windows windows_for(int64_t height, int64_t width, const PoolAttrs& a, std::string_view op) {
  check(a.padding_h <= a.kernel_h / 2 && a.padding_w <= a.kernel_w / 2, op,
        "padding {} by {}; wants at most half of the kernel, {} by {}", a.padding_h, a.padding_w,
        a.kernel_h, a.kernel_w);
  return windows_of(height, width, a.kernel_h, a.kernel_w, a, op);
}

Windows windows_for(const Tensor& x, const Attrs& attrs, std::string_view op) {
  return windows_for(x.dim(2), x.dim(3), attrs.as<PoolAttrs>(), op);
}

Shape pooled(const Tensor& x, const Windows& w) { return {x.dim(0), x.dim(1), w.out_h, w.out_w}; }

// Calls f(plane) for every plane, by several threads.
template <class F>
void for_each_plane(Device& device, int64_t planes, const Windows& w, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, w.places() * w.area()));
  device.threads().parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) f(plane);
  });
}

// Calls f(plane, place) for every window of every plane, by several threads.
template <class F>
void for_each_place(Device& device, int64_t planes, const Windows& w, const F& f) {
  for_each_plane(device, planes, w, [&](int64_t plane) {
    for (int64_t place = 0; place < w.places(); ++place) f(plane, place);
  });
}

// The position of a window's first NaN, or of the first of its largest elements.
template <class T>
int64_t winner(const T* plane, const Windows& w, int64_t row, int64_t column) {
  int64_t best = -1;
  w.for_window(row, column, [&](int64_t, int64_t at) {
    if (best < 0 || (plane[best] == plane[best] && !(plane[at] <= plane[best]))) best = at;
  });
  return best;
}

// Whether each window along an axis holds an element: dilated ones may step over a small image.
// Those that start inside do.
bool every_window_meets(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation) {
  for (int64_t start = -padding; start < 0; start += stride) {
    const int64_t first = (-start + dilation - 1) / dilation;
    if (first >= kernel || start + first * dilation >= size) return false;
  }
  return size > 0;
}

std::vector<Tensor> infer_max(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const Windows w = windows_for(in[0], attrs, op.name);
  check(every_window_meets(w.height, w.kernel_h, w.a.stride_h, w.a.padding_h, w.a.dilation_h) &&
            every_window_meets(w.width, w.kernel_w, w.a.stride_w, w.a.padding_w, w.a.dilation_w),
        op.name, "x is {}; a window would hold no element", in[0].shape());
  const Shape shape = pooled(in[0], w);
  return {Tensor::meta(shape, in[0].dtype(), in[0].device()),
          Tensor::meta(shape, DType::kI64, in[0].device())};
}

template <class T>
void run_max(const KernelArgs& args) {
  const Tensor x = ops::contiguous(args.in[0]);
  const Windows w = windows_for(x, args.attrs, "max_pool2d");
  T* y = args.out[0].data<T>();
  int64_t* index = args.out[1].defined() ? args.out[1].data<int64_t>() : nullptr;
  const T* source = x.data<T>();
  for_each_plane(args.device, x.dim(0) * x.dim(1), w, [&](int64_t plane) {
    const T* image = source + plane * w.plane();
    int64_t at = plane * w.places();
    for (int64_t row = 0; row < w.out_h; ++row) {
      for (int64_t column = 0; column < w.out_w; ++column, ++at) {
        T largest = -std::numeric_limits<T>::infinity();
        int64_t best = -1;
        bool numbers = true;
        w.for_window(row, column, [&](int64_t, int64_t place) {
          const T other = image[place];
          const bool wins = other > largest;
          largest = wins ? other : largest;
          best = wins ? place : best;
          numbers &= other == other;
        });
        if (best < 0 || !numbers) best = winner(image, w, row, column);
        y[at] = image[best];
        if (index != nullptr) index[at] = best;
      }
    }
  });
}

std::vector<Tensor> max_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Windows w = windows_for(in[0], attrs, "max_pool2d");
  const std::vector<double> x = to_doubles(in[0]);
  std::vector<double> y, index;
  for (int64_t plane = 0; plane < in[0].dim(0) * in[0].dim(1); ++plane) {
    const double* source = x.data() + plane * w.plane();
    for (int64_t place = 0; place < w.places(); ++place) {
      const int64_t best = winner(source, w, place / w.out_w, place % w.out_w);
      y.push_back(source[best]);
      index.push_back(static_cast<double>(best));
    }
  }
  const Shape shape = pooled(in[0], w);
  return {of_doubles(y, shape, in[0].dtype(), in[0].device()),
          of_doubles(index, shape, DType::kI64, in[0].device())};
}

std::vector<Tensor> max_gradient(const GradArgs& args) {
  const Shape& x = args.in[0].shape();
  const Tensor& dy = args.grad_out[0];
  const int64_t planes = x[0] * x[1], places = dy.dim(2) * dy.dim(3);
  const Tensor zeros = Tensor::zeros({planes, x[2] * x[3]}, dy.dtype(), dy.device());
  const Tensor index = ops::reshape(args.out[1], Shape{planes, places});
  return {
      ops::reshape(ops::scatter_add(zeros, index, ops::reshape(dy, Shape{planes, places}), 1), x)};
}

double divisor(const Windows& w, const PoolAttrs& a, int64_t place) {
  if (a.count_include_pad) return static_cast<double>(w.area());
  int64_t count = 0;
  w.for_window(place, [&](int64_t, int64_t) { ++count; });
  return static_cast<double>(count);
}

std::vector<Tensor> infer_avg(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<PoolAttrs>();
  check(a.dilation_h == 1 && a.dilation_w == 1, op.name, "averages are not dilated");
  return {Tensor::meta(pooled(in[0], windows_for(in[0], attrs, op.name)), in[0].dtype(),
                       in[0].device())};
}

template <class T>
void average(const T* x, T* y, int64_t plane, int64_t place, const Windows& w, const PoolAttrs& a) {
  T total = 0;
  w.for_window(place, [&](int64_t, int64_t at) { total += x[plane * w.plane() + at]; });
  y[plane * w.places() + place] = total / static_cast<T>(divisor(w, a, place));
}

template <class T>
void run_avg(const KernelArgs& args) {
  const Tensor x = ops::contiguous(args.in[0]);
  const Windows w = windows_for(x, args.attrs, "avg_pool2d");
  const auto& a = args.attrs.as<PoolAttrs>();
  for_each_place(args.device, x.dim(0) * x.dim(1), w, [&](int64_t plane, int64_t place) {
    average(x.data<T>(), args.out[0].data<T>(), plane, place, w, a);
  });
}

std::vector<Tensor> avg_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Windows w = windows_for(in[0], attrs, "avg_pool2d");
  const std::vector<double> x = to_doubles(in[0]);
  const int64_t planes = in[0].dim(0) * in[0].dim(1);
  std::vector<double> y(static_cast<size_t>(planes * w.places()));
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t place = 0; place < w.places(); ++place) {
      average(x.data(), y.data(), plane, place, w, attrs.as<PoolAttrs>());
    }
  }
  return {of_doubles(y, pooled(in[0], w), in[0].dtype(), in[0].device())};
}

Windows backward_windows(const Attrs& attrs, std::string_view op) {
  const auto& a = attrs.as<PoolAttrs>();
  check(a.height >= 0 && a.width >= 0 && a.dilation_h == 1 && a.dilation_w == 1, op,
        "an image of {} by {}", a.height, a.width);
  return windows_for(a.height, a.width, a, op);
}

std::vector<Tensor> infer_avg_backward(std::span<const Tensor> in, const Attrs& attrs,
                                       const Op& op) {
  const Windows w = backward_windows(attrs, op.name);
  check(in[0].dim(2) == w.out_h && in[0].dim(3) == w.out_w, op.name,
        "dy is {}; wants [B, C, {}, {}]", in[0].shape(), w.out_h, w.out_w);
  return {
      Tensor::meta({in[0].dim(0), in[0].dim(1), w.height, w.width}, in[0].dtype(), in[0].device())};
}

template <class T>
void spread(const T* dy, T* dx, int64_t plane, int64_t place, const Windows& w,
            const PoolAttrs& a) {
  const T share = dy[plane * w.places() + place] / static_cast<T>(divisor(w, a, place));
  w.for_window(place, [&](int64_t, int64_t at) { dx[plane * w.plane() + at] += share; });
}

template <class T>
void run_avg_backward(const KernelArgs& args) {
  const Tensor dy = ops::contiguous(args.in[0]);
  const Windows w = backward_windows(args.attrs, "avg_pool2d_backward");
  T* dx = args.out[0].data<T>();
  std::fill_n(dx, args.out[0].numel(), T{0});
  for_each_place(args.device, dy.dim(0) * dy.dim(1), w, [&](int64_t plane, int64_t place) {
    spread(dy.data<T>(), dx, plane, place, w, args.attrs.as<PoolAttrs>());
  });
}

std::vector<Tensor> avg_backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Windows w = backward_windows(attrs, "avg_pool2d_backward");
  const std::vector<double> dy = to_doubles(in[0]);
  const int64_t planes = in[0].dim(0) * in[0].dim(1);
  std::vector<double> dx(static_cast<size_t>(planes * w.plane()));
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t place = 0; place < w.places(); ++place) {
      spread(dy.data(), dx.data(), plane, place, w, attrs.as<PoolAttrs>());
    }
  }
  return {of_doubles(dx, {in[0].dim(0), in[0].dim(1), w.height, w.width}, in[0].dtype(),
                     in[0].device())};
}

PoolAttrs attrs_of(const WindowAttrs& window, int64_t kernel_h, int64_t kernel_w,
                   bool include_pad = true, int64_t height = 0, int64_t width = 0) {
  PoolAttrs attrs;
  static_cast<WindowAttrs&>(attrs) = window;
  attrs.kernel_h = kernel_h;
  attrs.kernel_w = kernel_w;
  attrs.count_include_pad = include_pad;
  attrs.height = height;
  attrs.width = width;
  return attrs;
}

PoolAttrs attrs_of(const ops::Pool2dOptions& o) {
  const int64_t stride = o.stride == 0 ? o.kernel : o.stride;
  return attrs_of({stride, stride, o.padding, o.padding, o.dilation, o.dilation}, o.kernel,
                  o.kernel, o.count_include_pad);
}

}  // namespace

const Op& max_pool2d_op() {
  static const Op op = OpBuilder("max_pool2d")
                           .doc("The largest element of each window of an image.")
                           .source("Boureau, Ponce & LeCun 2010")
                           .attrs(PoolAttrs{})
                           .input("x", "[B, C, H, W]")
                           .output("y", "[B, C, Ho, Wo]")
                           .saved_output("index", "[B, C, Ho, Wo]", DType::kI64)
                           .shape_rule(&infer_max)
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, &run_max<float>))
                           .kernel(cpu_kernel("cpu.f64", DType::kF64, &run_max<double>))
                           .reference(&max_reference)
                           .gradient(&max_gradient, {}, {1})
                           .sample({Shape{2, 3, 7, 6}}, attrs_of({2, 1, 1, 0, 1, 2}, 3, 2))
                           .sample({Shape{1, 2, 4, 4}}, attrs_of({2, 2, 0, 0, 1, 1}, 2, 2))
                           .sample({Shape{0, 2, 4, 4}}, attrs_of({2, 2, 0, 0, 1, 1}, 2, 2))
                           .accuracy(0)
                           .build();
  return op;
}

const Op& avg_pool2d_op() {
  static const Op op = OpBuilder("avg_pool2d")
                           .doc("The mean of each window of an image.")
                           .source("Boureau, Ponce & LeCun 2010")
                           .attrs(PoolAttrs{})
                           .input("x", "[B, C, H, W]")
                           .output("y", "[B, C, Ho, Wo]")
                           .shape_rule(&infer_avg)
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, &run_avg<float>))
                           .kernel(cpu_kernel("cpu.f64", DType::kF64, &run_avg<double>))
                           .reference(&avg_reference)
                           .gradient(
                               [](const GradArgs& args) -> std::vector<Tensor> {
                                 PoolAttrs attrs = args.attrs.as<PoolAttrs>();
                                 attrs.height = args.in[0].dim(2);
                                 attrs.width = args.in[0].dim(3);
                                 return {avg_pool2d_backward_op()({args.grad_out[0]}, attrs)[0]};
                               },
                               {})
                           .sample({Shape{2, 3, 7, 6}}, attrs_of({2, 1, 1, 1, 1, 1}, 3, 2))
                           .sample({Shape{1, 2, 5, 5}}, attrs_of({2, 2, 1, 1, 1, 1}, 3, 3, false))
                           .sample({Shape{0, 2, 4, 4}}, attrs_of({2, 2, 0, 0, 1, 1}, 2, 2))
                           .accuracy(2, 9)
                           .build();
  return op;
}

const Op& avg_pool2d_backward_op() {
  static const Op op =
      OpBuilder("avg_pool2d_backward")
          .doc("The gradient of avg_pool2d.")
          .source("Boureau, Ponce & LeCun 2010")
          .attrs(PoolAttrs{})
          .input("dy", "[B, C, Ho, Wo]")
          .output("dx", "[B, C, H, W]")
          .shape_rule(&infer_avg_backward)
          .kernel(cpu_kernel("cpu.f32", DType::kF32, &run_avg_backward<float>))
          .kernel(cpu_kernel("cpu.f64", DType::kF64, &run_avg_backward<double>))
          .reference(&avg_backward_reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {avg_pool2d_op()({args.grad_out[0]}, args.attrs)[0]};
              },
              {})
          .sample({Shape{2, 3, 4, 7}}, attrs_of({2, 1, 1, 1, 1, 1}, 3, 2, true, 7, 6))
          .sample({Shape{1, 2, 3, 3}}, attrs_of({2, 2, 1, 1, 1, 1}, 3, 3, false, 5, 5))
          .sample({Shape{0, 2, 2, 2}}, attrs_of({2, 2, 0, 0, 1, 1}, 2, 2, true, 4, 4))
          .accuracy(2, 9)
          .build();
  return op;
}

namespace ops {

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  return max_pool2d_op()({x}, attrs_of(options))[0];
}
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) {
  return avg_pool2d_op()({x}, attrs_of(options))[0];
}

}  // namespace ops
}  // namespace yiti
