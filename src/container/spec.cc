#include "container/spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/parse_number.h"
#include "base/strings.h"
#include "container/run_args.h"

namespace buoy::container {
namespace {

constexpr std::size_t kLongestImage = 1000;
constexpr std::size_t kLongestPath = 4096;
constexpr std::size_t kLongestCommands = 128 * 1024;
constexpr std::size_t kMostEntries = 100;
constexpr std::size_t kMostWords = 1'000;
constexpr std::array kLimits = {"core",    "cpu",      "data",   "fsize",      "locks",
                                "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                "rss",     "rtprio",   "rttime", "sigpending", "stack"};

bool isAbsolute(std::string_view path) {
  return path.starts_with('/') && path.size() <= kLongestPath && path.find('\0') == std::string_view::npos;
}

// Below the project, as a Dockerfile may be: no component leads upward.
bool isBelow(std::string_view path) {
  if (path.starts_with('/') || path.size() > kLongestPath) return false;
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return false;
  }
  return path.find('\0') == std::string_view::npos;
}

bool isUser(std::string_view text) {
  const auto colon = text.find(':');
  const auto one = [](std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    });
  };
  return one(text.substr(0, colon)) && (colon == std::string_view::npos || one(text.substr(colon + 1)));
}

bool isVariable(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

class Checker {
 public:
  explicit Checker(const Spec& spec) : spec_(spec) {}

  std::vector<SpecProblem> run() {
    origin();
    places();
    publishes();
    variables();
    limits();
    return std::move(problems_);
  }

 private:
  void add(std::string field, std::string message) {
    problems_.push_back({std::move(field), std::move(message)});
  }

  void origin() {
    if (spec_.image.empty() == spec_.file.empty()) {
      add(spec_.image.empty() ? "image" : "file",
          spec_.image.empty() ? "is required: an image's name, or a Dockerfile by 'file'"
                              : "and image exclude one another: keep one of them");
    }
    const bool plain = std::all_of(spec_.image.begin(), spec_.image.end(),
                                   [](unsigned char c) { return std::isgraph(c) != 0; });
    if (spec_.image.size() > kLongestImage || !plain || spec_.image.starts_with('-'))
      add("image", "must be the name of a container image, at most 1000 bytes");
    if (!spec_.file.empty() && (!isBelow(spec_.file) || spec_.file.ends_with('/')))
      add("file", "must be the path of a Dockerfile below the project, not " + inQuotes(spec_.file));
    if (!spec_.context.empty() && !isBelow(spec_.context))
      add("context", "must be a directory below the project, not " + inQuotes(spec_.context));
    if (!spec_.context.empty() && spec_.file.empty()) add("context", "belongs to a Dockerfile: add 'file'");
    if (!spec_.build_args.empty() && spec_.file.empty())
      add("build_args", "belong to a Dockerfile: add 'file'");
    if (spec_.command.size() > kMostWords) add("command", "has more than 1,000 words");
  }

  void places() {
    absolute("project_dir", spec_.project_dir);
    if (spec_.project_dir == "/") add("project_dir", "must not be the container's root");
    if (!spec_.working_dir.empty() && spec_.working_dir != kImagesWorkingDir)
      absolute("working_dir", spec_.working_dir);
    if (!spec_.user.empty() && !isUser(spec_.user))
      add("user", "must be UID, UID:GID, a user's name or host, not " + inQuotes(spec_.user));
    if (spec_.volumes.size() > kMostEntries) add("volumes", "has more than 100 entries");
    std::set<std::string_view> paths;
    for (std::size_t i = 0; i < spec_.volumes.size(); ++i) {
      const std::string field = "volumes[" + std::to_string(i) + "]";
      const Volume& volume = spec_.volumes[i];
      if (!volume.host.empty()) absolute(field + ".host", volume.host);
      absolute(field + ".path", volume.path);
      if (!paths.insert(volume.path).second) add(field + ".path", inQuotes(volume.path) + " is used twice");
      if (volume.path == spec_.project_dir)
        add(field + ".path", "is project_dir, where the job's own workspace is");
    }
  }

  void absolute(const std::string& field, const std::string& path) {
    if (!isAbsolute(path)) add(field, "must be an absolute path, not " + inQuotes(path));
  }

  void publishes() {
    if (spec_.ports.size() > kMostEntries) add("ports", "has more than 100 entries");
    std::set<std::pair<int, bool>> used;
    for (std::size_t i = 0; i < spec_.ports.size(); ++i) {
      const std::string field = "ports[" + std::to_string(i) + "]";
      const Port& port = spec_.ports[i];
      if (port.container == 0) add(field + ".container", "must be a port from 1 to 65535");
      if (port.host != 0 && !used.insert({port.host, port.udp}).second)
        add(field + ".host", "port " + std::to_string(port.host) + " is used twice");
    }
    if (!spec_.ports.empty() && spec_.network == Network::host)
      add("ports", "and 'network: host' exclude one another: there every port is the machine's");
    if (!spec_.ports.empty() && spec_.network == Network::none)
      add("ports", "need a network, and 'network: none' gives none");
  }

  void variables() {
    if (spec_.commands.size() > kLongestCommands)
      add("commands", "is longer than 128 KiB: put it into a script");
    for (const auto* map : {&spec_.env, &spec_.secrets}) {
      const std::string field = map == &spec_.env ? "env" : "secrets";
      for (const auto& [name, value] : *map) {
        if (!isVariable(name)) add(field, inQuotes(name) + " is no name of a variable");
        if (name.starts_with("BUOY_")) add(field, name + ": names that begin with BUOY_ are Buoy's own");
      }
    }
    for (const auto& [name, file] : spec_.secrets) absolute("secrets." + name, file);
  }

  void limits() {
    if (spec_.gpus && *spec_.gpus < Spec::kAllGpus) add("gpus", "must be a number or 'all'");
    for (const auto& [name, limit] : spec_.ulimits) {
      const std::string field = "ulimits." + name;
      if (std::find(kLimits.begin(), kLimits.end(), name) == kLimits.end())
        add(field, "is no limit that Linux has; nofile, nproc, memlock and stack are usual");
      if (limit.hard >= 0 && (limit.soft > limit.hard || limit.soft < 0))
        add(field, "the soft limit must not be above the hard one");
    }
    if (auto parsed = parseRunArgs(spec_.runtime_args); !parsed) add("runtime_args", parsed.error().message);
  }

  const Spec& spec_;
  std::vector<SpecProblem> problems_;
};

}  // namespace

