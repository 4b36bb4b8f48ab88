#include "bindings/python/src/tensor_text.h"

#include <fmt/format.h>

#include "bindings/python/src/devices.h"

namespace yiti::python {
namespace {

constexpr int64_t kShown = 1000, kEdge = 3;

std::string elements(const Tensor& x, int axis, int64_t offset) {
  if (axis == x.rank()) {
    const Tensor one = x.as_strided({}, {}, offset);
    if (x.dtype() == DType::kBool) return one.item() != 0 ? "True" : "False";
    return fmt::format("{:.6g}", one.item());
  }
  const int64_t size = x.dim(axis);
  const bool all = x.numel() <= kShown || size <= 2 * kEdge;
  std::string text = "[";
  for (int64_t i = 0; i < size; ++i) {
    if (!all && i == kEdge) {
      text += "..., ";
      i = size - kEdge;
    }
    text += elements(x, axis + 1, offset + i * x.strides()[axis]);
    const std::string line =
        axis + 1 < x.rank() ? ",\n" + std::string(8 + size_t(axis), ' ') : ", ";
    if (i + 1 < size) text += line;
  }
  return text + "]";
}

}  // namespace

std::string tensor_text(const Tensor& tensor) {
  const Tensor x = on_host(tensor.detached());
  const bool shown = x.has_storage() && !is_quantised(x.dtype());
  std::string text = "Tensor(";
  text += !shown ? "..." : x.numel() == 0 ? "[]" : elements(x, 0, 0);
  if (!shown || x.numel() > kShown || x.numel() == 0) text += ", shape=" + x.shape().str();
  text += fmt::format(", dtype={}", name(x.dtype()));
  if (tensor.trace()) text += ", requires_grad=True";
  return text + ")";
}

}  // namespace yiti::python
