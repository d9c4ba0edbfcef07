#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "objstore/s3/client.h"
#include "objstore/transfer/sync_plan.h"

// Where cp, sync and rm read and write: the words of the command line, with the meaning that the AWS CLI
// gives them (trailing slashes, names kept or given).
namespace buoy::cli {

// One end of a copy: a directory or a prefix with paths relative to it, or one file or object.
struct Place {
  enum class Kind : std::uint8_t { local, s3, standard } kind = Kind::local;  // standard: "-"
  std::string bucket;
  std::string base;  // before a relative path: "dir/", or a prefix of keys; "" for here or the whole bucket
  std::string only;  // the one path or key, whatever the relative path
  std::string root;  // what --include and --exclude are relative to: "/abs/dir" or "bucket/prefix"

  std::string path(std::string_view relative) const;  // of the file, or the key
  objstore::s3::Location location(std::string_view relative) const;
  // For people: "s3://bucket/key", "./file", "-".
  std::string name(std::string_view relative) const;
  // As filters see it.
  std::string whole(std::string_view relative) const;
};

struct Route {
  objstore::Direction direction = objstore::Direction::upload;
  bool tree = false;  // of everything below; else of one file or object
  Place source, destination;
  std::string file;  // the relative path of the one that is copied, unless `tree`
};

// "-" stands for standard input and output if `tree` is not asked for. Looks at what is there locally.
// invalid_argument if it cannot be meant.
Result<Route> parseRoute(const std::string& source, const std::string& destination, bool tree);
// Of `buoy rm` and `buoy ls`: the word must begin with s3://. With `tree` the key is a directory's.
Result<Place> parseRemote(const std::string& word, bool tree);

}  // namespace buoy::cli
