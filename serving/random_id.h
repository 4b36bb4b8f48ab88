// Digits for the names of new things.
#pragma once

#include <string>

namespace yiti::serving {

/// Random hexadecimal digits, 8 for each word, from the system's source. Thread-safe.
std::string random_hex(int words);

}  // namespace yiti::serving
