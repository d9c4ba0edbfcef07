#include "cli/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Glob, StarsStayInTheirComponent) {
  EXPECT_TRUE(globMatches("*.py", "train.py"));
  EXPECT_FALSE(globMatches("*.py", "lib/train.py"));
  EXPECT_TRUE(globMatches("**/*.py", "train.py"));
  EXPECT_TRUE(globMatches("**/*.py", "a/b/train.py"));
  EXPECT_TRUE(globMatches("a/**", "a/b/c"));
  EXPECT_TRUE(globMatches("r?n[0-9]", "run7"));
  EXPECT_FALSE(globMatches("r?n[!0-9]", "run7"));
  EXPECT_TRUE(globMatches("a[", "a["));
}

TEST(Glob, ManyStarsCostNoMore) {
  std::string pattern, path;
  for (int i = 0; i < 200; ++i) {
    pattern += "**/a*a*/";
    path += "aaaaaaaaaaaaaaaaaaab/";
  }
  EXPECT_FALSE(globMatches(pattern + "x", path + "y"));
}

TEST(Ignore, TheLastRuleThatMatchesDecides) {
  IgnoreRules rules;
  rules.add("*.log\n# comment\n!keep.log\n/top\nsub/dir/\nruns/\n\\#odd\n", ".gitignore");
  EXPECT_EQ(rules.ignoredBy("a/b.log", false), ".gitignore");
  EXPECT_EQ(rules.ignoredBy("a/keep.log", false), "");
  EXPECT_EQ(rules.ignoredBy("top", false), ".gitignore");
  EXPECT_EQ(rules.ignoredBy("a/top", false), "");
  EXPECT_EQ(rules.ignoredBy("sub/dir", true), ".gitignore");
  EXPECT_EQ(rules.ignoredBy("sub/dir", false), "");
  EXPECT_EQ(rules.ignoredBy("deep/runs", true), ".gitignore");
  EXPECT_EQ(rules.ignoredBy("#odd", false), ".gitignore");
}

TEST(Ignore, APathIsNotAPattern) {
  IgnoreRules rules;
  rules.addPath("./ckpt[1]/", "checkpoint.dir");
  EXPECT_EQ(rules.ignoredBy("ckpt[1]", true), "checkpoint.dir");
  EXPECT_EQ(rules.ignoredBy("ckpt1", true), "");
}

class Source : public ::testing::Test {
 protected:
  Source() : directory_(std::move(*os::TempDir::create("cli-source-"))) {}
  void write(const std::string& name, const std::string& text = "x") {
    const fs::path path = root() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  fs::path root() const { return directory_.path(); }
  Result<SourceTree> find(const api::JobSpec& spec = {}, const SourceLimits& limits = {}) {
    auto rules = ignoreRulesFor(spec, root().string());
    EXPECT_TRUE(rules);
    return findSource(root().string(), *rules, limits);
  }
  std::vector<std::string> paths(const SourceTree& tree) {
    std::vector<std::string> result;
    for (const SourceEntry& file : tree.files) result.push_back(file.path);
    return result;
  }

  os::TempDir directory_;
};

TEST_F(Source, LeavesOutWhatIsNotTheProjects) {
  write("train.py");
  write("lib/model.py");
  write("lib/__pycache__/model.cpython.pyc");
  write(".git/config");
  write("notes.txt");
  write("data/big.bin");
  write("checkpoints/last.pt");
  write("model.pt");
  write(".gitignore", "notes.txt\n");
  api::JobSpec spec;
  spec.checkpoint.emplace();
  spec.outputs = {"*.pt"};
  spec.inputs = {{"data", {.from = (root() / "data").string()}}};
  const auto tree = find(spec);
  ASSERT_TRUE(tree);
  EXPECT_THAT(paths(*tree), ElementsAre(".gitignore", "lib/model.py", "train.py"));
}

TEST_F(Source, LeavesOutADirectoryThatSaysSo) {
  write("train.py");
  write("toy/model.pt");
  write("toy/.buoyignore", "*\n");
  write("data/.buoyignore", "*.tmp\n");
  EXPECT_THAT(paths(*find()), ElementsAre("data/.buoyignore", "train.py"));
}

TEST_F(Source, BuoyignoreHasTheLastWord) {
  write("generated.py");
  write(".gitignore", "generated.py\n");
  write(".buoyignore", "!generated.py\n.*ignore\n");
  EXPECT_THAT(paths(*find()), ElementsAre("generated.py"));
}

TEST_F(Source, LinksNeverLeadOutOrRoundInCircles) {
  write("lib/a.py");
  fs::create_directory_symlink(root() / "lib", root() / "alias");
  fs::create_directory_symlink("..", root() / "lib/up");
  fs::create_directory_symlink("/usr", root() / "outside");
  fs::create_symlink("loop", root() / "loop");
  fs::create_symlink("lib/a.py", root() / "b.py");
  const auto tree = find();
  ASSERT_TRUE(tree);
  EXPECT_THAT(paths(*tree), ElementsAre("alias/a.py", "b.py", "lib/a.py"));
  EXPECT_EQ(tree->notes.size(), 4u) << "lib/up, alias/up, outside, loop";
}

TEST_F(Source, KeepsTheExecutableBit) {
  write("run.sh");
  fs::permissions(root() / "run.sh", fs::perms::owner_all);
  EXPECT_EQ(find()->files[0].mode, 0700u);
}

TEST_F(Source, ALimitSaysWhatIsBigAndWhatToDo) {
  write("small.py");
  write("data/a", std::string(3000, 'a'));
  write("data/b", std::string(3000, 'a'));
  const auto large = find({}, {.files = 10, .bytes = 5000, .file_bytes = 4000});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(large.error().message, HasSubstr("data/  5.9 KiB in 2 files"));
  EXPECT_THAT(large.error().message, HasSubstr(".buoyignore"));
  EXPECT_THAT(find({}, {.files = 2, .bytes = 1 << 20, .file_bytes = 1 << 20}).error().message,
              HasSubstr("has 3 files; at most 2"));
  EXPECT_THAT(find({}, {.files = 10, .bytes = 1 << 20, .file_bytes = 2000}).error().message,
              HasSubstr("'data/"));
}

TEST_F(Source, ADirectoryThatIsNotThereIsAnError) {
  IgnoreRules rules;
  EXPECT_FALSE(findSource((root() / "nowhere").string(), rules, {}));
}

}  // namespace
}  // namespace buoy::cli
