#include "devices/cuda/own_norms.h"

namespace yiti::devices::cuda {

bool normalise(Launcher& run, const RmsNormCall& call) {
  constexpr int64_t kPart = 1024, kMostParts = 8;  // elements of a row, in registers
  const int64_t width = call.x.width(), rows = call.x.rows();
  const int64_t parts = (width + kPart - 1) / kPart;
  if (parts < 1 || parts > kMostParts) return false;
  bool lie_on_vectors = width % 4 == 0;
  for (const Operand* x : {&call.x, &call.other, &call.weight, &call.sum, &call.y}) {
    lie_on_vectors = lie_on_vectors && pointer(*x).place.offset % 16 == 0;
  }
  if (rows == 0) return true;
  const std::string options =
      fmt::format("-DPARTS={} -DVECTORS={}", parts, lie_on_vectors ? "true" : "false");
  run.launch({"wide_norms", "wide_rms_norm", options}, {static_cast<size_t>(rows) * 256, 1, 1},
             {256, 1, 1}, pointer(call.x), pointer(call.other), pointer(call.weight),
             pointer(call.sum), pointer(call.y), pointer(call.rstd), call.eps, call.other ? 1 : 0,
             call.rstd ? 1 : 0, width);
  return true;
}

}  // namespace yiti::devices::cuda
