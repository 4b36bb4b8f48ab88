#include "bindings/python/src/indexing.h"

#include <algorithm>
#include <span>

#include "bindings/python/src/arrays.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "bindings/python/src/engine.h"
#include "core/shape_text.h"
#include "ops/elementwise/where.h"
#include "ops/shape/attrs.h"
#include "ops/shape/cast.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/expand.h"
#include "ops/shape/index_select.h"
#include "ops/shape/permute.h"
#include "ops/shape/reshape.h"
#include "ops/shape/slice.h"

namespace yiti::python {
namespace {

std::vector<nb::object> parts_of(nb::handle key) {
  std::vector<nb::object> parts;
  if (nb::isinstance<nb::tuple>(key)) {
    for (nb::handle part : nb::borrow<nb::tuple>(key)) parts.push_back(nb::borrow(part));
  } else {
    parts.push_back(nb::borrow(key));
  }
  return parts;
}

bool is_ellipsis(nb::handle part) { return part.ptr() == Py_Ellipsis; }

bool is_mask(nb::handle key) {
  const Tensor* tensor = nullptr;
  return nb::try_cast(key, tensor) && tensor != nullptr && tensor->dtype() == DType::kBool;
}

bool takes_an_axis(nb::handle part) { return !part.is_none() && !is_ellipsis(part); }

// Rows of any axis by number.
Tensor pick(const Tensor& x, int axis, const Tensor& index) {
  if (axis == 0) return ops::index_select(x, index);
  return ops::transpose(ops::index_select(ops::transpose(x, 0, axis), index), 0, axis);
}

Tensor whole_index(nb::handle part, const DevicePtr& device) {
  if (nb::isinstance<Tensor>(part)) return self_from(part);
  if (const auto array = import_array(part, device)) return *array;
  if (!PyList_Check(part.ptr()) || nb::len(part) == 0) {
    const std::vector<int64_t> numbers = ints_from(part);
    return Tensor::from(numbers, {static_cast<int64_t>(numbers.size())}, device);
  }
  return *import_array(nb::module_::import_("numpy").attr("asarray")(part), device);
}

// Counts from the end made to count from the start.
std::vector<int64_t> from_start(const Tensor& index, int64_t size) {
  check(is_integer(index.dtype()), "index", "an index tensor is {}; wants integers or bool",
        name(index.dtype()));
  std::vector<int64_t> numbers = ops::cast(index.detached(), DType::kI64).to_vector<int64_t>();
  for (int64_t& number : numbers) {
    if (number < -size || number >= size) {
      fail(Code::kOutOfRange, "index", "index {} of an axis of {}", number, size);
    }
    number += number < 0 ? size : 0;
  }
  return numbers;
}

Tensor by_slice(const Tensor& x, int axis, nb::handle part) {
  Py_ssize_t start = 0, stop = 0, step = 1;
  if (PySlice_Unpack(part.ptr(), &start, &stop, &step) < 0) throw nb::python_error();
  const Py_ssize_t count = PySlice_AdjustIndices(x.dim(axis), &start, &stop, step);
  if (step > 0) return ops::slice(x, axis, start, std::max(start, stop), step);
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = start + static_cast<int64_t>(i) * step;
  return pick(x, axis, Tensor::from(numbers, {count}, x.device()));
}

Tensor by_number(const Tensor& x, int axis, int64_t number) {
  const int64_t size = x.dim(axis);
  if (number < -size || number >= size) {
    throw nb::index_error(
        fmt::format("index {} of axis {} of {}", number, axis, x.shape().str()).c_str());
  }
  const int64_t at = number < 0 ? number + size : number;
  return ops::squeeze(ops::slice(x, axis, at, at + 1), axis);
}

// x with `count` axes from `axis` on replaced by others of as many elements.
Tensor with_axes(const Tensor& x, int axis, int count, std::span<const int64_t> others) {
  std::vector<int64_t> sizes(x.shape().begin(), x.shape().begin() + axis);
  sizes.insert(sizes.end(), others.begin(), others.end());
  sizes.insert(sizes.end(), x.shape().begin() + axis + count, x.shape().end());
  return ops::reshape(x, sizes);
}

Tensor by_numbers(const Tensor& x, int axis, const std::vector<int64_t>& numbers,
                  const Shape& shape) {
  const auto count = static_cast<int64_t>(numbers.size());
  const Tensor picked = pick(x, axis, Tensor::from(numbers, {count}, x.device()));
  return shape.rank() == 1 ? picked : with_axes(picked, axis, 1, {shape.begin(), shape.end()});
}

// An index tensor and the axis whose places it numbers.
struct AxisIndex {
  int axis;
  Tensor index;
};

// By one index tensor or by several, which are broadcast. Their axes become one, where they were
// if they are neighbours, else in front.
Tensor by_indices(const Tensor& x, const std::vector<AxisIndex>& picks) {
  Shape shape = picks[0].index.shape();
  for (const AxisIndex& pick : picks) shape = broadcast_shapes(shape, pick.index.shape(), "index");
  std::vector<int64_t> numbers(static_cast<size_t>(shape.numel()));
  std::vector<int64_t> order;
  int64_t size = 1;
  bool neighbours = true;
  for (const AxisIndex& pick : picks) {
    const std::vector<int64_t> own =
        from_start(ops::expand(pick.index.detached(), shape), x.dim(pick.axis));
    for (size_t i = 0; i < own.size(); ++i) numbers[i] = numbers[i] * x.dim(pick.axis) + own[i];
    size *= x.dim(pick.axis);
    neighbours = neighbours && pick.axis == picks[0].axis + static_cast<int>(order.size());
    order.push_back(pick.axis);
  }
  const int first = neighbours ? picks[0].axis : 0;
  const auto count = static_cast<int>(picks.size());
  if (count == 1) return by_numbers(x, first, numbers, shape);
  Tensor y = x;
  if (!neighbours) {
    for (int axis = 0; axis < x.rank(); ++axis) {
      if (std::find(order.begin(), order.end(), axis) == order.end()) order.push_back(axis);
    }
    y = ops::permute(x, order);
  }
  return by_numbers(with_axes(y, first, count, std::span(&size, 1)), first, numbers, shape);
}

void check_mask(const Tensor& x, const Tensor& mask) {
  check(mask.rank() <= x.rank() &&
            std::equal(mask.shape().begin(), mask.shape().end(), x.shape().begin()),
        "index", "a mask is {} for a tensor of {}; wants its first axes", mask.shape(), x.shape());
}

// The elements where a bool tensor over the first axes holds.
Tensor by_mask(const Tensor& x, const Tensor& mask) {
  check_mask(x, mask);
  std::vector<std::byte> holds(mask.bytes());
  mask.copy_to_host(holds);
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < holds.size(); ++i) {
    if (holds[i] != std::byte{0}) numbers.push_back(static_cast<int64_t>(i));
  }
  std::vector<int64_t> sizes = {static_cast<int64_t>(holds.size())};
  sizes.insert(sizes.end(), x.shape().begin() + mask.rank(), x.shape().end());
  return ops::index_select(
      ops::reshape(x, sizes),
      Tensor::from(numbers, {static_cast<int64_t>(numbers.size())}, x.device()));
}

Tensor select(const Tensor& x, const std::vector<nb::object>& parts, bool only_views) {
  if (parts.size() == 1 && is_mask(parts[0]) && !only_views) {
    return by_mask(x, self_from(parts[0]));
  }
  const auto named = std::count_if(parts.begin(), parts.end(), takes_an_axis);
  if (named > x.rank()) {
    throw nb::index_error(
        fmt::format("{} indices for a tensor of {}", named, x.shape().str()).c_str());
  }
  Tensor y = x;
  int axis = 0;
  std::vector<AxisIndex> picks;
  for (const nb::object& part : parts) {
    int64_t number = 0;
    if (part.is_none()) {
      y = ops::unsqueeze(y, axis++);
    } else if (is_ellipsis(part)) {
      axis += x.rank() - static_cast<int>(named);
    } else if (nb::isinstance<nb::slice>(part)) {
      const Tensor before = y;
      y = by_slice(y, axis++, part);
      check(!only_views || y.storage() == before.storage(), "index",
            "assignment takes no negative step");
    } else if (!nb::isinstance<Tensor>(part) && nb::try_cast(part, number)) {
      y = by_number(y, axis, number);
    } else {
      check(!only_views, "index", "assignment takes ints, slices, None and ...; use yiti.where");
      const Tensor index = whole_index(part, x.device());
      if (index.dtype() == DType::kBool) {
        check(parts.size() == 1, "index", "a mask stands alone");
        return by_mask(y, index);
      }
      picks.push_back({axis++, index});
    }
  }
  return picks.empty() ? y : by_indices(y, picks);
}

// Writes `source` where a mask over the first axes holds.
void set_where(const Tensor& target, const Tensor& mask, const Tensor& source) {
  check_mask(target, mask);
  check(source.rank() <= target.rank() - mask.rank(), "index",
        "assignment of {} by a mask of {} to {}; wants one value for all of its places",
        source.shape(), mask.shape(), target.shape());
  std::vector<int64_t> sizes(mask.shape().begin(), mask.shape().end());
  sizes.resize(static_cast<size_t>(target.rank()), 1);
  const Tensor wide = ops::expand(source, target.shape());
  const Tensor chosen = ops::where(ops::reshape(mask, sizes), wide, target);
  write_elements(chosen, target);
}

}  // namespace

