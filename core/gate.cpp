#include "core/gate.h"

#include <chrono>
#include <utility>

#include "core/cpu_time.h"
#include "core/error.h"

namespace yiti {
namespace {

// A share is taken in pieces of at least this length: handing the cores over costs some of it.
constexpr int64_t kPieceNs = 5'000'000;
constexpr double kUnansweredPart = 0.2;

thread_local Gate::Training* training_of_thread = nullptr;

int64_t steady_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace

Gate::Gate(GateOptions options)
    : options_([&] {
        check(options.train_share > 0 && options.train_share <= 1, "gate",
              "train_share is {}; wants more than 0 and at most 1", options.train_share);
        check(options.cores > 0, "gate", "cores is {}; wants at least 1", options.cores);
        if (!options.now_ns) options.now_ns = steady_ns;
        return std::move(options);
      }()),
      window_(options_.cores) {}

int64_t Gate::left_ns() {
  const double part = unanswered_ > 0 ? kUnansweredPart : 1;
  return window_.left_ns(options_.train_share * part, options_.now_ns());
}

void Gate::arrive() {
  const std::lock_guard lock(mutex_);
  ++unanswered_;
  if (++requests_ == 1) window_.set_contended(true, options_.now_ns());
}

void Gate::answer() {
  const std::lock_guard lock(mutex_);
  --unanswered_;
}

void Gate::leave() {
  const std::lock_guard lock(mutex_);
  if (--requests_ > 0) return;
  window_.set_contended(false, options_.now_ns());
  changed_.notify_all();
}

// As long as it goes on asking.
void Gate::wait_for_rest(std::unique_lock<std::mutex>& lock) {
  while (training_ == State::kComputes) {
    const int64_t before = yields_;
    const bool rests =
        changed_.wait_for(lock, options_.patience, [&] { return training_ != State::kComputes; });
    if (!rests && yields_ == before) training_ = State::kAway;
  }
}

void Gate::begin_turn() {
  std::unique_lock lock(mutex_);
  wait_for_rest(lock);
  if (turns_ == 0 && training_ == State::kWaits && left_ns() >= kPieceNs * options_.cores) {
    training_ = State::kComputes;
    granted_ = true;
    changed_.notify_all();
    wait_for_rest(lock);
  }
  ++turns_;
}

void Gate::end_turn() {
  const std::lock_guard lock(mutex_);
  --turns_;
}

void Gate::yield(int64_t core_ns) {
  if (requests_.load(std::memory_order_relaxed) == 0) return;
  std::unique_lock lock(mutex_);
  ++yields_;
  window_.spend(core_ns, options_.now_ns());
  if (granted_ && turns_ == 0 && left_ns() > 0) return;
  granted_ = false;
  training_ = State::kWaits;
  changed_.notify_all();
  changed_.wait(lock, [&] { return training_ == State::kComputes || requests_ == 0; });
  training_ = State::kComputes;
}

void Gate::set_training(State state) {
  const std::lock_guard lock(mutex_);
  training_ = state;
  granted_ = false;
  changed_.notify_all();
}

Gate::Request::Request(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {
  if (gate_) gate_->arrive();
}

Gate::Request::~Request() {
  answered();
  if (gate_) gate_->leave();
}

void Gate::Request::answered() {
  if (gate_ && !std::exchange(is_answered_, true)) gate_->answer();
}

Gate::Training::Training(std::shared_ptr<Gate> gate)
    : gate_(std::move(gate)), outer_(training_of_thread), counted_ns_(thread_cpu_ns()) {
  if (!gate_) return;
  training_of_thread = this;
  gate_->set_training(State::kComputes);
}

Gate::Training::~Training() {
  if (!gate_) return;
  training_of_thread = outer_;
  gate_->set_training(State::kAway);
}

Gate::Training* Gate::Training::of_this_thread() {
  return training_of_thread != nullptr && !training_of_thread->in_slice_ ? training_of_thread
                                                                         : nullptr;
}

void Gate::Training::yield() {
  gate_->yield(thread_cpu_ns() - counted_ns_ + helpers_ns_.exchange(0));
  counted_ns_ = thread_cpu_ns();
}

}  // namespace yiti
