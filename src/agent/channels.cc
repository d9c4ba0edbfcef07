#include "agent/channels.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <thread>

#include "agent/channel_source.h"
#include "agent/input_cache.h"
#include "agent/workspace.h"
#include "api/input_source.h"
#include "base/strings.h"
#include "objstore/checkpoint.h"
#include "objstore/newest_version.h"
#include "objstore/restore.h"
#include "objstore/sha256.h"
#include "os/files.h"
#include "os/paths.h"

namespace buoy::agent {
namespace {

using api::InputSource;
using api::InputSpec;
using Part = InputSource::Part;

constexpr int kStreamAhead = 4;  // pieces

struct Amount {
  std::uint64_t files = 0, bytes = 0;
  void add(std::uint64_t size) {
    ++files;
    bytes += size;
  }
  std::string toString() const {
    return strCat(
        {std::to_string(files), files == 1 ? " file, " : " files, ", formatByteCount(ByteCount{bytes})});
  }
};

std::string pathBelow(const std::string& place, const ChannelFile& file) {
  return file.name.empty() ? place : strCat({place, "/", file.name});
}

// A name that is a file cannot be a directory as well.
Status checkNames(const std::vector<ChannelFile>& files) {
  std::set<std::string_view> names;
  for (const ChannelFile& file : files) names.insert(file.name);
  for (const std::string_view name : names) {
    for (auto slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
      if (!names.contains(name.substr(0, slash))) continue;
      return fail(ErrorCode::invalid_argument,
                  strCat({"'", name.substr(0, slash), "' and '", name, "' cannot both be there as files"}));
    }
  }
  return {};
}

// Borrowed by shared_ptr, as sources may outlive the call that makes them.
std::shared_ptr<objstore::ObjectStore> borrowed(objstore::ObjectStore* store) {
  return {std::shared_ptr<void>(), store};
}

// The files of one input, downloaded by a few threads.
class Download {
 public:
  Download(InputCache& cache, ChannelSource& source, const ChannelOptions& options,
           const std::stop_token& outer)
      : cache_(cache),
        source_(source),
        options_(options),
        forward_(outer, [this] { stop_.request_stop(); }) {}

  Status run(const std::vector<ChannelFile>& files, const std::string& place) {
    {
      std::vector<std::jthread> threads;
      const auto most = static_cast<std::size_t>(options_.downloads_at_once);
      const std::size_t count = std::min(files.size(), most);
      source_.readAhead(count == 0 ? 1 : static_cast<int>(most / count));
      for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&] { work(files, place); });
    }
    return first_error_;
  }

  Amount fetched, cached;

 private:
  void work(const std::vector<ChannelFile>& files, const std::string& place) {
    while (!stop_.stop_requested()) {
      const std::size_t index = next_.fetch_add(1);
      if (index >= files.size()) return;
      const auto here = one(files[index], pathBelow(place, files[index]));
      const std::lock_guard guard(mutex_);
      if (here) {
        (*here ? cached : fetched).add(files[index].size);
      } else {
        if (first_error_)
          first_error_ =
              fail(here.error().wrap(files[index].name.empty() ? files[index].key : files[index].name));
        stop_.request_stop();
      }
    }
  }

  Result<bool> one(const ChannelFile& file, const std::string& path) {
    BUOY_TRY_VOID(os::makeDirectories(os::parentOf(path)));
    BUOY_TRY(const bool here,
             cache_.obtain(
                 {file.id, file.size, file.modified}, path,
                 [&](int fd, std::uint64_t from) { return fetch(file, fd, from); }, stop_.get_token()));
    if (file.mode != 0444 && ::chmod(path.c_str(), file.mode) != 0)
      return failErrno(errno, "set the mode of " + path);
    return here;
  }

  Status fetch(const ChannelFile& file, int fd, std::uint64_t from) {
    const auto take = [&](std::string_view piece) -> Status {
      BUOY_TRY_VOID(os::writeAll(fd, piece));
      if (options_.downloaded) *options_.downloaded += piece.size();
      return {};
    };
    BUOY_TRY_VOID(source_.read(file, from, take, stop_.get_token()));
    if (file.sha256.empty()) return {};
    BUOY_TRY(const objstore::HashedContent content, objstore::hashFile(fd, file.size, stop_.get_token()));
    if (content.sha256 == file.sha256) return {};
    return fail(ErrorCode::data_loss, "is damaged in the store");
  }

  InputCache& cache_;
  ChannelSource& source_;
  const ChannelOptions& options_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> forward_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  Status first_error_;
};

}  // namespace

