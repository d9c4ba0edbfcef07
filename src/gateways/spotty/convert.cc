#include <algorithm>
#include <filesystem>
#include <utility>

#include "api/json_writer.h"
#include "base/strings.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/workspace.h"

namespace buoy::gateways::spotty {
namespace {

constexpr std::string_view kUsualFirst = "#!/usr/bin/env bash";  // of a script that names no program

// A scalar of YAML that is read back as this text: JSON's strings are YAML's.
std::string scalar(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '.' || c == '-' || c == '_';
  });
  const bool word =
      plain && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '/');
  if (word && text != "true" && text != "false" && text != "null" && text != "yes" && text != "no" &&
      text != "on" && text != "off")
    return std::string(text);
  std::string quoted;
  api::appendJsonString(quoted, text);
  return quoted;
}

class Converter {
 public:
  Converter(const Project& project, const Instance& instance, const Parameters& parameters,
            const std::string& project_root)
      : project_root_(project_root),
        project_(project),
        instance_(instance),
        parameters_(parameters),
        container_(*project.container(parameters.container_name)) {}

  std::string convert() {
    comment(strCat({"Made of a spotty.yaml (format ", toString(project_.format), "): project ", project_.name,
                    ", instance ", instance_.name, ", container ", container_.name, "."}));
    comment("A job runs one script to its end; to keep a machine and work in it, go on with `buoy spotty`.");
    line("name: " + scalar(lowerCase(project_.name)));
    writeScript();
    writeContainer();
    writeEnv();
    writePlace();
    writeVolumes();
    writeFilters();
    comment("A reclaim moves the job, and starts its command again with what it saved in this directory:");
    line("checkpoint: checkpoints");
    return std::move(out_);
  }

 private:
  void line(std::string_view text) { out_ += strCat({text, "\n"}); }
  void comment(std::string_view text) { line(strCat({"# ", text})); }

  void block(std::string_view key, std::string_view text, std::string_view indent) {
    // A text that begins with a space or an empty line does not show by itself how far it is moved.
    const bool told = text.starts_with(' ') || text.starts_with('\n');
    line(strCat({key, told ? ": |2" : ": |"}));
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      line(end == 0 ? std::string() : strCat({indent, rest.substr(0, end)}));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }

  void writeScript() {
    if (project_.scripts.empty()) {
      comment("There is no script in it: write what is to be run.");
      line("run: sleep 1");
      return;
    }
    const auto train = project_.scripts.find("train");
    const auto& [name, text] = train == project_.scripts.end() ? *project_.scripts.begin() : *train;
    comment(strCat({"The script ", name,
                    ". Its {{parameters}} are variables of the environment here: --env NAME=VALUE."}));
    const std::string_view first = text.starts_with("#!") ? trim(split(text, '\n').front()) : kUsualFirst;
    const bool shell = first.ends_with("sh") || first.find("sh -") != std::string_view::npos;
    if (!shell && text.find("{{") != std::string::npos)
      comment("It is no shell's: where it has {{NAME}} it is to read that variable.");
    std::string script = shell ? variablesOf(text) : text;
    if (!text.starts_with("#!")) script.insert(0, strCat({kUsualFirst, "\nset -xe\n"}));
    block("run", first == "#!/bin/sh" ? script : throughFile(std::move(script)), "  ");
    std::string others;
    for (const auto& [other, unused] : project_.scripts) {
      if (other != name) others += (others.empty() ? "" : ", ") + other;
    }
    if (!others.empty()) comment(strCat({"Each other script is a job of its own: ", others, "."}));
  }

  // A job's own text is the image's /bin/sh's; what is another program's is given to that as a file.
  static std::string throughFile(std::string script) {
    if (!script.ends_with('\n')) script += '\n';
    std::string word = "END_OF_SCRIPT";
    while (script.find(word) != std::string::npos) word += "_";
    return strCat({"script=$(mktemp)\ncat >\"$script\" <<'", word, "'\n", script, word,
                   "\nchmod +x \"$script\"\nexec \"$script\"\n"});
  }

