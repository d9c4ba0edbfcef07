#include "cli/job_input.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "api/input_source.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/quoting.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;
using Problems = std::vector<api::Problem>;

constexpr std::uint64_t kLongestJobFile = 64u
                                          << 20;  // parseJobYaml refuses far earlier, with a better message

api::Problem problem(std::string field, std::string message) {
  return {{}, 0, 0, std::move(field), std::move(message)};
}

Problems only(api::Problem one) {
  Problems all;
  all.push_back(std::move(one));
  return all;
}

bool isInterpreter(std::string_view word) {
  const std::string_view name = word.substr(word.rfind('/') + 1);
  static constexpr std::array<std::string_view, 9> kNames{"sh",   "bash", "dash",    "zsh",  "perl",
                                                          "ruby", "node", "Rscript", "julia"};
  return name.starts_with("python") || std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// The file of the project that the command runs, as far as that can be told without running it; empty if it
// cannot.
std::string scriptOf(const std::string& run) {
  const std::vector<ShellWord> words = firstCommand(run);
  if (words.empty()) return {};
  if (!words[0].dynamic && words[0].text.find('/') != std::string::npos) return words[0].text;
  // ${PYTHON:-python3} is an interpreter as well as any.
  if (!words[0].dynamic && !isInterpreter(words[0].text)) return {};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const ShellWord& word = words[i];
    if (word.dynamic || word.text.empty() || word.text == "-") return {};
    if (word.text[0] != '-') {
      const bool looks_like_file =
          word.text.find('/') != std::string::npos || word.text.find('.') != std::string::npos;
      return looks_like_file ? word.text : std::string();
    }
    // -c CODE and -m MODULE are not files, and other options of one letter may take a word of their own.
    static constexpr std::string_view kHarmless = "uBOEIsSqvbdxe";
    const bool harmless = word.text.size() > 1 && word.text[1] != '-' &&
                          std::all_of(word.text.begin() + 1, word.text.end(),
                                      [](char c) { return kHarmless.find(c) != std::string_view::npos; });
    if (!harmless) return {};
  }
  return {};
}

class Reader {
 public:
  Reader(const JobFlags& flags, const JobInputOptions& options) : flags_(flags), options_(options) {}

  api::Parsed<JobInput> read() {
    if (auto problems = readSpec(); !problems.empty()) return tl::unexpected(std::move(problems));
    Problems problems = applyFlags(flags_, options_.directory, options_.environment, input_.spec);
    if (problems.empty()) {
      for (api::Problem& found : api::validate(input_.spec))
        problems.push_back(placed(flags_, input_, std::move(found)));
    }
    if (!problems.empty()) return tl::unexpected(std::move(problems));
    checkInputs(problems);
    if (problems.empty()) findSources(problems);
    if (problems.empty()) checkScript(problems);
    if (!problems.empty()) return tl::unexpected(std::move(problems));
    noteWhatIsNotKept();
    return std::move(input_);
  }

 private:
  Problems readSpec() {
    input_.file = flags_.file;
    std::error_code error;
    if (flags_.file.empty() && flags_.command.empty()) {
      for (const char* name : {"buoy.yaml", "buoy.yml"}) {
        if (input_.file.empty() && fs::exists(fs::path(options_.directory) / name, error)) input_.file = name;
      }
      if (input_.file.empty()) {
        return only(problem("",
                            "there is no buoy.yaml here, and no command was given\n"
                            "  run a command:     buoy run python3 train.py\n"
                            "  write a job file:  buoy init"));
      }
    }
    if (input_.file.empty()) {
      project_ = options_.directory;
      return readCommand();
    }
    const fs::path path = fs::path(options_.directory) / input_.file;
    project_ = fs::absolute(path.parent_path(), error).lexically_normal().string();
    auto text = os::readFile(path.string(), kLongestJobFile);
    if (!text) {
      const bool missing = text.error().code == ErrorCode::not_found;
      return only({input_.file, 0, 0, "", missing ? "there is no such file" : text.error().message});
    }
    input_.text = std::move(*text);
    fs::path directory(project_);
    if (!directory.has_filename()) directory = directory.parent_path();
    auto spec = api::parseJobYaml(input_.text, input_.file, directory.filename().string());
    if (!spec) return std::move(spec).error();
    input_.spec = std::move(*spec);
    for (auto& [name, input] : input_.spec.inputs) makeAbsolute(project_, input);
    return {};
  }

  Problems readCommand() {
    const std::vector<std::string>& words = flags_.command;
    if (words.size() == 1 && words[0].find(' ') != std::string::npos) {
      return only(problem("the command", "is one word, " + shellQuote(words[0]) +
                                             ", so that would be the program's name\n"
                                             "  for a shell command:  buoy run -- sh -c " +
                                             shellQuote(words[0])));
    }
    input_.spec.name = nameForCommand(words);
    if (input_.spec.name.empty()) input_.spec.name = "job";
    return {};
  }

  static std::string absolute(const std::string& directory, const std::string& path) {
    return path.empty() ? path : (fs::path(directory) / path).lexically_normal().string();
  }

  static bool isPath(const api::InputSpec& input) {
    const auto source = api::parseInputSource(input.from);
    return source && source->kind == api::InputSource::Kind::path;
  }

