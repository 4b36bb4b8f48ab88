// The bytes of HTTP/1.1 response heads and chunks (RFC 9112).
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "serving/http.h"

namespace yiti::serving {

/// Status line to empty line. `framing` is the line that tells where the body ends, without its
/// line break, or empty. Bytes in header values that could begin another line are left out.
std::string response_head(const HttpResponse& response, std::string_view framing, bool keep_alive,
                          std::time_t now);

/// A chunk of the chunked coding; an empty one ends the body.
std::string chunk_frame(std::string_view bytes);

}  // namespace yiti::serving
