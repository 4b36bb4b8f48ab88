// Communicators over a plug-in's collectives.
#include "core/plugin/device_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "core/plugin/device_plugin.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

DevicePtr collective_device() {
  DeviceOptions options;
  options.path = YITI_BROKEN_DEVICES;
  options.cpu.threads = 1;
  return open_device("collective", options);
}

// Calls f(communicator, device) on each of `size` ranks at once.
void on_ranks(int size, const std::function<void(Communicator&, const DevicePtr&)>& f) {
  const std::vector<std::byte> id = make_group_id(collective_device());
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.emplace_back([&, rank] {
      const DevicePtr device = collective_device();
      f(*join_group(device, id, rank, size), device);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

TEST(DeviceGroup, SumsGathersAndScatters) {
  on_ranks(3, [](Communicator& group, const DevicePtr& device) {
    const auto mine = static_cast<float>(group.rank() + 1);
    const Tensor x = Tensor::from(std::vector<float>{mine, 10 * mine, 100 * mine}, {3}, device);
    EXPECT_EQ(group.all_reduce(x).to_vector<float>(), (std::vector<float>{6, 60, 600}));
    EXPECT_EQ(group.all_gather(x).to_vector<float>(),
              (std::vector<float>{1, 10, 100, 2, 20, 200, 3, 30, 300}));
    const std::vector<float> sums{6, 60, 600};
    EXPECT_EQ(group.reduce_scatter(x).to_vector<float>(),
              std::vector<float>{sums[static_cast<size_t>(group.rank())]});
    EXPECT_EQ(group.broadcast(x, 1).to_vector<float>(), (std::vector<float>{2, 20, 200}));
    EXPECT_EQ(x.to_vector<float>()[0], mine);
    group.barrier();
  });
}

TEST(DeviceGroup, SendsAndReceives) {
  on_ranks(2, [](Communicator& group, const DevicePtr& device) {
    const Tensor x = Tensor::full({4}, 7, DType::kF32, device);
    if (group.rank() == 0) {
      group.send(x, 1);
    } else {
      const Tensor like = Tensor::meta({4}, DType::kF32, device);
      EXPECT_EQ(group.receive(like, 0).to_vector<float>(), x.to_vector<float>());
    }
  });
}

TEST(DeviceGroup, RefusesDevicesWithoutCollectivesAndIdsThatDoNotFit) {
  EXPECT_THAT(message_of([] { make_group_id(make_cpu_device()); }, Code::kUnimplemented),
              HasSubstr("cpu has no collectives"));
  const std::vector<std::byte> id(3);
  EXPECT_THAT(
      message_of([&] { join_group(collective_device(), id, 0, 1); }, Code::kInvalidArgument),
      HasSubstr("got an id of 3 bytes; wants 4"));
  EXPECT_THAT(
      message_of([&] { join_group(collective_device(), id, 2, 2); }, Code::kInvalidArgument),
      HasSubstr("got rank 2 of 2"));
}

}  // namespace
}  // namespace yiti
