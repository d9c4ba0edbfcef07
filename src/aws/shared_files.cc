#include "aws/shared_files.h"

#include <optional>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::aws {
namespace {

constexpr std::uint64_t kLargestFile = 16u << 20;

std::string filePath(const Environment& environment, const std::string& name, const std::string& fallback) {
  std::string path = variable(environment, name);
  if (path.empty()) path = fallback;
  if (!path.starts_with("~/")) return path;
  const std::string home = variable(environment, "HOME");
  return home.empty() ? std::string() : home + path.substr(1);
}

Result<IniFile> readIni(const std::string& path) {
  if (path.empty()) return IniFile{};
  auto text = os::readFile(path, kLargestFile);
  if (!text && text.error().code == ErrorCode::not_found) return IniFile{};
  if (!text) return fail(std::move(text).error());
  return parseIni(*text, path);
}

// "profile x" -> "x"; nullopt if the section is not of this kind.
std::optional<std::string> nameAfter(std::string_view kind, std::string_view section) {
  if (!section.starts_with(kind)) return std::nullopt;
  const auto words = splitWords(section);
  if (!words || words->size() != 2) return std::nullopt;
  return (*words)[1];
}

}  // namespace

std::string variable(const Environment& environment, const std::string& name) {
  const auto at = environment.find(name);
  return at == environment.end() ? std::string() : at->second;
}

Result<bool> parseFlag(std::string_view text, const std::string& where) {
  const std::string lower = lowerCase(text);
  if (lower == "true" || lower == "1") return true;
  if (lower == "false" || lower == "0") return false;
  return fail(ErrorCode::invalid_argument, where + " must be true or false, not " + inQuotes(text));
}

std::string Profile::value(const std::string& key) const {
  const auto at = values.find(key);
  return at == values.end() ? std::string() : at->second.text;
}

std::string Profile::nested(const std::string& key, const std::string& inner) const {
  const auto at = values.find(key);
  if (at == values.end()) return {};
  const auto found = at->second.nested.find(inner);
  return found == at->second.nested.end() ? std::string() : found->second;
}

std::string SharedFiles::place(const std::string& profile) const {
  return strCat({"profile ", inQuotes(profile), " (", config_path, ", ", credentials_path, ")"});
}

Result<Profile> SharedFiles::profile(const std::string& name) const {
  const auto at = profiles.find(name);
  if (at != profiles.end()) return at->second;
  if (name == "default") return Profile{.name = name};
  return fail(ErrorCode::not_found, strCat({"there is no profile ", inQuotes(name), " in ", config_path,
                                            " or ", credentials_path}));
}

Result<SharedFiles> loadSharedFiles(const Environment& environment) {
  SharedFiles files;
  files.config_path = filePath(environment, "AWS_CONFIG_FILE", "~/.aws/config");
  files.credentials_path = filePath(environment, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
  BUOY_TRY(IniFile config, readIni(files.config_path));
  BUOY_TRY(IniFile credentials, readIni(files.credentials_path));
  for (const std::string& section : config.order) {
    auto& values = config.sections[section].values;
    if (const auto name = nameAfter("services", section)) files.services[*name] = config.sections[section];
    const auto name = section == "default" ? section : nameAfter("profile", section);
    // Of [default] and [profile default] the later one counts, whole.
    if (name) files.profiles[*name] = Profile{*name, values, values, {}};
  }
  for (const std::string& section : credentials.order) {
    Profile& profile = files.profiles[section];
    profile.name = section;
    profile.credentials_values = credentials.sections[section].values;
    for (const auto& [key, value] : profile.credentials_values) profile.values[key] = value;
  }
  return files;
}

}  // namespace buoy::aws
