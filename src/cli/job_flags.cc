#include "cli/job_flags.h"

#include <array>
#include <cmath>
#include <filesystem>

#include "api/input_source.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/quoting.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

constexpr std::uint64_t kLongestEnvFile = 16u << 20;

// Collects what is wrong with the flags, and puts into the specification what is right.
class Applier {
 public:
  Applier(std::string directory, const Lookup& lookup, api::JobSpec& spec)
      : directory_(std::move(directory)), lookup_(lookup), spec_(spec) {}

  std::vector<api::Problem> take() { return std::move(problems_); }

  void text(const std::string& given, std::string& target) {
    if (!given.empty()) target = given;
  }

  // All else that the file says of the container stays.
  void image(const std::string& given) {
    if (given.empty()) return;
    if (!spec_.container) spec_.container.emplace();
    spec_.container->image = given;
    spec_.container->file.clear();
    spec_.container->context.clear();
    spec_.container->build_args.clear();
  }

  template <class Integer>
  void integer(const char* flag, const std::string& given, Integer& target) {
    if (given.empty()) return;
    const auto value = parseNumber<Integer>(given);
    if (!value) return add(flag, "must be a whole number, not '" + given + "'");
    target = *value;
  }

  void cpus(const std::string& given) {
    if (given.empty()) return;
    const auto value = parseNumber<double>(given);
    if (!value || !(*value > 0) || *value > 1e5) {
      return add("--cpus", "must be a number above 0, such as 2 or 0.5, not '" + given + "'");
    }
    spec_.resources.milli_cpus = static_cast<std::int32_t>(std::lround(*value * 1000));
  }

  void memory(const std::string& given) {
    if (given.empty()) return;
    if (auto value = parseByteCount(given)) {
      spec_.resources.memory = *value;
    } else {
      add("--memory", value.error().message);
    }
  }

  void duration(const char* flag, const std::string& given, Duration& target) {
    if (given.empty()) return;
    if (auto value = parseDuration(given)) {
      target = *value;
    } else {
      add(flag, value.error().message);
    }
  }

  void interval(const std::string& given, std::optional<Duration>& target) {
    if (given.empty()) return;
    if (given == "auto") return target.reset();
    duration("--checkpoint-interval", given, target.emplace());
  }

  template <class T, class Parse>
  void parsed(const char* flag, const std::string& given, T& target, Parse parse) {
    if (given.empty()) return;
    if (auto value = parse(given)) {
      target = std::move(*value);
    } else {
      add(flag, value.error().message);
    }
  }

  void policy(const std::string& given) {
    if (const auto rule = engine::fromString<engine::SpotRule>(given)) spec_.policy = *rule;
  }

  void spot(const std::string& given) {
    if (given == "prefer") spec_.spot = engine::SpotPreference::prefer;
    if (given == "only") spec_.spot = engine::SpotPreference::only;
    if (given == "never") spec_.spot = engine::SpotPreference::never;
  }

  void checkpoint(const JobFlags& flags) {
    if (flags.checkpoint.empty() && flags.keep.empty() && flags.signal.empty() && flags.settle.empty() &&
        flags.interval.empty() && flags.save_signal.empty() && flags.checkpoint_from.empty())
      return;
    if (!spec_.checkpoint) spec_.checkpoint.emplace();
    text(flags.checkpoint, spec_.checkpoint->dir);
    if (!flags.checkpoint_from.empty()) spec_.checkpoint->from = api::stateOf(flags.checkpoint_from);
    integer("--keep", flags.keep, spec_.checkpoint->keep);
    text(flags.signal, spec_.checkpoint->signal);
    duration("--settle", flags.settle, spec_.checkpoint->settle);
    interval(flags.interval, spec_.checkpoint->interval);
    text(flags.save_signal, spec_.checkpoint->save_signal);
  }

  void list(const std::vector<std::string>& given, std::vector<std::string>& target) {
    if (!given.empty()) target = given;
  }

