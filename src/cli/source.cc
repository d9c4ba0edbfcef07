#include "cli/source.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/strings.h"
#include "base/units.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAlwaysIgnored = R"(
.git/
.hg/
.svn/
__pycache__/
*.pyc
.ipynb_checkpoints/
.mypy_cache/
.pytest_cache/
.ruff_cache/
.cache/
.venv/
.tox/
node_modules/
.DS_Store
)";
constexpr int kDeepest = 64;
constexpr std::size_t kMostExamined = 200'000;  // entries; a home directory is not walked to its end

// A directory with a .buoyignore of "*": as `buoy download` makes them.
bool leavesItselfOut(const fs::path& directory) {
  const auto text = os::readFile((directory / kIgnoreFile).string(), 4096);
  return text && trim(*text) == "*";
}

class Walker {
 public:
  Walker(const std::string& root, const IgnoreRules& rules, const SourceLimits& limits)
      : rules_(rules), limits_(limits) {
    tree_.root = root;
  }

  Result<SourceTree> walk() {
    std::error_code error;
    real_root_ = fs::canonical(tree_.root, error);
    if (error) return fail(ErrorCode::invalid_argument, "the project " + tree_.root + ": " + error.message());
    BUOY_TRY_VOID(directory(real_root_, "", {real_root_}));
    BUOY_TRY_VOID(checkLimits());
    std::sort(tree_.files.begin(), tree_.files.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    return std::move(tree_);
  }

 private:
  // `above` are the real paths of the directories that lead here: one of them again would be a cycle.
  Status directory(const fs::path& real, const std::string& prefix, std::vector<fs::path> above) {
    if (above.size() > kDeepest)
      return fail(ErrorCode::invalid_argument, "'" + prefix + "' is nested more than 64 directories deep");
    std::error_code error;
    fs::directory_iterator entries(real, error);
    if (error)
      return fail(ErrorCode::invalid_argument,
                  "cannot read the directory '" + prefix + "': " + error.message());
    for (; entries != fs::directory_iterator(); entries.increment(error)) {
      if (error)
        return fail(ErrorCode::invalid_argument,
                    "cannot read the directory '" + prefix + "': " + error.message());
      if (++examined_ > kMostExamined) return {};  // far over the limit: checkLimits says so
      BUOY_TRY_VOID(entry(*entries, prefix + entries->path().filename().string(), above));
    }
    return {};
  }

  Status entry(const fs::directory_entry& item, const std::string& path, const std::vector<fs::path>& above) {
    std::error_code error;
    const fs::file_status status = item.status(error);  // follows links
    if (item.is_symlink() && !fs::exists(status)) {
      if (rules_.ignoredBy(path, false).empty())
        tree_.notes.push_back("'" + path + "' is left out: a link that leads nowhere");
      return {};
    }
    const bool is_directory = fs::is_directory(status);
    if (!rules_.ignoredBy(path, is_directory).empty()) return {};
    if (!isValidUtf8(path))
      return fail(ErrorCode::invalid_argument, "the name of '" + path + "' is not valid UTF-8");
    if (is_directory) {
      fs::path real = item.path();
      if (item.is_symlink()) {
        real = fs::canonical(real, error);
        if (!insideProject(real) || std::find(above.begin(), above.end(), real) != above.end()) {
          tree_.notes.push_back(
              "'" + path + "' is left out: a link to a directory " +
              (insideProject(real) ? "that contains it" : "outside the project (name it under inputs)"));
          return {};
        }
      }
      if (leavesItselfOut(real)) return {};
      std::vector<fs::path> deeper = above;
      deeper.push_back(real);
      return directory(real, path + "/", std::move(deeper));
    }
    if (!fs::is_regular_file(status)) return {};
    const std::uint64_t size = item.file_size(error);
    if (error) return fail(ErrorCode::invalid_argument, "cannot read '" + path + "': " + error.message());
    tree_.files.push_back(
        {path, static_cast<std::uint32_t>(status.permissions() & fs::perms::mask) & 0777u, size});
    tree_.bytes += size;
    return {};
  }

  bool insideProject(const fs::path& real) const {
    return std::mismatch(real_root_.begin(), real_root_.end(), real.begin(), real.end()).first ==
           real_root_.end();
  }

  Status checkLimits() const {
    std::string what;
    if (examined_ > kMostExamined) {
      what = "has more than " + std::to_string(kMostExamined) + " files";
    } else if (tree_.files.size() > limits_.files) {
      what = "has " + std::to_string(tree_.files.size()) + " files; at most " +
             std::to_string(limits_.files) + " can be uploaded";
    } else if (tree_.bytes > limits_.bytes) {
      what = "has " + formatByteCount({tree_.bytes}) + "; at most " + formatByteCount({limits_.bytes}) +
             " can be uploaded";
    } else {
      const auto big = std::find_if(tree_.files.begin(), tree_.files.end(), [this](const SourceEntry& file) {
        return file.size > limits_.file_bytes;
      });
      if (big == tree_.files.end()) return {};
      what = "has '" + big->path + "' of " + formatByteCount({big->size}) + "; a file may have at most " +
             formatByteCount({limits_.file_bytes});
    }
    return fail(ErrorCode::invalid_argument,
                "the project " + tree_.root + " " + what + ".\n" + biggest() +
                    "Leave out what the job does not need by a line in .buoyignore, give data "
                    "under inputs, or say --source DIR or --no-source.");
  }

  // The top-level names that weigh most.
  std::string biggest() const {
    struct Weight {
      std::uint64_t bytes = 0;
      std::size_t files = 0;
    };
    std::map<std::string, Weight> weights;
    for (const SourceEntry& file : tree_.files) {
      const auto slash = file.path.find('/');
      Weight& weight = weights[slash == std::string::npos ? file.path : file.path.substr(0, slash + 1)];
      weight.bytes += file.size;
      ++weight.files;
    }
    std::vector<std::pair<std::string, Weight>> order(weights.begin(), weights.end());
    const bool by_count = tree_.files.size() > limits_.files;
    std::sort(order.begin(), order.end(), [by_count](const auto& a, const auto& b) {
      return by_count ? a.second.files > b.second.files : a.second.bytes > b.second.bytes;
    });
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(order.size(), 3); ++i) {
      const auto& [name, weight] = order[i];
      text += "  " + name + "  " + formatByteCount({weight.bytes}) + " in " + std::to_string(weight.files) +
              (weight.files == 1 ? " file\n" : " files\n");
    }
    return text;
  }