std::string_view toString(Network value) {
  switch (value) {
    case Network::automatic:
      return "auto";
    case Network::bridge:
      return "bridge";
    case Network::host:
      return "host";
    case Network::none:
      return "none";
  }
  return "auto";
}

std::optional<Volume> parseVolume(std::string_view text) {
  Volume volume;
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() == 3) {
    for (const std::string_view option : split(parts[2], ',')) {
      if (option == "ro") volume.read_only = true;
    }
    parts.pop_back();
  }
  if (parts.empty() || parts.size() > 2) return std::nullopt;
  volume.path = parts.back();
  if (parts.size() == 2) volume.host = parts[0];
  if (!isAbsolute(volume.path) || (parts.size() == 2 && volume.host.empty())) return std::nullopt;
  return volume;
}

std::optional<Port> parsePort(std::string_view text) {
  Port port;
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view protocol = text.substr(slash + 1);
    if (protocol != "udp" && protocol != "tcp") return std::nullopt;
    port.udp = protocol == "udp";
    text = text.substr(0, slash);
  }
  const auto colon = text.rfind(':');
  const auto inside =
      parseNumber<std::uint16_t>(colon == std::string_view::npos ? text : text.substr(colon + 1));
  if (!inside || *inside == 0) return std::nullopt;
  port.container = *inside;
  if (colon == std::string_view::npos) return port;
  const auto outside = parseNumber<std::uint16_t>(text.substr(0, colon));
  if (!outside) return std::nullopt;
  port.host = *outside;
  return port;
}

std::optional<Ulimit> parseUlimit(std::string_view text) {
  const auto one = [](std::string_view number) -> std::optional<std::int64_t> {
    if (number == "unlimited") return -1;
    const auto value = parseNumber<std::int64_t>(number);
    return value && *value >= -1 ? value : std::nullopt;
  };
  const auto colon = text.find(':');
  const auto soft = one(text.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : one(text.substr(colon + 1));
  if (!soft || !hard) return std::nullopt;
  return Ulimit{*soft, *hard};
}

std::vector<SpecProblem> check(const Spec& spec) {
  return Checker(spec).run();
}

std::string expandVariables(std::string_view text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t at = 0;;) {
    const auto begin = text.find("${", at);
    const auto end = begin == std::string_view::npos ? begin : text.find('}', begin);
    if (end == std::string_view::npos) return out + std::string(text.substr(at));
    const auto value = values.find(std::string(text.substr(begin + 2, end - begin - 2)));
    out += text.substr(at, begin - at);
    out += value == values.end() ? text.substr(begin, end + 1 - begin) : std::string_view(value->second);
    at = end + 1;
  }
}

}  // namespace buoy::container
