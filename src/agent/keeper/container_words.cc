#include "agent/keeper/container_words.h"

#include <filesystem>

#include "base/strings.h"
#include "os/attached.h"
#include "os/command_output.h"

namespace buoy::agent {
namespace {

constexpr Duration kRuntimePatience = std::chrono::seconds{20};

void append(Words& words, Words more) {
  for (std::string& word : more) words.push_back(std::move(word));
}

std::string hostUser(const BuildFacts& facts) {
  return strCat({std::to_string(facts.uid), ":", std::to_string(facts.gid)});
}

}  // namespace

Words environmentWords(const Environment& environment) {
  Words words;
  for (const auto& [name, value] : environment) words.push_back(strCat({name, "=", value}));
  return words;
}

Result<std::string> findContainerRuntime(const Environment& environment) {
  const Words all = environmentWords(environment);
  const auto docker = os::findProgram("docker", all);
  std::string why;
  if (docker) {
    const auto answer =
        os::runCommand({*docker, "version", "--format", "{{.Server.Version}}"}, all, kRuntimePatience);
    if (answer && answer->status.code == 0) return *docker;
    why = answer ? std::string(trim(answer->err)) : answer.error().message;
  }
  auto podman = os::findProgram("podman", all);
  if (podman) return podman;
  if (docker)
    return fail(ErrorCode::failed_precondition, "docker is here, but its service does not answer: " + why);
  return fail(ErrorCode::failed_precondition,
              "there is neither docker nor podman on this machine: install one of them");
}

std::string imageOf(const api::WorkspacePlan& plan) {
  return plan.image.empty() ? plan.container : plan.image;
}

Words buildWords(const api::WorkspacePlan& plan, const BuildFacts& facts) {
  Words words = {facts.runtime, "build", "-t", imageOf(plan), "-f", plan.dockerfile};
  if (plan.run_as_host_user)
    append(words, {"--build-arg", "USER_ID=" + std::to_string(facts.uid), "--build-arg",
                   "GROUP_ID=" + std::to_string(facts.gid)});
  words.push_back(std::filesystem::path(plan.dockerfile).parent_path().string());
  return words;
}

Words runWords(const api::WorkspacePlan& plan, const BuildFacts& facts) {
  Words words = {facts.runtime, "run", "-td"};
  append(words, plan.runtime_parameters);
  append(words, {"--name", plan.container, "-w", plan.working_dir});
  if (facts.nvidia) append(words, {"--gpus", "all"});
  if (plan.host_network) append(words, {"--network", "host"});
  for (const auto& port : plan.ports) {
    if (plan.host_network) break;
    const std::string container = std::to_string(port.container);
    append(words, {"-p", port.host == 0 ? container : strCat({std::to_string(port.host), ":", container})});
  }
  for (const auto& mount : plan.mounts) append(words, {"-v", strCat({mount.host, ":", mount.path})});
  append(words, {"-v", strCat({facts.inside, ":", kInsidePath})});
  if (plan.run_as_host_user)
    append(words, {"-u", hostUser(facts), "-e", "HOST_USER_ID=" + std::to_string(facts.uid), "-e",
                   "HOST_GROUP_ID=" + std::to_string(facts.gid)});
  for (const auto& [name, value] : plan.env) append(words, {"-e", strCat({name, "=", value})});
  append(words, {"-e", "SPOTTY_CONTAINER_NAME=" + plan.container, "-e",
                 "SPOTTY_CONTAINER_WORKING_DIR=" + plan.working_dir, imageOf(plan), "/bin/sh"});
  return words;
}

Words execWords(const api::WorkspacePlan& plan, const std::string& runtime, const ExecOptions& options,
                const Words& command) {
  Words words = {runtime, "exec"};
  if (options.interactive) words.emplace_back("-i");
  if (options.terminal) words.emplace_back("-t");
  if (!options.user.empty()) append(words, {"-u", options.user});
  append(words, {"-w", plan.working_dir, plan.container});
  append(words, command);
  return words;
}

Words removeWords(const api::WorkspacePlan& plan, const std::string& runtime) {
  return {runtime, "rm", "-f", plan.container};
}

}  // namespace buoy::agent
