#include "agent/workspace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "agent/notice.h"
#include "agent/outputs.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class WorkspaceTest : public testing::Test {
 protected:
  WorkspaceTest() { EXPECT_TRUE(os::makeDirectories(paths_.root)); }

  api::SourceFile file(const std::string& path, const std::string& content, std::uint32_t mode = 0644) {
    const std::string hash = objstore::sha256Hex(content);
    EXPECT_TRUE(store_->put(objstore::blobKey(hash), content));
    return {path, mode, content.size(), hash};
  }
  std::string manifest(std::vector<api::SourceFile> files) {
    const std::string text = api::toJson(api::SourceManifest{std::move(files)});
    const std::string hash = objstore::sha256Hex(text);
    EXPECT_TRUE(store_->put(objstore::blobKey(hash), text));
    return hash;
  }
  std::string read(const std::string& path) {
    return os::readFile(paths_.work() + "/" + path).value_or("(missing)");
  }

  const os::TempDir dir_ = *os::TempDir::create("buoy-workspace-");
  const MachinePaths paths_{dir_.path() + "/machine"};
  std::unique_ptr<objstore::ObjectStore> store_ = *objstore::openStore("file://" + dir_.path() + "/store");
};

TEST_F(WorkspaceTest, PutsTheSourcesInPlaceWithTheirModes) {
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 1));
  const std::string source = manifest({file("train.py", "print(1)"), file("bin/run.sh", "#!/bin/sh", 0755)});
  ASSERT_TRUE(fetchSources(paths_, *store_, source));
  EXPECT_EQ(read("train.py"), "print(1)");
  struct stat info {};
  ASSERT_EQ(::stat((paths_.work() + "/bin/run.sh").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0755u);
}

TEST_F(WorkspaceTest, KeepsTheFilesOfTheSameJobAndMendsItsSources) {
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 1));
  const std::string source = manifest({file("train.py", "print(1)"), file("lib/a.py", "a")});
  ASSERT_TRUE(fetchSources(paths_, *store_, source));
  ASSERT_TRUE(replaceFile(paths_.work() + "/train.py", "print(2)"));
  ASSERT_TRUE(replaceFile(paths_.work() + "/cache", "kept"));
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 2));
  ASSERT_TRUE(fetchSources(paths_, *store_, source));
  EXPECT_EQ(read("train.py"), "print(1)");
  EXPECT_EQ(read("cache"), "kept");
  EXPECT_TRUE(wasBegun(paths_, JobId{1}, 2));
  EXPECT_FALSE(wasBegun(paths_, JobId{1}, 1));

  ASSERT_TRUE(openWorkspace(paths_, JobId{2}, 1));
  EXPECT_EQ(read("train.py"), "(missing)") << "another job begins with an empty directory";
}

TEST_F(WorkspaceTest, ASourceDoesNotFollowALinkThatTheLastAttemptLeft) {
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 1));
  const std::string outside = dir_.path() + "/outside";
  ASSERT_TRUE(replaceFile(outside, "mine"));
  std::filesystem::create_symlink(outside, paths_.work() + "/train.py");
  ASSERT_TRUE(fetchSources(paths_, *store_, manifest({file("train.py", "new!")})));
  EXPECT_EQ(*os::readFile(outside), "mine");
  EXPECT_EQ(read("train.py"), "new!");
}

TEST_F(WorkspaceTest, DamagedAndMissingSourcesAreErrorsThatNameThem) {
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 1));
  api::SourceFile damaged = file("a.py", "good");
  ASSERT_TRUE(store_->put(objstore::blobKey(damaged.sha256), "evil"));
  auto fetched = fetchSources(paths_, *store_, manifest({damaged}));
  ASSERT_FALSE(fetched);
  EXPECT_THAT(fetched.error().message, HasSubstr("a.py"));
  fetched = fetchSources(paths_, *store_, std::string(64, 'a'));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::not_found);
}

