// A plain HTTP client for a server on this machine.
#pragma once

#include <cstdint>
#include <string>

namespace yiti::cli {

struct HttpReply {
  unsigned status = 0;
  std::string body;
};

/// POSTs JSON to 127.0.0.1:port. Throws Error (kUnavailable) where no reply comes.
HttpReply post_json(uint16_t port, const std::string& target, const std::string& body);

}  // namespace yiti::cli