  // {{NAME}} as ${NAME}.
  static std::string variablesOf(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      const std::size_t open = text.find("{{");
      const std::size_t close = open == std::string_view::npos ? open : text.find("}}", open);
      if (close == std::string_view::npos) break;
      std::string_view name = trim(text.substr(open + 2, close - open - 2));
      std::size_t after = close + 2;
      if (name.starts_with('{')) {
        name = trim(name.substr(1));
        if (after < text.size() && text[after] == '}') ++after;
      }
      if (name.starts_with('&')) name = trim(name.substr(1));
      out += strCat({text.substr(0, open), "${", name, "}"});
      text.remove_prefix(after);
    }
    return out + std::string(text);
  }

  void writeContainer() {
    line("container:");
    line(container_.image.empty() ? "  file: " + scalar(container_.file)
                                  : "  image: " + scalar(container_.image));
    line("  project_dir: " + scalar(container_.project_dir));
    if (container_.working_dir != container_.project_dir)
      line("  working_dir: " + scalar(container_.working_dir));
    if (container_.run_as_host_user) line("  user: host");
    if (container_.host_network) line("  network: host");
    writeMounts();
    if (!container_.ports.empty() && !container_.host_network) {
      line("  ports:");
      for (const Port& port : container_.ports)
        line(strCat({"    - {container: ", std::to_string(port.container),
                     ", host: ", std::to_string(port.host), "}"}));
    }
    if (!container_.commands.empty()) block("  commands", container_.commands, "    ");
    if (!container_.runtime_parameters.empty()) {
      line("  runtime_args:");
      for (const std::string& word : container_.runtime_parameters) line("    - " + scalar(word));
    }
  }

  void writeMounts() {
    const auto mounts = planOf(project_, instance_, parameters_, {.project_root = project_root_}).mounts;
    bool first = true;
    for (const auto& mount : mounts) {
      // The job's files are at project_dir; what is no volume of the instance's is the job's own directory.
      if (mount.path == container_.project_dir) continue;
      if (std::exchange(first, false)) line("  volumes:");
      const std::string host = mount.host.starts_with('/')
                                   ? std::filesystem::path(mount.host).lexically_normal().string() + ":"
                                   : std::string();
      if (mount.host.starts_with('~'))
        comment(strCat({"It was ", mount.host, " there: write ABSOLUTE_PATH:", mount.path, " for that."}));
      line("    - " + scalar(host + mount.path));
    }
  }

  void writeEnv() {
    if (container_.env.empty()) return;
    line("env:");
    for (const auto& [name, value] : container_.env) line(strCat({"  ", name, ": ", scalar(value)}));
  }

  void writePlace() {
    if (instance_.provider != ProviderKind::aws) {
      comment(strCat({"The instance was on provider ", toString(instance_.provider), "."}));
      return;
    }
    line(strCat({"spot: ", parameters_.spot ? "only" : "never"}));
    comment(strCat({"A pool of the server says where: provider aws, region ", parameters_.region, ", type ",
                    parameters_.instance_type,
                    parameters_.max_price.empty() ? "" : ", max_price " + parameters_.max_price, "."}));
    if (const std::string keys = keysOfPool(); !keys.empty())
      comment("What its section aws says in their place: " + keys + ".");
    comment("pools: [aws]");
  }

  std::string keysOfPool() const {
    std::vector<std::string> keys;
    if (!parameters_.zone.empty()) keys.emplace_back("availabilityZone");
    if (!parameters_.subnet.empty()) keys.emplace_back("subnetId");
    if (!parameters_.ami_id.empty()) keys.emplace_back("amiId");
    if (!parameters_.ami_name.empty()) keys.emplace_back("amiName");
    if (parameters_.root_volume_gib > 0) keys.emplace_back("rootVolumeSize");
    if (!parameters_.instance_profile_arn.empty()) keys.emplace_back("instanceProfileArn");
    if (!parameters_.managed_policy_arns.empty()) keys.emplace_back("managedPolicyArns");
    if (!parameters_.commands.empty()) keys.emplace_back("commands");
    return join(keys, ", ");
  }

  void writeVolumes() {
    if (instance_.provider != ProviderKind::aws || parameters_.volumes.empty()) return;
    comment("The same volumes and snapshots are found by their names.");
    line("volumes:");
    for (const Volume& volume : parameters_.volumes) {
      line("  - name: " + scalar(volume.disk));
      if (volume.size_gib > 0) line(strCat({"    size: ", std::to_string(volume.size_gib), "GiB"}));
      line("    type: " + volume.type);
      line("    mount: " + scalar(volume.mount_dir));
      line(strCat({"    deletion: ", cloud::toString(volume.deletion)}));
    }
  }

  void writeFilters() {
    if (project_.filters.empty()) return;
    comment("syncFilters: put what is not to be uploaded into .buoyignore, as in a .gitignore:");
    for (const SyncFilter& filter : project_.filters) {
      for (const std::string& pattern : filter.patterns)
        comment(strCat({"  ", filter.include ? "!" : "", pattern}));
    }
  }

  const std::string& project_root_;
  const Project& project_;
  const Instance& instance_;
  const Parameters& parameters_;
  const Container& container_;
  std::string out_;
};

}  // namespace

std::string convert(const Project& project, const Instance& instance, const Parameters& parameters,
                    const std::string& project_root) {
  return Converter(project, instance, parameters, project_root).convert();
}

}  // namespace buoy::gateways::spotty