  static void makeAbsolute(const std::string& directory, api::InputSpec& input) {
    if (isPath(input)) input.from = absolute(directory, input.from);
  }

  void checkInputs(Problems& problems) {
    for (const std::string& entry : flags_.inputs) {
      const std::string name = entry.substr(0, entry.find('='));
      makeAbsolute(options_.directory, input_.spec.inputs[name]);
    }
    if (!options_.inputs_are_here) return;
    for (const auto& [name, input] : input_.spec.inputs) {
      if (!isPath(input)) continue;
      if (std::string message = inputMistake(input.from); !message.empty()) {
        problems.push_back(placed(flags_, input_, problem("inputs." + name, std::move(message))));
      }
    }
  }

  std::string inputMistake(const std::string& path) const {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error == std::errc::too_many_symbolic_link_levels)
      return "'" + path + "' is a symbolic link that leads back to itself";
    if (error == std::errc::no_such_file_or_directory) return "'" + path + "' does not exist";
    if (error) return "'" + path + "': " + error.message();
    const fs::path project = fs::weakly_canonical(project_, error);
    if (!flags_.no_source &&
        std::mismatch(real.begin(), real.end(), project.begin(), project.end()).first == real.end()) {
      return "'" + path +
             "' contains the project itself, which the job gets anyway: name the data's own directory";
    }
    return {};
  }

  void findSources(Problems& problems) {
    if (flags_.no_source) return;
    std::string root = flags_.source.empty() ? project_ : absolute(options_.directory, flags_.source);
    while (root.size() > 1 && root.back() == '/') root.pop_back();
    if (flags_.source.empty() && (root == "/" || root == options_.home)) {
      input_.notes.push_back("nothing is uploaded from " + root + " (say --source DIR for a project)");
      return;
    }
    auto rules = ignoreRulesFor(input_.spec, root);
    auto tree = rules ? findSource(root, *rules, {}) : tl::unexpected<Error>(rules.error());
    if (!tree) {
      problems.push_back(problem(flags_.source.empty() ? "" : "--source", tree.error().message));
      return;
    }
    for (const std::string& note : tree->notes) input_.notes.push_back(note);
    rules_ = std::move(*rules);
    input_.source = std::move(*tree);
  }

  void noteWhatIsNotKept() {
    const api::JobSpec& spec = input_.spec;
    if (spec.checkpoint || spec.spot == engine::SpotPreference::never) return;
    if (!spec.deadline) {
      input_.hints.push_back(
          "when its machine is taken the job begins again; what it writes to a checkpoint directory is kept: "
          "--checkpoint DIR, or checkpoint: in the file");
      return;
    }
    if (spec.policy != engine::SpotRule::none) return;
    const Duration time = spec.deadline->at == Time{} ? spec.deadline->in : spec.deadline->at - wallClock();
    if (time >= 2 * spec.work) return;
    input_.notes.push_back(
        "the job keeps no checkpoint, so it would begin again after every reclaim: there is no time to "
        "do the work twice, so it runs on-demand");
  }

  void checkScript(Problems& problems) {
    if (input_.source.root.empty()) return;
    const std::string script = scriptOf(input_.spec.run);
    const std::string path = fs::path(script).lexically_normal().generic_string();
    if (script.empty() || script.starts_with('/') || path.starts_with("..")) return;
    std::vector<std::string> known;
    for (const SourceEntry& file : input_.source.files) known.push_back(file.path);
    if (std::find(known.begin(), known.end(), path) != known.end()) return;
    std::string message = "'" + script + "' is not in the project " + input_.source.root;
    std::error_code error;
    if (const std::string origin = rules_.ignoredBy(path, false);
        fs::exists(fs::path(input_.source.root) / path, error)) {
      message = "'" + script + "' is not uploaded: left out by " +
                (origin.empty() ? "a rule for its directory" : origin);
    } else if (const auto close = nearest(path, known)) {
      message += "; did you mean '" + *close + "'?";
    }
    problems.push_back(placed(flags_, input_, problem("run", std::move(message))));
  }

  const JobFlags& flags_;
  const JobInputOptions& options_;
  JobInput input_;
  std::string project_;
  IgnoreRules rules_;
};

}  // namespace

api::Parsed<JobInput> readJob(const JobFlags& flags, const JobInputOptions& options) {
  return Reader(flags, options).read();
}

api::Problem placed(const JobFlags& flags, const JobInput& input, api::Problem problem) {
  if (const std::string flag = flagFor(flags, problem.field); !flag.empty()) {
    if (problem.field.find_first_of(".[") != std::string::npos && flag != "--memory" && flag != "--cpus") {
      problem.message = problem.field + ": " + problem.message;
    }
    problem.field = flag;
    return problem;
  }
  if (input.file.empty()) return problem;
  return api::locate(input.text, input.file, std::move(problem));
}

std::string renderProblems(const Look& look, const std::vector<api::Problem>& problems) {
  std::string text;
  for (const api::Problem& problem : problems)
    text += paint(look, Color::red, "error:") + " " + problem.toString() + "\n";
  return text;
}

}  // namespace buoy::cli
