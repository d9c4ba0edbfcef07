#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "base/result.h"
#include "cli/ignore.h"

// What of a project directory a job starts with.
namespace buoy::cli {

// What a project keeps to itself, as .gitignore writes it. In a directory below, "*" leaves out that
// directory.
inline constexpr const char* kIgnoreFile = ".buoyignore";

struct SourceLimits {
  std::size_t files = 10'000;
  std::uint64_t bytes = std::uint64_t{512} << 20;
  std::uint64_t file_bytes = std::uint64_t{64} << 20;  // what the server takes in one request
};

struct SourceEntry {
  std::string path;  // relative, '/'-separated
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
};

struct SourceTree {
  std::string root;                // absolute
  std::vector<SourceEntry> files;  // by path
  std::vector<std::string>
      notes;  // what was left out and may surprise: links that lead out of the project, …
  std::uint64_t bytes = 0;
};

// The rules for this job: caches and version control, .gitignore and .buoyignore of the project, and what the
// job itself makes or gets in another way: its checkpoint directory, outputs and inputs.
Result<IgnoreRules> ignoreRulesFor(const api::JobSpec& spec, const std::string& root);

// Regular files below `root` that no rule ignores. Links to files are files; links to directories are
// followed inside the project only. Over a limit: invalid_argument that says what is big and how to leave it
// out.
Result<SourceTree> findSource(const std::string& root, const IgnoreRules& rules, const SourceLimits& limits);

}  // namespace buoy::cli
