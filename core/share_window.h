// How much of the processor training has taken beside serving.
#pragma once

#include <array>
#include <cstdint>

namespace yiti {

/// Accounts for the core time of training, in the last second, while requests waited or ran. Times
/// are nanoseconds of any clock that does not go back. One thread at a time.
class ShareWindow {
 public:
  static constexpr int64_t kWindowNs = 1'000'000'000;

  explicit ShareWindow(int cores) : cores_(cores) {}
  /// From `now_ns` on there are requests, or none.
  void set_contended(bool contended, int64_t now_ns);
  /// Training has used this much core time; counts where there are requests.
  void spend(int64_t core_ns, int64_t now_ns);
  /// Core time that training may spend until it has had the fraction `share` of the cores during
  /// the window's contended time; below 0 where it has had more.
  int64_t left_ns(double share, int64_t now_ns);

 private:
  // The window moves in steps of a slot.
  static constexpr int64_t kSlots = 20, kSlotNs = kWindowNs / kSlots;
  struct Slot {
    int64_t number = -1;
    int64_t contended_ns = 0, spent_ns = 0;
  };

  Slot& slot_at(int64_t time_ns);
  void advance(int64_t now_ns);

  int cores_;
  bool contended_ = false;
  int64_t accounted_ns_ = 0;  // until here, contended time is in the slots
  std::array<Slot, kSlots> slots_ = {};
};

}  // namespace yiti
