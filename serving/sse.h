// Server-sent events (WHATWG HTML, section 9.2).
#pragma once

#include <string>
#include <string_view>

#include "serving/http.h"

namespace yiti::serving {

/// An event of one line of data.
inline std::string sse_event(std::string_view data) {
  return "data: " + std::string(data) + "\n\n";
}

/// The head of a stream of events, which proxies are asked not to buffer.
inline HttpResponse sse_head() {
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  return head;
}

}  // namespace yiti::serving
