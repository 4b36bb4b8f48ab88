// How many tokens are worth guessing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace yiti {

/// For one text: twice as many after a guess that was right, half as many after one that was
/// mostly wrong, and after one that was all wrong none for a while, which doubles each time.
class DraftPace {
 public:
  /// Tokens to guess now, at most; 0: none.
  int64_t next() {
    if (pause_ == 0) return length_;
    --pause_;
    return 0;
  }
  /// What came of a guess of `drafted` tokens, at least 1.
  void note(int64_t drafted, int64_t accepted) {
    if (accepted == drafted) {
      length_ = std::min(std::max(length_, 2 * drafted), kLongest);
    } else if (2 * accepted < drafted) {
      length_ = std::max<int64_t>(drafted / 2, 1);
    }
    if (accepted > 0) {
      next_pause_ = 1;
    } else {
      pause_ = next_pause_;
      next_pause_ = std::min(2 * next_pause_, kLongestPause);
    }
  }

 private:
  static constexpr int64_t kLongest = 64, kLongestPause = 32;
  int64_t length_ = 4;
  int64_t pause_ = 0, next_pause_ = 1;
};

}  // namespace yiti
