#include "agent/container_process.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/parse_number.h"
#include "base/strings.h"
#include "os/child.h"

namespace buoy::agent {
namespace {

constexpr std::size_t kLongestInitLine = 256;
constexpr int kKilledWithoutWord = 128 + SIGKILL;

Status sendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return failErrno(errno, "talk to the container's init");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

std::uint64_t hexNumber(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

}  // namespace

Status sendRun(int connection, int out, int err, const std::vector<std::string>& environment) {
  std::string text;
  for (const std::string& variable : environment) text += variable + '\0';
  const std::string line = strCat({"run ", std::to_string(text.size()), "\n"});
  const std::array<int, 2> fds = {out, err};
  iovec part = {const_cast<char*>(line.data()), line.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  if (::sendmsg(connection, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return fail(ErrorCode::unavailable, "the container ended before the job began");
  return sendAll(connection, text);
}

ContainerProcess::ContainerProcess(os::EventLoop& loop, Callbacks callbacks, os::Fd connection,
                                   std::string memory_limit)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      connection_(std::move(connection)),
      memory_limit_(std::move(memory_limit)),
      output_(loop, callbacks_.on_output),
      last_code_(kKilledWithoutWord) {}

ContainerProcess::~ContainerProcess() {
  if (running_) loop_.unwatch(connection_.get());
}

Status ContainerProcess::start(const std::vector<std::string>& environment) {
  BUOY_TRY(os::Pipe out, os::makePipe());
  BUOY_TRY(os::Pipe err, os::makePipe());
  BUOY_TRY_VOID(sendRun(connection_.get(), out.write.get(), err.write.get(), environment));
  running_ = true;
  output_.begin(std::move(out.read), std::move(err.read));
  loop_.watch(connection_.get(), [this] { listen(); });
  return {};
}

// An init that does not read has been stopped with its container: SIGKILL by the engine is what helps then.
void ContainerProcess::tell(const std::string& line) {
  if (running_) (void)::send(connection_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ContainerProcess::signal(int number) {
  tell(strCat({"signal ", std::to_string(number), "\n"}));
}

bool ContainerProcess::catches(int number) const {
  return running_ && number >= 1 && number <= 64 && (caught_ >> (number - 1) & 1) != 0;
}

void ContainerProcess::signalCatchers(int number) {
  tell(strCat({"catchers ", std::to_string(number), "\n"}));
}

void ContainerProcess::killAll() {
  tell("kill\n");
}

std::string ContainerProcess::explanation() const {
  if (killed_for_memory_ == 0) return {};
  return strCat({"out of memory: the kernel killed ",
                 killed_for_memory_ == 1 ? "a process" : std::to_string(killed_for_memory_) + " processes",
                 " of the container", memory_limit_.empty() ? "" : " at its limit of ", memory_limit_});
}

void ContainerProcess::listen() {
  std::array<char, 1024> bytes;
  const ssize_t size = ::recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return finish();
  rest_.append(bytes.data(), static_cast<std::size_t>(size));
  for (auto end = rest_.find('\n'); end != std::string::npos && running_; end = rest_.find('\n')) {
    const std::string line = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    obey(line);
  }
  if (rest_.size() > kLongestInitLine) finish();
}

void ContainerProcess::obey(const std::string& line) {
  const auto words = split(line, ' ');
  if (words.size() < 2) return;
  const int code = parseNumber<int>(words[1]).value_or(kKilledWithoutWord);
  if (words[0] == "caught") {
    caught_ = hexNumber(words[1]);
  } else if (words[0] == "exit" && !exited_) {
    exited_ = true;
    last_code_ = code;
    callbacks_.on_exit(code);
  } else if (words[0] == "gone") {
    last_code_ = code;
    if (words.size() > 2) killed_for_memory_ = parseNumber<std::uint64_t>(words[2]).value_or(0);
  }
}

// The init has ended, and with it everything in the container.
void ContainerProcess::finish() {
  loop_.unwatch(connection_.get());
  running_ = false;
  connection_.reset();
  output_.finish();
  if (!std::exchange(exited_, true)) callbacks_.on_exit(last_code_);
  callbacks_.on_gone(last_code_);
}

}  // namespace buoy::agent
