#include "distributed/thread_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <mutex>
#include <thread>

#include "core/error.h"

namespace yiti {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Values whose sum depends on the order of additions.
Tensor awkward(int rank, int64_t n, const DevicePtr& device) {
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t hash =
        (static_cast<uint32_t>(i) * 2654435761u) ^ (static_cast<uint32_t>(rank + 1) * 40503u);
    values[i] = static_cast<float>(hash % 2003) * (rank % 2 == 0 ? 1e4f : -3e-4f) + 0.1f;
  }
  return Tensor::from(values, {n}, device);
}

TEST(ThreadGroup, SumsInTheBinaryTreeOfRanks) {
  const DevicePtr device = make_cpu_device();
  for (const int64_t n : {0, 1, 2, 5, 1000}) {
    std::vector<std::vector<float>> parts;
    for (int rank = 0; rank < 5; ++rank) {
      parts.push_back(awkward(rank, n, device).to_vector<float>());
    }
    std::vector<float> wanted(static_cast<size_t>(n));
    for (size_t i = 0; i < wanted.size(); ++i) {
      wanted[i] = ((parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])) + parts[4][i];
    }
    run_thread_group(5, [&](Communicator& group) {
      const Tensor sum = group.all_reduce(awkward(group.rank(), n, device));
      EXPECT_EQ(sum.to_vector<float>(), wanted) << n;
    });
  }
}

TEST(ThreadGroup, ReducesToTheSameBitsEveryTimeAndOnEveryRank) {
  std::mutex mutex;
  std::vector<std::vector<float>> results;
  run_thread_group(3, [&](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    for (int repeat = 0; repeat < 50; ++repeat) {
      const Tensor sum = group.all_reduce(awkward(group.rank(), 257, device));
      const std::lock_guard lock(mutex);
      results.push_back(sum.to_vector<float>());
    }
  });
  ASSERT_EQ(results.size(), 150u);
  for (const std::vector<float>& result : results) EXPECT_EQ(result, results[0]);
}

TEST(ThreadGroup, SumsEveryNumberType) {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64,
                            DType::kI32, DType::kI16, DType::kI8, DType::kU8}) {
    run_thread_group(4, [&](Communicator& group) {
      const Tensor x = Tensor::full({3}, group.rank() + 1, dtype, make_cpu_device());
      const Tensor sum = group.all_reduce(x).as_strided({1}, {1}, 2);
      EXPECT_EQ(sum.item(), 10) << name(dtype);
    });
  }
}

TEST(ThreadGroup, RoundsHalfSumsOnce) {
  // 2048 + 1 is not an f16, but 2048 + 1 + 1 is.
  run_thread_group(3, [](Communicator& group) {
    const Tensor x =
        Tensor::full({1}, group.rank() == 0 ? 2048 : 1, DType::kF16, make_cpu_device());
    EXPECT_EQ(group.all_reduce(x).item(), 2050);
  });
}

TEST(ThreadGroup, WrapsIntegersAround) {
  run_thread_group(2, [](Communicator& group) {
    const Tensor x = Tensor::full({1}, 127, DType::kI8, make_cpu_device());
    EXPECT_EQ(group.all_reduce(x).item(), -2);
  });
}

TEST(ThreadGroup, GathersUnequalPartsInTheOrderOfRanks) {
  run_thread_group(3, [](Communicator& group) {
    const Tensor x = Tensor::full({group.rank(), 2}, group.rank(), DType::kI32, make_cpu_device());
    const Tensor all = group.all_gather(x);
    EXPECT_EQ(all.shape(), (Shape{3, 2}));
    EXPECT_EQ(all.to_vector<int32_t>(), (std::vector<int32_t>{1, 1, 2, 2, 2, 2}));
  });
}

TEST(ThreadGroup, ScattersWhatAllReduceGives) {
  run_thread_group(4, [](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    const Tensor x = awkward(group.rank(), 24, device).reshaped({8, 3});
    const Tensor part = group.reduce_scatter(x);
    EXPECT_EQ(part.shape(), (Shape{2, 3}));
    EXPECT_EQ(group.all_gather(part).to_vector<float>(), group.all_reduce(x).to_vector<float>());
  });
}

TEST(ThreadGroup, BroadcastsFromAnyRank) {
  run_thread_group(3, [](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    for (int root = 0; root < 3; ++root) {
      const Tensor x = Tensor::full({2}, group.rank() * 10, DType::kF32, device);
      EXPECT_EQ(group.broadcast(x, root).to_vector<float>(),
                std::vector<float>(2, static_cast<float>(root * 10)));
    }
  });
}

TEST(ThreadGroup, PassesMessagesInOrderAroundARing) {
  run_thread_group(3, [](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    const int next = (group.rank() + 1) % 3, previous = (group.rank() + 2) % 3;
    for (int i = 0; i < 20; ++i) {
      group.send(Tensor::full({1}, group.rank() * 100 + i, DType::kI64, device), next);
    }
    const Tensor like = Tensor::meta({1}, DType::kI64, device);
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(group.receive(like, previous).item(), previous * 100 + i);
  });
}

