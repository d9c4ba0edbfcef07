#include "cli/spotty/choice.h"

#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "base/strings.h"
#include "cli/connection.h"
#include "cli/exit_codes.h"
#include "cli/job_input.h"
#include "gateways/spotty/names.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;
namespace spotty = gateways::spotty;

constexpr const char* kUsualFile = "spotty.yaml";
constexpr const char* kOverride = "spotty.override.yaml";
constexpr std::uint64_t kMostText = 2 << 20;

std::string ask(const Context& context, const std::string& question) {
  context.note(question);
  std::string answer;
  std::getline(std::cin, answer);
  return std::string(trim(answer));
}

tl::expected<std::size_t, int> askWhich(const Context& context, const spotty::Project& project) {
  std::string names;
  for (const spotty::Instance& instance : project.instances)
    names += (names.empty() ? "" : ", ") + instance.name;
  if (::isatty(STDIN_FILENO) == 0)
    return tl::unexpected(wrongUsage(context, "which instance is meant? Name one of: " + names));
  context.note("Select the instance:\n\n");
  for (std::size_t i = 0; i < project.instances.size(); ++i)
    context.note(strCat({"[", std::to_string(i + 1), "] ", project.instances[i].name, "\n"}));
  for (;;) {
    const std::string answer = ask(context, "\nEnter number: ");
    if (answer.empty() && !std::cin) return tl::unexpected(static_cast<int>(ExitCode::usage));
    for (std::size_t i = 0; i < project.instances.size(); ++i) {
      if (answer == std::to_string(i + 1) || answer == project.instances[i].name) return i;
    }
    context.note(strCat({"a number from 1 to ", std::to_string(project.instances.size()), ", please"}));
  }
}

// Where the workspace is on its machine.
tl::expected<std::string, int> directoryOf(const Context& context, const SpottyChoice& choice) {
  switch (choice.instance.provider) {
    case spotty::ProviderKind::local: {
      const auto state = stateDirectory();
      if (!state) return tl::unexpected(failSpotty(context, state.error()));
      return strCat({*state, "/spotty/", choice.name});
    }
    case spotty::ProviderKind::remote:
      return "~/.spotty/workspaces/" + choice.name;
    case spotty::ProviderKind::aws:
    case spotty::ProviderKind::gcp:
      return "/var/lib/buoy/spotty/" + choice.name;
  }
  return std::string();
}

}  // namespace

int failSpotty(const Context& context, const Error& error) {
  (void)context.fail(error);
  return static_cast<int>(error.code == ErrorCode::invalid_argument ? ExitCode::usage : ExitCode::failure);
}

int wrongUsage(const Context& context, std::string message) {
  (void)context.fail({ErrorCode::invalid_argument, std::move(message)});
  return static_cast<int>(ExitCode::usage);
}

std::string titleOf(const SpottyChoice& choice) {
  return strCat({"Instance \"", choice.instance.name, "\""});
}

int notRunning(const Context& context, const SpottyChoice& choice) {
  const int code =
      failSpotty(context, {ErrorCode::failed_precondition, titleOf(choice) + " is not running."});
  context.note(
      strCat({"Use the \"spotty start", choice.project.instances.size() > 1 ? " " + choice.instance.name : "",
              "\" command to start the instance.\n"}));
  return code;
}

bool confirmed(const Context& context, const std::string& question) {
  const std::string answer = ask(context, question + " [y/N] ");
  if (!std::cin) context.note("\n");  // nobody pressed Enter
  return answer == "y" || answer == "Y" || answer == "yes";
}

tl::expected<SpottyFile, int> readSpottyFile(const Context& context, const SpottyFlags& flags) {
  SpottyFile file;
  std::error_code error;
  const fs::path path = flags.config.empty() ? fs::path(kUsualFile) : fs::path(flags.config);
  file.root = fs::absolute(path, error).lexically_normal().parent_path().string();
  auto text = os::readFile(path.string(), kMostText);
  if (!text)
    return tl::unexpected(wrongUsage(
        context, text.error().code == ErrorCode::not_found
                     ? strCat({"there is no ", path.string(), ": name the configuration file with -c"})
                     : text.error().message));
  file.main = {path.string(), std::move(*text)};
  if (path.filename() == kUsualFile) {
    const fs::path over = path.parent_path() / kOverride;
    if (auto more = os::readFile(over.string(), kMostText)) {
      file.over = {over.string(), std::move(*more)};
    } else if (more.error().code != ErrorCode::not_found) {
      return tl::unexpected(wrongUsage(context, more.error().message));
    }
  }
  auto project = spotty::parseProject(file.main, file.over);
  if (!project) {
    context.note(renderProblems(context.err, project.error()));
    return tl::unexpected(static_cast<int>(ExitCode::usage));
  }
  file.project = std::move(*project);
  return file;
}

tl::expected<SpottyChoice, int> chooseInstance(const Context& context, const SpottyFlags& flags) {
  auto file = readSpottyFile(context, flags);
  if (!file) return tl::unexpected(file.error());
  const auto& instances = file->project.instances;
  const spotty::Instance* instance = instances.size() == 1 ? &instances[0] : nullptr;
  if (!flags.instance.empty()) {
    instance = file->project.instance(flags.instance);
    if (instance == nullptr)
      return tl::unexpected(wrongUsage(
          context, strCat({"there is no instance ", inQuotes(flags.instance), " in ", file->main.file})));
  } else if (instance == nullptr) {
    const auto which = askWhich(context, file->project);
    if (!which) return tl::unexpected(which.error());
    instance = &instances[*which];
  }
  auto parameters = spotty::readParameters(file->project, *instance, file->main, file->over);
  if (!parameters) {
    context.note(renderProblems(context.err, parameters.error()));
    return tl::unexpected(static_cast<int>(ExitCode::usage));
  }
  SpottyChoice choice{std::move(file->project), *instance, std::move(*parameters), file->root, {}, {}};
  choice.instance = *choice.project.instance(instance->name);
  choice.name = spotty::workspaceName(choice.project.name, choice.instance.name);
  auto directory = directoryOf(context, choice);
  if (!directory) return tl::unexpected(directory.error());
  choice.directory = std::move(*directory);
  return choice;
}

}  // namespace buoy::cli
