#include "container/run_args.h"

#include <cctype>
#include <cmath>
#include <functional>
#include <unordered_map>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::container {
namespace {

constexpr std::size_t kMostRunArgs = 1'000;

// "8g", "512MB", "1024", "1.5g": powers of 1024, as docker takes them; -1 where `unlimited` allows it.
std::optional<std::int64_t> dockerSize(std::string_view text) {
  if (text == "-1") return -1;
  std::size_t digits = 0;
  while (digits < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.'))
    ++digits;
  const auto number = parseNumber<double>(text.substr(0, digits));
  std::string unit;
  for (const char c : text.substr(digits))
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.size() > 1 && unit.back() == 'b') unit.pop_back();
  if (unit.size() > 1 && unit.back() == 'i') unit.pop_back();
  static constexpr std::string_view kUnits = "bkmgt";
  const auto power = unit.empty() ? 0 : kUnits.find(unit);
  if (!number || unit.size() > 1 || power == std::string_view::npos) return std::nullopt;
  const double bytes = *number * std::pow(1024.0, static_cast<double>(power));
  if (bytes > 1e18) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

// "KEY=VALUE"; without "=" the value is empty.
std::pair<std::string, std::string> keyValue(std::string_view text) {
  const auto equals = text.find('=');
  return {std::string(text.substr(0, equals)),
          equals == std::string_view::npos ? std::string() : std::string(text.substr(equals + 1))};
}

// "all", "2", "device=0,1", "count=2,…".
std::optional<std::int32_t> gpuCount(std::string_view text) {
  if (text == "all") return Spec::kAllGpus;
  if (text.starts_with("count="))
    text = text.substr(6, text.find(',') == std::string_view::npos ? text.npos : text.find(',') - 6);
  const auto count = parseNumber<std::int32_t>(text);
  return count && *count >= 0 ? count : std::nullopt;
}

// --mount type=bind,source=/a,target=/b,readonly
std::optional<Volume> parseMount(std::string_view text) {
  Volume volume;
  std::string type = "volume";
  for (const std::string_view part : split(text, ',')) {
    const auto [key, value] = keyValue(part);
    if (key == "type") type = value;
    if (key == "source" || key == "src") volume.host = value;
    if (key == "target" || key == "dst" || key == "destination") volume.path = value;
    if (key == "readonly" || key == "ro") volume.read_only = value.empty() || value == "true" || value == "1";
  }
  if (type != "bind" || !volume.host.starts_with('/') || !volume.path.starts_with('/')) return std::nullopt;
  return volume;
}

using Value = const std::string&;
using Take = std::function<bool(RunArgs&, Value)>;  // false: the value is wrong

template <class T>
Take to(T RunArgs::*member) {
  return [member](RunArgs& args, Value value) {
    args.*member = value;
    return true;
  };
}

Take append(std::vector<std::string> RunArgs::*member) {
  return [member](RunArgs& args, Value value) {
    (args.*member).push_back(value);
    return !value.empty();
  };
}

Take entry(std::map<std::string, std::string> RunArgs::*member) {
  return [member](RunArgs& args, Value value) {
    (args.*member).insert_or_assign(keyValue(value).first, keyValue(value).second);
    return !value.empty() && value[0] != '=';
  };
}

Take sizeTo(ByteCount RunArgs::*member) {
  return [member](RunArgs& args, Value value) {
    const auto size = dockerSize(value);
    if (!size || *size < 0) return false;
    args.*member = ByteCount{static_cast<std::uint64_t>(*size)};
    return true;
  };
}

template <class T>
Take number(T RunArgs::*member) {
  return [member](RunArgs& args, Value value) {
    const auto parsed = parseNumber<std::int64_t>(value);
    if (parsed) args.*member = *parsed;
    return parsed.has_value();
  };
}

// A port or a range of them on both sides.
bool addPort(RunArgs& args, Value value) {
  const auto port = parsePort(value);
  if (port) args.ports.push_back(*port);
  return port.has_value();
}

bool addVolume(RunArgs& args, Value value) {
  const auto volume = parseVolume(value);
  if (volume) args.volumes.push_back(*volume);
  return volume.has_value();
}

bool addMount(RunArgs& args, Value value) {
  const auto volume = parseMount(value);
  if (volume) args.volumes.push_back(*volume);
  return volume.has_value();
}

bool addTmpfs(RunArgs& args, Value value) {
  const auto colon = value.find(':');
  args.tmpfs[value.substr(0, colon)] = colon == std::string::npos ? "" : value.substr(colon + 1);
  return value.starts_with('/');
}

bool addUlimit(RunArgs& args, Value value) {
  const auto [name, limits] = keyValue(value);
  const auto parsed = parseUlimit(limits);
  if (parsed) args.ulimits[name] = *parsed;
  return parsed.has_value();
}

bool setEntrypoint(RunArgs& args, Value value) {
  args.entrypoint = value.empty() ? std::vector<std::string>() : std::vector<std::string>{value};
  return true;
}

bool setGpus(RunArgs& args, Value value) {
  args.gpus = gpuCount(value);
  return args.gpus.has_value();
}

bool setCpus(RunArgs& args, Value value) {
  const auto cpus = parseNumber<double>(value);
  if (!cpus || !(*cpus > 0) || *cpus > 1e6) return false;
  args.milli_cpus = std::llround(*cpus * 1000);
  return true;
}

bool setSwap(RunArgs& args, Value value) {
  const auto size = dockerSize(value);
  if (size) args.memory_swap = *size;
  return size.has_value();
}

const std::unordered_map<std::string_view, Take>& valued() {
  static const std::unordered_map<std::string_view, Take> kOptions = {
      {"--name", to(&RunArgs::name)},
      {"--hostname", to(&RunArgs::hostname)},
      {"-h", to(&RunArgs::hostname)},
      {"--domainname", to(&RunArgs::domainname)},
      {"--ipc", to(&RunArgs::ipc)},
      {"--pid", to(&RunArgs::pid)},
      {"--uts", to(&RunArgs::uts)},
      {"--userns", to(&RunArgs::userns)},
      {"--cgroup-parent", to(&RunArgs::cgroup_parent)},
      {"--runtime", to(&RunArgs::runtime)},
      {"--platform", to(&RunArgs::platform)},
      {"--network", to(&RunArgs::network)},
      {"--net", to(&RunArgs::network)},
      {"--user", to(&RunArgs::user)},
      {"-u", to(&RunArgs::user)},
      {"--workdir", to(&RunArgs::working_dir)},
      {"-w", to(&RunArgs::working_dir)},
      {"--cpuset-cpus", to(&RunArgs::cpuset_cpus)},
      {"--entrypoint", setEntrypoint},
      {"--cap-add", append(&RunArgs::cap_add)},
      {"--cap-drop", append(&RunArgs::cap_drop)},
      {"--device", append(&RunArgs::devices)},
      {"--security-opt", append(&RunArgs::security_opt)},
      {"--group-add", append(&RunArgs::group_add)},
      {"--dns", append(&RunArgs::dns)},
      {"--dns-search", append(&RunArgs::dns_search)},
      {"--dns-option", append(&RunArgs::dns_option)},
      {"--dns-opt", append(&RunArgs::dns_option)},
      {"--add-host", append(&RunArgs::extra_hosts)},
      {"--env", entry(&RunArgs::env)},
      {"-e", entry(&RunArgs::env)},
      {"--label", entry(&RunArgs::labels)},
      {"-l", entry(&RunArgs::labels)},
      {"--sysctl", entry(&RunArgs::sysctls)},
      {"--storage-opt", entry(&RunArgs::storage_opt)},
      {"--tmpfs", addTmpfs},
      {"--volume", addVolume},
      {"-v", addVolume},
      {"--mount", addMount},
      {"--publish", addPort},
      {"-p", addPort},
      {"--ulimit", addUlimit},
      {"--gpus", setGpus},
      {"--shm-size", sizeTo(&RunArgs::shm_size)},
      {"--memory", sizeTo(&RunArgs::memory)},
      {"-m", sizeTo(&RunArgs::memory)},
      {"--memory-reservation", sizeTo(&RunArgs::memory_reservation)},
      {"--memory-swap", setSwap},
      {"--memory-swappiness", number(&RunArgs::memory_swappiness)},
      {"--pids-limit", number(&RunArgs::pids_limit)},
      {"--oom-score-adj", number(&RunArgs::oom_score_adj)},
      {"--cpus", setCpus},
      {"--cpu-shares", number(&RunArgs::cpu_shares)},
      {"-c", number(&RunArgs::cpu_shares)},
  };
  return kOptions;
}

enum class Switch { none, privileged, read_only, oom_kill_disable };

// What stands alone or has "=true" or "=false"; none: the affair of docker's own client.
const std::unordered_map<std::string_view, Switch>& switches() {
  static const std::unordered_map<std::string_view, Switch> kSwitches = {
      {"--privileged", Switch::privileged},
      {"--read-only", Switch::read_only},
      {"--oom-kill-disable", Switch::oom_kill_disable},
      {"--detach", Switch::none},
      {"-d", Switch::none},
      {"--tty", Switch::none},
      {"-t", Switch::none},
      {"--interactive", Switch::none},
      {"-i", Switch::none},
      {"-it", Switch::none},
      {"-ti", Switch::none},
      {"-td", Switch::none},
      {"-dt", Switch::none},
      {"-itd", Switch::none},
      {"-dit", Switch::none},
      {"--rm", Switch::none},
      {"--init", Switch::none},
      {"--quiet", Switch::none},
      {"-q", Switch::none},
  };
  return kSwitches;
}

// Options with a value that only docker's own client, or its daemon beside the container, would follow.
bool isIgnored(std::string_view name) {
  return name == "--restart" || name == "--pull" || name == "--log-driver" || name == "--log-opt" ||
         name == "--stop-timeout" || name == "--stop-signal" || name == "--cidfile";
}

Status setSwitch(RunArgs& args, const std::string& name, Switch which, const std::string& value) {
  if (!value.empty() && value != "true" && value != "false")
    return failInvalid(strCat({name, " must be true or false, not ", inQuotes(value)}));
  const bool on = value != "false";
  switch (which) {
    case Switch::none:
      break;
    case Switch::privileged:
      args.privileged = on;
      break;
    case Switch::read_only:
      args.read_only = on;
      break;
    case Switch::oom_kill_disable:
      args.oom_kill_disable = on;
      break;
  }
  return {};
}

struct Option {
  std::string name, value;
  bool has_value = false;
};

// "--name=value", "-v/a:/b", "--name".
Option optionOf(const std::string& word) {
  Option option{word, {}, false};
  if (word.starts_with("--")) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) return option;
    return {word.substr(0, equals), word.substr(equals + 1), true};
  }
  if (word.size() <= 2 || switches().contains(word)) return option;
  const std::size_t skip = word[2] == '=' ? 3 : 2;
  return {word.substr(0, 2), word.substr(skip), true};
}

}  // namespace

Result<RunArgs> parseRunArgs(const std::vector<std::string>& words) {
  RunArgs args;
  if (words.size() > kMostRunArgs) return failInvalid("has more than 1,000 words");
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with('-') || words[i] == "-" || words[i] == "--")
      return failInvalid(strCat({inQuotes(words[i]),
                                 " is no option of docker run; a value stands after its "
                                 "option, as in --shm-size=8g"}));
    Option option = optionOf(words[i]);
    if (const auto found = switches().find(option.name); found != switches().end()) {
      BUOY_TRY_VOID(setSwitch(args, option.name, found->second, option.value));
      continue;
    }
    const auto found = valued().find(option.name);
    if (found == valued().end() && !isIgnored(option.name))
      return failInvalid(strCat({option.name,
                                 " is not known here: it is no option of docker run that Buoy "
                                 "passes on"}));
    if (!option.has_value) {
      if (i + 1 == words.size()) return failInvalid(option.name + " needs a value");
      option.value = words[++i];
    }
    if (found != valued().end() && !found->second(args, option.value))
      return failInvalid(strCat({option.name, " does not take ", inQuotes(option.value)}));
  }
  return args;
}

}  // namespace buoy::container
