// What the CUDA plug-in's host code does where no GPU is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/plugin/device_plugin.h"
#include "devices/cuda/blas.h"
#include "devices/cuda/code_cache.h"
#include "devices/cuda/compiler.h"
#include "devices/cuda/stream_backend.h"
#ifdef YITI_NCCL
#include "devices/cuda/nccl.h"
#endif

namespace yiti {
namespace {

namespace cuda = devices::cuda;
namespace fs = std::filesystem;
using testing::HasSubstr;

template <class F>
devices::Failure failure_of(F f) {
  try {
    f();
  } catch (const devices::Failure& failure) {
    return failure;
  }
  return {YITI_STATUS_OK, ""};
}

TEST(CudaTarget, IsMachineCodeOfTheGpusGenerationElsePtx) {
  const std::vector<int> known = {75, 80, 86, 90, 100};
  EXPECT_EQ(cuda::choose_target(80, known), (cuda::Target{80, true}));
  EXPECT_EQ(cuda::choose_target(89, known), (cuda::Target{86, true}));
  EXPECT_EQ(cuda::choose_target(103, known), (cuda::Target{100, true}));
  EXPECT_EQ(cuda::choose_target(120, known), (cuda::Target{100, false}));
  EXPECT_EQ(cuda::choose_target(120, known).name(), "compute_100");
  const devices::Failure old = failure_of([&] { cuda::choose_target(70, known); });
  EXPECT_EQ(old.status, YITI_STATUS_UNAVAILABLE);
  EXPECT_EQ(old.message, "compute capability 7.0; the compiler knows 7.5 and newer");
}

TEST(CudaTarget, OfThisCompilerIncludesWhatThePlugInIsBuiltFor) {
  for (const int gpu : {80, 90, 100}) {
    EXPECT_EQ(cuda::choose_target(gpu), (cuda::Target{gpu, true}));
  }
}

TEST(CudaCompiler, TurnsOptionsIntoDefinitions) {
  const std::string text = cuda::program_text("norms", "-DLABEL=int -DKEPT -DAT_OF(p,i)=f((p)[i])");
  EXPECT_THAT(text, testing::StartsWith(
                        "#define LABEL int\n#define KEPT 1\n#define AT_OF(p,i) f((p)[i])\n"));
}

TEST(CudaCompiler, TellsWhatItDidNotUnderstand) {
  const devices::Failure failure = failure_of([] {
    cuda::compile("__global__ void f() { unknown(); }", "test", {80, true});
  });
  EXPECT_EQ(failure.status, YITI_STATUS_INTERNAL);
  EXPECT_THAT(failure.message, HasSubstr("nvrtcCompileProgram of test.cl for sm_80"));
  EXPECT_THAT(failure.message, HasSubstr("\"unknown\" is undefined"));
}

class CudaCodeCache : public testing::Test {
 protected:
  CudaCodeCache() { fs::remove_all(folder_); }
  ~CudaCodeCache() override { fs::remove_all(folder_); }

