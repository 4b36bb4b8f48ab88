#include "devices/common/launcher.h"

#include <algorithm>

namespace yiti::devices {

Pointer pointer(const Operand& x) {
  if (!x) return {{}, 1};
  const yiti_tensor& tensor = x.tensor();
  return {{tensor.memory, tensor.offset}, is_quantised(x.dtype()) ? 1 : element_bytes(x.dtype())};
}

Launcher::Launcher(Backend& backend, Mode mode, const yiti_op_call& call, int number)
    : backend_(backend),
      mode_(mode),
      workspace_{call.workspace, call.workspace_offset},
      workspace_bytes_(call.workspace_bytes),
      number_(number) {}

Place Launcher::take(int64_t bytes) {
  const Place part = workspace_.at(static_cast<int64_t>(taken_));
  taken_ += (static_cast<uint64_t>(bytes) + 63) / 64 * 64;
  most_taken_ = std::max(most_taken_, taken_);
  if (!plans() && taken_ > workspace_bytes_) {
    fail(YITI_STATUS_INVALID_ARGUMENT, "workspace has {} bytes; wants {} or more", workspace_bytes_,
         taken_);
  }
  return part;
}

void Launcher::add(Arguments& arguments, const Pointer& value) {
  int64_t& offset = arguments.offsets[arguments.count];
  offset = static_cast<int64_t>(value.place.offset) / value.element_bytes;
  arguments.list[arguments.count++] = {nullptr, 0, value.place.memory};
  arguments.list[arguments.count++] = {&offset, sizeof(offset), nullptr};
}

void Launcher::add(Arguments& arguments, Fault) const {
  arguments.list[arguments.count++] = {nullptr, 0, backend_.fault()};
  arguments.list[arguments.count++] = {&number_, sizeof(number_), nullptr};
}

void Launcher::copy(const Place& target, const Place& source, int64_t bytes) {
  if (!plans() && bytes > 0) backend_.copy(target, source, bytes);
}

void Launcher::clear(const Place& target, int64_t bytes) {
  if (!plans() && bytes > 0) backend_.clear(target, bytes);
}

}  // namespace yiti::devices
