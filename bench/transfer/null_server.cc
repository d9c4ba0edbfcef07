// buoy_null_s3: an S3 server that throws away what it is sent and serves what costs nothing, so that a
// benchmark sees the client alone. One thread, epoll; bodies up are dropped in the kernel, bodies down come
// from one page-cached file.
//   buoy_null_s3 PORT [--objects BUCKET/PREFIX:COUNT:SIZE]…
// Prints "ready" when it listens. Checks no signatures; buckets need not be made.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <unordered_map>

#include "null_request.h"
#include "null_store.h"

namespace buoy::bench {
namespace {

constexpr std::uint64_t kContentBytes = 4 << 20;  // the content of every object is this much, again and again
constexpr std::size_t kDropAtOnce = 64 << 20;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct Connection {
  explicit Connection(int socket) : fd(socket) {}
  ~Connection() { ::close(fd); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd;
  std::string in;  // not yet a whole head, or a body that is kept
  std::optional<Request> request;
  std::uint64_t body_left = 0;
  bool keep_body = false;  // XML that is read; everything else is dropped
  std::string out;
  std::size_t out_sent = 0;
  std::uint64_t content_at = 0, content_left = 0;
  bool writing = false;  // waits for EPOLLOUT
};

std::string httpTime(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

class NullServer {
 public:
  explicit NullServer(std::uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (::listen(listener_, 1024) != 0) die("listen");
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
    fillContent();
  }

  NullStore& store() { return store_; }

  [[noreturn]] void run() {
    std::array<epoll_event, 64> events{};
    while (true) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_) {
          accept();
        } else if (auto found = connections_.find(fd);
                   found != connections_.end() && !advance(*found->second)) {
          connections_.erase(found);
        }
      }
    }
  }

 private:
  void fillContent() {
    content_ = ::memfd_create("content", MFD_CLOEXEC);
    if (content_ < 0 || ::ftruncate(content_, kContentBytes) != 0) die("memfd");
    auto* words =
        static_cast<std::uint64_t*>(::mmap(nullptr, kContentBytes, PROT_WRITE, MAP_SHARED, content_, 0));
    std::uint64_t x = 88172645463325252U;  // xorshift64: content that does not compress
    for (std::size_t i = 0; i < kContentBytes / 8; ++i) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      words[i] = x;
    }
    ::munmap(words, kContentBytes);
  }

