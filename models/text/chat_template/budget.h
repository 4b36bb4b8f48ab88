// What a template may use up. Templates come with model files, which nobody vouches for.
#pragma once

#include <cstdint>

#include "core/error.h"

namespace yiti::jinja {

inline constexpr std::string_view kWhere = "chat template";

inline constexpr int64_t kMaxSourceBytes = 256 * 1024;
inline constexpr int kMaxExpressionDepth = 100;  ///< nesting of expressions in the source
inline constexpr int kMaxStatementDepth = 50;    ///< nesting of statements in the source
inline constexpr int kMaxRunDepth = 500;         ///< expressions and statements under way
inline constexpr int kMaxValueDepth = 100;       ///< lists and mappings in each other
inline constexpr int64_t kMaxSteps = 3'000'000;
inline constexpr int64_t kMaxValueBytes = int64_t{64} << 20;     ///< one value
inline constexpr int64_t kMaxCreatedBytes = int64_t{256} << 20;  ///< all values made, together
inline constexpr int64_t kMaxOutputBytes = int64_t{64} << 20;
inline constexpr int64_t kMaxRange = 100'000;

/// Counts what one rendering uses and throws kResourceExhausted beyond the bounds.
class Budget {
 public:
  void step(int64_t count = 1) {
    steps_ += count;
    if (steps_ > kMaxSteps) {
      fail(Code::kResourceExhausted, kWhere, "takes more than {} steps", kMaxSteps);
    }
  }
  /// Before values of that many bytes are made.
  void create(int64_t bytes) {
    step(1 + bytes / 64);
    created_ += bytes;
    if (bytes > kMaxValueBytes || created_ > kMaxCreatedBytes) {
      fail(Code::kResourceExhausted, kWhere, "makes values of more than {} bytes, or {} together",
           kMaxValueBytes, kMaxCreatedBytes);
    }
  }

 private:
  int64_t steps_ = 0;
  int64_t created_ = 0;
};

/// Counts nesting while it lives; throws kResourceExhausted beyond `limit`.
class Nesting {
 public:
  Nesting(int* depth, int limit) : depth_(depth) {
    if (*depth_ >= limit) {
      fail(Code::kResourceExhausted, kWhere, "is nested deeper than {} levels", limit);
    }
    ++*depth_;
  }
  ~Nesting() { --*depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int* depth_;
};

}  // namespace yiti::jinja
