// Warm decoding takes no memory: neither from the heap nor from the device. What runs of many
// versions leave on the heap has an end.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "inference/language_session.h"
#include "models/loader.h"
#include "ops/attention/key_block.h"
#include "tests/inference/random_adapter.h"
#include "tests/smollm2.h"

namespace {

std::atomic<int64_t> allocations{0};  // NOLINT: what operator new counts in
std::atomic<int64_t> heap_bytes{0};   // NOLINT: of what was not deleted

void* counted(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max(alignment, sizeof(void*)), bytes) != 0) {
    throw std::bad_alloc();
  }
  heap_bytes.fetch_add(static_cast<int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  return memory;
}

void release(void* memory) {
  heap_bytes.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { release(memory); }

namespace yiti {
namespace {

constexpr int64_t kSteps = 50;

class WarmDecoding : public testing::TestWithParam<std::string> {
 protected:
  // Decodes after a prompt of `prompt` tokens, and expects that nothing is allocated.
  static void expect_no_allocation(int64_t prompt) {
    if (GetParam().empty()) GTEST_SKIP() << "set YITI_SMOLLM2 to the GGUF's path";
    const DevicePtr device = make_cpu_device({.threads = 2});
    LanguageSession session(load_model(GetParam(), device).value().model, {.max_tokens = 512});
    const SequenceId sequence = session.open();
    session.prefill(sequence, std::vector<int32_t>(static_cast<size_t>(prompt), 5));
    session.decode(sequence, 6);
    device->reset_peak();
    const size_t live = device->live_bytes(), peak = device->peak_bytes();
    const int64_t before = allocations.load();
    for (int64_t i = 0; i < kSteps; ++i) session.decode(sequence, static_cast<int32_t>(7 + i));
    EXPECT_EQ(allocations.load() - before, 0);
    EXPECT_EQ(device->live_bytes(), live);
    EXPECT_EQ(device->peak_bytes(), peak);
    EXPECT_EQ(session.length(sequence), prompt + 1 + kSteps);
  }
};

TEST_P(WarmDecoding, AllocatesNothingWithinAKeyBlock) {
  static_assert(8 + 1 + kSteps < kKeyBlock);
  expect_no_allocation(8);
}

TEST_P(WarmDecoding, AllocatesNothingAcrossKeyBlocks) { expect_no_allocation(kKeyBlock - 20); }

// Steps of sixteen adapters, each step with other numbers of tokens: what was worked out for a step
// is kept for the next one alike, but not for all of them.
TEST(RunsOfManyVersions, LeaveBoundedMemory) {
  if (smollm2_path().empty()) GTEST_SKIP() << "set YITI_SMOLLM2 to the GGUF's path";
  constexpr int64_t kVersions = 16, kBytes = int64_t{32} << 20;
  const ModelPtr base = load_model(smollm2_path(), make_cpu_device({.threads = 2})).value().model;
  const ModelPtr model = random_adapter(base, {.rank = 1, .seed = 0});
  std::vector<VersionPtr> versions;
  for (uint64_t i = 0; i < kVersions; ++i) {
    versions.push_back(random_adapter(base, {.rank = 1, .seed = i})->store()->current());
  }
  LanguageSession session(model, {.max_tokens = 2048, .max_sequences = kVersions});
  std::vector<SequenceId> sequences;
  for (const VersionPtr& version : versions) sequences.push_back(session.open(0, version));
  const std::vector<int32_t> tokens(20, 5);
  int64_t before = 0;
  for (size_t step = 0; step < tokens.size(); ++step) {
    if (step == 1) before = heap_bytes;  // after what every session has
    std::vector<Feed> feeds;
    for (const SequenceId sequence : sequences) {
      const size_t count = feeds.empty() ? step + 1 : 1;
      feeds.push_back({.sequence = sequence, .tokens = std::span(tokens).first(count)});
    }
    session.step(feeds);
  }
  EXPECT_LT(heap_bytes - before, kBytes);
}

INSTANTIATE_TEST_SUITE_P(Models, WarmDecoding,
                         testing::Values(YITI_TEST_DATA "/tiny/llama-gqa-tied",
                                         YITI_TEST_DATA "/tiny/qwen2-bias",
                                         YITI_TEST_DATA "/tiny/qwen3-qknorm", smollm2_path()));

TEST(WarmDecodingCounter, SeesAllocations) {
  const int64_t before = allocations.load();
  const auto memory = std::make_unique<int>(3);
  EXPECT_EQ(*memory, 3);
  EXPECT_EQ(allocations.load() - before, 1);
}

}  // namespace
}  // namespace yiti
