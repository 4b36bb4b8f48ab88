// The table of routes: which path and method is answered by what.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "serving/http.h"
#include "serving/training_routes.h"

namespace yiti::serving {

/// What answers a route.
enum class Target : uint8_t {
  kIndex,
  kPage,
  kHealth,
  kModels,
  kModel,
  kChat,
  kCompletions,
  kResponses,
  kNativeResponses,
  kNative,
  kEmbeddings,
  kTokenize,
  kDetokenize,
  kTemplate,
  kCountInput,
  kMetrics,
  kProps,
  kSlots,
  kStream,
  kStopStream,
  kProxy,
  kTraining,
};

/// What a request must send.
enum class Body : uint8_t { kNone, kJson, kForm };

using TrainingHandler = HttpResponse (TrainingRoutes::*)(const std::string& id,
                                                         const HttpRequest& request) const;

struct Route {
  std::string_view method;
  std::string_view prefix;
  Target target;
  Body body = Body::kNone;
  TrainingHandler training = nullptr;  ///< of kTraining
  std::string_view suffix = {};
  bool has_id = false;     ///< something stands between prefix and suffix
  bool is_public = false;  ///< needs no key
  bool is_slow = false;    ///< answered apart from the threads that serve connections
};

struct RouteMatch {
  const Route* route = nullptr;  ///< null: the path does not take the method
  std::string id;                ///< decoded
  std::string allow;             ///< then: the methods that it takes; empty: there is nothing there
};

RouteMatch find_route(std::string_view method, std::string_view path);

}  // namespace yiti::serving
