#include "core/dims.h"

#include <algorithm>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

// Calls f with each of "[..., D]": "...", "D".
template <class F>
void for_each_part(std::string_view dims, const F& f) {
  if (dims.size() < 2 || dims.front() != '[' || dims.back() != ']') {
    fail(Code::kInternal, "dims", "\"{}\" is no dimension string", dims);
  }
  dims = dims.substr(1, dims.size() - 2);
  while (!dims.empty()) {
    const size_t comma = dims.find(',');
    std::string_view part = dims.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    f(part);
    if (comma == std::string_view::npos) break;
    dims.remove_prefix(comma + 1);
  }
}

std::optional<int64_t> number_of(std::string_view part) {
  int64_t number = 0;
  for (const char c : part) {
    if (c < '0' || c > '9') return std::nullopt;
    number = 10 * number + (c - '0');
  }
  return number;
}

}  // namespace

std::string DimBindings::Bound::from() const { return fmt::format("{} {}", input, *shape); }

const DimBindings::Bound* DimBindings::find(std::string_view name) const {
  const auto found = std::find_if(names_.begin(), names_.end(),
                                  [&](const Bound& bound) { return bound.name == name; });
  return found == names_.end() ? nullptr : &*found;
}

std::optional<std::string> DimBindings::match(std::string_view dims, const Shape& shape,
                                              std::string_view input_name) {
  if (dims == "*") return std::nullopt;
  int fixed = 0;
  bool open = false;
  for_each_part(dims, [&](std::string_view part) {
    const bool run = part == "...";
    open |= run;
    fixed += run ? 0 : 1;
  });
  if (open ? shape.rank() < fixed : shape.rank() != fixed) return std::string(dims);
  int axis = 0;
  std::optional<std::string> wanted;
  for_each_part(dims, [&](std::string_view part) {
    if (wanted) return;
    if (part == "...") {
      Shape run;
      for (int end = axis + shape.rank() - fixed; axis < end; ++axis) run.push_back(shape[axis]);
      if (!ellipsis_) {
        ellipsis_ = run;
        ellipsis_from_ = {part, 0, input_name, &shape};
      } else if (!(*ellipsis_ == run)) {
        wanted = fmt::format("{}, ...={} from {}", dims, *ellipsis_, ellipsis_from_.from());
      }
      return;
    }
    const int64_t size = shape[axis++];
    if (const auto number = number_of(part)) {
      if (size != *number) wanted = std::string(dims);
    } else if (const Bound* bound = find(part)) {
      if (bound->size != size) {
        wanted = fmt::format("{}, {}={} from {}", dims, part, bound->size, bound->from());
      }
    } else {
      names_.push_back({part, size, input_name, &shape});
    }
  });
  return wanted;
}

Shape DimBindings::resolve(std::string_view dims) const {
  Shape shape;
  for_each_part(dims, [&](std::string_view part) {
    if (part == "...") {
      if (!ellipsis_) fail(Code::kInternal, "dims", "no input bound ... of {}", dims);
      for (int64_t size : *ellipsis_) shape.push_back(size);
    } else if (const auto number = number_of(part)) {
      shape.push_back(*number);
    } else {
      const Bound* bound = find(part);
      if (bound == nullptr) fail(Code::kInternal, "dims", "no input bound {} of {}", part, dims);
      shape.push_back(bound->size);
    }
  });
  return shape;
}

}  // namespace yiti
