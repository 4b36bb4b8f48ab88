#include "core/share_window.h"

#include <algorithm>

namespace yiti {

ShareWindow::Slot& ShareWindow::slot_at(int64_t time_ns) {
  const int64_t number = time_ns / kSlotNs;
  Slot& slot = slots_[static_cast<size_t>(number % kSlots)];
  if (slot.number != number) slot = {.number = number};
  return slot;
}

void ShareWindow::advance(int64_t now_ns) {
  if (contended_) {
    accounted_ns_ = std::max(accounted_ns_, now_ns - kWindowNs);
    while (accounted_ns_ < now_ns) {
      const int64_t end = std::min(now_ns, (accounted_ns_ / kSlotNs + 1) * kSlotNs);
      slot_at(accounted_ns_).contended_ns += end - accounted_ns_;
      accounted_ns_ = end;
    }
  }
  accounted_ns_ = now_ns;
}

void ShareWindow::set_contended(bool contended, int64_t now_ns) {
  advance(now_ns);
  contended_ = contended;
}

void ShareWindow::spend(int64_t core_ns, int64_t now_ns) {
  if (contended_) slot_at(now_ns).spent_ns += core_ns;
}

int64_t ShareWindow::left_ns(double share, int64_t now_ns) {
  advance(now_ns);
  int64_t contended = 0, spent = 0;
  for (const Slot& slot : slots_) {
    if (slot.number <= now_ns / kSlotNs - kSlots) continue;
    contended += slot.contended_ns;
    spent += slot.spent_ns;
  }
  return static_cast<int64_t>(share * cores_ * static_cast<double>(contended)) - spent;
}

}  // namespace yiti
