#include "container/build_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "os/files.h"

namespace buoy::container {
namespace {

using testing::HasSubstr;

TEST(IgnoreRulesOf, FollowDocker) {
  const IgnoreRules rules = IgnoreRules::parse(
      "# what is large\n*.pt\n**/__pycache__\ndata/\n!data/labels.txt\nlogs/**\n/build\ndoc?.md\n[a-c]x\n");
  for (const char* ignored : {"model.pt", "__pycache__", "a/b/__pycache__/c.pyc", "data", "data/train.bin",
                              "logs/a", "logs/a/b", "build/x", "doc1.md", "bx"})
    EXPECT_TRUE(rules.ignores(ignored)) << ignored;
  for (const char* kept :
       {"a/model.pt", "data/labels.txt", "logs", "src/build", "doc10.md", "dx", "train.py"})
    EXPECT_FALSE(rules.ignores(kept)) << kept;
  EXPECT_TRUE(rules.hasExceptions());
  EXPECT_FALSE(IgnoreRules::parse("").ignores("a"));
}

class Contexts : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& content, unsigned mode = 0644) {
    const std::string full = dir_.path() + "/context/" + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    ASSERT_TRUE(os::createFileExclusive(full, content, mode));
  }
  // What tar itself makes of the archive: its listing, or a file's content.
  std::string tar(const ContextArchive& archive, const std::string& options) {
    const std::string list = dir_.path() + "/out";
    const std::string command = "tar " + options + " -f /proc/" + std::to_string(::getpid()) + "/fd/" +
                                std::to_string(archive.file.get()) + " > " + list + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << *os::readFile(list);
    return *os::readFile(list);
  }

  os::TempDir dir_ = os::TempDir::create("buoy-context").value();
};

TEST_F(Contexts, AreArchivesThatTarReads) {
  const std::string deep(60, 'd');
  write("Dockerfile", "FROM x\n");
  write("run.sh", "#!/bin/sh\n", 0755);
  write(deep + "/" + deep + "/file", "far away");
  write("data/big", "not wanted");
  write("data/labels", "wanted");
  write(".dockerignore", "data\n!data/labels\nDockerfile\n");
  std::filesystem::create_symlink("run.sh", dir_.path() + "/context/link");
  const auto archive = archiveContext(dir_.path() + "/context", "./Dockerfile", dir_.path());
  ASSERT_TRUE(archive) << archive.error().message;
  const std::string listing = tar(*archive, "-tv");
  EXPECT_THAT(listing, HasSubstr("-rwxr-xr-x"));
  EXPECT_THAT(listing, HasSubstr("link -> run.sh"));
  EXPECT_THAT(listing, HasSubstr("data/labels"));
  EXPECT_THAT(listing, HasSubstr(" Dockerfile"));
  EXPECT_THAT(listing, testing::Not(HasSubstr("data/big")));
  EXPECT_EQ(tar(*archive, "-xO " + deep + "/" + deep + "/file"), "far away");
  EXPECT_EQ(archive->files, 5u);
}

TEST_F(Contexts, WithoutADockerfileAreRefused) {
  write("a", "b");
  EXPECT_THAT(archiveContext(dir_.path() + "/context", "Dockerfile", dir_.path()).error().message,
              HasSubstr("there is no Dockerfile Dockerfile in"));
  EXPECT_EQ(archiveContext(dir_.path() + "/none", "Dockerfile", dir_.path()).error().code,
            ErrorCode::not_found);
}

}  // namespace
}  // namespace buoy::container
