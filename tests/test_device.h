// The device that tests of models run on: the CPU, or the one that YITI_TEST_DEVICE names.
#pragma once

#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/plugin/device_plugin.h"

namespace yiti {

/// The name of the device under test; empty: the CPU.
inline std::string test_device_name() {
  const char* name = std::getenv("YITI_TEST_DEVICE");
  return name == nullptr ? "" : name;
}

/// A device under test. What it lacks runs on the CPU. Throws where it is not there, in words that
/// ctest takes for a reason to skip.
inline DevicePtr test_device(int threads, Isa isa = choose_isa()) {
  if (test_device_name().empty()) return make_cpu_device({.threads = threads}, isa);
  DeviceOptions options;
  options.cpu.threads = threads;
  try {
    return open_device(test_device_name(), options);
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
    fail(error.code(), "tests", "{} is not on this machine: {}", test_device_name(), error.what());
  }
}

}  // namespace yiti
