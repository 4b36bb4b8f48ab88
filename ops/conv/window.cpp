#include "ops/conv/window.h"

#include "core/error.h"

namespace yiti {
namespace {

int64_t places_along(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation, std::string_view op) {
  constexpr int64_t kMost = int64_t{1} << 24;
  check(kernel >= 1 && kernel < kMost && stride >= 1 && stride < kMost && padding >= 0 &&
            padding < kMost && dilation >= 1 && dilation < kMost && size < int64_t{1} << 40,
        op, "kernel {}, stride {}, padding {}, dilation {} over {}", kernel, stride, padding,
        dilation, size);
  const int64_t reach = dilation * (kernel - 1) + 1;
  check(reach <= size + 2 * padding, op, "a window of {} does not fit in {} padded by {}", reach,
        size, padding);
  return (size + 2 * padding - reach) / stride + 1;
}

}  // namespace

Windows windows_of(int64_t height, int64_t width, int64_t kernel_h, int64_t kernel_w,
                   const WindowAttrs& attrs, std::string_view op) {
  return {height,
          width,
          kernel_h,
          kernel_w,
          places_along(height, kernel_h, attrs.stride_h, attrs.padding_h, attrs.dilation_h, op),
          places_along(width, kernel_w, attrs.stride_w, attrs.padding_w, attrs.dilation_w, op),
          attrs};
}

}  // namespace yiti
