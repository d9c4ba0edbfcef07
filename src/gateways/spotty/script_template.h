#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace buoy::gateways::spotty {

// A script of a spotty.yaml with its parameters filled in: Mustache's variables ({{name}}, {{{name}}},
// {{&name}}), comments ({{! … }}) and changes of the delimiters ({{=<% %>=}}), and no more of it
// (https://mustache.github.io/mustache.5.html). Nothing is escaped, whichever braces: it is a shell script.
// A variable without a value is empty. Without a first line that begins with #! one for bash and `set -xe`
// are put before it. invalid_argument: a parameter that the script has not, or a tag that does not end or is
// not known here. Pure.
Result<std::string> renderScript(std::string_view script,
                                 const std::map<std::string, std::string>& parameters);

// "NAME=VALUE" of -p. invalid_argument otherwise.
Result<std::pair<std::string, std::string>> parseParameter(std::string_view text);

}  // namespace buoy::gateways::spotty
