#include "serving/model_registry.h"

#include <gtest/gtest.h>

#include "tests/serving/fake_generator.h"

namespace yiti::testing {
namespace {

class ModelRegistryTest : public ::testing::Test {
 protected:
  ServedModel model(const std::string& name, std::shared_ptr<const void> owner = nullptr) {
    ServedModel made;
    made.name = name;
    made.generator = &generator_;
    made.text = &text_;
    made.owner = std::move(owner);
    return made;
  }

  TextModel text_ = fake_text_model();
  FakeGenerator generator_;
  ModelRegistry registry_;
};

TEST_F(ModelRegistryTest, FindsWhatItHas) {
  registry_.add(model("a"));
  registry_.add(model("b"));
  EXPECT_EQ(registry_.find("b")->name, "b");
  EXPECT_EQ(registry_.find("c"), nullptr);
  ASSERT_EQ(registry_.list().size(), 2U);
  EXPECT_EQ(registry_.list()[0]->name, "a");
  EXPECT_TRUE(registry_.remove("a"));
  EXPECT_FALSE(registry_.remove("a"));
  EXPECT_EQ(registry_.list().size(), 1U);
}

TEST_F(ModelRegistryTest, FindsAModelByItsAliasesUnlessThatIsAName) {
  ServedModel first = model("a");
  first.aliases = {"b", "c"};
  registry_.add(std::move(first));
  registry_.add(model("b"));
  EXPECT_EQ(registry_.find("b")->name, "b");
  EXPECT_EQ(registry_.find("c")->name, "a");
}

TEST_F(ModelRegistryTest, RefusesANameTwiceAndModelsThatLackSomething) {
  registry_.add(model("a"));
  EXPECT_THROW(registry_.add(model("a")), Error);
  EXPECT_THROW(registry_.add(model("")), Error);
  EXPECT_THROW(registry_.add({.name = "b"}), Error);
  ServedModel odd = model("b");
  odd.chat.variables_json = "[1]";
  EXPECT_THROW(registry_.add(std::move(odd)), Error);
}

TEST_F(ModelRegistryTest, AReplacedModelLivesAsLongAsItIsUsed) {
  auto owner = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = owner;
  registry_.add(model("a", std::move(owner)));
  ServedModelPtr used = registry_.find("a");
  registry_.replace(model("a"));
  EXPECT_EQ(registry_.list().size(), 1U);
  EXPECT_EQ(registry_.find("a")->owner, nullptr);
  EXPECT_FALSE(watched.expired());
  used = nullptr;
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace yiti::testing
