// The loader, memory, counters and errors of devices that come as plug-ins.
#include "core/plugin/device_plugin.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/elementwise/binary.h"
#include "ops/elementwise/operators.h"
#include "ops/elementwise/unary.h"
#include "ops/fused/add_rms_norm.h"
#include "ops/linear/linear.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"
#include "ops/optim/adamw.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

using ::testing::AllOf;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

DeviceOptions in_folder(const char* folder, DeviceFallback fallback = DeviceFallback::kCpu) {
  DeviceOptions options;
  options.path = folder;
  options.fallback = fallback;
  options.cpu.threads = 1;
  return options;
}

DevicePtr broken(const std::string& name) {
  return open_device(name, in_folder(YITI_BROKEN_DEVICES));
}

DevicePtr working(DeviceFallback fallback = DeviceFallback::kCpu) {
  return open_device("template", in_folder(YITI_DEVICES, fallback));
}

Tensor three(const DevicePtr& device) {
  return Tensor::from(std::vector<float>{1, 2, 3}, {3}, device);
}

TEST(DevicePlugin, AnUnknownNameTellsWhatThereIs) {
  EXPECT_THAT(message_of([] { open_device("nothing", in_folder(YITI_DEVICES)); }, Code::kNotFound),
              AllOf(HasSubstr("no plug-in nothing"), HasSubstr("template")));
  EXPECT_THAT(message_of([] { open_device("/no/such/file.so"); }, Code::kNotFound),
              HasSubstr("/no/such/file.so"));
}

TEST(DevicePlugin, OpensByNameByIndexAndByPath) {
  EXPECT_EQ(working()->kind(), "template");
  EXPECT_EQ(open_device("template:0", in_folder(YITI_DEVICES))->kind(), "template");
  EXPECT_EQ(open_device(YITI_DEVICES "/yiti_device_template.so")->kind(), "template");
  EXPECT_EQ(open_device("cpu")->kind(), "cpu");
  const auto open = [](const char* name) {
    return [name] { open_device(name, in_folder(YITI_DEVICES)); };
  };
  EXPECT_THAT(message_of(open("template:1"), Code::kUnavailable), HasSubstr("has 1 devices"));
  EXPECT_THAT(message_of(open("template:x"), Code::kInvalidArgument), HasSubstr("NAME:INDEX"));
}

TEST(DevicePlugin, RefusesTablesThatDoNotFit) {
  for (const auto& device : std::vector<std::pair<std::string, std::string>>{
           {"wrong_abi", "it has ABI version 77; wants 1"},
           {"small_table", "its table has 24 bytes; wants "},
           {"missing_function", "its function copy_on_device is missing"},
           {"no_entry", "it exports no yiti_device_plugin_entry"},
           {"no_table", "its entry returned no table"},
           {"small_weights", "its table of weights has 8 bytes; wants "},
           {"empty_weights", "a function of its table of weights is missing"}}) {
    EXPECT_THAT(message_of([&] { broken(device.first); }, Code::kFailedPrecondition),
                HasSubstr(device.second));
  }
  EXPECT_THAT(message_of([] { open_device("/proc/self/exe"); }, Code::kFailedPrecondition),
              HasSubstr("is no plug-in that works"));
}

TEST(DevicePlugin, TakesATableThatEndsBeforeWhatWasAddedLater) {
  const DevicePtr device = broken("older_table");
  EXPECT_EQ((three(device) + three(device)).to_vector<float>(), (std::vector<float>{2, 4, 6}));
  const Tensor weight = random_quantised(DType::kQ8_0, 3, 32, 1, make_cpu_device()).on(device);
  EXPECT_TRUE(packed_weight(weight).same_memory(weight));
}

TEST(DevicePlugin, PanelsOfTheHostGoToNoOtherDevice) {
  const Tensor panels = pack_panels(random_quantised(DType::kQ8_0, 3, 32, 1, make_cpu_device()));
  EXPECT_THAT(message_of([&] { (void)panels.on(working()); }, Code::kUnimplemented),
              HasSubstr("wants rows"));
}

