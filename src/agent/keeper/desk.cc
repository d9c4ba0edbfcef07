#include "agent/keeper/desk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostPlan = 1 << 20;
constexpr unsigned kPrivate = 0700;

// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), for a short name of a long path.
std::uint64_t shortened(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

Status makePrivate(const std::string& path) {
  BUOY_TRY_VOID(os::makeDirectories(path, kPrivate));
  struct stat state {};
  if (::lstat(path.c_str(), &state) != 0 || !S_ISDIR(state.st_mode) || state.st_uid != ::getuid())
    return fail(ErrorCode::permission_denied, path + " is not a directory of this user's");
  return {};
}

// A link to `target` in place of what is there, in one step.
Status pointTo(const std::string& link, const std::string& target) {
  const std::string fresh = link + ".new";
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (error) return fail(ErrorCode::internal, strCat({"link ", link, ": ", error.message()}));
  if (fs::is_directory(fs::symlink_status(link, error))) fs::remove_all(link, error);
  fs::rename(fresh, link, error);
  if (error) return fail(ErrorCode::internal, strCat({"link ", link, ": ", error.message()}));
  return {};
}

// Where it leads went with the job that had it.
Status makeDirectoryFor(const std::string& link) {
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(link, error)) && !fs::exists(link, error)) fs::remove(link, error);
  return os::makeDirectories(link);
}

}  // namespace

std::string Desk::socket() const {
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(shortened(root_)));
  return strCat({"/tmp/buoy-terminals-", std::to_string(::getuid()), "/", name});
}

Status Desk::open(const std::string& kept) const {
  BUOY_TRY_VOID(os::makeDirectories(root_, kPrivate));
  BUOY_TRY_VOID(makePrivate(fs::path(socket()).parent_path().string()));
  // The container's user, whoever that is, runs what lies there.
  BUOY_TRY_VOID(os::makeDirectories(inside() + "/scripts"));
  BUOY_TRY_VOID(os::makeDirectories(inside() + "/logs"));
  BUOY_TRY_VOID(kept.empty() ? makeDirectoryFor(scripts()) : pointTo(scripts(), kept));
  BUOY_TRY_VOID(os::writeFileAtomic(socketNote(), socket() + "\n", 0600));
  return os::writeFileAtomic(tmuxConfig(),
                             "set -s exit-empty off\n"
                             "set -g default-terminal screen-256color\n"
                             "set -g history-limit 50000\n",
                             0600);
}

Status Desk::writePlan(const api::WorkspacePlan& plan) const {
  return os::writeFileAtomic(planFile(), api::toJson(plan), 0600);
}

std::string Desk::absolute(const std::string& path) const {
  if (path.empty() || path.starts_with('/')) return path;
  if (path == "~" || path.starts_with("~/")) {
    const char* const home = std::getenv("HOME");
    return (home == nullptr ? "/root" : home) + path.substr(1);
  }
  return root_ + "/" + path;
}

Result<api::WorkspacePlan> Desk::plan() const {
  auto text = os::readFile(planFile(), kMostPlan);
  if (!text && text.error().code == ErrorCode::not_found)
    return fail(ErrorCode::failed_precondition, "there is no workspace in " + root_);
  if (!text) return fail(text.error());
  BUOY_TRY(api::WorkspacePlan plan, api::parseWorkspacePlan(*text));
  plan.project = absolute(plan.project);
  plan.dockerfile = absolute(plan.dockerfile);
  for (auto& mount : plan.mounts) mount.host = absolute(mount.host);
  return plan;
}

std::vector<api::WorkspaceScript> Desk::records() const {
  std::vector<api::WorkspaceScript> all;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(scripts(), error)) {
    if (entry.path().extension() != ".json") continue;
    if (auto script = record(entry.path().stem().string())) all.push_back(std::move(*script));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.session < b.session; });
  return all;
}

std::optional<api::WorkspaceScript> Desk::record(const std::string& session) const {
  const auto text = os::readFile(script(session), kMostPlan);
  if (!text) return std::nullopt;
  auto parsed = api::parseWorkspaceScript(*text);
  if (!parsed || parsed->session != session) return std::nullopt;
  return std::move(*parsed);
}

Status Desk::writeRecord(const api::WorkspaceScript& script_record) const {
  return os::writeFileAtomic(script(script_record.session), api::toJson(script_record), 0600);
}

}  // namespace buoy::agent
