// Uploads from strangers: what stands before a zero byte is the Content-Type, the rest the body.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "core/error.h"
#include "serving/multipart.h"

namespace {

bool lies_within(std::string_view part, std::string_view whole) {
  const std::less_equal<> not_after;
  return not_after(whole.data(), part.data()) &&
         not_after(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(static_cast<const char*>(static_cast<const void*>(data)), size);
  const size_t type_end = std::min(all.find('\0'), size);
  const std::string_view body = all.substr(std::min(type_end + 1, size));
  try {
    for (const auto& part : yiti::serving::parse_multipart(all.substr(0, type_end), body)) {
      if (part.name.empty() || !lies_within(part.contents, body)) std::abort();
    }
  } catch (const yiti::Error&) {
    return 0;
  }
  return 0;
}