TEST(Environment, TheJobsOwnWordWinsOverTheInheritedAndBuoysOverBoth) {
  api::AgentConfig config;
  config.directory = "/machine";
  config.notice = std::chrono::seconds{120};
  api::JobSpec spec;
  spec.name = "train";
  spec.machines = 2;
  spec.env = {{"HOME", "/elsewhere"}, {"BUOY_RANK", "99"}, {"PYTHONUNBUFFERED", "0"}};
  spec.inputs = {{"data", {.from = "/data"}}};
  engine::Directive directive;
  directive.job = JobId{42};
  directive.attempt = 3;
  directive.epoch = 4;
  directive.rank = 1;
  directive.peers = {"10.0.0.1", "10.0.0.2"};
  const auto environment =
      entriesOf(jobEnvironment({.config = config,
                                .directive = directive,
                                .spec = spec,
                                .checkpoint_directory = "/machine/work/checkpoints",
                                .restored_version = "7",
                                .inherited = {{"HOME", "/root"}, {"PATH", "/opt/bin"}, {"SECRET", "x"}}}));
  for (const char* expected :
       {"HOME=/elsewhere", "PATH=/opt/bin", "PYTHONUNBUFFERED=0", "BUOY_JOB_ID=j42", "BUOY_JOB_NAME=train",
        "BUOY_ATTEMPT=3", "BUOY_EPOCH=4", "BUOY_RANK=1", "BUOY_WORLD_SIZE=2", "BUOY_PEERS=10.0.0.1,10.0.0.2",
        "MASTER_ADDR=10.0.0.1", "MASTER_PORT=29442", "RANK=1", "WORLD_SIZE=2",
        "BUOY_INPUT_DATA=/machine/inputs/data", "BUOY_CHECKPOINT_DIR=/machine/work/checkpoints",
        "BUOY_RESTORED_VERSION=7", "BUOY_NOTICE_SECONDS=120", "BUOY_NOTICE_FILE=/machine/job/notice.json"}) {
    EXPECT_THAT(environment, Contains(expected));
  }
  EXPECT_THAT(environment, Not(Contains(HasSubstr("SECRET"))));
}

TEST(Outputs, GlobsMatchWithinAComponentAndAcross) {
  EXPECT_TRUE(matchesGlob("*.pt", "model.pt"));
  EXPECT_FALSE(matchesGlob("*.pt", "out/model.pt"));
  EXPECT_TRUE(matchesGlob("**/*.pt", "model.pt"));
  EXPECT_TRUE(matchesGlob("**/*.pt", "a/b/model.pt"));
  EXPECT_TRUE(matchesGlob("out/**", "out/a/b"));
  EXPECT_FALSE(matchesGlob("out/**", "other/a"));
  EXPECT_TRUE(matchesGlob("step-[0-9]/?", "step-3/x"));
}

class OutputsTest : public WorkspaceTest {};

TEST_F(OutputsTest, TakesDirectoriesWholeAndLinksThatStayInside) {
  ASSERT_TRUE(openWorkspace(paths_, JobId{1}, 1));
  const std::string work = paths_.work();
  ASSERT_TRUE(os::makeDirectories(work + "/out/deep"));
  ASSERT_TRUE(replaceFile(work + "/out/a", "1"));
  ASSERT_TRUE(replaceFile(work + "/out/deep/b", "2"));
  std::filesystem::create_symlink("out/a", work + "/best");
  std::filesystem::create_symlink("..", work + "/out/deep/up");
  const auto report = storeOutputs(work, {"out/", "best"}, *store_, "c/j1");
  ASSERT_TRUE(report);
  EXPECT_THAT(report->stored, ElementsAre("best", "out/a", "out/deep/b"));
  EXPECT_THAT(report->problems, ElementsAre(HasSubstr("out/deep/up")));
  EXPECT_EQ(*store_->get("c/j1/outputs/best"), "1");
}

TEST(Notice, ReadsTheProvidersWordAndTellsTheJob) {
  const Time deadline = *parseTime("2026-11-21T01:22:03.000Z");
  EXPECT_EQ(*parseNotice(R"({"deadline": "2026-11-21T01:22:03Z", "action": "terminate"})"), deadline);
  for (const char* wrong : {"", "{", "[]", "{}", R"({"deadline": 5})", R"({"deadline": "soon"})"}) {
    EXPECT_FALSE(parseNotice(wrong)) << wrong;
  }
  EXPECT_EQ(noticeForJob(deadline, std::chrono::milliseconds{1500}),
            "{\"deadline\":\"2026-11-21T01:22:03.000Z\",\"seconds_left\":1.5}\n");
}

TEST(FileNotice, IsToldOnceHoweverOftenTheFileIsTouched) {
  const os::TempDir dir = *os::TempDir::create("buoy-notice-");
  const os::SystemClock clock;
  os::EventLoop loop(clock);
  std::vector<Time> told;
  bool gone = false;
  const FileNoticeSource source(
      loop, dir.path() + "/notice.json", [&](Time deadline) { told.push_back(deadline); },
      [&] { gone = true; });
  const Time deadline = *parseTime("2026-11-21T01:22:03.000Z");
  const std::string text = "{\"deadline\": \"" + formatTime(deadline) + "\"}";
  ASSERT_TRUE(os::writeFileAtomic(dir.path() + "/notice.json", text));
  while (told.empty()) loop.runOnce(std::chrono::seconds{10});
  ASSERT_TRUE(os::writeFileAtomic(dir.path() + "/notice.json", text));
  ASSERT_TRUE(os::removeTree(dir.path()));
  while (!gone) loop.runOnce(std::chrono::seconds{10});
  EXPECT_THAT(told, ElementsAre(deadline));
}

}  // namespace
}  // namespace buoy::agent
