// What a job's specification may say, wherever it came from: validate() and the names and paths it is made
// of.
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <set>

#include "api/input_source.h"
#include "api/job_spec.h"
#include "api/node.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

constexpr int kMostGangMachines = 10'000;
constexpr int kMostMilliCpus = 4'096'000;
constexpr int kMostGpus = 1'024;
constexpr ByteCount kMostMemory{std::uint64_t{1} << 50};
constexpr ByteCount kLeastMemory{std::uint64_t{1} << 20};
// Linux refuses to start a program with a longer argument or environment string (MAX_ARG_STRLEN), so say so
// now.
constexpr std::size_t kLongestString = 131'071;
constexpr std::size_t kLongestEnvironment = std::size_t{1} << 20;
constexpr std::size_t kMostEnvironment = 4'000;
constexpr std::size_t kMostOutputs = 1'000;
constexpr std::size_t kMostNamed = 100;  // inputs, metrics, pools
constexpr std::size_t kLongestPath = 4'096;
constexpr std::size_t kLongestDoor = 256 << 10;
constexpr std::size_t kLongestPattern = 1'000;
constexpr std::int64_t kMostPatternMemory = 256 << 10;

bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool isNameChar(char c) {
  return isLetter(c) || isDigit(c) || c == '.' || c == '_' || c == '-';
}

// A word that a shell takes as a variable's name.
bool isVariable(std::string_view text) {
  if (text.empty() || text.size() > 200 || isDigit(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return isLetter(c) || isDigit(c) || c == '_'; });
}

bool isText(std::string_view text) {
  return isValidUtf8(text) && text.find('\0') == std::string_view::npos;
}

constexpr std::string_view kNameRule =
    "must be 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit, not ";

class Validator {
 public:
  explicit Validator(const JobSpec& spec) : spec_(spec) {}

  std::vector<Problem> run() {
    identity();
    size();
    times();
    promises();
    checkpoint();
    inputsAndOutputs();
    storage();
    container();
    metrics();
    environment();
    return std::move(problems_);
  }

 private:
  void add(std::string field, std::string message) {
    problems_.push_back(Problem{{}, 0, 0, std::move(field), std::move(message)});
  }

  void range(const char* field, std::int64_t value, std::int64_t least, std::int64_t most) {
    if (value < least) {
      add(field, "must be at least " + std::to_string(least) + ", not " + std::to_string(value));
    } else if (value > most) {
      add(field, "must be at most " + std::to_string(most) + ", not " + std::to_string(value));
    }
  }

  void duration(const char* field, Duration value, Duration most) {
    if (value < Duration{}) {
      add(field, "must not be negative");
    } else if (value > most) {
      add(field, "must be at most " + formatDuration(most) + ", not " + formatDuration(value));
    }
  }

  void count(const char* field, std::size_t count, std::size_t most) {
    if (count > most)
      add(field,
          "has " + std::to_string(count) + " entries: at most " + std::to_string(most) + " are allowed");
  }

  void identity() {
    if (spec_.name.empty()) {
      add("name", "is required: give the job a name");
    } else if (!isName(spec_.name)) {
      add("name", strCat({kNameRule, inQuotes(spec_.name)}));
    } else if (JobId::parse(spec_.name)) {
      add("name", inQuotes(spec_.name) + " reads like a job's id: choose another name");
    }
    if (trim(spec_.run).empty() && !spec_.container) {
      add("run", "is required: the command that the job runs, for example 'python3 train.py'");
    } else if (!isText(spec_.run)) {
      add("run", "must be valid UTF-8 without NUL bytes");
    } else if (spec_.run.size() > kLongestString) {
      add("run", "is longer than Linux takes (128 KiB): put it into a script");
    }
    if (spec_.door.size() > kLongestDoor) add("door", "is longer than 256 KiB");
    if (!isName(spec_.queue)) add("queue", strCat({kNameRule, inQuotes(spec_.queue)}));
    count("pools", spec_.pools.size(), kMostNamed);
    for (std::size_t i = 0; i < spec_.pools.size(); ++i) {
      const std::string field = "pools[" + std::to_string(i) + "]";
      if (!isName(spec_.pools[i])) {
        add(field, strCat({kNameRule, inQuotes(spec_.pools[i])}));
      } else if (std::find(spec_.pools.begin(), spec_.pools.begin() + static_cast<std::ptrdiff_t>(i),
                           spec_.pools[i]) != spec_.pools.begin() + static_cast<std::ptrdiff_t>(i)) {
        add(field, inQuotes(spec_.pools[i]) + " is named twice");
      }
    }
    if (!spec_.source.empty() && !isSha256(spec_.source)) {
      add("source",
          "must be the SHA-256 of an uploaded manifest (64 lower-case hexadecimal digits); buoy sets it");
    }
  }

