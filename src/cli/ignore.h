#pragma once

#include <string>
#include <string_view>
#include <vector>

// Which files are not part of a project: the patterns of .gitignore, as far as projects use them. Pure.
namespace buoy::cli {

class IgnoreRules {
 public:
  // Lines as in .gitignore: '#' comments, '!' takes back, a trailing '/' means directories only, a '/' before
  // the end anchors at the project, '*', '?', '[a-z]', '**'. `origin` names the file in explanations.
  void add(std::string_view lines, const std::string& origin);
  // One path below the project, exactly; with all that is in it.
  void addPath(std::string_view path, const std::string& origin);

  // The origin of the last rule that matches `path` (relative, '/'-separated), if that rule ignores it; else
  // empty. Asked for a directory first and for what is in it only if that is not ignored, as git does.
  std::string ignoredBy(std::string_view path, bool is_directory) const;

 private:
  struct Rule {
    std::string pattern;
    std::string origin;
    bool anchored = false;
    bool directories_only = false;
    bool take_back = false;
    bool literal = false;
  };
  std::vector<Rule> rules_;
};

// Shell-like match of the whole text: '*' and '?' do not cross '/', "**" does.
bool globMatches(std::string_view pattern, std::string_view text);

}  // namespace buoy::cli
