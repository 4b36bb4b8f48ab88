// This machine's limits as JSON: machine_limits [THREADS]
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmarks/limits/limits.h"

int main(int argc, char** argv) {
  const int threads =
      argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  if (threads < 1) {
    std::cerr << "machine_limits: wants a number of threads\n";
    return 1;
  }
  const yiti::MachineLimits limits = yiti::measure_limits(threads);
  nlohmann::ordered_json out;
  out["threads"] = limits.threads;
  out["f32_gflops"] = limits.f32_gflops;
  if (limits.bf16_gflops > 0) out["bf16_gflops"] = limits.bf16_gflops;
  out["int8_gops"] = limits.int8_gops;
  out["read_gb_per_s"] = limits.read_gb_per_s;
  std::cout << out.dump(2) << '\n';
}
