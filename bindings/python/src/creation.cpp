// Functions that make tensors.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include <atomic>
#include <cmath>

#include "bindings/python/src/arrays.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "bindings/python/src/engine.h"
#include "core/random.h"
#include "ops/shape/arange.h"
#include "ops/shape/cast.h"
#include "ops/shape/concat.h"
#include "ops/shape/reshape.h"

namespace yiti::python {
namespace {

// Where random tensors draw from: each draw is a stream of its own.
std::atomic<uint64_t> random_seed{0}, random_stream{0};

struct Made {
  DType dtype;
  DevicePtr device;
  bool requires_grad;

  Tensor finish(const Tensor& tensor) const {
    const Tensor plain = dtype == tensor.dtype() ? tensor : ops::cast(tensor, dtype);
    return requires_grad ? with_tape([&] { return tape().watch(plain); }) : plain;
  }
};

Made made(nb::handle dtype, nb::handle device, bool requires_grad, DType otherwise = DType::kF32) {
  return {dtype.is_none() ? otherwise : dtype_from(dtype), device_from(device), requires_grad};
}

void collect(nb::handle value, Shape& shape, int depth, std::vector<double>& numbers,
             std::vector<int64_t>& integers, DType& dtype) {
  if (nb::isinstance<Tensor>(value)) {
    const nb::object elements = to_list(self_from(value));
    return collect(elements, shape, depth, numbers, integers, dtype);
  }
  if (nb::isinstance<nb::list>(value) || nb::isinstance<nb::tuple>(value)) {
    const auto size = static_cast<int64_t>(nb::len(value));
    if (depth == shape.rank()) {
      check(numbers.empty() && depth < Shape::kMaxRank, "tensor",
            "the lists are of different depths, or deeper than {}", Shape::kMaxRank);
      shape.push_back(size);
    }
    check(shape[depth] == size, "tensor", "lists of {} and {} elements side by side", shape[depth],
          size);
    for (nb::handle part : value) collect(part, shape, depth + 1, numbers, integers, dtype);
    return;
  }
  check(depth == shape.rank(), "tensor", "the lists are of different depths");
  if (!is_number(value)) fail_type("tensor: got a " + class_name(value) + " among the numbers");
  const DType own = PyFloat_Check(value.ptr())  ? DType::kF32
                    : PyBool_Check(value.ptr()) ? DType::kBool
                    : PyLong_Check(value.ptr()) ? DType::kI64
                                                : DType::kF32;
  dtype = numbers.empty() ? own : common_dtype(dtype, own, "tensor");
  numbers.push_back(nb::cast<double>(nb::float_(value)));
  integers.push_back(PyLong_Check(value.ptr()) ? value_from<int64_t>(value, "a number", "an int")
                                               : 0);
}

// As `wanted`, or what the numbers are. They are rounded once.
Tensor from_lists(nb::handle data, std::optional<DType> wanted, nb::handle device) {
  Shape shape;
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  DType dtype = DType::kF32;
  collect(data, shape, 0, numbers, integers, dtype);
  const DevicePtr where = device_from(device);
  const Tensor exact = dtype == DType::kI64 ? Tensor::from(integers, shape, where)
                                            : Tensor::from(numbers, shape, where);
  return ops::cast(exact, wanted.value_or(dtype));
}

Tensor convert(nb::handle data, nb::handle dtype, nb::handle device, std::optional<bool> copy) {
  const DevicePtr where = device_from(device);
  std::optional<DType> named;
  if (!dtype.is_none()) named = dtype_from(dtype);
  Tensor tensor;
  bool fresh = false;
  if (nb::isinstance<Tensor>(data)) {
    tensor = self_from(data);
  } else if (const auto array = import_array(data, where)) {
    tensor = *array;
  } else {
    tensor = from_lists(data, named, device);
    fresh = true;
  }
  const DType wanted = named.value_or(tensor.dtype());
  if (wanted != tensor.dtype()) {
    if (copy == false) throw nb::value_error("another dtype needs a copy");
    tensor = ops::cast(tensor.detached(), wanted);
    fresh = true;
  }
  return copy == true && !fresh ? tensor.copy() : tensor;
}

Tensor random_normal(const Shape& shape, const DevicePtr& device) {
  const Tensor tensor = Tensor::empty(shape, DType::kF32, device);
  fill_normal(tensor, 0, 1, {random_seed, random_stream++});
  return tensor;
}

Tensor random_uniform(const Shape& shape, const DevicePtr& device) {
  const Tensor tensor = Tensor::empty(shape, DType::kF32, device);
  fill_uniform(tensor, 0, 1, {random_seed, random_stream++});
  return tensor;
}

// The numbers below n in an order that follows from the key (Fisher & Yates).
Tensor random_order(int64_t n, const DevicePtr& device) {
  check(n >= 0 && n < int64_t{1} << 40, "randperm", "n is {}; wants 0 or more, below 2**40", n);
  const RandomKey key{random_seed, random_stream++};
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_bits(key, i) % i]);
  return Tensor::from(order, {n}, device);
}

Tensor numbers(double start, std::optional<double> stop, double step, nb::handle dtype,
               nb::handle device, bool whole) {
  if (!stop) stop = std::exchange(start, 0);
  check(step != 0, "arange", "step is 0");
  const double numbers = std::max(0.0, std::ceil((*stop - start) / step));
  check(numbers < 0x1p53, "arange", "from {} to {} in steps of {}", start, *stop, step);
  const auto count = static_cast<int64_t>(numbers);
  const Made how = made(dtype, device, false, whole ? DType::kI64 : DType::kF32);
  return ops::arange(start, step, count, how.dtype, how.device);
}

