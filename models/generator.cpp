#include "models/generator.h"

#include <future>

namespace yiti {

Result<Generation> Generator::generate(GenerateRequest request, OnToken token) {
  std::promise<Result<Generation>> promise;
  std::future<Result<Generation>> future = promise.get_future();
  submit(std::move(request), std::move(token),
         [&](Result<Generation> result) { promise.set_value(std::move(result)); });
  return future.get();
}

}  // namespace yiti