  // NAME=VALUE entries.
  void entries(const char* flag, const std::vector<std::string>& given,
               std::map<std::string, std::string>& target, const char* example) {
    for (const std::string& entry : given) {
      const auto equals = entry.find('=');
      if (equals == std::string::npos || equals == 0) {
        add(flag, "'" + entry + "' is not NAME=VALUE; for example " + flag + " " + example);
      } else {
        target[entry.substr(0, equals)] = entry.substr(equals + 1);
      }
    }
  }

  void environment(const std::vector<std::string>& given) {
    for (const std::string& entry : given) {
      const auto equals = entry.find('=');
      if (equals == 0 || entry.empty()) {
        add("--env", "'" + entry + "' is not NAME=VALUE");
      } else if (equals != std::string::npos) {
        spec_.env[entry.substr(0, equals)] = entry.substr(equals + 1);
      } else if (auto value = lookup_(entry)) {
        spec_.env[entry] = *value;
      } else {
        add("--env", entry + " is not set here; give it a value: --env " + entry + "=VALUE");
      }
    }
  }

  void environmentFile(const std::string& name) {
    auto content = os::readFile((std::filesystem::path(directory_) / name).string(), kLongestEnvFile);
    if (!content) return add("--env-file", content.error().message);
    int number = 0;
    for (std::string_view line : split(*content, '\n')) {
      ++number;
      line = trim(line);
      if (line.empty() || line.front() == '#') continue;
      if (line.starts_with("export ")) line = trim(line.substr(7));
      const auto equals = line.find('=');
      if (equals == std::string_view::npos || equals == 0) {
        problems_.push_back({name, number, 0, "env", "a line must be NAME=VALUE"});
        return;
      }
      std::string_view value = line.substr(equals + 1);
      const bool in_quotes = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                             value.back() == value.front();
      spec_.env[std::string(line.substr(0, equals))] = in_quotes ? value.substr(1, value.size() - 2) : value;
    }
  }

 private:
  void add(const char* flag, std::string message) {
    problems_.push_back({{}, 0, 0, flag, std::move(message)});
  }

  std::string directory_;
  const Lookup& lookup_;
  api::JobSpec& spec_;
  std::vector<api::Problem> problems_;
};

}  // namespace

