#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "objstore/transfer/tree_entry.h"
#include "os/fd.h"

namespace buoy::objstore {

// Names that downloads give to what is not whole yet (transfer.h).
inline constexpr std::string_view kUnfinishedPrefix = ".buoy-part-";

// Why something below the directory is not among its files.
struct Skipped {
  enum class Why : std::uint8_t {
    special,     // socket, device, FIFO, a link to nothing: there is nothing to copy
    not_utf8,    // cannot be a key
    unreadable,  // the directory, or what it is, cannot be read: its files are unknown
    loop,        // a link to a directory above itself
  } why = Why::special;
  std::string path;     // relative to the root of the walk
  std::string message;  // one sentence without the path
};

struct LocalWalkOptions {
  bool follow_links = true;                     // false: symbolic links are passed over in silence
  std::function<void(const Skipped&)> on_skip;  // called by next()
};

// The regular files below a directory, in byte order of "dir/file", whatever the directories' own order.
// Keeps the names of the directories on the way to where it is, so memory follows the largest directories,
// not the tree. What Buoy's downloads have not finished is passed over. Errors of single files go to on_skip.
class LocalWalk final : public TreeStream {
 public:
  // not_found, or invalid_argument if it is no directory.
  static Result<LocalWalk> open(const std::string& root, LocalWalkOptions options);
  Result<bool> next(TreeEntry& entry) override;

 private:
  struct Name {
    std::size_t begin, size;  // in Level::text; of a directory with its '/'
  };
  struct Level {
    std::string text;  // the names, one after another: one allocation for a directory
    std::vector<Name> names;
    std::size_t at = 0;
    std::size_t prefix_size = 0;  // of prefix_ above this level
    std::uint64_t device = 0, inode = 0;
  };
  LocalWalk(os::Fd root, LocalWalkOptions options);
  void enter(std::string_view name);  // of the deepest level, with '/' at the end; "" is the root
  Status readNames(Level& level);
  void addName(Level& level, int directory, std::string_view name, unsigned char type);
  bool describe(TreeEntry& entry);
  void skip(Skipped::Why why, std::string_view path, std::string message);

  os::Fd root_;
  LocalWalkOptions options_;
  std::vector<Level> levels_;
  std::string prefix_;  // of the deepest level, with '/' at the end
};

}  // namespace buoy::objstore
