#include "training/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "schedule";

constexpr std::array<std::pair<ScheduleKind, std::string_view>, 3> kNames = {{
    {ScheduleKind::kConstant, "constant"},
    {ScheduleKind::kLinear, "linear"},
    {ScheduleKind::kCosine, "cosine"},
}};

}  // namespace

std::string_view schedule_name(ScheduleKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  fail(Code::kInternal, kWhere, "kind {} has no name", static_cast<int>(kind));
}

ScheduleKind parse_schedule(std::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
  }
  fail(Code::kInvalidArgument, kWhere, "got \"{}\"; wants constant, linear or cosine", name);
}

Schedule::Schedule(const ScheduleOptions& options) : options_(options) {
  check(std::isfinite(options.lr) && options.lr >= 0, kWhere, "lr is {}; wants 0 or more",
        options.lr);
  check(options.min_lr >= 0 && options.min_lr <= options.lr, kWhere,
        "min_lr is {}; wants 0 to lr, {}", options.min_lr, options.lr);
  check(options.warmup_steps >= 0, kWhere, "warmup_steps is {}; wants 0 or more",
        options.warmup_steps);
  check(options.warmup_ratio >= 0 && options.warmup_ratio <= 1, kWhere,
        "warmup_ratio is {}; wants 0 to 1", options.warmup_ratio);
  const bool needs_total = options.kind != ScheduleKind::kConstant || options.warmup_ratio > 0;
  check(options.total_steps >= (needs_total ? 1 : 0), kWhere, "total_steps is {}; wants 1 or more",
        options.total_steps);
  warmup_steps_ = options.warmup_steps;
  if (warmup_steps_ == 0) {
    warmup_steps_ = static_cast<int64_t>(
        std::ceil(static_cast<double>(options.total_steps) * options.warmup_ratio));
  }
}

double Schedule::at(int64_t step) const {
  check(step >= 0, kWhere, "step is {}; wants 0 or more", step);
  if (step < warmup_steps_) {
    return options_.lr * static_cast<double>(step) / static_cast<double>(warmup_steps_);
  }
  if (options_.kind == ScheduleKind::kConstant) return options_.lr;
  const int64_t falling = std::max<int64_t>(1, options_.total_steps - warmup_steps_);
  const double done =
      std::min(1.0, static_cast<double>(step - warmup_steps_) / static_cast<double>(falling));
  const double left = options_.kind == ScheduleKind::kLinear
                          ? 1 - done
                          : 0.5 * (1 + std::cos(std::numbers::pi * done));
  return options_.min_lr + (options_.lr - options_.min_lr) * left;
}

}  // namespace yiti