void addJobFlags(Command& command, JobFlags& flags) {
  command.optionalArgument(
      "FILE", flags.file, "the job, as YAML; ./buoy.yaml if neither FILE nor a command is given", Hint::file);
  command.rest = &flags.command;
  command.under("Job")
      .option("--name,-n", "NAME", flags.name, "what to call the job")
      .option("--image", "IMAGE", flags.image, "the container image that the command runs in")
      .option("--checkpoint", "DIR", flags.checkpoint, "directory that survives a reclaim", Hint::directory)
      .option("--checkpoint-from", "JOB", flags.checkpoint_from, "begin with this job's newest checkpoint",
              Hint::job)
      .option("--keep", "N", flags.keep, "checkpoint versions kept (3)")
      .option("--signal", "SIGNAL", flags.signal, "sent at a notice or stop (SIGTERM)")
      .option("--settle", "TIME", flags.settle, "quiet time before a checkpoint is committed (200ms)")
      .option("--checkpoint-interval", "TIME", flags.interval,
              "between saves, as the job is told, or auto (auto)")
      .option("--save-signal", "SIGNAL", flags.save_signal, "sent when a save is due or asked for (none)")
      .option("--input", "NAME=FROM", flags.inputs,
              "a path, s3://bucket/prefix or job:NAME/output, in $BUOY_INPUT_<NAME>; may be repeated")
      .option("--output", "PATH", flags.outputs, "kept when the job succeeds; may be repeated")
      .option("--metric", "NAME=REGEX", flags.metrics, "a number in the log; may be repeated")
      .option("--env,-e", "NAME=VALUE", flags.env,
              "a variable; NAME alone takes today's value; may be repeated")
      .option("--env-file", "FILE", flags.env_files, "variables, one NAME=VALUE a line; may be repeated",
              Hint::file)
      .option("--source", "DIR", flags.source, "what to upload (the job file's directory, or this one)",
              Hint::directory)
      .flag("--no-source", flags.no_source, "upload nothing");
  command.under("Machines")
      .option("--machines,-m", "N", flags.machines, "how many, all or none (1)")
      .option("--cpus", "N", flags.cpus, "of each machine (1)")
      .option("--memory", "SIZE", flags.memory, "of each machine, as in 4GiB")
      .option("--gpus", "N", flags.gpus, "of each machine")
      .option("--pool", "POOL", flags.pools, "where machines may come from; may be repeated, in order",
              Hint::pool)
      .option("--race", "N", flags.race, "ask N pools at once, run where a machine is up first")
      .choice("--spot", {"prefer", "only", "never"}, flags.spot, "whether spot machines are used (prefer)");
  command.under("Limits")
      .option("--queue", "QUEUE", flags.queue, "where it waits (default)")
      .option("--priority", "N", flags.priority, "within the queue, higher first (0)")
      .option("--share", "NAME", flags.share, "on whose account, in a queue that is shared fairly")
      .option("--array", "N", flags.array, "so many tasks, each with its BUOY_ARRAY_INDEX")
      .option("--depends-on", "JOB", flags.depends_on, "begin when it has succeeded; may be repeated",
              Hint::job)
      .option("--timeout", "TIME", flags.timeout, "longest running time of one attempt")
      .option("--max-run", "TIME", flags.max_run, "longest running time over all attempts")
      .option("--max-wait", "TIME", flags.max_wait, "longest waiting and running time from now")
      .option("--retries", "N", flags.retries, "failures of the job itself that are forgiven (0)")
      .option("--stop-grace", "TIME", flags.stop_grace, "from the stop signal to SIGKILL (30s)");
  command.under("Deadline and budget")
      .option("--deadline", "TIME", flags.deadline, "finish within this time (36h) or by this instant (…Z)")
      .option("--work", "TIME", flags.work, "how long the job runs if nothing interrupts it")
      .option("--budget", "USD", flags.budget, "never spend more: the job saves and pauses before")
      .choice("--policy", {"on-demand", "spot-first", "uniform-progress", "buoy"}, flags.policy,
              "how the deadline is met (buoy)");
  command.under("Options").option("--request-id", "TEXT", flags.request_id,
                                  "makes a repeated submit harmless");
}

std::vector<api::Problem> applyFlags(const JobFlags& flags, const std::string& directory,
                                     const Lookup& lookup, api::JobSpec& spec) {
  Applier applier(directory, lookup, spec);
  if (!flags.command.empty()) spec.run = commandText(flags.command);
  applier.text(flags.name, spec.name);
  applier.image(flags.image);
  applier.text(flags.queue, spec.queue);
  applier.text(flags.share, spec.share);
  applier.cpus(flags.cpus);
  applier.memory(flags.memory);
  applier.integer("--gpus", flags.gpus, spec.resources.gpus);
  applier.integer("--machines", flags.machines, spec.machines);
  applier.integer("--priority", flags.priority, spec.priority);
  applier.integer("--retries", flags.retries, spec.retry_failures);
  applier.spot(flags.spot);
  applier.checkpoint(flags);
  applier.integer("--array", flags.array, spec.array);
  applier.integer("--race", flags.race, spec.race);
  applier.duration("--timeout", flags.timeout, spec.timeout);
  if (!flags.depends_on.empty()) spec.depends_on.clear();
  for (const std::string& job : flags.depends_on) spec.depends_on.push_back({job, false});
  applier.duration("--max-run", flags.max_run, spec.max_run);
  applier.duration("--max-wait", flags.max_wait, spec.max_wait);
  applier.duration("--stop-grace", flags.stop_grace, spec.stop_grace);
  applier.parsed("--deadline", flags.deadline, spec.deadline, api::parseDeadline);
  applier.duration("--work", flags.work, spec.work);
  applier.parsed("--budget", flags.budget, spec.budget, api::parseBudget);
  applier.policy(flags.policy);
  applier.list(flags.pools, spec.pools);
  applier.list(flags.outputs, spec.outputs);
  std::map<std::string, std::string> inputs;
  applier.entries("--input", flags.inputs, inputs, "data=./data");
  for (auto& [name, from] : inputs) spec.inputs[name] = {.from = std::move(from)};
  applier.entries("--metric", flags.metrics, spec.metrics, "'loss=loss: ([0-9.]+)'");
  for (const std::string& file : flags.env_files) applier.environmentFile(file);
  applier.environment(flags.env);
  return applier.take();
}

