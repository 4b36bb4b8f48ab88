#include "devices/cuda/own_updates.h"

#include "devices/cuda/stream_backend.h"

namespace yiti::devices::cuda {

std::vector<AdamwLaunch> adamw_launches(const AdamwCall& call) {
  constexpr int64_t kMostBlocks = int64_t{1} << 31;
  std::vector<AdamwLaunch> launches;
  for (const AdamwTensors& tensors : call.tensors) {
    const int64_t count = tensors.param.numel();
    const int64_t blocks = (count + kUpdateBlock - 1) / kUpdateBlock;
    if (count == 0) continue;
    if (launches.empty() || launches.back().tensor_count == AdamwLaunch::kMost ||
        launches.back().block_count + blocks >= kMostBlocks) {
      launches.push_back({.scalars = call.scalars});
    }
    AdamwLaunch& last = launches.back();
    const int at = last.tensor_count++;
    last.first_block[at] = last.block_count;
    last.tensors[at] = {elements<float>(tensors.param), elements<const float>(tensors.grad),
                        elements<float>(tensors.m), elements<float>(tensors.v), count};
    last.block_count += static_cast<unsigned>(blocks);
  }
  return launches;
}

bool StreamBackend::update(Launcher& run, const AdamwCall& call) {
  if (run.plans()) return true;
  for (const AdamwLaunch& one : adamw_launches(call)) {
    check(static_cast<cudaError_t>(cuda::launch(one, stream_)), "update_by_adamw");
  }
  return true;
}

}  // namespace yiti::devices::cuda
