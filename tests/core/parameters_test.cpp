#include "core/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/error.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

Tensor filled(double value) {
  static const DevicePtr device = make_cpu_device({.threads = 1});
  return Tensor::full({2, 3}, value, DType::kF32, device);
}

double first(const VersionPtr& version, Parameter p) { return (*version)[p].to_vector<float>()[0]; }

TEST(ParameterStore, FindsParametersAndNamesTheNearest) {
  const ParameterStore store({{"layer.weight", filled(1)}, {"layer.bias", filled(2)}});
  EXPECT_EQ(store.find("layer.bias"), Parameter{1});
  EXPECT_EQ(store.find("bias"), std::nullopt);
  EXPECT_THAT(store.names(), ElementsAre("layer.weight", "layer.bias"));
  try {
    store.at("layer.wieght");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("nearest name is layer.weight"));
  }
  EXPECT_THROW(ParameterStore({}).at("x"), Error);
}

TEST(ParameterStore, RefusesANameGivenTwice) {
  try {
    const ParameterStore store({{"a", filled(1)}, {"a", filled(2)}});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kAlreadyExists);
  }
}

TEST(ParameterStore, PublishesAVersionThatSharesWhatDidNotChange) {
  ParameterStore store({{"a", filled(1)}, {"b", filled(2)}});
  const Parameter a = store.at("a"), b = store.at("b");
  const VersionPtr old = store.current();
  const VersionPtr next = store.publish({{a, filled(3)}});
  EXPECT_EQ(old->number(), 0u);
  EXPECT_EQ(next->number(), 1u);
  EXPECT_EQ(store.current(), next);
  EXPECT_EQ(first(old, a), 1);
  EXPECT_EQ(first(next, a), 3);
  EXPECT_TRUE((*next)[b].same_memory((*old)[b]));
}

TEST(ParameterStore, RefusesOtherShapesAndDtypes) {
  ParameterStore store({{"a", filled(1)}});
  const Parameter a = store.at("a");
  const DevicePtr device = make_cpu_device({.threads = 1});
  EXPECT_THROW(store.publish({{a, Tensor::zeros({3, 2}, DType::kF32, device)}}), Error);
  EXPECT_THROW(store.publish({{a, Tensor::zeros({2, 3}, DType::kF64, device)}}), Error);
  EXPECT_THROW(store.publish({{a, Tensor()}}), Error);
  EXPECT_THROW(store.publish({{Parameter{1}, filled(1)}}), Error);
  EXPECT_THROW(store.publish({{Parameter{}, filled(1)}}), Error);
  EXPECT_EQ(store.current()->number(), 0u);
}

TEST(ParameterStore, KeepsPinnedVersionsAddressableAndNoOthers) {
  ParameterStore store({{"a", filled(0)}});
  const Parameter a = store.at("a");
  VersionPtr pinned = store.publish({{a, filled(1)}});
  store.publish({{a, filled(2)}});
  store.publish({{a, filled(3)}});
  EXPECT_EQ(store.live_versions(), 2);
  EXPECT_EQ(store.version(1), pinned);
  EXPECT_EQ(store.version(2), nullptr);
  EXPECT_EQ(store.version(3), store.current());
  EXPECT_EQ(store.version(4), nullptr);
  pinned = nullptr;
  EXPECT_EQ(store.version(1), nullptr);
  EXPECT_EQ(store.live_versions(), 1);
}

TEST(ParameterStore, FreesTheTensorsOfVersionsThatNobodyPins) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  ParameterStore store({{"a", Tensor::zeros({64}, DType::kF32, device)}});
  const size_t one = device->live_bytes();
  for (int i = 0; i < 5; ++i) {
    store.publish({{Parameter{0}, Tensor::zeros({64}, DType::kF32, device)}});
  }
  EXPECT_EQ(device->live_bytes(), one);
}