  fs::path folder_ = fs::path(testing::TempDir()) / "yiti_cuda_code_cache";
};

TEST_F(CudaCodeCache, FindsWhatAnotherKept) {
  const std::string code("binary\0code\n", 12);
  cuda::CodeCache(folder_ / "new").keep("a", code);
  const cuda::CodeCache cache(folder_ / "new");
  EXPECT_EQ(cache.find("a"), code);
  EXPECT_EQ(cache.find("b"), std::nullopt);
}

TEST_F(CudaCodeCache, DoesNotTakeADamagedFile) {
  const cuda::CodeCache cache(folder_);
  cache.keep("a", "binary code");
  const fs::path file = fs::directory_iterator(folder_)->path();
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_EQ(cache.find("a"), std::nullopt);
  std::ofstream(file).close();
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

TEST_F(CudaCodeCache, IsNoErrorWhereNothingCanBeWritten) {
  std::ofstream(folder_).close();  // a file where the folder should be
  const cuda::CodeCache cache(folder_);
  cache.keep("a", "code");
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cuda::CodeCache("").keep("a", "code");
}

TEST(CudaGrid, CountsBlocks) {
  const cuda::Grid grid({640, 8, 3}, {64, 8, 1}, "f");
  EXPECT_EQ(grid.blocks.x, 10u);
  EXPECT_EQ(grid.blocks.y, 1u);
  EXPECT_EQ(grid.blocks.z, 3u);
  EXPECT_EQ(grid.threads.x, 64u);
  EXPECT_EQ(grid.threads.y, 8u);
}

TEST(CudaGrid, RefusesMoreBlocksThanAGridHas) {
  const devices::Failure failure = failure_of([] {
    cuda::Grid({64, 1, 65536}, {64, 1, 1}, "multiply");
  });
  EXPECT_EQ(failure.status, YITI_STATUS_OUT_OF_RANGE);
  EXPECT_EQ(failure.message, "multiply: 65536 blocks in axis 2 of a grid; takes 65535 or less");
}

// A product as cuBLASLt computes it from a description.
std::vector<float> as_columns(const cuda::BlasProduct& p, const std::vector<float>& left,
                              const std::vector<float>& right) {
  const auto at = [](const cuda::BlasMatrix& m, uint64_t row, uint64_t column) {
    if (m.transposed) std::swap(row, column);
    EXPECT_LT(row, m.rows);
    EXPECT_LT(column, m.columns);
    return row + column * static_cast<uint64_t>(m.step);
  };
  const uint64_t depth = p.left.transposed ? p.left.rows : p.left.columns;
  std::vector<float> result(p.rows * p.columns);
  for (uint64_t row = 0; row < p.rows; ++row) {
    for (uint64_t column = 0; column < p.columns; ++column) {
      for (uint64_t k = 0; k < depth; ++k) {
        result[row + column * p.rows] += left[at(p.left, row, k)] * right[at(p.right, k, column)];
      }
    }
  }
  return result;
}

TEST(CudaBlas, SeesRowsAndTransposedRowsAsColumns) {
  // A [2, 3] and B [3, 4], each in rows or transposed.
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, a_turned = {1, 4, 2, 5, 3, 6};
  const std::vector<float> b = {1, 0, 2, 0, 0, 1, 0, 3, 1, 1, 1, 1};
  const std::vector<float> b_turned = {1, 0, 1, 0, 1, 1, 2, 0, 1, 0, 3, 1};
  const std::vector<float> expected = {4, 5, 5, 9, 10, 11, 14, 21};
  const devices::ProductOptions options;
  for (const bool turns_a : {false, true}) {
    for (const bool turns_b : {false, true}) {
      devices::FloatProductCall call{
          turns_a ? devices::FloatMatrix{{}, 2, 3, 1, 2} : devices::FloatMatrix{{}, 2, 3, 3, 1},
          turns_b ? devices::FloatMatrix{{}, 3, 4, 1, 3} : devices::FloatMatrix{{}, 3, 4, 4, 1},
          {},
          options,
          32};
      const auto product = cuda::blas_product(call);
      ASSERT_TRUE(product);
      EXPECT_EQ(as_columns(*product, turns_b ? b_turned : b, turns_a ? a_turned : a), expected);
    }
  }
}

TEST(CudaBlas, RefusesMatricesWithoutRunsOfNeighbours) {
  const devices::ProductOptions options;
  const devices::FloatMatrix rows{{}, 2, 3, 3, 1}, sparse{{}, 3, 4, 8, 2};
  EXPECT_FALSE(cuda::blas_product({rows, sparse, {}, options, 32}));
}

TEST(CudaBlas, ChoosesByWhereMatricesLieToo) {
  const devices::ProductOptions options;
  const devices::FloatMatrix rows{{}, 4, 4, 4, 1};
  const auto even = cuda::blas_product({rows, rows, {}, options, 32});
  const auto odd = cuda::blas_product({rows, rows, {nullptr, 4}, options, 32});
  EXPECT_EQ(even->alignment, 16u);
  EXPECT_NE(even, odd);
}

// A tensor of memory that nobody looks at.
struct Somewhere {
  yiti_memory memory;
  yiti_tensor tensor{};

  Somewhere(float* pointer, int64_t count) : memory{pointer} {
    tensor.dtype = YITI_DTYPE_F32;
    tensor.rank = 1;
    tensor.shape[0] = count;
    tensor.memory = &memory;
  }
};

TEST(CudaUpdates, TakeAsFewLaunchesAsTheirArgumentsAllow) {
  float values[4] = {};
  Somewhere none(values, 0), some(values, cuda::kUpdateBlock + 1);
  some.tensor.offset = 8;
  std::vector<devices::AdamwTensors> tensors;
  for (int i = 0; i < 2 * cuda::AdamwLaunch::kMost + 1; ++i) {
    const devices::Operand own(i % 2 == 0 ? &some.tensor : &none.tensor);
    tensors.push_back({own, own, own, own});
  }
  devices::AdamwScalars scalars{};
  scalars.eps = 3;
  const auto launches = cuda::adamw_launches({tensors, scalars});
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].tensor_count, cuda::AdamwLaunch::kMost);
  EXPECT_EQ(launches[0].block_count, 2u * cuda::AdamwLaunch::kMost);
  EXPECT_EQ(launches[0].first_block[3], 6u);
  EXPECT_EQ(launches[0].tensors[3].param, values + 2);
  EXPECT_EQ(launches[0].tensors[3].count, cuda::kUpdateBlock + 1);
  EXPECT_EQ(launches[1].tensor_count, 1);
  EXPECT_EQ(launches[1].block_count, 2u);
  EXPECT_EQ(launches[1].scalars.eps, 3);
  EXPECT_TRUE(cuda::adamw_launches({}).empty());
}

// A GPU's grid has no more blocks.
TEST(CudaUpdates, OfHugeTensorsAreCutWhereAGridEnds) {
  Somewhere huge(nullptr, (int64_t{1} << 30) * cuda::kUpdateBlock);
  const devices::Operand own(&huge.tensor);
  const std::vector<devices::AdamwTensors> tensors(3, {own, own, own, own});
  const auto launches = cuda::adamw_launches({tensors, {}});
  ASSERT_EQ(launches.size(), 3u);
  EXPECT_EQ(launches[2].block_count, 1u << 30);
}

// The functions are found where the library is; a handle wants a GPU.
TEST(CudaBlas, SaysWhatItLacks) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess) GTEST_SKIP() << "there is a CUDA driver";
  const devices::Failure failure = failure_of([] { cuda::Blas::open(); });
  EXPECT_THAT(failure.message,
              testing::AnyOf(HasSubstr("libcublasLt.so"), testing::StartsWith("cublasLtCreate: ")));
}

