// A device's ops against their references, from the ops' own samples: the conformance run.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"

namespace yiti::derived {

struct DeviceCheckOptions {
  bool rows = false;   ///< the row contract, bit by bit: for devices that claim it
  bool times = false;  ///< measure the device and the CPU, at 256 rows where an op has rows
};

/// What came of one sample of an op in one dtype.
struct DeviceResult {
  enum class Verdict : uint8_t { kPass, kFail, kUnsupported };
  DType dtype;         ///< of the floating inputs
  std::string shapes;  ///< of the inputs: "[7, 100], q4_1 [19, 100]"
  Verdict verdict = Verdict::kPass;
  std::string text;                  ///< what is wrong, or why the device does not run it
  double error = 0;                  ///< the largest error / the op's allowed error
  double device_us = 0, cpu_us = 0;  ///< of a run; 0: not measured
};

/// Runs every sample of `op`, in every dtype that it takes, on `device` and by the reference on the
/// host: values, shapes, bytes around the outputs, the same bits again, from strided inputs and of
/// several updates at once, and the row contract (a row alone, and rows in two parts, against all
/// at once). Empty for views.
std::vector<DeviceResult> check_on_device(const Op& op, const DevicePtr& device,
                                          const DeviceCheckOptions& options = {});

}  // namespace yiti::derived
