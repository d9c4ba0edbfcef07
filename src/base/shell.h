#pragma once

#include <string>
#include <string_view>

namespace buoy {

// One word as /bin/sh reads it back, in quotes, whatever is in it (except NUL, which no word has). Pure.
std::string quotedForShell(std::string_view word);

}  // namespace buoy
