// Learning-rate schedules: a pure function of the step.
#pragma once

#include <cstdint>
#include <string_view>

namespace yiti {

enum class ScheduleKind : uint8_t { kConstant, kLinear, kCosine };

std::string_view schedule_name(ScheduleKind kind);
/// "constant", "linear" or "cosine". Throws kInvalidArgument, naming the three.
ScheduleKind parse_schedule(std::string_view name);

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kLinear;
  double lr = 1e-4;         ///< the peak, reached when the warm-up ends
  double min_lr = 0;        ///< linear and cosine end here
  int64_t total_steps = 0;  ///< linear and cosine need it
  int64_t warmup_steps = 0;
  double warmup_ratio = 0;  ///< of total_steps, rounded up; used where warmup_steps is 0
};

/// lr(step): rises linearly from 0 over the warm-up, then stays (constant) or falls to min_lr in a
/// line or half a cosine (Loshchilov & Hutter 2017, without restarts). The values are those of
/// transformers' get_{constant,linear,cosine}_schedule_with_warmup and cosine_with_min_lr.
class Schedule {
 public:
  /// Throws kInvalidArgument for rates or step counts that make no sense.
  explicit Schedule(const ScheduleOptions& options);

  /// The rate for optimiser step `step`, from 0. Steps past the end keep the last rate.
  double at(int64_t step) const;
  int64_t warmup_steps() const { return warmup_steps_; }
  const ScheduleOptions& options() const { return options_; }

 private:
  ScheduleOptions options_;
  int64_t warmup_steps_ = 0;
};

}  // namespace yiti
