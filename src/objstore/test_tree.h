#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "objstore/checkpoint.h"

// For tests only: directory trees as values.
namespace buoy::objstore::testing {

struct Node {
  CheckpointFile::Kind kind = CheckpointFile::Kind::file;
  std::string content;  // of a file; target of a link
  unsigned mode = 0644;
  std::int64_t modified_us = 0;  // 0: do not set, do not compare

  bool operator==(const Node&) const = default;
};
using Tree = std::map<std::string, Node>;

Node file(std::string content, unsigned mode = 0644);
Node directory(unsigned mode = 0755);
Node symlink(std::string target);

// Makes `path` (created) hold exactly the tree. Fails the test on errors.
void writeTree(const std::string& path, const Tree& tree);
Tree readTree(const std::string& path, bool with_times = false);
void writeFile(const std::string& path, std::string_view content);
// Steps a file's times back by an hour, as if it had been written long ago (ctime stays).
void age(const std::string& path);

// Runs `body` in a forked process; its exit status, or -signal.
int inChild(const std::function<int()>& body);

}  // namespace buoy::objstore::testing
