#include "serving/random_id.h"

#include <fmt/format.h>

#include <random>

namespace yiti::serving {

std::string random_hex(int words) {
  std::random_device device;
  std::string hex;
  for (int i = 0; i < words; ++i) hex += fmt::format("{:08x}", device());
  return hex;
}

}  // namespace yiti::serving
