// The gradients of convolution as matrix products: the windows of some images are laid out as rows
// [places, taps], which the gemm of ops/linear multiplies. It computes each row alone, so an
// image's bits do not depend on its batch. Memory beside inputs and outputs: one block of rows, of
// 256 KiB or one image.
#include "core/error.h"
#include "ops/conv/conv2d_shape.h"
#include "ops/linear/gemm.h"
#include "ops/shape/contiguous.h"

namespace yiti::cpu {
namespace {

constexpr int64_t kBlockFloats = int64_t{1} << 16;  // stays in the second-level cache

int64_t images_in_block(const Conv2dShape& s) {
  const int64_t floats = s.windows.places() * (s.taps() + s.group_outputs());
  return std::clamp<int64_t>(kBlockFloats / std::max<int64_t>(1, floats), 1,
                             std::max<int64_t>(1, s.images));
}

// One group of channels of some images.
class Block {
 public:
  Block(const Conv2dShape& shape, Device& device, std::byte* workspace)
      : s_(shape),
        device_(device),
        taps_(reinterpret_cast<float*>(workspace)),
        results_(taps_ + rounded(max_rows(shape) * shape.taps())) {}

  /// Bytes of workspace for the rows alone; what lies behind them is free for a gemm.
  static size_t bytes(const Conv2dShape& s) {
    const int64_t rows = max_rows(s);
    return static_cast<size_t>(rounded(rows * s.taps()) + rounded(rows * s.group_outputs())) *
           sizeof(float);
  }
  static int64_t max_rows(const Conv2dShape& s) { return images_in_block(s) * s.windows.places(); }

  /// Calls f(group) for each block of images and group of channels.
  template <class F>
  void for_each(const F& f) {
    const int64_t step = images_in_block(s_);
    for (first_ = 0; first_ < s_.images; first_ += step) {
      count_ = std::min(step, s_.images - first_);
      for (group_ = 0; group_ < s_.groups; ++group_) f(group_);
    }
  }
  int64_t rows() const { return count_ * s_.windows.places(); }
  float* taps() const { return taps_; }
  float* results() const { return results_; }
  std::byte* free_space() const {
    return reinterpret_cast<std::byte*>(results_ + rounded(max_rows(s_) * s_.group_outputs()));
  }
  MatrixView tap_rows() const { return row_major(taps(), rows(), s_.taps()); }
  MatrixView result_rows() const { return row_major(results(), rows(), s_.group_outputs()); }
  /// The group's weights as [outputs, taps].
  MatrixView weights(const float* weight) const {
    return row_major(weight + group_ * s_.group_outputs() * s_.taps(), s_.group_outputs(),
                     s_.taps());
  }

  /// Lays the windows of x out as rows; what lies outside the image is 0.
  void read_windows(const float* x) const {
    const Windows& w = s_.windows;
    each_row(64, [&](int64_t image, int64_t place, int64_t row) {
      float* target = taps() + row * s_.taps();
      const int64_t top = place / w.out_w * w.a.stride_h - w.a.padding_h;
      const int64_t left = place % w.out_w * w.a.stride_w - w.a.padding_w;
      const Span down = inside(top, w.a.dilation_h, w.kernel_h, w.height);
      const Span across = inside(left, w.a.dilation_w, w.kernel_w, w.width);
      if (down.size() * across.size() < w.area()) std::fill_n(target, s_.taps(), 0.0f);
      const float* plane = x + plane_of(image, 0);
      for (int64_t c = 0; c < s_.group_channels(); ++c, plane += w.plane(), target += w.area()) {
        for (int64_t i = down.begin; i < down.end; ++i) {
          const float* line = plane + (top + i * w.a.dilation_h) * w.width + left;
          for (int64_t k = across.begin; k < across.end; ++k) {
            target[i * w.kernel_w + k] = line[k * w.a.dilation_w];
          }
        }
      }
    });
  }
  /// Adds the rows to where their windows lie in dx. An image is one task: its order is fixed.
  void add_windows(float* dx) const {
    const Windows& w = s_.windows;
    each_row(w.places(), [&](int64_t image, int64_t place, int64_t row) {
      const float* source = taps() + row * s_.taps();
      for (int64_t c = 0; c < s_.group_channels(); ++c) {
        float* plane = dx + plane_of(image, c);
        w.for_window(place,
                     [&](int64_t tap, int64_t at) { plane[at] += source[c * w.area() + tap]; });
      }
    });
  }
  /// y -> results.
  void read_results(const float* y) const {
    const int64_t places = s_.windows.places();
    device_.threads().parallel_for(rows(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end;) {
        const int64_t image = first_ + row / places, place = row % places;
        const int64_t run = std::min({end - row, places - place, int64_t{64}});
        for (int64_t o = 0; o < s_.group_outputs(); ++o) {
          float* result = results() + row * s_.group_outputs() + o;
          const float* source = y + output_of(image, o) + place;
          for (int64_t i = 0; i < run; ++i) result[i * s_.group_outputs()] = source[i];
        }
        row += run;
      }
    });
  }