// Makes the Channels of a job, input by input.
class ChannelBuilder {
 public:
  ChannelBuilder(const ChannelOptions& options, const std::stop_token& stop)
      : options_(options),
        stop_(stop),
        shared_(options.cache_directory, options.cache_limit),
        private_(downloads(), UINT64_MAX) {}

  Result<std::shared_ptr<Channels>> build(const std::map<std::string, InputSpec>& inputs) {
    for (const auto& [name, input] : inputs) {
      Status done = one(name, input);
      if (done) continue;
      Error error = done.error().wrap("inputs." + name);
      // To whoever prepares a job that means that its attempt was replaced.
      if (error.code == ErrorCode::failed_precondition) error.code = ErrorCode::invalid_argument;
      return fail(std::move(error));
    }
    // What was downloaded for this job alone has its names in inputs/ now.
    BUOY_TRY_VOID(os::removeTree(downloads()));
    return channels_;
  }

 private:
  std::string downloads() const { return options_.paths.root + "/downloads"; }

  Status one(const std::string& name, const InputSpec& input) {
    BUOY_TRY(const InputSource source, api::parseInputSource(input.from));
    const std::string place = options_.paths.inputs() + "/" + name;
    const bool is_path = source.kind == InputSource::Kind::path;
    const bool link =
        input.mode == InputSpec::Mode::link || (is_path && input.mode == InputSpec::Mode::automatic);
    if (source.kind == InputSource::Kind::job && source.part == Part::state)
      return state(name, input, source, place);
    if (link && input.distribution == InputSpec::Distribution::replicated)
      return linkWhole(source.path, place);
    BUOY_TRY(auto from, open(source));
    BUOY_TRY(std::vector<ChannelFile> files, list(*from, source));
    BUOY_TRY_VOID(checkNames(files));
    const bool one_file = files.size() == 1 && files.front().name.empty();
    if (input.distribution == InputSpec::Distribution::sharded)
      files = shardOf(std::move(files), options_.rank, options_.machines);
    if (input.mode == InputSpec::Mode::stream) return stream(place, std::move(from), std::move(files), name);
    if (!one_file) BUOY_TRY_VOID(os::makeDirectories(place));
    return link ? linkFiles(files, place) : download(name, input, *from, files, place);
  }

  static Status linkWhole(const std::string& target, const std::string& place) {
    struct stat info {};
    if (::stat(target.c_str(), &info) != 0) return fail(ErrorCode::not_found, target + " is not there");
    if (::symlink(target.c_str(), place.c_str()) != 0) return failErrno(errno, "make the link " + place);
    return {};
  }

  static Status linkFiles(const std::vector<ChannelFile>& files, const std::string& place) {
    for (const ChannelFile& file : files) {
      const std::string path = pathBelow(place, file);
      BUOY_TRY_VOID(os::makeDirectories(os::parentOf(path)));
      BUOY_TRY_VOID(linkWhole(file.key, path));
    }
    return {};
  }

  Result<std::unique_ptr<ChannelSource>> open(const InputSource& source) const {
    if (source.kind == InputSource::Kind::path) return localSource(source.path);
    if (source.kind == InputSource::Kind::s3) return bucketSource(source.path);
    if (source.part == Part::source) return blobSource(borrowed(options_.store), source.sha256);
    const std::string outputs = strCat({options_.cluster, "/", source.job, "/outputs"});
    if (source.part == Part::model) {
      BUOY_TRY(const auto found, options_.store->list(outputs + "/model/", "", 1));
      if (!found.empty())
        return storeSource(borrowed(options_.store), outputs + "/model", api::toString(source));
    }
    return storeSource(borrowed(options_.store), outputs, api::toString(source));
  }

  static Result<std::vector<ChannelFile>> list(ChannelSource& from, const InputSource& source) {
    auto files = from.list();
    const bool job = source.kind == InputSource::Kind::job;
    if (files || !job || files.error().code != ErrorCode::not_found) return files;
    const bool gone = source.part == Part::source;
    return fail(ErrorCode::not_found,
                source.job + (gone ? "'s source is not in the store any more"
                                   : " has stored no outputs: it stores them when it succeeds"));
  }

  Status stream(const std::string& place, std::unique_ptr<ChannelSource> from, std::vector<ChannelFile> files,
                const std::string& name) {
    from->readAhead(kStreamAhead);
    BUOY_TRY(auto served, ChannelStream::serve(place, std::move(from), std::move(files),
                                               [name, tell = options_.on_trouble](const Error& error) {
                                                 tell(error.wrap("inputs." + name));
                                               }));
    channels_->streams_.push_back(std::move(served));
    return {};
  }

