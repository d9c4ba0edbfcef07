#include "cli/spotty/reach.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/shell.h"
#include "base/strings.h"
#include "cli/server_process.h"
#include "gateways/spotty/workspace.h"
#include "objstore/sha256.h"
#include "os/attached.h"
#include "os/command_output.h"
#include "os/environment.h"
#include "os/fd.h"
#include "os/files.h"
#include "os/process.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;

constexpr Duration kProgramPatience = std::chrono::minutes{10};
constexpr int kSshFailed = 255;  // what ssh ends with when it is not the command there that ended
constexpr std::size_t kMostAnswer = 256u << 20;
constexpr std::uint64_t kMostAgent = 256u << 20;

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Result<std::string> ownAgent() {
  std::string agent = findAgent();
  if (agent.empty())
    return fail(ErrorCode::failed_precondition,
                "buoy-agent was not found beside this program; set BUOY_AGENT to its path");
  return agent;
}

// The process that serves the workspace's terminals, as this host counts processes; 0: there is none.
pid_t serverOf(const std::string& directory) {
  const auto note = os::readFile(directory + "/socket", 4096);
  if (!note) return 0;
  const std::string path(trim(*note));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return 0;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 0;
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

bool sameNamespace(pid_t pid, const std::string& kind) {
  std::error_code error;
  const auto own = fs::read_symlink("/proc/self/ns/" + kind, error);
  const auto others = fs::read_symlink(strCat({"/proc/", std::to_string(pid), "/ns/", kind}), error);
  return error || own == others;
}

class LocalReach final : public Reach {
 public:
  LocalReach(std::string agent, std::string directory, std::string project, pid_t machine)
      : agent_(std::move(agent)), directory_(std::move(directory)), project_(std::move(project)) {
    // Containers are processes of the machine, and seen from inside it only.
    if (machine == 0 || sameNamespace(machine, "pid")) return;
    enter_ = {"nsenter", "--target", std::to_string(machine), "--pid", "--mount"};
    if (!sameNamespace(machine, "user")) enter_.insert(enter_.end(), {"--user", "--preserve-credentials"});
    enter_.emplace_back("--");
  }

  Words workspace(const std::string& verb, const Words& more, bool) const override {
    return joined(enter_, beside(verb, more));
  }
  Words beside(const std::string& verb, const Words& more) const override {
    return joined({agent_, "workspace", verb, "--directory", directory_}, more);
  }
  std::string projectHere() const override { return project_; }
  Result<int> forward(int port, int) const override { return port; }  // it is this host's

 private:
  const std::string agent_, directory_, project_;
  Words enter_;
};

// Of this host, at the moment.
Result<int> freePort() {
  const os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return failErrno(errno, "find a free port");
  return ntohs(address.sin_port);
}

class SshReach final : public Reach {
 public:
  SshReach(Words ssh, std::string host, std::string agent, std::string directory, bool as_root)
      : ssh_(std::move(ssh)), host_(std::move(host)), directory_(std::move(directory)) {
    agent_ = as_root ? "sudo " + agent : agent;
  }

  Words workspace(const std::string& verb, const Words& more, bool terminal) const override {
    // One text for the login shell there.
    std::string command = strCat({agent_, " workspace ", verb, " --directory ", quotedForShell(directory_)});
    for (const std::string& word : more) command += " " + quotedForShell(word);
    Words words = ssh_;
    words.emplace_back(terminal ? "-t" : "-T");
    words.insert(words.end(), {host_, command});
    return words;
  }

  std::optional<Error> brokenBy(int code) const override {
    // A program may end with that, too; then the connection that they share is still there.
    if (code != kSshFailed || askProgram(joined(ssh_, {"-O", "check", host_}))) return std::nullopt;
    return Error{ErrorCode::unavailable, strCat({"the connection to ", host_, " was lost"}), true};
  }

  Result<int> forward(int port, int wanted) const override {
    if (tunnel(port, wanted)) return wanted;
    BUOY_TRY(const int other, freePort());
    BUOY_TRY_VOID(tunnel(port, other));
    return other;
  }

  void close() const override { (void)askProgram(joined(ssh_, {"-O", "exit", host_})); }

 private:
  // By the connection that the others share; one that is there already is as good.
  Status tunnel(int port, int here) const {
    const std::string way = strCat({"127.0.0.1:", std::to_string(here), ":127.0.0.1:", std::to_string(port)});
    BUOY_TRY(const std::string said, askProgram(joined(ssh_, {"-O", "forward", "-L", way, host_})));
    return {};
  }

  const Words ssh_;
  const std::string host_, directory_;
  std::string agent_;
};

Result<Words> sshWords(const SshPlace& place) {
  const char* const home = std::getenv("HOME");
  const std::string own = strCat({home == nullptr ? "/tmp" : home, "/.spotty"});
  BUOY_TRY_VOID(os::makeDirectories(own + "/ssh", 0700));
  Words words = {"ssh", "-p", std::to_string(place.port), "-i", place.key};
  const std::vector<std::string> options = {
      "IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=10",
      // A network that is silent is given up after 20 s; what runs there goes on.
      "ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR", "ControlMaster=auto",
      place.tunnels ? "ControlPersist=yes" : "ControlPersist=1h", strCat({"ControlPath=", own, "/ssh/%C"}),
      place.known ? "StrictHostKeyChecking=accept-new" : "StrictHostKeyChecking=no",
      strCat({"UserKnownHostsFile=", place.known ? own + "/known_hosts" : "/dev/null"})};
  for (const std::string& option : options) words.insert(words.end(), {"-o", option});
  return words;
}

// Puts this version's agent there, unless it is there: its path.
Result<std::string> bringAgent(const Words& ssh, const std::string& host) {
  BUOY_TRY(const std::string agent, ownAgent());
  BUOY_TRY(const std::string content, os::readFile(agent, kMostAgent));
  const std::string name = strCat({".cache/buoy/agent-", objstore::sha256Hex(content).substr(0, 16)});
  Words words = ssh;
  words.insert(words.end(), {"-T", host, strCat({"test -x ", name, " && echo there; echo asked"})});
  BUOY_TRY(const std::string answer, askProgram(words));
  if (answer.starts_with("there")) return name;
  words.back() = strCat({"mkdir -p .cache/buoy && cat >", name, ".part && chmod 755 ", name, ".part && mv ",
                         name, ".part ", name});
  BUOY_TRY(const os::Fd file, os::openFile(agent, O_RDONLY));
  BUOY_TRY(const std::vector<int> codes, os::runPipeline({words}, ownEnvironment(), file.get()));
  if (codes.front() != 0) return fail(ErrorCode::unavailable, "buoy-agent could not be copied to " + host);
  return name;
}

}  // namespace

