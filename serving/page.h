// The page for people at `/`, embedded in the library.
#pragma once

#include <span>
#include <string_view>

#include "serving/http.h"

namespace yiti::serving {

struct PageFile {
  std::string_view name;
  std::string_view bytes;
};

/// The files of serving/page; written by serving/page/embed.cmake.
std::span<const PageFile> page_files();

/// Whether who sent the request wants a page: its Accept names HTML.
bool wants_page(const HttpRequest& request);

/// The file called `name`, with headers that keep the page to its own origin; 404 where there is
/// none.
HttpResponse page_response(std::string_view name);

}  // namespace yiti::serving