  Status download(const std::string& name, const InputSpec& input, ChannelSource& from,
                  const std::vector<ChannelFile>& files, const std::string& place) {
    const auto run = [&] {
      Download download(input.cache ? shared_ : private_, from, options_, stop_);
      Status done = download.run(files, place);
      if (done) tell(name, download.fetched, download.cached);
      return done;
    };
    Status done = run();
    if (!done && done.error().code == ErrorCode::resource_exhausted && !input.cache) {
      BUOY_TRY_VOID(shared_.makeRoom(UINT64_MAX / 2));  // the disk is full: what no job uses makes room
      done = run();
    }
    BUOY_TRY_VOID(done);
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the download was stopped");
    return {};
  }

  void tell(const std::string& name, const Amount& fetched, const Amount& cached) {
    std::string text = strCat({"input ", name, ": "});
    if (fetched.files > 0 || cached.files == 0) text += "downloaded " + fetched.toString();
    if (fetched.files > 0 && cached.files > 0) text += ", and ";
    if (cached.files > 0) text += cached.toString() + " from the cache";
    channels_->events_.push_back(std::move(text));
  }

  // The newest version that can be restored.
  Status state(const std::string& name, const InputSpec& input, const InputSource& source,
               const std::string& place) {
    const std::string prefix = strCat({options_.cluster, "/", source.job, "/checkpoints"});
    Status restored = objstore::useNewestVersion(*options_.store, prefix, [&](objstore::Manifest& version) {
      return restore(name, input, prefix, version, place);
    });
    if (!restored && restored.error().code == ErrorCode::not_found)
      return fail(ErrorCode::not_found, source.job + " has no checkpoint");
    return restored;
  }

  Status restore(const std::string& name, const InputSpec& input, const std::string& prefix,
                 objstore::Manifest& version, const std::string& place) {
    using Kind = objstore::CheckpointFile::Kind;
    if (input.distribution == InputSpec::Distribution::sharded) shard(version);
    BUOY_TRY_VOID(emptyDirectory(place));
    Amount all, cached;
    const auto wanted = [](const objstore::CheckpointFile& file) {
      return InputCache::Wanted{strCat({"state\n", file.sha256, "\n", std::to_string(file.mode), "\n",
                                        std::to_string(file.modified.time_since_epoch().count())}),
                                file.size, file.modified};
    };
    for (const objstore::CheckpointFile& file : version.files) {
      if (file.kind != Kind::file) continue;
      all.add(file.size);
      const std::string path = strCat({place, "/", file.path});
      BUOY_TRY_VOID(os::makeDirectories(os::parentOf(path)));
      BUOY_TRY(const bool here, shared_.copy(wanted(file), path));
      if (here) cached.add(file.size);
    }
    BUOY_TRY(const std::uint64_t bytes,
             objstore::restoreVersion(*options_.store, prefix + "/", version, place));
    if (options_.downloaded) *options_.downloaded += bytes;
    if (input.cache) BUOY_TRY_VOID(shared_.makeRoom(all.bytes));
    for (const objstore::CheckpointFile& file : version.files) {
      if (file.kind == Kind::file && input.cache)
        (void)shared_.keep(wanted(file), strCat({place, "/", file.path}));
    }
    tell(name, {all.files - cached.files, all.bytes - cached.bytes}, cached);
    channels_->events_.back() += strCat({" (version ", std::to_string(version.version), ")"});
    return {};
  }

  void shard(objstore::Manifest& version) const {
    int index = 0;
    std::erase_if(version.files, [&](const objstore::CheckpointFile& file) {
      return file.kind == objstore::CheckpointFile::Kind::file &&
             index++ % options_.machines != options_.rank;
    });
  }

  const ChannelOptions& options_;
  const std::stop_token& stop_;
  InputCache shared_;
  InputCache private_;
  std::shared_ptr<Channels> channels_ = std::make_shared<Channels>();
};

Result<std::shared_ptr<Channels>> Channels::prepare(const ChannelOptions& options,
                                                    const std::map<std::string, InputSpec>& inputs,
                                                    const std::stop_token& stop) {
  return ChannelBuilder(options, stop).build(inputs);
}

std::vector<ChannelFile> shardOf(std::vector<ChannelFile> files, int rank, int machines) {
  int index = 0;
  std::erase_if(files, [&](const ChannelFile&) { return index++ % machines != rank; });
  return files;
}

}  // namespace buoy::agent
