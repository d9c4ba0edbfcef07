#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::container {

// The rules of a .dockerignore file: patterns of Go's filepath.Match with "**", the last that matches wins,
// "!" takes a path back in (https://docs.docker.com/build/building/context/#dockerignore-files). Pure.
class IgnoreRules {
 public:
  static IgnoreRules parse(std::string_view text);
  // `path` is relative, without "./".
  bool ignores(std::string_view path) const;
  // Whether something below an ignored directory may be taken back in.
  bool hasExceptions() const { return has_exceptions_; }

 private:
  struct Rule {
    std::string pattern;
    bool taken_back = false;
  };
  std::vector<Rule> rules_;
  bool has_exceptions_ = false;
};

struct ContextArchive {
  os::Fd file;  // has no name any more
  std::uint64_t size = 0;
  std::uint64_t files = 0;
};
// The directory `context` as a tar archive, in a file below `scratch`: regular files, directories and
// symbolic links (as links), without what .dockerignore leaves out; `dockerfile` (relative to the context) is
// always in it. not_found: there is no such directory or Dockerfile.
Result<ContextArchive> archiveContext(const std::string& context, const std::string& dockerfile,
                                      const std::string& scratch);

}  // namespace buoy::container
