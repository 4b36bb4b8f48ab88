// Who may ask: API keys, and pages of other origins.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/http.h"

namespace yiti::serving {

/// Whether the request has one of the keys, as a bearer token or as X-Api-Key; true where there
/// are no keys. Takes as long for any given key of one length, however much of it is right.
bool has_key(const HttpRequest& request, const std::vector<std::string>& keys);

/// Takes as long for any `given` of one length, however much of it is right.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

/// Whose turn it is when requests wait: the key's, else the address's.
std::string client_of(const HttpRequest& request);

/// Whether a browser sends the request for a page that is neither this server's own nor of
/// `origins`, which are as in cors_headers().
bool is_foreign_page(const HttpRequest& request, const std::vector<std::string>& origins);

/// Whether a browser asks first if a page may ask. It never sends a key with that.
bool is_preflight(const HttpRequest& request);

/// The headers that let a page of the request's origin read the answer (Fetch Standard); empty
/// where it may not. "*" in `origins` stands for any origin, "localhost" for pages of this machine.
std::vector<std::pair<std::string, std::string>> cors_headers(
    const HttpRequest& request, const std::vector<std::string>& origins);

/// The client's id for the request where it is up to 128 letters, digits and -_.:/, else a new one.
std::string request_id_of(std::string_view given);

}  // namespace yiti::serving
