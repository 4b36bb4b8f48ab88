// The checks of tests/derived/checks.h for every op of the list.
#include <gtest/gtest.h>

#include "ops/op_list.h"
#include "tests/derived/checks.h"

namespace yiti::derived {
namespace {

class EveryOp : public ::testing::TestWithParam<const Op*> {
 protected:
  void report(const Findings& findings, const char* measured = nullptr) {
    for (const std::string& failure : findings.failures) {
      ADD_FAILURE() << GetParam()->name << " " << failure;
    }
    if (measured != nullptr && findings.worst >= 0) {
      std::printf("  %s: %s %.3f of the allowed\n", GetParam()->name.c_str(), measured,
                  findings.worst);
    }
  }
};

TEST_P(EveryOp, IsDeclaredInFull) { report(check_declaration(*GetParam())); }
TEST_P(EveryOp, RejectsWrongInputsByName) { report(check_rejections(*GetParam())); }
TEST_P(EveryOp, AgreesWithItsReference) { report(check_kernels(*GetParam()), "error"); }
TEST_P(EveryOp, TakesStridedInputs) { report(check_layouts(*GetParam())); }
TEST_P(EveryOp, GivesTheSameBitsOnAnyThreads) { report(check_threads(*GetParam())); }
TEST_P(EveryOp, ComputesRowsAlone) { report(check_rows(*GetParam())); }
TEST_P(EveryOp, HasTheGradientOfItsValues) {
  report(check_gradients(*GetParam()), "gradient error");
}

INSTANTIATE_TEST_SUITE_P(Derived, EveryOp, ::testing::ValuesIn(all_ops().begin(), all_ops().end()),
                         [](const auto& parameter) { return parameter.param->name; });

}  // namespace
}  // namespace yiti::derived
