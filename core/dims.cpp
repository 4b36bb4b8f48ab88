#include "core/dims.h"

#include <vector>

#include "core/error.h"

namespace yiti {
namespace {

// "[..., D]" -> {"...", "D"}
std::vector<std::string_view> split(std::string_view dims) {
  if (dims.size() < 2 || dims.front() != '[' || dims.back() != ']') {
    fail(Code::kInternal, "dims", "\"{}\" is no dimension string", dims);
  }
  std::vector<std::string_view> parts;
  dims = dims.substr(1, dims.size() - 2);
  while (!dims.empty()) {
    const size_t comma = dims.find(',');
    std::string_view part = dims.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    parts.push_back(part);
    if (comma == std::string_view::npos) break;
    dims.remove_prefix(comma + 1);
  }
  return parts;
}

bool is_number(std::string_view part) {
  return part.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::optional<std::string> DimBindings::match(std::string_view dims, const Shape& shape,
                                              std::string_view input_name) {
  if (dims == "*") return std::nullopt;
  const std::vector<std::string_view> parts = split(dims);
  const bool open = std::find(parts.begin(), parts.end(), "...") != parts.end();
  const int fixed = static_cast<int>(parts.size()) - (open ? 1 : 0);
  if (open ? shape.rank() < fixed : shape.rank() != fixed) return std::string(dims);
  int axis = 0;
  for (std::string_view part : parts) {
    if (part == "...") {
      Shape run;
      for (int end = axis + shape.rank() - fixed; axis < end; ++axis) run.push_back(shape[axis]);
      if (ellipsis_ && !(*ellipsis_ == run)) {
        return fmt::format("{}, ...={} from {}", dims, ellipsis_->str(), ellipsis_from_);
      }
      if (!ellipsis_) {
        ellipsis_ = run;
        ellipsis_from_ = fmt::format("{} {}", input_name, shape.str());
      }
      continue;
    }
    const int64_t size = shape[axis++];
    if (is_number(part)) {
      if (fmt::format("{}", size) != part) return std::string(dims);
      continue;
    }
    const auto [bound, fresh] = names_.try_emplace(
        std::string(part), Bound{size, fmt::format("{} {}", input_name, shape.str())});
    if (!fresh && bound->second.size != size) {
      return fmt::format("{}, {}={} from {}", dims, part, bound->second.size, bound->second.from);
    }
  }
  return std::nullopt;
}

Shape DimBindings::resolve(std::string_view dims) const {
  Shape shape;
  for (std::string_view part : split(dims)) {
    if (part == "...") {
      if (!ellipsis_) fail(Code::kInternal, "dims", "no input bound ... of {}", dims);
      for (int64_t size : *ellipsis_) shape.push_back(size);
    } else if (is_number(part)) {
      shape.push_back(std::stoll(std::string(part)));
    } else {
      const auto bound = names_.find(part);
      if (bound == names_.end())
        fail(Code::kInternal, "dims", "no input bound {} of {}", part, dims);
      shape.push_back(bound->second.size);
    }
  }
  return shape;
}

}  // namespace yiti
