#include "devices/common/walks.h"

namespace yiti::devices {
namespace {

// Joins axes that are walked as one: fewer divisions for each element.
Walk joined(const Walk& walk) {
  Walk out;
  for (size_t i = 0; i < static_cast<size_t>(walk.rank); ++i) {
    if (walk.size[i] == 1) continue;
    const auto last = static_cast<size_t>(out.rank - 1);
    if (out.rank > 0 && out.step[last] == walk.step[i] * walk.size[i]) {
      out.size[last] *= walk.size[i];
      out.step[last] = walk.step[i];
      continue;
    }
    out.size[static_cast<size_t>(out.rank)] = walk.size[i];
    out.step[static_cast<size_t>(out.rank)] = walk.step[i];
    ++out.rank;
  }
  return out;
}

}  // namespace

Walk strided_walk(const Operand& x) {
  Walk walk{.rank = x.rank()};
  for (int axis = 0; axis < x.rank(); ++axis) {
    walk.size[static_cast<size_t>(axis)] = x.dim(axis);
    walk.step[static_cast<size_t>(axis)] = x.stride(axis);
  }
  return joined(walk);
}

Walk broadcast_walk(const Operand& x, const Operand& out) {
  Walk walk{.rank = out.rank()};
  const int added = out.rank() - x.rank();
  for (int axis = 0; axis < out.rank(); ++axis) {
    const int own = axis - added;
    walk.size[static_cast<size_t>(axis)] = out.dim(axis);
    walk.step[static_cast<size_t>(axis)] = own < 0 || x.dim(own) == 1 ? 0 : dense_step(x, own);
  }
  return joined(walk);
}

Walk part_walk(const Operand& part, const Operand& whole, int axis, int64_t step) {
  Walk walk{.rank = part.rank()};
  for (int i = 0; i < part.rank(); ++i) {
    walk.size[static_cast<size_t>(i)] = part.dim(i);
    walk.step[static_cast<size_t>(i)] = dense_step(whole, i) * (i == axis ? step : 1);
  }
  return joined(walk);
}

}  // namespace yiti::devices