TEST(DevicePlugin, SaysWhenThereIsNoDevice) {
  EXPECT_THAT(message_of([] { broken("no_device"); }, Code::kUnavailable),
              HasSubstr("has 0 devices; there is no number 0"));
  EXPECT_THAT(message_of([] { broken("no_driver"); }, Code::kUnavailable),
              HasSubstr("libdriver.so: not found"));
}

TEST(DevicePlugin, AFailingAllocationTellsSizes) {
  const DevicePtr device = broken("little_memory");
  const Tensor small = Tensor::zeros({1000}, DType::kF32, device);
  EXPECT_THAT(
      message_of([&] { Tensor::empty({1 << 20}, DType::kF32, device); }, Code::kResourceExhausted),
      AllOf(HasSubstr("4194304 bytes"), HasSubstr("only small blocks")));
  EXPECT_EQ(small.to_vector<float>(), std::vector<float>(1000));
}

TEST(DevicePlugin, ErrorsNameTheOpThatLaunchedThem) {
  const DevicePtr device = broken("failing_op");
  EXPECT_THAT(message_of([&] { (void)(three(device) + three(device)); }, Code::kInternal),
              AllOf(HasSubstr("add: "), HasSubstr("launch of add failed: error -42")));
  const DevicePtr later = broken("failing_later");
  const Tensor sum = three(later) + three(later);
  EXPECT_THAT(message_of([&] { sum.to_vector<float>(); }, Code::kUnavailable),
              AllOf(HasSubstr("after add"), HasSubstr("device lost")));
}

TEST(DevicePlugin, ListsDevicesAndWhatIsWrongWithThem) {
  const std::vector<DeviceListing> listed = list_devices(YITI_DEVICES ":" YITI_BROKEN_DEVICES);
  const auto find = [&](const std::string& text) -> const DeviceListing* {
    for (const DeviceListing& listing : listed) {
      if (listing.name.find(text) != std::string::npos) return &listing;
    }
    return nullptr;
  };
  ASSERT_NE(find("template:0"), nullptr);
  EXPECT_EQ(find("template:0")->problem, "");
  EXPECT_EQ(find("template:0")->title, "Template");
  EXPECT_TRUE(find("template:0")->row_contract);
  // By the file's name, which opens it, whatever its table says.
  ASSERT_NE(find("recording:0"), nullptr);
  EXPECT_EQ(open_device("recording:0", in_folder(YITI_BROKEN_DEVICES))->kind(), "template");
  ASSERT_NE(find("yiti_device_wrong_abi.so"), nullptr);
  EXPECT_THAT(find("yiti_device_wrong_abi.so")->problem, HasSubstr("ABI version 77"));
}

TEST(DevicePlugin, RunsOpsThatTheDeviceHas) {
  const DevicePtr device = working(DeviceFallback::kRefuse);
  const Tensor y = three(device) + three(device) * three(device);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{2, 6, 12}));
  EXPECT_EQ(counters_of(*device).ops, 2);
  EXPECT_EQ(counters_of(*device).host_ops, 0);
}

TEST(DevicePlugin, RunsOtherOpsOnTheCpuAndCountsTheCopies) {
  const DevicePtr device = working();
  const Tensor y = ops::exp(three(device));
  EXPECT_EQ(y.to_vector<float>(), ops::exp(three(make_cpu_device())).to_vector<float>());
  const DeviceCounters counters = counters_of(*device);
  EXPECT_EQ(counters.host_ops, 1);
  EXPECT_EQ(counters.host_op_bytes, 24);
  EXPECT_EQ(counters.bytes_to_device, 24);
  EXPECT_EQ(counters.bytes_to_host, 24);
}

TEST(DevicePlugin, RunsOpsThatAreMadeOfItsOwnOnTheDevice) {
  const auto result = [](const DevicePtr& device) {
    const auto [sum, normed] = ops::add_rms_norm(three(device), three(device), three(device), 1e-5);
    return std::pair(sum.to_vector<float>(), normed.to_vector<float>());
  };
  const DevicePtr device = working(DeviceFallback::kRefuse);
  EXPECT_EQ(result(device).first, result(make_cpu_device()).first);
  EXPECT_THAT(result(device).second, Pointwise(FloatNear(1e-6f), result(make_cpu_device()).second));
  EXPECT_EQ(counters_of(*device).ops, 4);
  EXPECT_EQ(counters_of(*device).host_ops, 0);
}

