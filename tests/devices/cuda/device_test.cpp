// What the CUDA plug-in asks of the driver, by its C table over a runtime that has no GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/plugin/op_call.h"
#include "ops/linear/embedding.h"
#include "ops/optim/adamw.h"
#include "tests/devices/cuda/runtime.h"

extern "C" const yiti_device_plugin* yiti_device_plugin_entry();

namespace yiti {
namespace {

namespace fs = std::filesystem;
using noted::runtime;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class CudaDevice : public testing::Test {
 protected:
  CudaDevice() {
    fs::remove_all(cache_);
    setenv("XDG_CACHE_HOME", cache_.c_str(), 1);
    runtime() = {};
    open();
  }
  ~CudaDevice() override {
    close();
    EXPECT_EQ(runtime().live.size(), 0u);
    fs::remove_all(cache_);
  }

  void open() { succeed(table_.open, 0, &device_); }
  void close() {
    if (device_ != nullptr) table_.close(device_);
    device_ = nullptr;
  }

  template <class F, class... A>
  static yiti_status status_of(std::string& text, F function, A... arguments) {
    yiti_message message{};
    const yiti_status status = function(arguments..., &message);
    text = message.text;
    return status;
  }
  template <class F, class... A>
  static void succeed(F function, A... arguments) {
    std::string text;
    EXPECT_EQ(status_of(text, function, arguments...), YITI_STATUS_OK) << text;
  }

  yiti_memory* allocate(uint64_t bytes) {
    yiti_memory* memory = nullptr;
    succeed(table_.allocate, device_, bytes, &memory);
    return memory;
  }

  // Looks a row up, with outputs in `memory`.
  void embed(yiti_memory* memory) {
    const DevicePtr cpu = make_cpu_device();
    const std::vector<Tensor> in = {Tensor::meta({1}, DType::kI32, cpu),
                                    Tensor::meta({2, 2}, DType::kF32, cpu)};
    OpCall call(embedding_op().name, in, {});
    call.add_output(Tensor::meta({1, 2}, DType::kF32, cpu), {memory, 0});
    succeed(table_.run_op, device_, nullptr, call.get());
  }

  const yiti_device_plugin& table_ = *yiti_device_plugin_entry();
  yiti_device* device_ = nullptr;
  fs::path cache_ = fs::path(testing::TempDir()) / "yiti_cuda_device_test";
};

TEST_F(CudaDevice, GivesBackAllThatItTook) {
  yiti_stream* stream = nullptr;
  yiti_event* event = nullptr;
  yiti_graph* graph = nullptr;
  succeed(table_.stream_create, device_, &stream);
  succeed(table_.event_create, device_, &event);
  yiti_memory* memory = allocate(64);
  succeed(table_.graphs->begin, device_, stream);
  embed(memory);
  succeed(table_.graphs->end, device_, stream, &graph);
  succeed(table_.graphs->launch, device_, graph, stream);
  table_.graphs->free(device_, graph);
  table_.free(device_, memory);
  table_.event_destroy(device_, event);
  table_.stream_destroy(device_, stream);
  close();
  EXPECT_THAT(runtime().live, testing::IsEmpty());
}

TEST_F(CudaDevice, FreesMemoryWhereAllStreamsHaveBeenWaitedFor) {
  yiti_stream* stream = nullptr;
  succeed(table_.stream_create, device_, &stream);
  yiti_memory* memory = allocate(64);
  runtime().calls.clear();
  table_.free(device_, memory);
  EXPECT_THAT(runtime().calls,
              ElementsAre(StartsWith("record "), StartsWith("wait for "), StartsWith("record "),
                          StartsWith("wait for "), StartsWith("free on ")));
  // What waits is what frees.
  EXPECT_EQ(runtime().calls[1].substr(runtime().calls[1].find(" on ")),
            runtime().calls[4].substr(4));
  runtime().calls.clear();
  table_.stream_destroy(device_, stream);
  EXPECT_THAT(runtime().calls, ElementsAre(StartsWith("synchronise ")));
}

TEST_F(CudaDevice, FreesMemoryWithoutTouchingAStreamThatCaptures) {
  yiti_memory* memory = allocate(64);
  succeed(table_.graphs->begin, device_, nullptr);
  table_.free(device_, memory);
  yiti_graph* graph = nullptr;
  succeed(table_.graphs->end, device_, nullptr, &graph);
  table_.graphs->free(device_, graph);
}

TEST_F(CudaDevice, SaysThatACaptureFailedAndGoesOn) {
  std::string text;
  yiti_graph* graph = nullptr;
  succeed(table_.graphs->begin, device_, nullptr);
  succeed(table_.stream_synchronise, device_, nullptr);
  EXPECT_EQ(status_of(text, table_.graphs->end, device_, nullptr, &graph), YITI_STATUS_INTERNAL);
  EXPECT_THAT(text, HasSubstr("cudaStreamEndCapture"));
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  succeed(table_.stream_synchronise, device_, nullptr);
}

TEST_F(CudaDevice, TellsOnceOfANumberOutOfRange) {
  runtime().run = [](const std::string& kernel, void** arguments) {
    // The fault word and the op's number are before the count of elements.
    if (kernel == "embed") **static_cast<int**>(arguments[8]) = *static_cast<int*>(arguments[9]);
  };
  yiti_memory* memory = allocate(64);
  embed(memory);
  EXPECT_THAT(runtime().launches, testing::Contains("embed"));
  std::string text;
  EXPECT_EQ(status_of(text, table_.stream_synchronise, device_, nullptr), YITI_STATUS_OUT_OF_RANGE);
  EXPECT_THAT(text, StartsWith("embedding: an id"));
  succeed(table_.stream_synchronise, device_, nullptr);
  table_.free(device_, memory);
}

TEST_F(CudaDevice, CompilesWhatItKeptButCannotLoadAndForgetsTheError) {
  yiti_memory* memory = allocate(64);
  embed(memory);
  table_.free(device_, memory);
  close();
  open();
  memory = allocate(64);
  runtime().failures["cudaLibraryLoadData"] = {cudaErrorInvalidKernelImage};
  embed(memory);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);  // a later launch would be told of it
  table_.free(device_, memory);
}

TEST_F(CudaDevice, TriesAgainOnceWhereMemoryIsShort) {
  runtime().failures["cudaMallocAsync"] = {cudaErrorMemoryAllocation};
  table_.free(device_, allocate(64));
  runtime().failures["cudaMallocAsync"] = {cudaErrorMemoryAllocation, cudaErrorMemoryAllocation};
  std::string text;
  yiti_memory* memory = nullptr;
  EXPECT_EQ(status_of(text, table_.allocate, device_, uint64_t{96}, &memory),
            YITI_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_THAT(text, StartsWith("cudaMallocAsync of 96 bytes: cudaErrorMemoryAllocation"));
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(CudaDevice, WaitsForACopyOfMemoryThatTheGpuReadsInPlace) {
  const auto waits_of_a_copy = [&] {
    yiti_memory* memory = allocate(8);
    runtime().calls.clear();
    const double source = 1;
    succeed(table_.copy_to_device, device_, nullptr, memory, uint64_t{0}, &source,
            uint64_t{sizeof(source)});
    const size_t waits = runtime().calls.size();
    table_.free(device_, memory);
    return waits;
  };
  EXPECT_EQ(waits_of_a_copy(), 0u);
  close();
  runtime().pageable_access = 1;
  open();
  EXPECT_EQ(waits_of_a_copy(), 1u);
}

TEST_F(CudaDevice, StepsManyTensorsOfAnOptimiserByFewLaunches) {
  const DevicePtr cpu = make_cpu_device();
  yiti_memory* memory = allocate(64);
  const std::vector<Tensor> in(4 * 90, Tensor::meta({3}, DType::kF32, cpu));
  OpCall asked(adamw_step_op().name, std::span(in).first(4), AdamwAttrs{});
  yiti_op_support support{};
  succeed(table_.supports_op, device_, asked.get(), &support);
  EXPECT_EQ(support.takes_lists, 1u);
  OpCall call(adamw_step_op().name, in, AdamwAttrs{});
  for (int i = 0; i < 3 * 90; ++i) call.add_output(in[0], {memory, 0});
  runtime().launches.clear();
  succeed(table_.run_op, device_, nullptr, call.get());
  EXPECT_THAT(runtime().launches,
              ElementsAre(HasSubstr("update_by_adamw"), HasSubstr("update_by_adamw")));
  table_.free(device_, memory);
}

}  // namespace
}  // namespace yiti
