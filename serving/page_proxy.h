// Fetches addresses for pages that their browser does not let ask there (CORS).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "serving/http.h"

namespace yiti::serving {

struct ProxyLimits {
  int64_t max_bytes = 0;  ///< of an answer
  std::chrono::milliseconds timeout{0};
  const std::atomic<bool>* stop = nullptr;  ///< ends it when it becomes true
};

/// What the http or https address `url` in the query answers to the request's method, its body
/// and those headers that it names as X-Llama-Server-Proxy-Header-NAME, as llama.cpp's page does;
/// no other header goes there. Redirections are not followed; certificates are checked against
/// the system's. What comes back cannot run as a page of this server. Throws ApiException: 400 for
/// an address or header that may not be, 502 where no answer comes or it is too large, 504 where it
/// takes too long.
HttpResponse fetch_for_page(const HttpRequest& request, const ProxyLimits& limits);

}  // namespace yiti::serving