  const IgnoreRules& rules_;
  const SourceLimits& limits_;
  SourceTree tree_;
  fs::path real_root_;
  std::size_t examined_ = 0;
};

// The path of an input below the project, or empty.
std::string belowProject(const std::string& root, const std::string& input) {
  const fs::path relative =
      fs::path(input).lexically_normal().lexically_relative(fs::path(root).lexically_normal());
  const std::string text = relative.generic_string();
  return text.empty() || text == "." || text.starts_with("..") ? "" : text;
}

}  // namespace

Result<IgnoreRules> ignoreRulesFor(const api::JobSpec& spec, const std::string& root) {
  IgnoreRules rules;
  rules.add(kAlwaysIgnored, "Buoy, as always");
  for (const char* name : {".gitignore", kIgnoreFile}) {
    auto text = os::readFile(root + "/" + name, 1u << 20);
    if (text) {
      rules.add(*text, name);
    } else if (text.error().code != ErrorCode::not_found) {
      return fail(std::move(text).error());
    }
  }
  if (spec.checkpoint) rules.addPath(spec.checkpoint->dir, "checkpoint.dir");
  for (const std::string& output : spec.outputs) rules.add("/" + output, "outputs");
  for (const auto& [name, input] : spec.inputs)
    rules.addPath(belowProject(root, input.from), "inputs." + name);
  return rules;
}

Result<SourceTree> findSource(const std::string& root, const IgnoreRules& rules, const SourceLimits& limits) {
  return Walker(root, rules, limits).walk();
}

}  // namespace buoy::cli
