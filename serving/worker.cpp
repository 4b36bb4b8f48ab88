#include "serving/worker.h"

#include <utility>

#include "serving/api_error.h"
#include "serving/exchange_link.h"

namespace yiti::serving {
namespace {

// Shared by the connection's strand and the worker's thread.
class WorkerAnswer final : public Activity, public std::enable_shared_from_this<WorkerAnswer> {
 public:
  explicit WorkerAnswer(Exchange& exchange) : link_(exchange) {}

  void client_gone() override { link_.take(); }

  void shut_down() override {
    if (Exchange* exchange = link_.take()) exchange->respond(error_response(stopping_error()));
  }

  bool wanted() const { return link_.get() != nullptr; }

  void send(HttpResponse response) {
    link_.post([self = shared_from_this(), response = std::move(response)] {
      if (Exchange* exchange = self->link_.take()) exchange->respond(response);
    });
  }

 private:
  ExchangeLink link_;
};

}  // namespace

Worker::Worker() : thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Worker::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  wake_.notify_all();
}

std::shared_ptr<Activity> Worker::answer(Exchange& exchange, std::function<HttpResponse()> make) {
  auto answer = std::make_shared<WorkerAnswer>(exchange);
  post([answer, make = std::move(make)] {
    if (answer->wanted()) answer->send(make());
  });
  return answer;
}

void Worker::run() {
  while (true) {
    std::function<void()> piece;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      piece = std::move(queue_.front());
      queue_.pop_front();
    }
    piece();
  }
}

}  // namespace yiti::serving
