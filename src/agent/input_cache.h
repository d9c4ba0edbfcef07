#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace buoy::agent {

// Files that were downloaded for jobs, kept on this machine and given to jobs as hard links
// (docs/formats/cache.md). Several agents of one host may share the directory. What a job still uses has
// another name and is never evicted; of the rest the longest unused goes first. It does not outlive a boot of
// the machine: nothing in it is synced. Threads: any.
class InputCache {
 public:
  // `limit`: bytes of what no job uses; zero: a quarter of the file system.
  InputCache(std::string directory, std::uint64_t limit) : root_(std::move(directory)), limit_(limit) {}

  struct Wanted {
    std::string id;  // names the content: the same id is the same content
    std::uint64_t size = 0;
    Time modified{};  // the file gets it; a file that has another one by now was changed by a job, and is not
                      // used
  };
  // Appends the content from this offset on. What it wrote before an error stays, and the next try goes on
  // from there.
  using Fetch = std::function<Status(int fd, std::uint64_t from)>;

  // Makes `path`, which must not exist, this file; true: it was here already. The file is read-only, as other
  // jobs may have it too.
  Result<bool> obtain(const Wanted& wanted, const std::string& path, const Fetch& fetch,
                      const std::stop_token& stop);
  // Only if it is here.
  Result<bool> take(const Wanted& wanted, const std::string& path);
  // Like take, but with a file of its own, which nothing else sees change.
  Result<bool> copy(const Wanted& wanted, const std::string& path);
  // Keeps the file at `path`, which is what `wanted` says.
  Status keep(const Wanted& wanted, const std::string& path);
  // Evicts until what no job uses, and `bytes` more, are within the limit, as far as that is possible.
  Status makeRoom(std::uint64_t bytes);

 private:
  using Give = Status (*)(const std::string& from, const std::string& path, Time modified);
  Result<bool> provide(const Wanted& wanted, const std::string& path, Give give);
  Result<std::string> directory();
  std::string nameOf(const std::string& directory, const Wanted& wanted) const;
  Result<bool> fill(const std::string& name, const Wanted& wanted, const std::string& path,
                    const Fetch& fetch, const std::stop_token& stop);
  Result<std::uint64_t> limit(const std::string& directory) const;

  const std::string root_;
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> unchecked_{
      UINT64_MAX};  // bytes added since the directory was last looked through
};

}  // namespace buoy::agent