TEST(CudaSharedLibrary, SaysWhatIsMissing) {
  EXPECT_EQ(failure_of([] { cuda::SharedLibrary("libnothing.so.1"); }).status,
            YITI_STATUS_UNAVAILABLE);
  const cuda::SharedLibrary library("libm.so.6");
  using Function = double (*)(double);
  EXPECT_EQ(library.find<Function>("cos")(0), 1);
  EXPECT_THAT(failure_of([&] { library.find<Function>("unknown"); }).message, HasSubstr("unknown"));
}

#ifdef YITI_NCCL
TEST(CudaCollectives, FindTheirFunctionsWhereTheLibraryIs) {
  try {
    const cuda::Nccl nccl;
    EXPECT_STREQ(nccl.ncclGetErrorString(ncclSuccess), "no error");
  } catch (const devices::Failure& failure) {
    EXPECT_THAT(failure.message, HasSubstr("libnccl.so"));
  }
}

TEST(CudaCollectives, TakePlainTypes) {
  EXPECT_EQ(cuda::nccl_type(YITI_DTYPE_BF16), ncclBfloat16);
  const devices::Failure failure = failure_of([] { cuda::nccl_type(YITI_DTYPE_Q4_1); });
  EXPECT_EQ(failure.status, YITI_STATUS_UNIMPLEMENTED);
}
#endif

// Where a driver is, the device tests run instead.
TEST(CudaPlugIn, LoadsWithoutADriverAndSaysThatThereIsNone) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess) GTEST_SKIP() << "there is a CUDA driver";
  try {
    DeviceOptions options;
    options.path = YITI_DEVICES;
    open_device("cuda", options);
    FAIL() << "opened a device";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("no CUDA driver"));
  }
  const auto listings = list_devices(YITI_DEVICES);
  const auto found = std::find_if(listings.begin(), listings.end(), [](const auto& listing) {
    return listing.name.find("cuda") != std::string::npos;
  });
  ASSERT_NE(found, listings.end());
  EXPECT_THAT(found->problem, HasSubstr("no CUDA driver"));
}

}  // namespace
}  // namespace yiti
