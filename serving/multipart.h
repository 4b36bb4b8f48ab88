// Bodies of type multipart/form-data (RFC 7578), as clients upload files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace yiti::serving {

struct FormPart {
  std::string name;
  std::string filename;       ///< empty: a plain field
  std::string_view contents;  ///< within the body
};

/// The parts of `body`, by the boundary in `content_type`. Throws kInvalidArgument, with the
/// position, for what is malformed, and for more than 32 parts or 8 KiB of a part's head.
std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body);

}  // namespace yiti::serving