  void race() {
    range("race", spec_.race, 0, 8);
    if (spec_.race < 2) return;
    if (spec_.machines > 1) add("race", "is for jobs on one machine");
    if (spec_.deadline || spec_.budget != Money{})
      add("race", "goes with neither deadline nor budget: machines that lose a race are paid for, too");
  }

  void many() {
    range("array", spec_.array, 0, 100'000);
    count("depends_on", spec_.depends_on.size(), 1'000);
    if (spec_.array == 0 && spec_.sequential)
      add("sequential", "is for arrays only: say how many tasks with array");
    if (spec_.array > 0 && (spec_.deadline || spec_.budget != Money{}))
      add("array", "has neither deadline nor budget: give them to single jobs");
    if (spec_.deadline && !spec_.depends_on.empty())
      add("depends_on", "and deadline exclude one another: what comes first takes as long as it takes");
    for (std::size_t i = 0; i < spec_.depends_on.size(); ++i) {
      const DependencySpec& dependency = spec_.depends_on[i];
      const std::string field = "depends_on[" + std::to_string(i) + "]";
      if (!isName(dependency.job))
        add(field, strCat({"must be a job's id or name, not ", inQuotes(dependency.job)}));
      if (dependency.each && spec_.array == 0)
        add(field, "each is between two arrays: say how many tasks with array");
    }
  }

  void size() {
    range("machines", spec_.machines, 1, kMostGangMachines);
    if (spec_.main_decides && spec_.machines < 2)
      add("main_decides", "is for gangs only: say how many machines with machines");
    range("priority", spec_.priority, -1'000'000, 1'000'000);
    if (!spec_.share.empty() && !isShare(spec_.share))
      add("share",
          strCat({"must be 1 to 255 letters, digits, '-', '_' or '.', not ", inQuotes(spec_.share)}));
    range("retry.failures", spec_.retry_failures, 0, 1'000);
    count("retry.rules", spec_.retry_rules.size(), 20);
    many();
    race();
    const engine::Resources& resources = spec_.resources;
    if (resources.milli_cpus < 1) add("resources.cpus", "must be more than 0");
    if (resources.milli_cpus > kMostMilliCpus)
      add("resources.cpus", "must be at most " + std::to_string(kMostMilliCpus / 1000));
    range("resources.gpus", resources.gpus, 0, kMostGpus);
    if (resources.memory > kMostMemory) {
      add("resources.memory",
          "must be at most " + formatByteCount(kMostMemory) + ", not " + formatByteCount(resources.memory));
    } else if (resources.memory < kLeastMemory && resources.memory != ByteCount{}) {
      add("resources.memory", "must be at least 1 MiB (or 0 for no limit), not " +
                                  formatByteCount(resources.memory) + ": is a unit missing, as in 1GiB?");
    }
  }

  void times() {
    constexpr Duration kLongest = std::chrono::days{3650};
    duration("max_run", spec_.max_run, kLongest);
    duration("timeout", spec_.timeout, kLongest);
    duration("max_wait", spec_.max_wait, kLongest);
    duration("stop_grace", spec_.stop_grace, std::chrono::days{1});
    if (spec_.max_run > Duration{} && spec_.max_wait > Duration{} && spec_.max_wait < spec_.max_run) {
      add("max_wait", "is waiting and running together, so it must be at least max_run (" +
                          formatDuration(spec_.max_run) + "), not " + formatDuration(spec_.max_wait));
    }
  }

  // What can be said without pools; whether a deadline can be met, the server says.
  void promises() {
    using engine::SpotPreference;
    using engine::SpotRule;
    constexpr Duration kLongest = std::chrono::days{365};
    duration("work", spec_.work, kLongest);
    if (!spec_.deadline) {
      if (spec_.policy != SpotRule::none) {
        add("policy",
            "says how a deadline is met, and there is none: add 'deadline', or choose by 'spot' alone");
      }
      return;
    }
    duration("deadline", spec_.deadline->in, kLongest);
    if (spec_.work == Duration{}) {
      add("work",
          "is required with a deadline: how long the job runs if nothing interrupts it, such as 8h (rather "
          "too long than too short), so that Buoy knows when only on-demand machines can still make it");
    }
    if (spec_.spot == SpotPreference::only) {
      add("spot", "'only' cannot keep a deadline, because spot machines may not be had: use 'prefer'");
    } else if (spec_.spot == SpotPreference::never && spec_.policy != SpotRule::none &&
               spec_.policy != SpotRule::on_demand) {
      add("policy",
          strCat({"'", toString(spec_.policy), "' uses spot machines, and 'spot: never' forbids them"}));
    }
  }

  void checkpoint() {
    if (!spec_.checkpoint) return;
    const CheckpointSpec& checkpoint = *spec_.checkpoint;
    path("checkpoint.dir", checkpoint.dir);
    range("checkpoint.keep", checkpoint.keep, 1, 1'000);
    duration("checkpoint.settle", checkpoint.settle, std::chrono::hours{1});
    if (checkpoint.interval) {
      duration("checkpoint.interval", *checkpoint.interval, std::chrono::days{30});
      if (*checkpoint.interval == Duration{})
        add("checkpoint.interval", "must be more than 0; auto lets Buoy find out");
    }
    if (!checkpoint.from.empty()) {
      const auto source = parseInputSource(checkpoint.from);
      if (!source || source->kind != InputSource::Kind::job || source->part != InputSource::Part::state)
        add("checkpoint.from", "must be a job, by its id or name, not " + inQuotes(checkpoint.from));
    }
    if (!checkpoint.mirror.empty()) {
      const auto source = parseInputSource(checkpoint.mirror);
      if (!source || source->kind != InputSource::Kind::s3)
        add("checkpoint.mirror", "must be s3://BUCKET/PREFIX, not " + inQuotes(checkpoint.mirror));
    }
    signal("checkpoint.signal", checkpoint.signal, "SIGTERM");
    if (!checkpoint.save_signal.empty()) signal("checkpoint.save_signal", checkpoint.save_signal, "SIGUSR1");
  }

  void signal(const char* field, const std::string& name, const char* usual) {
    if (name == "SIGKILL" || name == "SIGSTOP") {
      add(field, strCat({name, " cannot be caught, so the job could not save; ", usual, " is usual"}));
    } else if (!signalNumber(name)) {
      add(field, inQuotes(name) +
                     " is no signal that a job can be sent; use SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, "
                     "SIGUSR2, SIGALRM or SIGCONT");
    }
  }

  void path(const std::string& field, const std::string& value) {
    if (isRelativePath(value)) return;
    if (value.starts_with('/')) {
      add(field, "must be relative to the job's working directory, not " + inQuotes(value));
    } else {
      add(field, "must be a path below the job's working directory, without '..', not " + inQuotes(value));
    }
  }

  void inputsAndOutputs() {
    count("inputs", spec_.inputs.size(), kMostNamed);
    std::set<std::string> variables;
    for (const auto& [name, input] : spec_.inputs) {
      const std::string field = "inputs." + name;
      std::string variable = name;
      std::transform(variable.begin(), variable.end(), variable.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
      if (!isVariable(name) || name.size() > 64) {
        add(field,
            "an input's name becomes a variable (BUOY_INPUT_…): use at most 64 letters, digits and '_', "
            "not " +
                inQuotes(name));
      } else if (!variables.insert(variable).second) {
        add(field, "another input differs only in case, and both would be $BUOY_INPUT_" + variable);
      }
      if (input.from.empty()) {
        add(field, "is empty: name the file or directory");
      } else if (!isText(input.from) || input.from.size() > kLongestPath) {
        add(field, "must be a path of at most 4096 bytes, in valid UTF-8");
      } else {
        inputSource(name, input);
      }
    }
    count("outputs", spec_.outputs.size(), kMostOutputs);
    for (std::size_t i = 0; i < std::min(spec_.outputs.size(), kMostOutputs); ++i) {
      path("outputs[" + std::to_string(i) + "]", spec_.outputs[i]);
    }
  }

  void inputSource(const std::string& name, const InputSpec& input) {
    using Mode = InputSpec::Mode;
    const std::string field = "inputs." + name;
    const auto source = parseInputSource(input.from);
    if (!source) return add(field, source.error().message);
    if (input.mode == Mode::link && source->kind != InputSource::Kind::path) {
      add(field + ".mode",
          "only a path can be linked; " + inQuotes(input.from) + " can be downloaded or streamed");
    }
    if (input.mode != Mode::stream) return;
    if (source->kind == InputSource::Kind::job && source->part == InputSource::Part::state) {
      add(field + ".mode", "a checkpoint is downloaded, not streamed: it is one version, checked as a whole");
    }
    // inputs/<name>_0, inputs/<name>_1 … are the stream's.
    for (auto other = spec_.inputs.upper_bound(name + "_"); other != spec_.inputs.end(); ++other) {
      if (!other->first.starts_with(name + "_")) break;
      const std::string_view rest = std::string_view(other->first).substr(name.size() + 1);
      if (std::all_of(rest.begin(), rest.end(), isDigit)) {
        add("inputs." + other->first,
            "is also what the stream " + inQuotes(name) + " is read from: choose another name");
      }
    }
  }

  void storage() {
    for (cloud::StorageProblem& problem : cloud::checkStorage(spec_.storage))
      add(std::move(problem.field), std::move(problem.message));
  }

  void container() {
    if (!spec_.container) return;
    for (container::SpecProblem& problem : container::check(*spec_.container))
      add("container." + problem.field, std::move(problem.message));
    if (spec_.machines > 1 && spec_.container->network == container::Network::bridge)
      add("container.network", "machines of one job reach one another by the machine's network: use host");
  }

  void metrics() {
    count("metrics", spec_.metrics.size(), kMostNamed);
    if (spec_.metrics.size() > kMostNamed) return;
    for (const auto& [name, pattern] : spec_.metrics) {
      const std::string field = "metrics." + name;
      if (!isName(name)) add(field, strCat({kNameRule, inQuotes(name)}));
      if (pattern.size() > kLongestPattern) {
        add(field, "is longer than " + std::to_string(kLongestPattern) + " bytes");
        continue;
      }
      // RE2 compiles to an automaton: no pattern it takes can backtrack, whatever the log says.
      RE2::Options options;
      options.set_log_errors(false);
      options.set_max_mem(kMostPatternMemory);
      const RE2 expression(pattern, options);
      if (!expression.ok()) {
        add(field,
            "is no regular expression: " + expression.error() +
                " (RE2 syntax, which always matches in linear time: no look-around, no back-references)");
      } else if (expression.NumberOfCapturingGroups() != 1) {
        add(field, "needs exactly one group ( ) around the number, not " +
                       std::to_string(expression.NumberOfCapturingGroups()) +
                       "; write (?: ) for groups that only group");
      }
    }
  }

  void environment() {
    count("env", spec_.env.size(), kMostEnvironment);
    std::size_t total = 0;
    for (const auto& [key, value] : spec_.env) {
      total += key.size() + value.size() + 2;
      const std::string field = "env." + (key.size() <= 200 ? key : inQuotes(key));
      if (!isVariable(key)) {
        add(field, "a variable's name is letters, digits and '_', not " + inQuotes(key));
      } else if (key.starts_with("BUOY_")) {
        add(field, "names that begin with BUOY_ are Buoy's own: choose another");
      }
      if (!isText(value)) {
        add(field, "must be valid UTF-8 without NUL bytes");
      } else if (key.size() + value.size() + 1 > kLongestString) {
        add(field, "is longer than Linux takes (128 KiB): put it into a file");
      }
    }
    if (total > kLongestEnvironment) {
      add("env", "the environment takes " + formatByteCount(ByteCount{total}) +
                     " together: at most 1.0 MiB is allowed, put the rest into a file");
    }
  }

  const JobSpec& spec_;
  std::vector<Problem> problems_;
};

struct Signal {
  std::string_view name;
  int number;
};
constexpr std::array<Signal, 8> kSignals{{{"SIGTERM", SIGTERM},
                                          {"SIGINT", SIGINT},
                                          {"SIGHUP", SIGHUP},
                                          {"SIGQUIT", SIGQUIT},
                                          {"SIGUSR1", SIGUSR1},
                                          {"SIGUSR2", SIGUSR2},
                                          {"SIGALRM", SIGALRM},
                                          {"SIGCONT", SIGCONT}}};

}  // namespace

std::vector<Problem> validate(const JobSpec& spec) {
  return Validator(spec).run();
}

bool isName(std::string_view text) {
  if (text.empty() || text.size() > 128 || !(isLetter(text.front()) || isDigit(text.front()))) return false;
  return std::all_of(text.begin(), text.end(), isNameChar);
}

bool isShare(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), isNameChar);
}

std::string jobNameFrom(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, 100)) name += isNameChar(c) ? c : '-';
  while (!name.empty() && !isLetter(name.front()) && !isDigit(name.front())) name.erase(0, 1);
  while (name.ends_with('-')) name.pop_back();
  if (JobId::parse(name)) name = "job-" + name;
  return name.substr(0, 100);
}

std::optional<int> signalNumber(std::string_view name) {
  for (const Signal& signal : kSignals) {
    if (signal.name == name) return signal.number;
  }
  return std::nullopt;
}

bool isRelativePath(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath || !isText(path)) return false;
  if (path.starts_with("./")) path.remove_prefix(2);
  if (path.ends_with('/')) path.remove_suffix(1);
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
  }
  return true;
}

bool isSha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return isDigit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace buoy::api