std::string flagFor(const JobFlags& flags, const std::string& field) {
  struct Entry {
    std::string_view field;
    const char* flag;
    bool given;
  };
  const std::array<Entry, 33> entries{
      {{"run", "the command", !flags.command.empty()},
       {"name", "--name", !flags.name.empty()},
       {"queue", "--queue", !flags.queue.empty()},
       {"resources.cpus", "--cpus", !flags.cpus.empty()},
       {"resources.memory", "--memory", !flags.memory.empty()},
       {"resources.gpus", "--gpus", !flags.gpus.empty()},
       {"machines", "--machines", !flags.machines.empty()},
       {"priority", "--priority", !flags.priority.empty()},
       {"share", "--share", !flags.share.empty()},
       {"retry.failures", "--retries", !flags.retries.empty()},
       {"checkpoint.dir", "--checkpoint", !flags.checkpoint.empty()},
       {"checkpoint.from", "--checkpoint-from", !flags.checkpoint_from.empty()},
       {"checkpoint.keep", "--keep", !flags.keep.empty()},
       {"checkpoint.signal", "--signal", !flags.signal.empty()},
       {"checkpoint.settle", "--settle", !flags.settle.empty()},
       {"checkpoint.interval", "--checkpoint-interval", !flags.interval.empty()},
       {"checkpoint.save_signal", "--save-signal", !flags.save_signal.empty()},
       {"array", "--array", !flags.array.empty()},
       {"race", "--race", !flags.race.empty()},
       {"timeout", "--timeout", !flags.timeout.empty()},
       {"depends_on", "--depends-on", !flags.depends_on.empty()},
       {"max_run", "--max-run", !flags.max_run.empty()},
       {"max_wait", "--max-wait", !flags.max_wait.empty()},
       {"stop_grace", "--stop-grace", !flags.stop_grace.empty()},
       {"deadline", "--deadline", !flags.deadline.empty()},
       {"work", "--work", !flags.work.empty()},
       {"budget", "--budget", !flags.budget.empty()},
       {"policy", "--policy", !flags.policy.empty()},
       {"pools", "--pool", !flags.pools.empty()},
       {"outputs", "--output", !flags.outputs.empty()},
       {"inputs", "--input", !flags.inputs.empty()},
       {"metrics", "--metric", !flags.metrics.empty()},
       {"env", "--env", !flags.env.empty() || !flags.env_files.empty()}}};
  for (const Entry& entry : entries) {
    if (!entry.given || !field.starts_with(entry.field)) continue;
    const std::string_view rest = std::string_view(field).substr(entry.field.size());
    if (rest.empty() || rest[0] == '.' || rest[0] == '[') return entry.flag;
  }
  return {};
}

std::string commandText(const std::vector<std::string>& words) {
  std::vector<std::string> command = words;
  if (!command.empty() && command.front().ends_with(".py")) command.insert(command.begin(), "python3");
  return shellCommand(command);
}

std::string nameForCommand(const std::vector<std::string>& words) {
  std::string candidate;
  for (const std::string& word : words) {
    const std::filesystem::path path(word);
    const std::string extension = path.extension().string();
    if (extension == ".py" || extension == ".sh" || extension == ".R" || extension == ".jl") {
      candidate = path.stem().string();
      break;
    }
    if (candidate.empty()) candidate = path.filename().string();
  }
  return api::jobNameFrom(candidate);
}

}  // namespace buoy::cli
