#include "gateways/spotty/script_template.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/strings.h"

namespace buoy::gateways::spotty {
namespace {

constexpr std::string_view kPrelude = "#!/usr/bin/env bash\n\nset -xe\n\n";

class Renderer {
 public:
  Renderer(std::string_view script, const std::map<std::string, std::string>& parameters)
      : script_(script), parameters_(parameters) {}

  Result<std::string> render() {
    while (at_ < script_.size()) {
      const std::size_t tag = script_.find(open_, at_);
      out_ += script_.substr(at_, tag == std::string_view::npos ? tag : tag - at_);
      if (tag == std::string_view::npos) break;
      at_ = tag + open_.size();
      BUOY_TRY_VOID(takeTag(tag));
    }
    return std::move(out_);
  }
  const std::set<std::string>& variables() const { return variables_; }

 private:
  Error wrong(std::size_t place, std::string_view what) const {
    const auto line =
        1 + std::count(script_.begin(), script_.begin() + static_cast<std::ptrdiff_t>(place), '\n');
    return {ErrorCode::invalid_argument, strCat({"line ", std::to_string(line), " of the script: ", what})};
  }

  Status takeTag(std::size_t place) {
    const char kind = at_ < script_.size() ? script_[at_] : '\0';
    std::string close = close_;
    if (kind == '{') close = "}" + close;
    if (kind == '=') close = "=" + close;
    const std::size_t end = script_.find(close, at_ + (kind == '{' || kind == '=' ? 1 : 0));
    if (end == std::string_view::npos)
      return fail(wrong(place, strCat({inQuotes(open_), " without the ", inQuotes(close), " that ends it"})));
    const std::string_view inside = script_.substr(at_, end - at_);
    at_ = end + close.size();
    switch (kind) {
      case '=':
        return changeDelimiters(place, trim(inside.substr(1)));
      case '!':
        return {};
      case '#':
      case '^':
      case '/':
      case '>':
        return fail(wrong(place, strCat({"the tag ", inQuotes(inside),
                                         " is not known: scripts have variables only. For these braces as "
                                         "they are, change the delimiters before: ",
                                         open_, "=<% %>=", close_})));
      case '{':
      case '&':
        return putVariable(trim(inside.substr(1)));
      default:
        return putVariable(trim(inside));
    }
  }

  Status changeDelimiters(std::size_t place, std::string_view words) {
    const std::size_t space = words.find_first_of(" \t");
    const std::string_view first = words.substr(0, space);
    const std::string_view second = space == std::string_view::npos ? "" : trim(words.substr(space));
    if (first.empty() || second.empty() || second.find_first_of(" \t=") != std::string_view::npos ||
        first.find('=') != std::string_view::npos)
      return fail(
          wrong(place, "a change of the delimiters is written {{=<% %>=}}, with two words without ="));
    open_ = first;
    close_ = second;
    return {};
  }

  Status putVariable(std::string_view name) {
    variables_.emplace(name);
    if (const auto found = parameters_.find(std::string(name)); found != parameters_.end())
      out_ += found->second;
    return {};
  }

  const std::string_view script_;
  const std::map<std::string, std::string>& parameters_;
  std::string open_ = "{{", close_ = "}}";
  std::size_t at_ = 0;
  std::string out_;
  std::set<std::string> variables_;
};

}  // namespace

Result<std::string> renderScript(std::string_view script,
                                 const std::map<std::string, std::string>& parameters) {
  Renderer renderer(script, parameters);
  BUOY_TRY(std::string text, renderer.render());
  const std::vector<std::string> known(renderer.variables().begin(), renderer.variables().end());
  for (const auto& [name, value] : parameters) {
    if (renderer.variables().contains(name)) continue;
    const auto meant = nearest(name, known);
    return fail(ErrorCode::invalid_argument, strCat({"the script has no parameter ", inQuotes(name),
                                                     meant           ? "; did you mean '" + *meant + "'?"
                                                     : known.empty() ? std::string("; it has none")
                                                                     : "; it has " + join(known, ", ")}));
  }
  return text.starts_with("#!") ? text : strCat({kPrelude, text});
}

Result<std::pair<std::string, std::string>> parseParameter(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || trim(text.substr(0, equals)).empty())
    return fail(ErrorCode::invalid_argument, strCat({"-p needs NAME=VALUE, not ", inQuotes(text)}));
  return std::pair{std::string(trim(text.substr(0, equals))), std::string(text.substr(equals + 1))};
}

}  // namespace buoy::gateways::spotty
