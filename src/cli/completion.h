#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command_line.h"

namespace buoy::cli {

inline constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};

// A completion script made from the tree. Names of jobs, machines and pools are asked of `buoy complete KIND`
// (hidden) when they are needed. invalid_argument for a shell that is not in kShells.
Result<std::string> completionScript(const Command& root, std::string_view shell);

}  // namespace buoy::cli