TEST(DevicePlugin, IsAskedOnceForTheSameShapes) {
  const DevicePtr device = open_device("asked", in_folder(YITI_BROKEN_DEVICES));
  void* library = dlopen(YITI_BROKEN_DEVICES "/yiti_device_asked.so", RTLD_NOW);
  const auto* asked = static_cast<const int*>(dlsym(library, "yiti_device_asked"));
  ASSERT_NE(asked, nullptr);
  for (int i = 0; i < 3; ++i) (void)(three(device) + three(device));
  EXPECT_EQ(*asked, 1);
  (void)ops::mul(three(device), three(device));
  EXPECT_EQ(*asked, 2);
  dlclose(library);
}

TEST(DevicePlugin, RefusesOtherOpsWhereAsked) {
  const DevicePtr device = working(DeviceFallback::kRefuse);
  EXPECT_THAT(message_of([&] { (void)ops::exp(three(device)); }, Code::kUnimplemented),
              AllOf(HasSubstr("exp: "), HasSubstr("template: has no op exp")));
  const Tensor one = Tensor::zeros({1}, DType::kF32, device);
  EXPECT_THAT(message_of([&] { (void)(three(device) + one); }, Code::kUnimplemented),
              HasSubstr("does not broadcast"));
}

TEST(DevicePlugin, UpdatesInPlaceOnTheCpuReachTheDevice) {
  const DevicePtr device = working(), cpu = make_cpu_device();
  const auto stepped = [](const DevicePtr& where) {
    const Tensor weight = three(where), gradient = three(where);
    const Tensor m = Tensor::zeros({3}, DType::kF32, where);
    const Tensor v = Tensor::zeros({3}, DType::kF32, where);
    ops::adamw_step(weight, gradient, m, v, {});
    return weight.to_vector<float>();
  };
  EXPECT_EQ(stepped(device), stepped(cpu));
}

TEST(DevicePlugin, StridedInputsAreMadeContiguousOnTheDevice) {
  const DevicePtr device = working(DeviceFallback::kRefuse);
  std::vector<float> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor table = Tensor::from(values, {3, 4}, device);
  const Tensor column = table.as_strided({3}, {4}, 1);
  EXPECT_EQ((column + column).to_vector<float>(), (std::vector<float>{2, 10, 18}));
  EXPECT_EQ(counters_of(*device).bytes_to_host, 12);
}

TEST(DevicePlugin, CopiesStridedTensorsOfTypesThatItLacks) {
  const DevicePtr device = working();
  const Tensor table = Tensor::from(std::vector<int32_t>{0, 1, 2, 3, 4, 5}, {2, 3}, device);
  EXPECT_EQ(table.as_strided({3, 2}, {1, 3}, 0).to_vector<int32_t>(),
            (std::vector<int32_t>{0, 3, 1, 4, 2, 5}));
}

TEST(DevicePlugin, CountsMemoryAndKeepsFreedBlocks) {
  const DevicePtr device = working();
  {
    const Tensor a = Tensor::empty({256}, DType::kF32, device);
    EXPECT_EQ(device->live_bytes(), 1024u);
    const std::byte* first = a.raw();
    const Tensor b = Tensor::empty({100}, DType::kF32, device);
    EXPECT_EQ(device->live_bytes(), 1536u);
    EXPECT_NE(first, b.raw());
  }
  EXPECT_EQ(device->live_bytes(), 0u);
  EXPECT_EQ(device->peak_bytes(), 1536u);
  device->reset_peak();
  EXPECT_EQ(device->peak_bytes(), 0u);
}

TEST(DevicePluginDeathTest, TheHostCannotReadADevicesAddresses) {
  const Tensor tensor = three(working());
  EXPECT_DEATH((void)*reinterpret_cast<volatile float*>(tensor.raw()), "");
}

}  // namespace
}  // namespace yiti