std::vector<std::string> ownEnvironment() {
  std::vector<std::string> all;
  for (const auto& [name, value] : os::processEnvironment()) all.push_back(strCat({name, "=", value}));
  return all;
}

Result<int> runHere(const Words& words) {
  return os::runAttached(words, ownEnvironment());
}

Result<int> runFed(const Words& words, std::string_view input) {
  BUOY_TRY(const os::Fd file, os::memoryFile(input));
  BUOY_TRY(const std::vector<int> codes, os::runPipeline({words}, ownEnvironment(), file.get()));
  return codes.front();
}

Result<std::string> askProgram(const Words& words) {
  BUOY_TRY(os::CommandOutput output, os::runCommand(words, ownEnvironment(), kProgramPatience, kMostAnswer));
  if (output.status.code == 0) return std::move(output.out);
  std::string_view said = trim(output.err);
  constexpr std::string_view kOwnSign = "error: ";  // buoy-agent's; who asked says it again
  if (said.starts_with(kOwnSign)) said.remove_prefix(kOwnSign.size());
  if (words[0] == "ssh" && output.status.code == kSshFailed)
    return fail(ErrorCode::unavailable,
                std::string(said.empty() ? "the connection to the machine was lost" : said));
  return fail(
      ErrorCode::failed_precondition,
      said.empty() ? strCat({words[0], " failed with ", output.status.toString()}) : std::string(said));
}

Result<std::unique_ptr<Reach>> reachLocal(const SpottyChoice& choice, bool running) {
  BUOY_TRY(std::string agent, ownAgent());
  const pid_t machine = serverOf(choice.directory);
  if (running && machine == 0) return nullptr;
  const auto plan = gateways::spotty::planOf(choice.project, choice.instance, choice.parameters,
                                             {.project_root = choice.root});
  const std::string project =
      plan.project.starts_with('/') ? plan.project : strCat({choice.directory, "/", plan.project});
  return std::make_unique<LocalReach>(std::move(agent), choice.directory, project, machine);
}

Result<std::unique_ptr<Reach>> reachBySsh(const SpottyChoice& choice, SshPlace place) {
  BUOY_TRY(Words ssh, sshWords(place));
  const std::string host = strCat({place.user, "@", place.host});
  if (place.agent.empty()) {
    BUOY_TRY(place.agent, bringAgent(ssh, host));
  }
  return std::make_unique<SshReach>(std::move(ssh), host, place.agent, choice.directory, place.as_root);
}

bool declaresPorts(const SpottyChoice& choice) {
  return !choice.project.container(choice.parameters.container_name)->ports.empty();
}

SshPlace placeOf(const SpottyChoice& choice) {
  const auto& parameters = choice.parameters;
  const fs::path key(parameters.key_path);
  std::string path = key.is_absolute() ? key.string() : (fs::path(choice.root) / key).string();
  const char* const home = std::getenv("HOME");
  if (parameters.key_path.starts_with("~/") && home != nullptr) path = home + parameters.key_path.substr(1);
  return {.user = parameters.user,
          .host = parameters.host,
          .key = std::move(path),
          .port = parameters.port,
          .known = true,
          .tunnels = declaresPorts(choice),
          .agent = {},
          .as_root = false};
}

}  // namespace buoy::cli