  void accept() {
    int fd = -1;
    while ((fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
      connections_.emplace(fd, std::make_unique<Connection>(fd));
    }
  }

  // Until it would block. False: the connection is over.
  bool advance(Connection& c) {
    while (true) {
      if (c.out_sent < c.out.size() || c.content_left > 0) {
        const bool done = send(c);
        if (!done && errno != EAGAIN) return false;
        watch(c, !done);
        if (!done) return true;
        continue;
      }
      if (c.request && c.body_left == 0) {
        answer(c);
        continue;
      }
      if (!c.request && takeHead(c)) continue;
      const auto got = receive(c);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
      if (got < 0) return true;
    }
  }

  ssize_t receive(Connection& c) {
    if (c.request && !c.keep_body) {
      const auto got = ::recv(c.fd, nullptr, std::min<std::uint64_t>(c.body_left, kDropAtOnce), MSG_TRUNC);
      if (got > 0) c.body_left -= static_cast<std::uint64_t>(got);
      return got;
    }
    // No more than fits the buffer, or a body that follows would be copied here.
    const auto got = ::recv(c.fd, buffer_.data(), buffer_.size(), 0);
    if (got > 0) {
      c.in.append(buffer_.data(), static_cast<std::size_t>(got));
      takeBody(c);
    }
    return got;
  }

  bool takeHead(Connection& c) {
    const auto end = c.in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    c.request = parseHead(std::string_view(c.in).substr(0, end));
    c.in.erase(0, end + 4);
    c.body_left = c.request->length;
    c.keep_body = c.request->method == "POST";
    if (c.request->expects && c.in.empty()) c.out = "HTTP/1.1 100 Continue\r\n\r\n";
    takeBody(c);
    return true;
  }

  // The part of the body that came with the head.
  void takeBody(Connection& c) {
    if (!c.request || c.body_left == 0) return;
    if (c.keep_body) {
      if (c.in.size() >= c.request->length) c.body_left = 0;
      return;
    }
    const auto count = std::min<std::uint64_t>(c.in.size(), c.body_left);
    c.in.erase(0, count);
    c.body_left -= count;
  }

  bool send(Connection& c) {
    while (c.out_sent < c.out.size()) {
      const auto sent = ::send(c.fd, c.out.data() + c.out_sent, c.out.size() - c.out_sent,
                               MSG_NOSIGNAL | (c.content_left > 0 ? MSG_MORE : 0));
      if (sent < 0) return false;
      c.out_sent += static_cast<std::size_t>(sent);
    }
    while (c.content_left > 0) {
      auto offset = static_cast<off_t>(c.content_at % kContentBytes);
      const auto count = std::min(c.content_left, kContentBytes - static_cast<std::uint64_t>(offset));
      const auto sent = ::sendfile(c.fd, content_, &offset, count);
      if (sent <= 0) return false;
      c.content_at += static_cast<std::uint64_t>(sent);
      c.content_left -= static_cast<std::uint64_t>(sent);
    }
    c.out.clear();
    c.out_sent = 0;
    return true;
  }

  void watch(Connection& c, bool writing) {
    if (c.writing == writing) return;
    c.writing = writing;
    epoll_event event{.events = writing ? EPOLLOUT : EPOLLIN, .data = {.fd = c.fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
  }

  void answer(Connection& c) {
    const Request request = std::move(*c.request);
    c.request.reset();
    std::string body;
    if (c.keep_body) {
      body = c.in.substr(0, request.length);
      c.in.erase(0, request.length);
    }
    if (request.method == "GET" || request.method == "HEAD") return read(c, request);
    if (request.method == "PUT") return put(c, request);
    if (request.method == "POST") return post(c, request, body);
    if (request.method == "DELETE") {
      if (const auto upload = request.query.find("uploadId"); upload != request.query.end()) {
        store_.abortUpload(upload->second);
      } else {
        store_.erase(request.name);
      }
      return reply(c, "204 No Content", "", "");
    }
    error(c, "405 Method Not Allowed", "MethodNotAllowed");
  }

  void read(Connection& c, const Request& request) {
    const bool head = request.method == "HEAD";
    if (request.query.contains("location")) {
      return reply(c, "200 OK", "",
                   "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    }
    if (request.name == request.bucket || request.query.contains("uploadId")) {
      if (head) return reply(c, "200 OK", "x-amz-bucket-region: us-east-1\r\n", "");
      if (request.query.contains("uploads")) return reply(c, "200 OK", "", "<ListMultipartUploadsResult/>");
      if (request.query.contains("uploadId")) return reply(c, "200 OK", "", "<ListPartsResult/>");
      if (request.name.empty()) return reply(c, "200 OK", "", "<ListAllMyBucketsResult/>");
      return reply(c, "200 OK", "", store_.list(request.bucket, request.query));
    }
    const auto* object = store_.find(request.name);
    if (object == nullptr) {
      return head ? reply(c, "404 Not Found", "", "") : error(c, "404 Not Found", "NoSuchKey");
    }
    std::uint64_t begin = 0, end = object->size;  // [begin, end)
    if (request.range && request.range->starts_with("bytes=")) {
      const auto text = request.range->substr(6);
      const auto dash = text.find('-');
      const auto tail = text.substr(dash + 1);
      begin = dash == 0 ? object->size - std::min(object->size, number(tail)) : number(text);
      if (dash != 0 && !tail.empty()) end = std::min(object->size, number(tail) + 1);
      if (begin >= object->size) return error(c, "416 Range Not Satisfiable", "InvalidRange");
    }
    std::string range;
    if (request.range) range = fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin, end - 1, object->size);
    c.out += fmt::format(
        "HTTP/1.1 {}\r\nContent-Length: {}\r\nETag: {}\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n"
        "Content-Type: binary/octet-stream\r\n{}{}\r\n",
        request.range ? "206 Partial Content" : "200 OK", end - begin, object->etag,
        httpTime(object->modified), range, object->metadata);
    c.content_at = begin;
    c.content_left = head ? 0 : end - begin;
  }

  void put(Connection& c, const Request& request) {
    if (request.name == request.bucket) return reply(c, "200 OK", "", "");
    if (const auto upload = request.query.find("uploadId"); upload != request.query.end()) {
      const auto part = request.query.find("partNumber");
      const auto number_of_part = part == request.query.end() ? 0 : number(part->second);
      const auto etag = store_.addPart(upload->second, number_of_part, request.decoded_length);
      return reply(c, "200 OK", "ETag: " + etag + "\r\n", "");
    }
    if (request.only_if_none && store_.find(request.name) != nullptr) {
      return error(c, "412 Precondition Failed", "PreconditionFailed");
    }
    reply(c, "200 OK",
          "ETag: " + store_.put(request.name, request.decoded_length, request.metadata).etag + "\r\n", "");
  }

  void post(Connection& c, const Request& request, const std::string& body) {
    if (request.query.contains("uploads")) {
      return reply(c, "200 OK", "",
                   fmt::format("<InitiateMultipartUploadResult><Bucket>{}</Bucket><UploadId>{}</UploadId>"
                               "</InitiateMultipartUploadResult>",
                               request.bucket, store_.createUpload(request.metadata)));
    }
    if (const auto upload = request.query.find("uploadId"); upload != request.query.end()) {
      const auto* object = store_.completeUpload(upload->second, request.name);
      if (object == nullptr) return error(c, "404 Not Found", "NoSuchUpload");
      return reply(c, "200 OK", "",
                   fmt::format("<CompleteMultipartUploadResult><Bucket>{}</Bucket><ETag>{}</ETag>"
                               "</CompleteMultipartUploadResult>",
                               request.bucket, object->etag));
    }
    if (request.query.contains("delete")) {
      for (std::size_t at = 0; (at = body.find("<Key>", at)) != std::string::npos;) {
        at += 5;
        store_.erase(request.bucket + "/" + body.substr(at, body.find("</Key>", at) - at));
      }
      return reply(c, "200 OK", "", "<DeleteResult/>");
    }
    error(c, "501 Not Implemented", "NotImplemented");
  }

  void reply(Connection& c, std::string_view status, std::string_view headers, std::string_view body) {
    const bool empty = body.empty() && status.starts_with("204");
    c.out += fmt::format("HTTP/1.1 {}\r\n{}{}{}\r\n{}", status, headers,
                         body.empty() ? "" : "Content-Type: application/xml\r\n",
                         empty ? "" : fmt::format("Content-Length: {}\r\n", body.size()), body);
  }

  void error(Connection& c, std::string_view status, std::string_view code) {
    reply(c, status, "", fmt::format("<Error><Code>{0}</Code><Message>{0}</Message></Error>", code));
  }

  int listener_ = -1, epoll_ = -1, content_ = -1;
  NullStore store_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::array<char, 4096> buffer_{};
};

// "bucket/prefix:count:size"
void addObjects(NullStore& store, const std::string& text) {
  const auto second = text.rfind(':');
  const auto first = text.rfind(':', second - 1);
  const auto count = number(text.substr(first + 1));
  for (std::uint64_t i = 0; i < count; ++i) {
    store.put(fmt::format("{}{:06}", text.substr(0, first), i), number(text.substr(second + 1)), "");
  }
}

}  // namespace
}  // namespace buoy::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: buoy_null_s3 PORT [--objects BUCKET/PREFIX:COUNT:SIZE]...\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  buoy::bench::NullServer server(static_cast<std::uint16_t>(std::atoi(argv[1])));
  for (int i = 2; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--objects") buoy::bench::addObjects(server.store(), argv[i + 1]);
  }
  std::puts("ready");
  std::fflush(stdout);
  server.run();
}
