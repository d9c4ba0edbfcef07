#include "objstore/test_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "os/beneath.h"
#include "os/files.h"

namespace buoy::objstore::testing {
namespace {

void setTime(const std::string& path, std::int64_t microseconds) {
  if (microseconds == 0) return;
  const struct timespec time = {microseconds / 1'000'000, static_cast<long>(microseconds % 1'000'000) * 1000};
  const struct timespec times[2] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

void readInto(const std::string& root, const std::string& below, bool with_times, Tree& tree) {
  const auto directory_fd = os::openFile(root + "/" + below, O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(directory_fd) << directory_fd.error().message;
  const auto names = os::directoryNames(directory_fd->get());
  ASSERT_TRUE(names);
  for (const std::string& name : *names) {
    const std::string path = below.empty() ? name : below + "/" + name;
    struct stat info {};
    ASSERT_EQ(::lstat((root + "/" + path).c_str(), &info), 0);
    Node node;
    node.mode = info.st_mode & 07777u;
    if (with_times) node.modified_us = info.st_mtim.tv_sec * 1'000'000LL + info.st_mtim.tv_nsec / 1000;
    if (S_ISDIR(info.st_mode)) {
      node.kind = CheckpointFile::Kind::directory;
      readInto(root, path, with_times, tree);
    } else if (S_ISLNK(info.st_mode)) {
      node = symlink(std::string(4096, '\0'));
      const ssize_t size = ::readlink((root + "/" + path).c_str(), node.content.data(), node.content.size());
      node.content.resize(static_cast<std::size_t>(size));
      if (with_times) node.modified_us = info.st_mtim.tv_sec * 1'000'000LL + info.st_mtim.tv_nsec / 1000;
    } else {
      const auto content = os::readFile(root + "/" + path);
      ASSERT_TRUE(content) << content.error().message;
      node.content = *content;
    }
    tree.emplace(path, std::move(node));
  }
}

}  // namespace

Node file(std::string content, unsigned mode) {
  return {CheckpointFile::Kind::file, std::move(content), mode, 0};
}
Node directory(unsigned mode) {
  return {CheckpointFile::Kind::directory, "", mode, 0};
}
Node symlink(std::string target) {
  return {CheckpointFile::Kind::symlink, std::move(target), 0777, 0};
}

void writeFile(const std::string& path, std::string_view content) {
  const auto fd = os::openFile(path, O_WRONLY | O_CREAT | O_TRUNC);
  ASSERT_TRUE(fd) << fd.error().message;
  ASSERT_TRUE(os::writeAll(fd->get(), content));
}

void writeTree(const std::string& path, const Tree& tree) {
  ASSERT_TRUE(os::removeTree(path));
  ASSERT_TRUE(os::makeDirectories(path));
  for (const auto& [name, node] : tree) {
    const std::string full = path + "/" + name;
    switch (node.kind) {
      case CheckpointFile::Kind::directory:
        ASSERT_EQ(::mkdir(full.c_str(), 0755), 0) << full;
        break;
      case CheckpointFile::Kind::symlink:
        ASSERT_EQ(::symlink(node.content.c_str(), full.c_str()), 0) << full;
        break;
      case CheckpointFile::Kind::file:
        writeFile(full, node.content);
        break;
    }
  }
  for (auto it = tree.rbegin(); it != tree.rend(); ++it) {
    const std::string full = path + "/" + it->first;
    if (it->second.kind != CheckpointFile::Kind::symlink) {
      ASSERT_EQ(::chmod(full.c_str(), it->second.mode), 0);
    }
    setTime(full, it->second.modified_us);
  }
}

Tree readTree(const std::string& path, bool with_times) {
  Tree tree;
  readInto(path, "", with_times, tree);
  return tree;
}

void age(const std::string& path) {
  setTime(path, (std::time(nullptr) - 3600) * 1'000'000LL);
}

int inChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace buoy::objstore::testing
