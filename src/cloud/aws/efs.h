#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "cloud/aws/answers.h"
#include "cloud/aws/caller.h"
#include "cloud/storage.h"

// EFS: file systems that many machines share, and the addresses in each zone at which they are served
// (https://docs.aws.amazon.com/efs/latest/ug/API_Operations.html); and, pure, what is to be done next with
// one.
namespace buoy::cloud::aws {

struct SharedFileSystem {
  std::string id, state;  // state: "creating", "available", "updating", "deleting", "deleted", "error"
  std::vector<Tag> tags;

  std::string_view tag(std::string_view key) const;
};
struct SharedFileSystemPage {
  std::vector<SharedFileSystem> systems;
  std::string next;  // empty: this was the last
};
Result<SharedFileSystemPage> parseFileSystems(std::string_view body);

struct MountTarget {
  std::string id, zone, subnet, address, state;  // states as above
};
Result<std::vector<MountTarget>> parseMountTargets(std::string_view body);

// One function an operation. Threads: any; each blocks. `stop` ends the wait.
class Efs {
 public:
  explicit Efs(Caller& caller) : caller_(caller) {}

  Answer<std::vector<SharedFileSystem>> all(const std::stop_token& stop);
  // The same token again makes nothing new.
  Answer<void> create(const std::string& token, const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<void> remove(const std::string& id, const std::stop_token& stop);  // gone already: done
  Answer<void> tag(const std::string& id, const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<std::vector<MountTarget>> targets(const std::string& id, const std::stop_token& stop);
  Answer<void> createTarget(const std::string& id, const std::string& subnet,
                            const std::vector<std::string>& security_groups, const std::stop_token& stop);
  Answer<void> removeTarget(const std::string& id, const std::stop_token& stop);

 private:
  Answer<std::string> ask(const std::string& action, const std::string& method, const std::string& path,
                          buoy::aws::NameValues query, const std::string& body, const std::stop_token& stop);
  Answer<void> done(Answer<std::string> answer, RefusalKind as_good);

  Caller& caller_;
};

// A shared file system of a job, as one of its machines wants it.
struct SharedWish {
  FileSystemSpec spec;
  std::string cluster;
  JobId job;
  std::string zone;  // of the machine
};
struct SharedStep {
  enum class Kind { wait, create, mark, create_target, ready, fail };
  Kind kind = Kind::wait;
  std::string id, server, why;
};
// `targets`: of the file system that is called so, if there is one.
SharedStep nextStep(const SharedWish& wish, const std::vector<SharedFileSystem>& systems,
                    const std::vector<MountTarget>& targets);
// The one of that name, or of that id ("fs-0123"); nullptr: there is none.
const SharedFileSystem* findByName(const std::vector<SharedFileSystem>& systems, std::string_view name);
// Those that a job with this wish gives it: that of its cluster when it is made, the job's where it is to be
// deleted with it.
std::vector<Tag> sharedTags(const SharedWish& wish);

}  // namespace buoy::cloud::aws