 private:
  // A whole number of cache lines.
  static int64_t rounded(int64_t floats) { return (floats + 15) / 16 * 16; }

  struct Span {
    int64_t begin, end;
    int64_t size() const { return std::max<int64_t>(0, end - begin); }
  };
  // The taps i of a window whose places first + i * step lie in [0, size).
  static Span inside(int64_t first, int64_t step, int64_t taps, int64_t size) {
    const int64_t begin = first >= 0 ? 0 : (-first + step - 1) / step;
    const int64_t end = first >= size ? 0 : (size - 1 - first) / step + 1;
    return {std::min(begin, taps), std::min(end, taps)};
  }
  int64_t plane_of(int64_t image, int64_t c) const {
    return (image * s_.channels + group_ * s_.group_channels() + c) * s_.windows.plane();
  }
  int64_t output_of(int64_t image, int64_t o) const {
    return (image * s_.outputs + group_ * s_.group_outputs() + o) * s_.windows.places();
  }
  template <class F>
  void each_row(int64_t grain, const F& f) const {
    const int64_t places = s_.windows.places();
    device_.threads().parallel_for(rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) f(first_ + row / places, row % places, row);
    });
  }

  const Conv2dShape s_;
  Device& device_;
  int64_t first_ = 0, count_ = 0, group_ = 0;
  float *taps_, *results_;
};

}  // namespace

size_t conv2d_backward_input_workspace(std::span<const Tensor> in, const Attrs& attrs,
                                       Device& device) {
  const Conv2dShape s = conv2d_backward_input_shape(in, attrs);
  return Block::bytes(s) + gemm_workspace(device, Block::max_rows(s), s.taps(), s.group_outputs());
}

size_t conv2d_backward_weight_workspace(std::span<const Tensor> in, const Attrs& attrs,
                                        Device& device) {
  const Conv2dShape s = conv2d_backward_weight_shape(in, attrs);
  return Block::bytes(s) + gemm_workspace(device, s.group_outputs(), s.taps(), Block::max_rows(s),
                                          GemmRows::kStrided);
}

void run_conv2d_backward_input(const KernelArgs& args) {
  const Tensor dy = ops::contiguous(args.in[0]), weight = ops::contiguous(args.in[1]);
  const Conv2dShape s = conv2d_backward_input_shape(args.in, args.attrs);
  float* dx = args.out[0].data<float>();
  std::fill_n(dx, args.out[0].numel(), 0.0f);
  Block block(s, args.device, args.workspace);
  block.for_each([&](int64_t) {
    block.read_results(dy.data<float>());
    gemm(args.device, block.result_rows(), block.weights(weight.data<float>()), block.taps(),
         s.taps(), {}, block.free_space());
    block.add_windows(dx);
  });
}

void run_conv2d_backward_weight(const KernelArgs& args) {
  const Tensor dy = ops::contiguous(args.in[0]), x = ops::contiguous(args.in[1]);
  const Conv2dShape s = conv2d_backward_weight_shape(args.in, args.attrs);
  float* dweight = args.out[0].data<float>();
  std::fill_n(dweight, args.out[0].numel(), 0.0f);
  Block block(s, args.device, args.workspace);
  block.for_each([&](int64_t group) {
    block.read_windows(x.data<float>());
    block.read_results(dy.data<float>());
    float* sum = dweight + group * s.group_outputs() * s.taps();
    gemm(args.device, block.result_rows().t(), block.tap_rows(), sum, s.taps(), {.addend = sum},
         block.free_space());
  });
}

}  // namespace yiti::cpu
