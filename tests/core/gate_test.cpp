#include "core/gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

constexpr int64_t kMs = 1'000'000;
using MaybeRequest = std::optional<Gate::Request>;

// Serving and training in two threads that move one clock: what each does takes its time of it.
class GateTest : public testing::Test {
 protected:
  std::shared_ptr<Gate> make(double share, int cores = 2) {
    return std::make_shared<Gate>(
        GateOptions{.train_share = share, .cores = cores, .patience = patience_, .now_ns = [this] {
                      return now_.load();
                    }});
  }

  // Trains in slices of a millisecond on all cores until told to stop.
  std::thread train(const std::shared_ptr<Gate>& gate, int cores = 2) {
    return std::thread([this, gate, cores] {
      const Gate::Training training(gate);
      gate->yield(0);
      begun_ = true;
      while (!stop_) {
        EXPECT_FALSE(serves_) << "training computes within a turn";
        now_ += kMs;
        trained_ns_ += kMs;
        gate->yield(cores * kMs);
      }
    });
  }

  void turn(Gate& gate, int64_t ms) {
    gate.begin_turn();
    serves_ = true;
    now_ += ms * kMs;
    serves_ = false;
    gate.end_turn();
  }

  // What training has of three seconds in which serving takes one turn after the other.
  double share_beside_turns(Gate& gate) {
    while (trained_ns_ == 0) turn(gate, 6);
    const int64_t from = now_, before = trained_ns_;
    while (now_ - from < 3000 * kMs) turn(gate, 6);
    return static_cast<double>(trained_ns_ - before) / static_cast<double>(now_ - from);
  }

  std::chrono::milliseconds patience_{60'000};
  std::atomic<int64_t> now_{0}, trained_ns_{0};
  std::atomic<bool> serves_{false}, stop_{false}, begun_{false};
};

TEST_F(GateTest, TrainingHasItsShareWhileRequestsRun) {
  const auto gate = make(0.25);
  MaybeRequest request(std::in_place, gate);
  request->answered();
  std::thread trainer = train(gate);
  const double share = share_beside_turns(*gate);
  EXPECT_LT(share, 0.255);
  EXPECT_GT(share, 0.23);
  stop_ = true;
  request.reset();
  trainer.join();
}

TEST_F(GateTest, ItHasLessWhileOneWaitsForItsFirstToken) {
  const auto gate = make(0.5);
  MaybeRequest request(std::in_place, gate);
  std::thread trainer = train(gate);
  const double share = share_beside_turns(*gate);
  EXPECT_LT(share, 0.105);
  EXPECT_GT(share, 0.09);
  stop_ = true;
  request.reset();
  trainer.join();
}

TEST_F(GateTest, ATurnThatBeginsWaitsForTheSliceUnderWay) {
  const auto gate = make(0.25);
  std::thread trainer = train(gate);
  while (trained_ns_ < 50 * kMs) std::this_thread::yield();  // freely, without requests
  for (int i = 0; i < 200; ++i) {
    now_ += 2000 * kMs;
    MaybeRequest request(std::in_place, gate);
    const int64_t arrived = trained_ns_;
    turn(*gate, 30);
    EXPECT_LE(trained_ns_ - arrived, 2 * kMs);
    request.reset();
    const int64_t over = trained_ns_;
    while (trained_ns_ == over) std::this_thread::yield();
  }
  stop_ = true;
  trainer.join();
}

TEST_F(GateTest, WorkThatDoesNotAskIsNotWaitedForLong) {
  patience_ = std::chrono::milliseconds(1);
  const auto gate = make(0.25);
  const Gate::Training training(gate);
  const Gate::Request request(gate);
  turn(*gate, 1);
  turn(*gate, 1);
}

TEST_F(GateTest, ATrainersLoopsYieldBetweenSlicesAndCoverTheirRangeOnce) {
  ThreadPool pool(2);
  const auto gate = make(1.0);
  MaybeRequest request(std::in_place, gate);
  std::vector<int> hits(100'000);
  std::atomic<bool> done = false;
  std::thread trainer([&] {
    const Gate::Training training(gate);
    pool.parallel_for(static_cast<int64_t>(hits.size()), 7, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin % 7, 0);
      EXPECT_FALSE(serves_);
      EXPECT_EQ(Gate::Training::of_this_thread(), nullptr);
      for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
      pool.parallel_for(3, 1, [](int64_t, int64_t) {});
    });
    done = true;
  });
  while (!done) turn(*gate, 20);
  trainer.join();
  EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), 100'000);
  EXPECT_EQ(*std::ranges::max_element(hits), 1);
  EXPECT_EQ(Gate::Training::of_this_thread(), nullptr);
}

TEST_F(GateTest, AnErrorInASliceReachesTheCaller) {
  ThreadPool pool(2);
  const auto gate = make(0.25);
  const Gate::Training training(gate);
  EXPECT_THROW(pool.parallel_for(
                   100, 1, [](int64_t, int64_t) { fail(Code::kInternal, "test", "on purpose"); }),
               Error);
  EXPECT_EQ(Gate::Training::of_this_thread(), &training);
}

TEST(Gate, RefusesAShareThatIsNone) {
  EXPECT_EQ(message_of([] { Gate({.train_share = 0}); }, Code::kInvalidArgument),
            "gate: train_share is 0; wants more than 0 and at most 1");
  EXPECT_EQ(message_of([] { Gate({.train_share = 1.5}); }, Code::kInvalidArgument),
            "gate: train_share is 1.5; wants more than 0 and at most 1");
}

}  // namespace
}  // namespace yiti
