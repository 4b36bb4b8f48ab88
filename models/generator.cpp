#include "models/generator.h"

#include <future>

namespace yiti {

namespace {

class NothingUnderWay final : public GenerationHandle {
 public:
  void cancel() override {}
};

}  // namespace

std::shared_ptr<GenerationHandle> Generator::embed(EmbedRequest /*request*/, OnEmbedding done) {
  done(Error(Code::kUnimplemented, "embed", "this generator gives no embeddings"));
  return std::make_shared<NothingUnderWay>();
}

Result<Generation> Generator::generate(GenerateRequest request, OnToken token) {
  std::promise<Result<Generation>> promise;
  std::future<Result<Generation>> future = promise.get_future();
  submit(std::move(request), std::move(token),
         [&](Result<Generation> result) { promise.set_value(std::move(result)); });
  return future.get();
}

}  // namespace yiti
