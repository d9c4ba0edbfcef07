#include "agent/channel_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/trouble.h"
#include "base/pause.h"
#include "base/strings.h"
#include "os/files.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

constexpr int kPipeSize = 1 << 20;
// How soon, and then how often, it is looked whether the job reads.
constexpr Duration kFirstLook = std::chrono::milliseconds{1};
constexpr Duration kLastLook = std::chrono::milliseconds{50};
constexpr Duration kRetryMin = std::chrono::milliseconds{250};
constexpr Duration kRetryMax = std::chrono::seconds{15};
constexpr Duration kStorePatience = std::chrono::minutes{10};  // with a store that does not answer

// The FIFO of this name once a job has it open; not open: nobody has, or it is not there, or another thing
// is.
os::Fd openForReader(const std::string& path) {
  os::Fd fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (fd && (::fstat(fd.get(), &info) != 0 || !S_ISFIFO(info.st_mode))) fd.reset();
  return fd;
}

// The reader went away, or the stream ends: nobody wants the rest.
Status unwanted() {
  return buoy::fail(ErrorCode::cancelled, "nobody reads any more");
}

// A reader that has closed its end wants no more, also if there was nothing to write since.
bool readerIsGone(int fd) {
  struct pollfd state {
    fd, 0, 0
  };
  return ::poll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
}

}  // namespace

Result<std::unique_ptr<ChannelStream>> ChannelStream::serve(std::string path,
                                                            std::unique_ptr<ChannelSource> source,
                                                            std::vector<ChannelFile> files,
                                                            OnTrouble on_trouble) {
  std::unique_ptr<ChannelStream> stream(
      new ChannelStream(std::move(path), std::move(source), std::move(files), std::move(on_trouble)));
  BUOY_TRY_VOID(stream->make(0));
  stream->thread_ = std::jthread([self = stream.get()](const std::stop_token& stop) { self->run(stop); });
  return stream;
}

ChannelStream::ChannelStream(std::string path, std::unique_ptr<ChannelSource> source,
                             std::vector<ChannelFile> files, OnTrouble on_trouble)
    : path_(std::move(path)),
      source_(std::move(source)),
      files_(std::move(files)),
      on_trouble_(std::move(on_trouble)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BUOY_CHECK(wake_);
}

ChannelStream::~ChannelStream() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

std::string ChannelStream::fifo(std::uint64_t epoch) const {
  return strCat({path_, "_", std::to_string(epoch)});
}

Status ChannelStream::make(std::uint64_t epoch) const {
  if (::mkfifo(fifo(epoch).c_str(), 0600) != 0) return failErrno(errno, "make the FIFO " + fifo(epoch));
  return {};
}

void ChannelStream::run(const std::stop_token& stop) {
  for (std::uint64_t epoch = 0; !stop.stop_requested(); ++epoch) {
    const os::Fd fd = awaitReader(epoch, stop);
    if (!fd) return;
    // The next one is there before this one ends.
    if (const Status made = make(epoch + 1); !made) return fail(made.error(), stop);
    writeAll(fd.get(), stop);
    (void)::unlink(fifo(epoch).c_str());
  }
}

os::Fd ChannelStream::awaitReader(std::uint64_t epoch, const std::stop_token& stop) {
  const std::string path = fifo(epoch);
  // An open(2) that waits would wait for ever if the job removes the FIFO, and nothing tells of a reader that
  // waits in open(2).
  for (Duration pause = kFirstLook; !stop.stop_requested(); pause = std::min(pause * 2, kLastLook)) {
    os::Fd fd = openForReader(path);
    if (fd) {
      (void)::fcntl(fd.get(), F_SETPIPE_SZ, kPipeSize);
      return fd;
    }
    (void)pauseFor(pause, stop);
  }
  return {};
}

void ChannelStream::writeAll(int fd, const std::stop_token& stop) {
  for (const ChannelFile& file : files_) {
    std::uint64_t written = 0;
    Duration pause = kRetryMin;
    Duration waited{};
    for (;;) {
      const std::uint64_t before = written;
      Status status = source_->read(
          file, written,
          [&](std::string_view piece) -> Status {
            BUOY_TRY_VOID(write(fd, piece, stop));
            written += piece.size();
            return {};
          },
          stop);
      if (status && written != file.size) {
        status = buoy::fail(ErrorCode::data_loss, "has changed its size since it was listed");
      }
      if (status) break;
      if (status.error().code == ErrorCode::cancelled || readerIsGone(fd)) return;
      if (written != before) {
        pause = kRetryMin;
        waited = {};
      }
      if (!mayPass(status.error()) || waited >= kStorePatience) {
        return fail(status.error().wrap(file.name.empty() ? file.key : file.name), stop);
      }
      os::log(os::LogLevel::warn, "stream_retried", {{"file", file.name}, {"error", status.error().message}});
      if (!pauseFor(pause, stop)) return;
      waited += pause;
      pause = std::min(pause * 2, kRetryMax);
    }
  }
}

// Holds the FIFO open until the job has been ended.
void ChannelStream::fail(Error error, const std::stop_token& stop) const {
  on_trouble_(std::move(error));
  struct pollfd ended {
    wake_.get(), POLLIN, 0
  };
  while (!stop.stop_requested()) (void)::poll(&ended, 1, -1);
}

Status ChannelStream::write(int fd, std::string_view piece, const std::stop_token& stop) const {
  while (!piece.empty()) {
    if (stop.stop_requested()) return unwanted();
    const ssize_t n = ::write(fd, piece.data(), piece.size());  // SIGPIPE is ignored in this program
    if (n > 0) {
      piece.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return unwanted();
    std::array<struct pollfd, 2> wait{{{fd, POLLOUT, 0}, {wake_.get(), POLLIN, 0}}};
    (void)::poll(wait.data(), wait.size(), -1);
  }
  return {};
}

}  // namespace buoy::agent
