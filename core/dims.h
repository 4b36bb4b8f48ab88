// The dimension strings of op schemas, such as "[..., D]".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/shape.h"

namespace yiti {

/// The sizes that the names of a schema's dimension strings stand for, gathered input by input.
class DimBindings {
 public:
  /// Matches `shape` with `dims` ("*" matches any). Nullopt when it fits, else what was wanted,
  /// such as "[D], D=2048 from x [2, 8, 2048]". "..." stands for any run of axes, the same each
  /// time; a number matches itself.
  std::optional<std::string> match(std::string_view dims, const Shape& shape,
                                   std::string_view input_name);
  /// The shape that `dims` stands for. Throws kInternal for a name that no input bound.
  Shape resolve(std::string_view dims) const;

 private:
  struct Bound {
    int64_t size;
    std::string from;
  };
  std::map<std::string, Bound, std::less<>> names_;
  std::optional<Shape> ellipsis_;
  std::string ellipsis_from_;
};

}  // namespace yiti