// f(*sizes, dtype, device, requires_grad) for a function that fills a shape.
template <class F>
void define_shaped(nb::module_& module, const char* name, const char* doc, F fill) {
  const std::string signature = fmt::format(
      "def {}(*shape: int | collections.abc.Sequence[int], dtype: object = None, device: Device | "
      "str | None = None, requires_grad: bool = False) -> Tensor",
      name);
  module.def(
      name,
      [fill](const nb::args& shape, nb::handle dtype, nb::handle device, bool requires_grad) {
        const Made how = made(dtype, device, requires_grad);
        return how.finish(fill(shape_from_args(shape), how));
      },
      nb::arg("shape"), nb::arg("dtype") = nb::none(), nb::arg("device") = nb::none(),
      nb::arg("requires_grad") = false, nb::sig(signature.c_str()), doc);
}

}  // namespace

void add_creation(nb::module_& module) {
  module.def(
      "tensor",
      [](nb::handle data, nb::handle dtype, nb::handle device, bool requires_grad) {
        const Tensor copy = convert(data, dtype, device, true).detached();
        return Made{copy.dtype(), copy.device(), requires_grad}.finish(copy);
      },
      nb::arg("data"), nb::arg("dtype") = nb::none(), nb::arg("device") = nb::none(),
      nb::arg("requires_grad") = false,
      nb::sig("def tensor(data: object, dtype: object = None, device: Device | str | None = None, "
              "requires_grad: bool = False) -> Tensor"),
      "A tensor with a copy of numbers, nested lists, an array or another tensor. Python floats "
      "become float32, ints int64.");
  module.def(
      "asarray", &convert, nb::arg("data"), nb::arg("dtype") = nb::none(),
      nb::arg("device") = nb::none(), nb::arg("copy") = nb::none(),
      nb::sig("def asarray(data: object, dtype: object = None, device: Device | str | None = None, "
              "copy: "
              "bool | None = None) -> Tensor"),
      "As tensor(), but over the memory of an array (DLPack or buffer) or tensor where it can be. "
      "copy: True: always a copy; False: an error where one is needed for the dtype.");
  module.def(
      "from_dlpack",
      [](nb::handle array) {
        const auto tensor = import_array(array, default_device());
        if (!tensor) fail_type("from_dlpack: a " + class_name(array) + " has no __dlpack__");
        return *tensor;
      },
      nb::arg("array"), "A tensor over the memory of an array of any library.");
  define_shaped(module, "zeros", "Zeros.", [](const Shape& shape, const Made& how) {
    return Tensor::zeros(shape, how.dtype, how.device);
  });
  define_shaped(module, "ones", "Ones.", [](const Shape& shape, const Made& how) {
    return Tensor::full(shape, 1, how.dtype, how.device);
  });
  define_shaped(module, "empty", "Not initialised.", [](const Shape& shape, const Made& how) {
    return Tensor::empty(shape, how.dtype, how.device);
  });
  define_shaped(
      module, "randn", "Normal numbers of mean 0 and variance 1; see manual_seed.",
      [](const Shape& shape, const Made& how) { return random_normal(shape, how.device); });
  define_shaped(
      module, "rand", "Uniform numbers in [0, 1); see manual_seed.",
      [](const Shape& shape, const Made& how) { return random_uniform(shape, how.device); });
  module.def(
      "full",
      [](nb::handle shape, double value, nb::handle dtype, nb::handle device, bool requires_grad) {
        const Made how = made(dtype, device, requires_grad);
        return how.finish(Tensor::full(shape_from(shape), value, how.dtype, how.device));
      },
      nb::arg("shape"), nb::arg("value"), nb::arg("dtype") = nb::none(),
      nb::arg("device") = nb::none(), nb::arg("requires_grad") = false,
      nb::sig("def full(shape: int | collections.abc.Sequence[int], value: float, dtype: object = "
              "None, device: Device | str | None = None, requires_grad: bool = False) -> Tensor"));
  module.def(
      "arange",
      [](nb::handle start, nb::handle stop, nb::handle step, nb::handle dtype, nb::handle device) {
        const auto whole = [](nb::handle value) {
          return value.is_none() || PyLong_Check(value.ptr());
        };
        const std::optional<double> end =
            stop.is_none() ? std::nullopt : std::optional(number_from(stop, "arange: stop"));
        return numbers(number_from(start, "arange: start"), end, number_from(step, "arange: step"),
                       dtype, device, whole(start) && whole(stop) && whole(step));
      },
      nb::arg("start"), nb::arg("stop") = nb::none(), nb::arg("step") = 1,
      nb::arg("dtype") = nb::none(), nb::arg("device") = nb::none(),
      nb::sig("def arange(start: float, stop: float | None = None, step: float = 1, dtype: object "
              "= None, device: Device | str | None = None) -> Tensor"),
      "start, start + step, ... below stop; with one argument from 0 to it.");
  module.def(
      "randperm", [](int64_t n) { return random_order(n, default_device()); }, nb::arg("n"),
      "The numbers below n in a random order; see manual_seed.");
  module.def(
      "manual_seed",
      [](uint64_t seed) {
        random_seed = seed;
        random_stream = 0;
      },
      nb::arg("seed"), "Begins the random numbers of this process anew.");
}

}  // namespace yiti::python
