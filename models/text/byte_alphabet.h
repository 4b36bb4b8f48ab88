// The printable alphabet in which byte-level vocabularies spell bytes.
#pragma once

#include <string>
#include <string_view>

namespace yiti {

/// The bytes that a token's spelling stands for; the spelling itself where it has characters
/// outside the alphabet.
std::string bytes_from_alphabet(std::string_view spelling);

/// The spelling of some bytes.
std::string alphabet_from_bytes(std::string_view bytes);

}  // namespace yiti