Tensor get_item(const Tensor& x, nb::handle key) {
  const std::vector<nb::object> parts = parts_of(key);
  const Tensor input = resolved(x);
  std::unique_lock<std::recursive_mutex> lock;
  if (input.trace() && !mode().substitute) {
    nb::gil_scoped_release release;
    lock = std::unique_lock(tape_mutex());
  }
  return select(input, parts, false);
}

void set_item(const Tensor& x, nb::handle key, nb::handle value) {
  if (x.trace() && mode().records) {
    fail(Code::kFailedPrecondition, "tensor",
         "assignment to a tensor whose gradient is followed; detach it, or do it in no_grad()");
  }
  const bool masked = is_mask(key);
  const Tensor target = masked ? x.detached() : select(x.detached(), parts_of(key), true);
  if (target.storage()->read_only()) {
    fail(Code::kFailedPrecondition, "tensor", "assignment to read-only memory");
  }
  Tensor source = operand_from(value, target, "tensor", "the value").detached();
  source = ops::cast(source, target.dtype());
  if (masked) return set_where(target, tensor_from(key, "the mask").detached(), source);
  if (source.has_storage() && source.storage() == target.storage()) source = source.copy();
  const Tensor wide = ops::expand(source, target.shape());
  write_elements(wide, target);
}

}  // namespace yiti::python
