// Microseconds of one picture through the example models' sessions, as JSON:
//
//     digits_benchmark [THREADS]
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "examples/digits/digits.h"
#include "inference/session.h"

namespace yiti::digits {
namespace {

constexpr int kWarmUp = 1000, kRuns = 10000;

double median_microseconds(const Model& model, const DevicePtr& device) {
  using Clock = std::chrono::steady_clock;
  Session session(capture(model, device, 1));
  std::fill_n(session.input(0).data<float>(), 64, 0.5f);
  const VersionPtr version = model.store->current();
  const int64_t one = 1;
  std::vector<double> times;
  for (int i = 0; i < kWarmUp + kRuns; ++i) {
    const Clock::time_point begin = Clock::now();
    session.run({&one, 1}, version.get());
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  const auto middle = times.begin() + kWarmUp + kRuns / 2;
  std::nth_element(times.begin() + kWarmUp, middle, times.end());
  return *middle;
}

}  // namespace
}  // namespace yiti::digits

int main(int argc, char** argv) {
  using namespace yiti;
  try {
    const DevicePtr device = make_cpu_device({.threads = argc > 1 ? std::atoi(argv[1]) : 0});
    nlohmann::ordered_json out;
    out["mlp_us"] = digits::median_microseconds(digits::make_mlp(device, 1), device);
    out["conv_us"] = digits::median_microseconds(digits::make_conv(device, 1), device);
    std::cout << out.dump() << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "digits_benchmark: " << error.what() << '\n';
    return 1;
  }
}
