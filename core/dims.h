// The dimension strings of op schemas, such as "[..., D]".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace yiti {

/// The sizes that the names of a schema's dimension strings stand for, gathered input by input. The
/// strings and shapes that it matches must outlive it.
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
  // What an input bound a name to.
  struct Bound {
    std::string_view name;
    int64_t size;
    std::string_view input;
    const Shape* shape;
    std::string from() const;
  };
  const Bound* find(std::string_view name) const;

  std::vector<Bound> names_;
  std::optional<Shape> ellipsis_;
  Bound ellipsis_from_{};
};

}  // namespace yiti
