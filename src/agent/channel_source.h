#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "objstore/object_store.h"

namespace buoy::agent {

// A file of an input, wherever it lies.
struct ChannelFile {
  std::string name;  // relative and clean; empty: the input is this one file
  std::string key;   // for the source
  std::uint64_t size = 0;
  Time modified{};
  std::uint32_t mode = 0444;
  std::string sha256;  // empty: not known
  std::string etag;    // of an object, if its store has such
  std::string id;      // names the content for the cache
};

// What an input's files are read from. Threads: any.
class ChannelSource {
 public:
  // A piece of content, in order; an error ends the reading.
  using Take = std::function<Status(std::string_view)>;

  virtual ~ChannelSource() = default;
  // In byte order of the names. not_found: there is nothing at all.
  virtual Result<std::vector<ChannelFile>> list() = 0;
  // The content from this offset on, in pieces of at most 1 MiB. cancelled: `stop` was requested.
  virtual Status read(const ChannelFile& file, std::uint64_t from, const Take& take,
                      const std::stop_token& stop) = 0;

  // How many pieces of 8 MiB read() may fetch at once from a store that is far away; each is held in memory.
  void readAhead(int pieces) { read_ahead_ = pieces; }

 protected:
  int read_ahead_ = 1;
};

// A file or directory of this machine. Symbolic links to files are followed, those to directories are not.
std::unique_ptr<ChannelSource> localSource(std::string path);
// The objects whose keys begin with `prefix` and '/' (all, if it is empty), named by the rest of the key; or,
// if there are none, the object `prefix` itself. `where`: for messages and the cache. invalid_argument: a key
// that can be no file's name.
std::unique_ptr<ChannelSource> storeSource(std::shared_ptr<objstore::ObjectStore> store, std::string prefix,
                                           std::string where);
// The same for "s3://bucket/prefix", with settings and credentials as AWS's own tools find them.
Result<std::unique_ptr<ChannelSource>> bucketSource(const std::string& uri);
// The files of a source manifest (blob `sha256`).
std::unique_ptr<ChannelSource> blobSource(std::shared_ptr<objstore::ObjectStore> store, std::string sha256);

}  // namespace buoy::agent