TEST(ParameterStore, PublishingWaitsForAReaderToLetGo) {
  for (int round = 0; round < 50; ++round) {
    ParameterStore store({{"a", filled(0)}}, 2);
    VersionPtr first_pin = store.current();
    VersionPtr second_pin = store.publish({{Parameter{0}, filled(1)}});
    std::atomic<bool> published{false};
    std::thread publisher([&] {
      store.publish({{Parameter{0}, filled(2)}});
      published = true;
    });
    if (round == 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_FALSE(published);
    EXPECT_EQ(store.current()->number(), 1u) << "readers do not wait";
    (round % 2 ? first_pin : second_pin) = nullptr;
    publisher.join();
    EXPECT_EQ(store.current()->number(), 2u);
  }
}

TEST(ParameterStore, LivesShorterThanItsVersions) {
  VersionPtr pinned;
  {
    ParameterStore store({{"a", filled(4)}});
    pinned = store.current();
  }
  EXPECT_EQ(first(pinned, Parameter{0}), 4);
  pinned = nullptr;
}

TEST(ParameterStore, StaysConsistentUnderReadersAndPublishers) {
  ParameterStore store({{"a", filled(0)}, {"b", filled(0)}}, 3);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const VersionPtr version = store.current();
        EXPECT_EQ(first(version, Parameter{0}), first(version, Parameter{1}));
        EXPECT_LE(store.live_versions(), 3);
      }
    });
  }
  for (int i = 1; i <= 300; ++i) {
    store.publish({{Parameter{0}, filled(i)}, {Parameter{1}, filled(i)}});
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(store.current()->number(), 300u);
}

TEST(ParameterStore, ExtendsWithSharedTensors) {
  ParameterStore base({{"a", filled(1)}});
  base.publish({{Parameter{0}, filled(2)}});
  const StorePtr extended = ParameterStore::extend(base, {{"lora", filled(3)}});
  EXPECT_THAT(extended->names(), ElementsAre("a", "lora"));
  EXPECT_EQ(extended->current()->number(), 0u);
  EXPECT_TRUE((*extended->current())[Parameter{0}].same_memory((*base.current())[Parameter{0}]));
  EXPECT_THROW(ParameterStore::extend(base, {{"a", filled(3)}}), Error);
}

TEST(Fingerprint, FollowsFromTheContentsAlone) {
  ParameterStore store({{"a", filled(1)}, {"b", filled(2)}});
  const std::string before = store.current()->fingerprint();
  EXPECT_THAT(before, MatchesRegex("[0-9a-f]{32}"));
  const std::string changed = store.publish({{Parameter{0}, filled(9)}})->fingerprint();
  EXPECT_NE(changed, before);
  EXPECT_EQ(store.publish({{Parameter{0}, filled(1)}})->fingerprint(), before);
  const ParameterStore same({{"a", filled(9)}, {"b", filled(2)}});
  EXPECT_EQ(same.current()->fingerprint(), changed);
}

TEST(Fingerprint, OfAnExtendedStoreIsThatOfAllItsTensors) {
  const ParameterStore base({{"a", filled(1)}});
  const ParameterStore whole({{"a", filled(1)}, {"b", filled(2)}});
  EXPECT_EQ(ParameterStore::extend(base, {{"b", filled(2)}})->current()->fingerprint(),
            whole.current()->fingerprint());
}

TEST(Fingerprint, DependsOnNameShapeDtypeContentsAndSeed) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  const Tensor x = Tensor::zeros({2, 2}, DType::kF32, device);
  const std::string base = fingerprint("", {{"x", x}});
  EXPECT_EQ(fingerprint("", {{"x", Tensor::zeros({2, 2}, DType::kF32, device)}}), base);
  EXPECT_NE(fingerprint("seed", {{"x", x}}), base);
  EXPECT_NE(fingerprint("", {{"y", x}}), base);
  EXPECT_NE(fingerprint("", {{"x", x.reshaped({4})}}), base);
  EXPECT_NE(fingerprint("", {{"x", Tensor::zeros({2, 2}, DType::kI32, device)}}), base);
  EXPECT_NE(fingerprint("", {{"x", Tensor::full({2, 2}, 1, DType::kF32, device)}}), base);
}

TEST(Fingerprint, OfAViewIsThatOfItsElements) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}, device);
  const Tensor transposed = Tensor::from(std::vector<float>{1, 3, 2, 4}, {2, 2}, device);
  EXPECT_EQ(fingerprint("", {{"x", x.as_strided({2, 2}, {1, 2}, 0)}}),
            fingerprint("", {{"x", transposed}}));
}

}  // namespace
}  // namespace yiti
