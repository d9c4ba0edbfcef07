#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/node.h"
#include "cloud/storage.h"

// A spotty.yaml: the three formats that are in use, each with its own defaults and rules, as one. Pure.
namespace buoy::gateways::spotty {

enum class Format : std::uint8_t {
  v1_1,  // `instance:`
  v1_2,  // `container:` and `instances:`
  v1_3,  // `containers:` and `instances:`
};
enum class ProviderKind : std::uint8_t { aws, gcp, local, remote };
std::string_view toString(Format value);
std::string_view toString(ProviderKind value);

// Patterns as the AWS CLI has them; of all filters, the last that matches decides.
struct SyncFilter {
  bool include = false;
  std::vector<std::string> patterns;
  bool operator==(const SyncFilter&) const = default;
};
struct VolumeMount {
  std::string name;  // of the instance's volume; one that the instance has not is a directory of the machine
  std::string path;  // in the container
  bool operator==(const VolumeMount&) const = default;
};
struct Port {
  int container = 0;
  int host = 0;  // 0: any that is free
  bool operator==(const Port&) const = default;
};
struct Container {
  std::string name = "default";
  std::string project_dir;
  std::string image;
  std::string file;  // a Dockerfile, relative to the project, whose directory is what it is built from
  bool run_as_host_user = false;
  std::vector<VolumeMount> mounts;
  std::string working_dir;
  std::map<std::string, std::string> env;
  bool host_network = false;
  std::vector<Port> ports;
  std::string commands;  // shell, run as root after each start of the container
  std::vector<std::string> runtime_parameters;
  bool operator==(const Container&) const = default;
};

struct Volume {
  std::string name;       // as the containers call it
  std::string disk;       // aws: the name of the EBS volume and of its snapshots
  std::string mount_dir;  // aws: on the machine
  bool mount_dir_given = false;
  std::string path;  // local, remote: the directory
  std::uint64_t size_gib = 0;
  std::string type = "gp2";
  cloud::Deletion deletion = cloud::Deletion::retain;
};
// What the parameters of one instance say. Of another provider's keys the defaults.
struct Parameters {
  std::string container_name = "default";
  std::string docker_data_root;
  std::vector<Volume> volumes;
  int local_ssh_port = 0;  // 0: not said
  std::string commands;    // shell, run as root on the machine before the container is started
  // aws
  std::string region, instance_type, zone, subnet, ami_name, ami_id, instance_profile_arn;
  bool spot = false;
  std::string max_price;  // USD an hour, as written; empty: no limit of its own
  std::uint64_t root_volume_gib = 0;
  std::vector<int> ports;
  std::vector<std::string> managed_policy_arns;
  // remote
  std::string user, host, key_path;
  int port = 22;
};

struct Instance {
  std::string name;
  ProviderKind provider = ProviderKind::aws;
  // As they stand there: parameters are read for the chosen instance only.
  api::Node parameters;
  api::Mark mark;
  std::string path;  // "instances[1]"
};

struct Project {
  Format format = Format::v1_3;
  std::string name;
  std::vector<SyncFilter> filters;
  std::vector<Container> containers;
  std::vector<Instance> instances;
  std::map<std::string, std::string> scripts;

  // 1.2 and before: `run` does not sync.
  bool syncsBeforeRun() const { return format == Format::v1_3; }
  const Container* container(std::string_view container_name) const;
  const Instance* instance(std::string_view instance_name) const;
};

// A text and the name by which problems call it.
struct SourceText {
  std::string file, text;
};

// Every rule that does not depend on an instance's parameters. `override_text`: spotty.override.yaml, merged
// over the first; empty `file`: there is none. Problems name the file that they stand in.
api::Parsed<Project> parseProject(const SourceText& main, const SourceText& override_text = {});

// The parameters of one instance of the project, and what they must be for its container. A provider that
// Buoy has not is a problem too, after all others.
api::Parsed<Parameters> readParameters(const Project& project, const Instance& instance,
                                       const SourceText& main, const SourceText& override_text = {});

}  // namespace buoy::gateways::spotty
