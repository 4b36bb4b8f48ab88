// All kernels that the samples of all ops ask for, as CUDA compiles them. No GPU is needed.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <tuple>

#include "core/plugin/op_call.h"
#include "devices/common/ops.h"
#include "devices/cuda/compiler.h"
#include "devices/cuda/own_attention.h"
#include "devices/cuda/own_norms.h"
#include "ops/derived/cases.h"
#include "ops/op_list.h"

namespace yiti {
namespace {

namespace cuda = devices::cuda;

using Sizes = std::vector<size_t>;  // of a kernel's arguments, in bytes
struct Program {
  std::string file, options;
  bool operator<(const Program& other) const {
    return std::tie(file, options) < std::tie(other.file, other.options);
  }
};
using Programs = std::map<Program, std::map<std::string, Sizes>>;

// Runs nothing, and notes which kernels it was given: the plug-in's own ones, or those that they
// replace.
class NotingBackend final : public devices::Backend {
 public:
  NotingBackend(Programs& programs, bool has_own) : programs_(programs), has_own_(has_own) {}

  bool has_doubles() const override { return true; }
  yiti_memory* fault() const override { return nullptr; }
  size_t row_group(std::string_view file) const override {
    return has_own_ ? cuda::row_group(file) : Backend::row_group(file);
  }
  void launch(const devices::KernelId& id, const devices::Extent& global,
              const devices::Extent& local, std::span<const devices::Argument> arguments) override {
    for (size_t axis = 0; axis < 3; ++axis) EXPECT_EQ(global[axis] % local[axis], 0u) << id.name;
    Sizes sizes;
    for (const devices::Argument& argument : arguments) {
      sizes.push_back(argument.value == nullptr ? sizeof(void*) : argument.bytes);
    }
    const auto known =
        programs_[{id.file, id.options.text()}].try_emplace(id.name, std::move(sizes)).first;
    EXPECT_EQ(known->second.size(), arguments.size()) << id.name;
  }
  void copy(const devices::Place&, const devices::Place&, int64_t) override {}
  void clear(const devices::Place&, int64_t) override {}
  bool attend(devices::Launcher& run, const devices::RowAttentionCall& call) override {
    return has_own_ && cuda::attend(run, call);
  }
  bool attend(devices::Launcher& run, const devices::PagedAttentionCall& call) override {
    return has_own_ && cuda::attend(run, call);
  }
  bool normalise(devices::Launcher& run, const devices::RmsNormCall& call) override {
    return has_own_ && cuda::normalise(run, call);
  }

 private:
  Programs& programs_;
  bool has_own_;
};

void note(const Op& op, const std::vector<Tensor>& in, const Attrs& attrs, NotingBackend& backend) {
  OpCall call(op.name, in, attrs);
  for (const Tensor& out : op.infer(in, attrs)) call.add_output(out, {});
  try {
    yiti_op_support support{};
    devices::plan_op(backend, *call.get(), support);
    call.set_workspace({}, support.workspace_bytes);
    devices::run_op(backend, *call.get());
  } catch (const devices::Failure& failure) {
    EXPECT_EQ(failure.status, YITI_STATUS_UNIMPLEMENTED) << op.name << ": " << failure.message;
  }
}

// With weights of each dtype that floats can have.
void note_all(const Op& op, const derived::Case& c, Programs& programs) {
  for (const DType weights : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<Tensor> in;
    for (size_t i = 0; i < c.in.size(); ++i) {
      const Tensor& x = c.in[i];
      const bool is_weight = op.inputs[std::min(i, op.inputs.size() - 1)].kind == Kind::kWeight;
      in.push_back(!x.defined()
                       ? x
                       : Tensor::meta(x.shape(),
                                      is_weight && x.dtype() == DType::kF32 ? weights : x.dtype(),
                                      x.device()));
    }
    for (const bool has_own : {false, true}) {
      NotingBackend backend(programs, has_own);
      note(op, in, c.attrs, backend);
    }
  }
}

Programs programs_of_all_samples() {
  Programs programs;
  const DevicePtr device = make_cpu_device({.threads = 1});
  for (const Op* op : all_ops()) {
    if (op->view) continue;
    for (size_t sample = 0; sample < op->samples.size(); ++sample) {
      for (const DType dtype :
           {DType::kF32, DType::kF16, DType::kBF16, DType::kI32, DType::kI64, DType::kU8}) {
        const auto c = derived::make_case(*op, sample, dtype, device);
        if (c) note_all(*op, *c, programs);
      }
    }
  }
  return programs;
}

// Sizes of the parameters of each kernel in PTX.
std::map<std::string, Sizes> kernels_of(const std::string& ptx) {
  static const std::regex kEntry(R"(\.entry\s+(\w+)\s*\(([^)]*)\))");
  static const std::regex kParameter(
      R"(\.param\s+(?:\.align \d+ )?\.[a-z](\d+)[^,\[]*(?:\[(\d+)\])?)");
  std::map<std::string, Sizes> found;
  for (std::sregex_iterator entry(ptx.begin(), ptx.end(), kEntry), end; entry != end; ++entry) {
    Sizes& sizes = found[(*entry)[1]];
    const std::string list = (*entry)[2];
    for (std::sregex_iterator one(list.begin(), list.end(), kParameter); one != end; ++one) {
      const size_t count = (*one)[2].matched ? std::stoul((*one)[2]) : 1;
      sizes.push_back(std::stoul((*one)[1]) / 8 * count);
    }
  }
  return found;
}

TEST(CudaPrograms, CompileWithoutWarningAndTakeTheArgumentsTheyGet) {
  const Programs programs = programs_of_all_samples();
  EXPECT_GT(programs.size(), 50u);
  for (const auto& [program, kernels] : programs) {
    const std::string label = program.file + " " + program.options;
    std::string log;
    try {
      const std::string text = cuda::program_text(program.file.c_str(), program.options);
      const auto found = kernels_of(cuda::compile(text, program.file.c_str(), {80, false}, &log));
      EXPECT_EQ(log, "") << label;
      for (const auto& [name, sizes] : kernels) {
        ASSERT_TRUE(found.contains(name)) << label << ": " << name;
        EXPECT_EQ(found.at(name), sizes) << label << ": " << name;
      }
    } catch (const devices::Failure& failure) {
      ADD_FAILURE() << label << ": " << failure.message;
    }
  }
}

TEST(CudaPrograms, DISABLED_CompileToMachineCode) {
  for (const auto& [program, kernels] : programs_of_all_samples()) {
    const std::string text = cuda::program_text(program.file.c_str(), program.options);
    for (const int architecture : {80, 90, 100}) {
      std::string log;
      const std::string code =
          cuda::compile(text, program.file.c_str(), {architecture, true}, &log);
      EXPECT_EQ(log, "") << program.file << " " << program.options;
      EXPECT_EQ(code.substr(0, 4),
                "\x7f"
                "ELF");
    }
  }
}

}  // namespace
}  // namespace yiti