TEST(ThreadGroup, MayBeLeftByARankThatNobodyNeeds) {
  run_thread_group(3, [](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    const Tensor x = Tensor::full({1}, 7, DType::kF32, device);
    if (group.rank() == 0) return group.send(x, 1);
    if (group.rank() == 1) {
      std::this_thread::sleep_for(milliseconds(10));
      group.send(group.receive(x, 0), 2);
    } else {
      EXPECT_EQ(group.receive(x, 1).item(), 7);
    }
  });
}

TEST(ThreadGroup, NamesRanksThatDisagreeAndGoesOn) {
  run_thread_group(3, [](Communicator& group) {
    const DevicePtr device = make_cpu_device();
    const Tensor x = Tensor::zeros({group.rank() == 2 ? 3 : 4}, DType::kF32, device);
    EXPECT_THAT([&] { group.all_reduce(x); },
                ThrowsMessage<Error>(HasSubstr("rank 2 gave [3] of f32; rank 0 gave [4] of f32")));
    const Tensor typed = Tensor::zeros({4}, group.rank() == 1 ? DType::kF64 : DType::kF32, device);
    EXPECT_THAT([&] { group.all_gather(typed); },
                ThrowsMessage<Error>(HasSubstr("rank 1 gave [4] of f64")));
    EXPECT_THAT([&] { group.broadcast(Tensor::zeros({1}, DType::kF32, device), group.rank() / 2); },
                ThrowsMessage<Error>(HasSubstr("rank 2 wants root 1; rank 0 wants root 0")));
    EXPECT_THAT(
        [&] {
          if (group.rank() == 1) return group.barrier();
          group.all_reduce(Tensor::zeros({1}, DType::kF32, device));
        },
        ThrowsMessage<Error>(HasSubstr("rank 1 is in barrier; rank 0 is in all_reduce")));
    EXPECT_EQ(group.all_reduce(Tensor::full({1}, 1, DType::kF32, device)).item(), 3);
  });
}

TEST(ThreadGroup, RejectsWhatDoesNotDivide) {
  run_thread_group(2, [](Communicator& group) {
    const Tensor x = Tensor::zeros({3}, DType::kF32, make_cpu_device());
    EXPECT_THAT([&] { group.reduce_scatter(x); },
                ThrowsMessage<Error>(HasSubstr("multiple of the 2 ranks")));
  });
  EXPECT_THROW(make_thread_group(0), Error);
}

TEST(ThreadGroup, ThrowsTheErrorOfTheRankThatFailed) {
  const auto run = [] {
    run_thread_group(3, [](Communicator& group) {
      if (group.rank() == 1) fail(Code::kDataLoss, "shard", "is damaged");
      group.barrier();
    });
  };
  EXPECT_THAT(run, ThrowsMessage<Error>(HasSubstr("shard: is damaged")));
}

TEST(ThreadGroup, TellsTheOthersWhyARankFailed) {
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto run = [&] {
    run_thread_group(3, [&](Communicator& group) {
      if (group.rank() == 2) fail(Code::kDataLoss, "shard", "is damaged");
      try {
        group.all_reduce(Tensor::zeros({1}, DType::kF32, make_cpu_device()));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kUnavailable);
        const std::lock_guard lock(mutex);
        seen.emplace_back(error.what());
      }
    });
  };
  EXPECT_THROW(run(), Error);
  EXPECT_THAT(seen, ::testing::Each(HasSubstr("rank 2 failed: shard: is damaged")));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(ThreadGroup, TimesOutNamingWhoIsMissing) {
  const auto run = [] {
    run_thread_group(3,
                     [](Communicator& group) {
                       if (group.rank() == 1) std::this_thread::sleep_for(milliseconds(300));
                       group.barrier();
                     },
                     {.timeout = milliseconds(30)});
  };
  EXPECT_THAT(run, ThrowsMessage<Error>(HasSubstr("waited 30 ms for rank 1")));
}

TEST(ThreadGroup, TimesOutWaitingForAMessage) {
  const auto run = [] {
    run_thread_group(2,
                     [](Communicator& group) {
                       if (group.rank() == 1) std::this_thread::sleep_for(milliseconds(300));
                       if (group.rank() == 0) {
                         group.receive(Tensor::meta({1}, DType::kF32, make_cpu_device()), 1);
                       }
                     },
                     {.timeout = milliseconds(30)});
  };
  EXPECT_THAT(run, ThrowsMessage<Error>(HasSubstr("waited 30 ms for a message from rank 1")));
}

TEST(ThreadGroup, FailsWhenAnEndIsDestroyed) {
  std::vector<CommunicatorPtr> ends = make_thread_group(2);
  ends[1] = nullptr;
  EXPECT_THAT([&] { ends[0]->barrier(); }, ThrowsMessage<Error>(HasSubstr("rank 1 left")));
  const Tensor like = Tensor::meta({1}, DType::kF32, make_cpu_device());
  EXPECT_THAT([&] { ends[0]->receive(like, 1); }, ThrowsMessage<Error>(HasSubstr("rank 1 left")));
}

}  // namespace
}  // namespace yiti
