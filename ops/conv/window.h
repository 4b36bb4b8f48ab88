// Windows that slide over images [B, C, H, W]: sizes and checks that convolution and pooling share.
#pragma once

#include <string_view>

#include "core/attrs.h"
#include "core/shape.h"

namespace yiti {

/// How windows lie along the two axes of an image.
struct WindowAttrs {
  int64_t stride_h = 1, stride_w = 1;
  int64_t padding_h = 0, padding_w = 0;
  int64_t dilation_h = 1, dilation_w = 1;
  void visit(AttrVisitor& v) {
    v.field("stride_h", stride_h);
    v.field("stride_w", stride_w);
    v.field("padding_h", padding_h);
    v.field("padding_w", padding_w);
    v.field("dilation_h", dilation_h);
    v.field("dilation_w", dilation_w);
  }
};

/// The windows of one plane.
struct Windows {
  int64_t height = 0, width = 0;  ///< of the plane
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t out_h = 0, out_w = 0;
  WindowAttrs a;

  int64_t plane() const { return height * width; }
  int64_t area() const { return kernel_h * kernel_w; }
  int64_t places() const { return out_h * out_w; }
  /// Calls f(kernel position, plane position) for each of a window's positions inside the plane.
  template <class F>
  void for_window(int64_t place, const F& f) const {
    for_window(place / out_w, place % out_w, f);
  }
  template <class F>
  void for_window(int64_t row, int64_t column, const F& f) const {
    const int64_t top = row * a.stride_h - a.padding_h, left = column * a.stride_w - a.padding_w;
    const bool whole = top >= 0 && top + (kernel_h - 1) * a.dilation_h < height && left >= 0 &&
                       left + (kernel_w - 1) * a.dilation_w < width;
    if (whole) {  // nearly all: without a check of each position
      const int64_t corner = top * width + left;
      for (int64_t i = 0; i < kernel_h; ++i) {
        const int64_t line = corner + i * a.dilation_h * width;
        for (int64_t j = 0; j < kernel_w; ++j) f(i * kernel_w + j, line + j * a.dilation_w);
      }
      return;
    }
    for (int64_t i = 0; i < kernel_h; ++i) {
      const int64_t y = top + i * a.dilation_h;
      if (y < 0 || y >= height) continue;
      for (int64_t j = 0; j < kernel_w; ++j) {
        const int64_t x = left + j * a.dilation_w;
        if (x >= 0 && x < width) f(i * kernel_w + j, y * width + x);
      }
    }
  }
};

/// Throws kInvalidArgument naming `op` where the sizes make no window.
Windows windows_of(int64_t height, int64_t width, int64_t kernel_h, int64_t kernel_w,
                   const WindowAttrs& attrs, std::string_view op);

}  // namespace yiti
