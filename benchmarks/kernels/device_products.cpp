// How fast a device multiplies float32 rows with bfloat16 weights, as JSON.
//
//   device_products DEVICE [ROWS COLUMNS DEPTH [SECONDS]]
//
// Prints the device's name, whether it keeps the row contract, and multiply-adds a second, counted
// twice. Plug-ins are looked for where YITI_DEVICE_PATH says and beside the program.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/plugin/device_plugin.h"
#include "ops/linear/linear.h"
#include "ops/shape/cast.h"

namespace yiti {
namespace {

struct Size {
  int64_t rows = 4096, columns = 4096, depth = 4096;
};

Tensor noise(const Shape& shape, const DevicePtr& device) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
  }
  return Tensor::from(values, shape, device);
}

// The best of several runs of a call, each of which lasts some milliseconds.
template <class F>
double best_seconds(double at_most, Device& device, F f) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&](int times) {
    const auto begin = Clock::now();
    for (int i = 0; i < times; ++i) f();
    device.synchronise();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  timed(2);
  const int times = std::max(1, static_cast<int>(0.02 / timed(1)));
  double best = timed(times) / times;
  for (double spent = 0; spent < at_most; spent += best * times) {
    best = std::min(best, timed(times) / times);
  }
  return best;
}

nlohmann::json measure(const std::string& name, const Size& size, double at_most) {
  DeviceOptions options;
  options.fallback = DeviceFallback::kRefuse;
  const DevicePtr device = open_device(name, options);
  const Tensor x = noise({size.rows, size.depth}, device);
  const Tensor weight =
      ops::cast(noise({size.columns, size.depth}, device->host()), DType::kBF16).on(device);
  const double seconds = best_seconds(at_most, *device, [&] { (void)ops::linear(x, weight); });
  const double operations =
      2.0 * static_cast<double>(size.rows * size.columns) * static_cast<double>(size.depth);
  return {{"device", device->kind()}, {"row_contract", keeps_rows(*device)},
          {"rows", size.rows},        {"columns", size.columns},
          {"depth", size.depth},      {"tflops", operations / seconds * 1e-12}};
}

}  // namespace
}  // namespace yiti

int main(int argc, char** argv) {
  if (argc != 2 && argc != 5 && argc != 6) {
    std::cerr << "device_products DEVICE [ROWS COLUMNS DEPTH [SECONDS]]\n";
    return 2;
  }
  try {
    yiti::Size size;
    if (argc > 2) size = {std::atoll(argv[2]), std::atoll(argv[3]), std::atoll(argv[4])};
    const double seconds = argc > 5 ? std::atof(argv[5]) : 1;
    std::cout << yiti::measure(argv[1], size, seconds) << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
