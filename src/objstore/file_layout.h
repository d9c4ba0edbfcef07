#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "objstore/object_store.h"

// How keys become paths below a file store's root, and back.
namespace buoy::objstore {

inline constexpr std::string_view kTempDirectory = ".buoy-tmp";

// The key with every component of more than 200 bytes cut into pieces of 200. Each piece but the last is a
// directory whose name ends with the byte 0xFF (which no key contains, as keys are UTF-8); each but the first
// begins with it. invalid_argument: not a key, or in the temporary directory.
Result<std::string> pathOfKey(std::string_view key);

// Objects below the open directory `root`, as ObjectStore::list says. Reads one directory at a time, and only
// directories that can hold an answer. Symbolic links and other things that are no objects are passed over.
Result<std::vector<ObjectInfo>> listFiles(int root, const std::string& prefix, const std::string& after,
                                          int limit);

}  // namespace buoy::objstore
