#include "objstore/transfer/sync_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>

namespace buoy::objstore {
namespace {

Time at(int seconds) {
  return Time{std::chrono::seconds{1'700'000'000 + seconds}};
}

TreeEntry entry(std::string path, std::uint64_t size, int seconds) {
  return {std::move(path), size, at(seconds), ""};
}

class Listed final : public TreeStream {
 public:
  explicit Listed(std::vector<TreeEntry> entries) : entries_(std::move(entries)) {}
  Result<bool> next(TreeEntry& entry) override {
    if (at_ == entries_.size()) return false;
    entry = entries_[at_++];
    return true;
  }

 private:
  std::vector<TreeEntry> entries_;
  std::size_t at_ = 0;
};

using Steps = std::vector<std::pair<SyncStep::Kind, std::string>>;

Steps plan(const SyncRules& rules, std::vector<TreeEntry> source,
           std::optional<std::vector<TreeEntry>> destination) {
  Listed from(std::move(source));
  Listed to(destination.value_or(std::vector<TreeEntry>{}));
  SyncPlan plan(rules, from, destination ? &to : nullptr);
  Steps steps;
  while (true) {
    const auto step = plan.next();
    EXPECT_TRUE(step.has_value());
    if (!step || step->kind == SyncStep::Kind::end) return steps;
    steps.emplace_back(step->kind, step->entry.path);
  }
}

TEST(MustTransfer, UploadsWhatIsNewerOrHasAnotherSize) {
  const SyncRules upload{.direction = Direction::upload};
  EXPECT_FALSE(mustTransfer(upload, entry("a", 1, 0), entry("a", 1, 0)));
  EXPECT_FALSE(mustTransfer(upload, entry("a", 1, 0), entry("a", 1, 9)));
  EXPECT_TRUE(mustTransfer(upload, entry("a", 1, 9), entry("a", 1, 0)));
  EXPECT_TRUE(mustTransfer(upload, entry("a", 1, 0), entry("a", 2, 9)));
  const SyncRules copy{.direction = Direction::copy, .exact_timestamps = true};
  EXPECT_FALSE(mustTransfer(copy, entry("a", 1, 0), entry("a", 1, 9)));
}

TEST(MustTransfer, DownloadsWhatIsNewerHere) {
  SyncRules download{.direction = Direction::download};
  EXPECT_FALSE(mustTransfer(download, entry("a", 1, 0), entry("a", 1, 0)));
  EXPECT_FALSE(mustTransfer(download, entry("a", 1, 9), entry("a", 1, 0)));
  EXPECT_TRUE(mustTransfer(download, entry("a", 1, 0), entry("a", 1, 9)));
  download.exact_timestamps = true;
  EXPECT_FALSE(mustTransfer(download, entry("a", 1, 0), entry("a", 1, 0)));
  EXPECT_TRUE(mustTransfer(download, entry("a", 1, 9), entry("a", 1, 0)));
}

TEST(MustTransfer, SizeOnlyForgetsTimes) {
  const SyncRules rules{.direction = Direction::download, .size_only = true, .exact_timestamps = true};
  EXPECT_FALSE(mustTransfer(rules, entry("a", 1, 0), entry("a", 1, 9)));
  EXPECT_TRUE(mustTransfer(rules, entry("a", 2, 0), entry("a", 1, 0)));
}

TEST(SyncPlan, JoinsBothSides) {
  using enum SyncStep::Kind;
  SyncRules rules;
  const std::vector<TreeEntry> source = {entry("a", 1, 5), entry("b", 1, 0), entry("d", 1, 0)};
  const std::vector<TreeEntry> destination = {entry("a", 1, 0), entry("b", 1, 0), entry("c", 1, 0),
                                              entry("e", 1, 0)};
  EXPECT_EQ(plan(rules, source, destination), (Steps{{transfer, "a"}, {same, "b"}, {transfer, "d"}}));
  rules.remove_extra = true;
  EXPECT_EQ(plan(rules, source, destination),
            (Steps{{transfer, "a"}, {same, "b"}, {remove, "c"}, {transfer, "d"}, {remove, "e"}}));
  EXPECT_EQ(plan(rules, source, std::nullopt), (Steps{{transfer, "a"}, {transfer, "b"}, {transfer, "d"}}));
}

TEST(SyncPlan, DoesNotTrustAListThatIsOutOfOrder) {
  Listed source({entry("a", 1, 0)}), destination({entry("c", 1, 0), entry("b", 1, 0)});
  SyncPlan plan({.remove_extra = true}, source, &destination);
  EXPECT_TRUE(plan.next().has_value());
  EXPECT_TRUE(plan.next().has_value());
  const auto step = plan.next();
  ASSERT_FALSE(step.has_value());
  EXPECT_EQ(step.error().code, ErrorCode::internal);
}

struct Shape {
  std::uint64_t size;
  int seconds;
};
using Model = std::map<std::string, Shape>;

Model anyTree() {
  Model tree;
  const auto names = *rc::gen::container<std::set<std::string>>(
      rc::gen::resize(3, rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab/-\xc3")))));
  for (const std::string& name : names)
    tree[name] = {*rc::gen::inRange<std::uint64_t>(0, 2), *rc::gen::inRange(0, 3)};
  return tree;
}

std::vector<TreeEntry> listed(const Model& tree) {
  std::vector<TreeEntry> entries;
  for (const auto& [path, shape] : tree) entries.push_back(entry(path, shape.size, shape.seconds));
  return entries;
}

RC_GTEST_PROP(SyncPlanProperty, DoesWhatTwoMapsSay, ()) {
  const Model source = anyTree(), destination = anyTree();
  const SyncRules rules{
      .direction = *rc::gen::element(Direction::upload, Direction::download, Direction::copy),
      .size_only = *rc::gen::arbitrary<bool>(),
      .exact_timestamps = *rc::gen::arbitrary<bool>(),
      .remove_extra = *rc::gen::arbitrary<bool>()};
  std::set<std::pair<SyncStep::Kind, std::string>> expected;
  for (const auto& [path, shape] : source) {
    const auto there = destination.find(path);
    const bool needed =
        there == destination.end() || mustTransfer(rules, entry(path, shape.size, shape.seconds),
                                                   entry(path, there->second.size, there->second.seconds));
    expected.emplace(needed ? SyncStep::Kind::transfer : SyncStep::Kind::same, path);
  }
  for (const auto& [path, shape] : destination) {
    if (rules.remove_extra && !source.contains(path)) expected.emplace(SyncStep::Kind::remove, path);
  }
  const Steps steps = plan(rules, listed(source), listed(destination));
  RC_ASSERT(expected.size() == steps.size());
  RC_ASSERT(expected == (std::set<std::pair<SyncStep::Kind, std::string>>(steps.begin(), steps.end())));
}

TEST(CheckFilePath, RefusesWhatLeavesTheDirectory) {
  for (const char* good : {"a", "a/b", ".a", "..a", "a../b", "...", " ", "ü/ö", "-"})
    EXPECT_TRUE(checkFilePath(good).has_value()) << good;
  for (const char* bad : {"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b"})
    EXPECT_FALSE(checkFilePath(bad).has_value()) << bad;
  EXPECT_THAT(checkFilePath("../a").error().message, testing::HasSubstr("would leave the directory"));
  EXPECT_THAT(checkFilePath("/a").error().message, testing::HasSubstr("would leave the directory"));
}

TEST(KeyNesting, FindsAFileThatWouldBeADirectory) {
  KeyNesting nesting;
  EXPECT_TRUE(nesting.add("a").has_value());
  EXPECT_TRUE(nesting.add("a-b").has_value());
  EXPECT_TRUE(nesting.add("a.").has_value());
  const Status inside = nesting.add("a/b");
  ASSERT_FALSE(inside.has_value());
  EXPECT_THAT(inside.error().message, testing::HasSubstr("'a/b'"));
  EXPECT_FALSE(nesting.add("a/b/c").has_value());
  EXPECT_TRUE(nesting.add("a0").has_value());
  EXPECT_TRUE(nesting.add("b").has_value());
  EXPECT_TRUE(nesting.add("bb/x").has_value());
}

RC_GTEST_PROP(KeyNestingProperty, RefusesExactlyWhatIsBelowAnAcceptedKey, ()) {
  const Model tree = anyTree();
  KeyNesting nesting;
  std::set<std::string> accepted;
  for (const auto& [key, shape] : tree) {
    bool below = false;
    for (const std::string& other : accepted) below |= key.starts_with(other + "/");
    RC_ASSERT(nesting.add(key).has_value() == !below);
    if (!below) accepted.insert(key);
  }
}

}  // namespace
}  // namespace buoy::objstore
