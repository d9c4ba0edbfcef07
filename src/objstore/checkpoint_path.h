#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

// The names that a checkpoint may have in it.
namespace buoy::objstore {

// A path that may stand in a manifest: relative, UTF-8, no empty, "." or ".." component, at most 4,095 bytes.
// The message names it, escaped.
Status validatePath(std::string_view path);

// A link at `path` may stand in a manifest if it cannot lead out of the directory: its target is relative,
// ".." stands only at its beginning, and not more often than the link is deep. (Later ".." could climb from
// wherever another link leads.)
Status validateLink(std::string_view path, std::string_view target);

// Printable: other bytes as \xNN.
std::string escaped(std::string_view text);

}  // namespace buoy::objstore
