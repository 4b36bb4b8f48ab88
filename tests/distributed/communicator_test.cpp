#include "core/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/recorder.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class SilentRecorder final : public Recorder {
 public:
  bool shape_only() const override { return false; }
  bool active() const override { return true; }
  void record(const Op&, std::span<const Tensor>, const Attrs&, std::span<Tensor>) override {}
};

class SingleCommunicatorTest : public ::testing::Test {
 protected:
  const DevicePtr device = make_cpu_device();
  const CommunicatorPtr self = make_single_communicator();
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, device);
};

TEST_F(SingleCommunicatorTest, IsRankZeroOfOne) {
  EXPECT_EQ(self->rank(), 0);
  EXPECT_EQ(self->size(), 1);
  self->barrier();
}

TEST_F(SingleCommunicatorTest, GivesCopiesThatShareNothing) {
  const std::vector<float> values = x.to_vector<float>();
  for (const Tensor& result :
       {self->all_reduce(x), self->all_gather(x), self->reduce_scatter(x), self->broadcast(x, 0)}) {
    EXPECT_EQ(result.shape(), x.shape());
    EXPECT_EQ(result.to_vector<float>(), values);
    EXPECT_FALSE(result.same_memory(x));
  }
}

TEST_F(SingleCommunicatorTest, TakesViews) {
  const Tensor transposed = x.as_strided({3, 2}, {1, 3}, 0);
  const Tensor result = self->all_gather(transposed);
  EXPECT_TRUE(result.is_contiguous());
  EXPECT_EQ(result.to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST_F(SingleCommunicatorTest, ReceivesWhatItSentItselfInOrder) {
  self->send(x, 0);
  self->send(self->all_reduce(x), 0);
  EXPECT_EQ(self->receive(x, 0).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(self->receive(x, 0).to_vector<float>(), x.to_vector<float>());
  EXPECT_THROW(self->receive(x, 0), Error);
}

TEST_F(SingleCommunicatorTest, KeepsAMessageThatTheReceiverDidNotExpect) {
  self->send(x, 0);
  const Tensor other = Tensor::zeros({3}, DType::kF32, device);
  EXPECT_THAT([&] { self->receive(other, 0); },
              ThrowsMessage<Error>(HasSubstr("got [2, 3] of f32 from rank 0; wants [3] of f32")));
  EXPECT_EQ(self->receive(x, 0).numel(), 6);
}

TEST_F(SingleCommunicatorTest, RejectsRanksOutsideTheGroup) {
  EXPECT_THAT([&] { self->broadcast(x, 1); },
              ThrowsMessage<Error>(HasSubstr("got rank 1; wants 0 to 0")));
  EXPECT_THROW(self->send(x, -1), Error);
  EXPECT_THROW(self->receive(x, 7), Error);
}

TEST_F(SingleCommunicatorTest, RejectsTensorsThatItCannotSum) {
  EXPECT_THROW(self->all_reduce(Tensor::zeros({2}, DType::kBool, device)), Error);
  EXPECT_THROW(self->all_reduce(Tensor::zeros({1, 32}, DType::kQ8_0, device)), Error);
  EXPECT_THROW(self->all_reduce(Tensor()), Error);
  EXPECT_THROW(self->all_gather(Tensor::zeros({}, DType::kF32, device)), Error);
}

TEST_F(SingleCommunicatorTest, RefusesToLoseAGradient) {
  Tensor traced = x;
  traced.set_trace(std::make_shared<Trace>(Trace{std::make_shared<SilentRecorder>(), 0}));
  EXPECT_THAT([&] { self->all_reduce(traced); }, ThrowsMessage<Error>(HasSubstr("is traced")));
}

}  // namespace
}  // namespace yiti
