#include <gtest/gtest.h>

#include "core/io/proto/yiti.pb.h"

namespace {

TEST(Proto, KeepsTheDifferenceBetweenNoEvaluationAndALossOfZero) {
  yiti::proto::Checkpoint checkpoint;
  checkpoint.set_step(7);
  EXPECT_FALSE(checkpoint.has_best_eval_loss());
  checkpoint.set_best_eval_loss(0);
  yiti::proto::Checkpoint back;
  ASSERT_TRUE(back.ParseFromString(checkpoint.SerializeAsString()));
  EXPECT_EQ(back.step(), 7);
  EXPECT_TRUE(back.has_best_eval_loss());
}

TEST(Proto, KeepsAProgramsNodes) {
  yiti::proto::Program program;
  yiti::proto::Node& node = *program.add_nodes();
  node.set_op("add");
  node.add_inputs(0);
  node.add_inputs(-1);
  yiti::proto::NamedAttribute& axis = *node.add_attributes();
  axis.set_name("axis");
  axis.mutable_value()->set_int_value(-1);
  yiti::proto::Program back;
  ASSERT_TRUE(back.ParseFromString(program.SerializeAsString()));
  EXPECT_EQ(back.nodes(0).inputs(1), -1);
  EXPECT_EQ(back.nodes(0).attributes(0).value().int_value(), -1);
}

}  // namespace
