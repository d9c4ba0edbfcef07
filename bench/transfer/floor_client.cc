// buoy_floor_s3: the least that any client must do to move these bytes: requests that the server accepts, one
// thread a connection, sendfile up, one reused buffer and pwrite down. It checks statuses and lengths,
// retries nothing, hashes nothing. Endpoint and keys come from AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_REGION.
//   buoy_floor_s3 [--connections N] [--part BYTES] put FILE BUCKET/KEY | get BUCKET/KEY FILE |
//                 put-dir DIR BUCKET/PREFIX | get-dir BUCKET/PREFIX DIR | list BUCKET/PREFIX | sha256 FILE
// sha256 is what signing a payload costs at least: the hash of every part, on as many threads as there are
// cores.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "aws/sigv4.h"

namespace buoy::bench {
namespace {

constexpr std::size_t kBuffer = 256 << 10;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "buoy_floor_s3: %s\n", what.c_str());
  std::exit(1);
}

std::string environment(const char* name, const char* fallback = nullptr) {
  const char* value = std::getenv(name);
  if (value == nullptr) value = fallback;
  if (value == nullptr) die(fmt::format("{} is not set", name));
  return value;
}

struct Options {
  std::size_t connections = 8;
  std::uint64_t part = 16 << 20;
};

struct Source {
  int fd = -1;
  off_t offset = 0;
  std::uint64_t length = 0;
};

// One kept-alive connection with its own signer. One thread.
class Connection {
 public:
  Connection() {
    const auto endpoint = environment("AWS_ENDPOINT_URL_S3");
    if (!endpoint.starts_with("http://")) die("the endpoint must be http://ADDRESS:PORT");
    host_ = endpoint.substr(7, endpoint.find('/', 7) - 7);
    const auto colon = host_.find(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(host_.c_str() + colon + 1)));
    if (::inet_pton(AF_INET, host_.substr(0, colon).c_str(), &address.sin_addr) != 1)
      die("the endpoint's host must be an address");
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      die("cannot connect to " + host_);
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends a request with `text` or a piece of a file as its body; leaves the answer's body unread.
  void send(const std::string& method, const std::string& path, const aws::NameValues& query,
            const std::string& text, Source file = {}, const std::string& range = "") {
    const auto length = file.fd >= 0 ? file.length : text.size();
    const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    const auto headers = signer_.sign({.method = method,
                                       .path = "/" + path,
                                       .query = query,
                                       .headers = {{"host", host_}},
                                       .payload_sha256 = std::string(aws::kUnsignedPayload)},
                                      credentials_, now);
    std::string head = fmt::format("{} /{}", method, aws::uriEncode(path, true));
    if (!query.empty()) head += "?" + aws::canonicalQuery(query);
    head += " HTTP/1.1\r\n";
    for (const auto& [name, value] : headers) head += fmt::format("{}: {}\r\n", name, value);
    if (!range.empty()) head += fmt::format("range: {}\r\n", range);
    if (method != "GET") head += fmt::format("content-length: {}\r\n", length);
    head += "\r\n" + text;
    sendAll(head, file.fd >= 0);
    while (file.length > 0) {
      const auto sent = ::sendfile(fd_, file.fd, &file.offset, file.length);
      if (sent <= 0) die("sendfile failed");
      file.length -= static_cast<std::uint64_t>(sent);
    }
    readHead(method, path);
  }

  std::string body() {
    std::string out;
    drain([&out](const char* data, std::size_t size) { out.append(data, size); });
    return out;
  }

  void bodyTo(int fd, off_t offset) {
    drain([&](const char* data, std::size_t size) {
      if (::pwrite(fd, data, size, offset) != static_cast<ssize_t>(size)) die("write failed");
      offset += static_cast<off_t>(size);
    });
  }

  std::string header(std::string_view name) const {  // lower case
    const auto at = head_.find(fmt::format("\r\n{}: ", name));
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 4;
    return raw_head_.substr(begin, raw_head_.find("\r\n", begin) - begin);
  }

 private:
  void sendAll(std::string_view data, bool more) {
    while (!data.empty()) {
      const auto sent = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
      if (sent <= 0) die("the server closed the connection");
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void readHead(const std::string& method, const std::string& path) {
    have_ = 0;
    std::size_t end = std::string::npos;
    while (end == std::string::npos) {
      const auto got = ::recv(fd_, buffer_.data() + have_, buffer_.size() - have_, 0);
      if (got <= 0) die("the server closed the connection");
      have_ += static_cast<std::size_t>(got);
      end = std::string_view(buffer_.data(), have_).find("\r\n\r\n");
    }
    raw_head_.assign(buffer_.data(), end + 2);
    head_ = raw_head_;
    std::transform(head_.begin(), head_.end(), head_.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    at_ = end + 4;
    chunked_ = header("transfer-encoding") == "chunked";
    left_ = std::strtoull(header("content-length").c_str(), nullptr, 10);
    if (raw_head_.substr(9, 1) != "2")
      die(fmt::format("{} /{}: {} {}", method, path, raw_head_.substr(0, 12), body()));
  }

  bool fill() {
    at_ = 0;
    const auto got = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) die("the server closed the connection");
    have_ = static_cast<std::size_t>(got);
    return true;
  }

  template <typename Sink>
  void drainLeft(const Sink& sink) {
    while (left_ > 0) {
      if (at_ == have_) fill();
      const auto count = std::min<std::uint64_t>(left_, have_ - at_);
      sink(buffer_.data() + at_, count);
      at_ += count;
      left_ -= count;
    }
  }

  std::string line() {
    std::string out;
    while (!out.ends_with("\r\n")) {
      if (at_ == have_) fill();
      out += buffer_[at_++];
    }
    return out;
  }

  template <typename Sink>
  void drain(const Sink& sink) {
    if (!chunked_) return drainLeft(sink);
    while ((left_ = std::strtoull(line().c_str(), nullptr, 16)) > 0) {
      drainLeft(sink);
      line();
    }
    while (line() != "\r\n") {
    }
  }

  aws::Signer signer_{aws::s3Scope(environment("AWS_REGION", "us-east-1"))};
  aws::Credentials credentials_{
      environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"), "", {}};
  std::string host_, raw_head_, head_;
  int fd_ = -1;
  std::string buffer_ = std::string(kBuffer, '\0');
  std::size_t at_ = 0, have_ = 0;  // what is in the buffer and not yet used
  std::uint64_t left_ = 0;
  bool chunked_ = false;
};

// Does work(connection, i) for i in [0, count), in order, over all connections.
void forEach(const Options& options, std::size_t count,
             const std::function<void(Connection&, std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < std::min(options.connections, count); ++t) {
    threads.emplace_back([&] {
      Connection connection;
      for (std::size_t i = 0; (i = next++) < count;) work(connection, i);
    });
  }
}

int openFile(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) die("cannot open " + path);
  return fd;
}

std::uint64_t sizeOf(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return static_cast<std::uint64_t>(status.st_size);
}

std::string between(const std::string& text, const std::string& tag, std::size_t& at) {
  const auto begin = text.find("<" + tag + ">", at);
  if (begin == std::string::npos) return "";
  const auto end = text.find("</" + tag + ">", begin);
  at = end;
  return text.substr(begin + tag.size() + 2, end - begin - tag.size() - 2);
}

void put(const Options& options, const std::string& file, const std::string& name) {
  const int fd = openFile(file, O_RDONLY);
  const auto size = sizeOf(fd);
  Connection control;
  control.send("POST", name, {{"uploads", ""}}, "");
  std::size_t at = 0;
  const auto id = between(control.body(), "UploadId", at);
  std::vector<std::string> etags((size + options.part - 1) / options.part);
  forEach(options, etags.size(), [&](Connection& connection, std::size_t i) {
    const auto offset = i * options.part;
    connection.send("PUT", name, {{"partNumber", std::to_string(i + 1)}, {"uploadId", id}}, "",
                    {fd, static_cast<off_t>(offset), std::min(options.part, size - offset)});
    connection.body();
    etags[i] = connection.header("etag");
  });
  std::string xml = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < etags.size(); ++i) {
    xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, etags[i]);
  }
  control.send("POST", name, {{"uploadId", id}}, xml + "</CompleteMultipartUpload>");
  control.body();
}

void get(const Options& options, const std::string& name, const std::string& file) {
  Connection control;
  // The first byte tells the size.
  control.send("GET", name, {}, "", {}, "bytes=0-0");
  control.body();
  const auto range = control.header("content-range");
  const std::uint64_t size = std::strtoull(range.c_str() + range.find('/') + 1, nullptr, 10);
  const int fd = openFile(file, O_WRONLY | O_CREAT | O_TRUNC);
  forEach(options, (size + options.part - 1) / options.part, [&](Connection& connection, std::size_t i) {
    const auto begin = i * options.part;
    connection.send("GET", name, {}, "", {},
                    fmt::format("bytes={}-{}", begin, std::min(begin + options.part, size) - 1));
    connection.bodyTo(fd, static_cast<off_t>(begin));
  });
}

void putDirectory(const Options& options, const std::string& directory, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  forEach(options, names.size(), [&](Connection& connection, std::size_t i) {
    const int fd = openFile(directory + "/" + names[i], O_RDONLY);
    connection.send("PUT", prefix + "/" + names[i], {}, "", {fd, 0, sizeOf(fd)});
    connection.body();
    ::close(fd);
  });
}

std::vector<std::string> list(const std::string& name) {
  const auto slash = name.find('/');
  Connection connection;
  std::vector<std::string> keys;
  std::string token;
  do {
    aws::NameValues query = {{"list-type", "2"}, {"prefix", name.substr(slash + 1)}};
    if (!token.empty()) query.emplace_back("continuation-token", token);
    connection.send("GET", name.substr(0, slash), query, "");
    const auto xml = connection.body();
    for (std::size_t at = 0;;) {
      auto key = between(xml, "Key", at);
      if (key.empty()) break;
      keys.push_back(std::move(key));
    }
    std::size_t at = 0;
    token = between(xml, "NextContinuationToken", at);
  } while (!token.empty());
  return keys;
}

void getDirectory(const Options& options, const std::string& prefix, const std::string& directory) {
  const auto bucket = prefix.substr(0, prefix.find('/'));
  const auto keys = list(prefix + "/");
  std::filesystem::create_directories(directory);
  forEach(options, keys.size(), [&](Connection& connection, std::size_t i) {
    connection.send("GET", bucket + "/" + keys[i], {}, "");
    const int fd =
        openFile(directory + "/" + keys[i].substr(keys[i].rfind('/') + 1), O_WRONLY | O_CREAT | O_TRUNC);
    connection.bodyTo(fd, 0);
    ::close(fd);
  });
}

void hashParts(const Options& options, const std::string& file) {
  const int fd = openFile(file, O_RDONLY);
  const auto size = sizeOf(fd);
  std::atomic<std::uint64_t> next = 0;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::thread::hardware_concurrency(); ++t) {
    threads.emplace_back([&] {
      std::string buffer(kBuffer, '\0');
      for (std::uint64_t at = 0; (at = next.fetch_add(options.part)) < size;) {
        auto* context = EVP_MD_CTX_new();
        EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
        for (const auto end = std::min(size, at + options.part); at < end;) {
          const auto got =
              ::pread(fd, buffer.data(), std::min<std::uint64_t>(kBuffer, end - at), static_cast<off_t>(at));
          if (got <= 0) die("read failed");
          EVP_DigestUpdate(context, buffer.data(), static_cast<std::size_t>(got));
          at += static_cast<std::uint64_t>(got);
        }
        unsigned char digest[EVP_MAX_MD_SIZE];
        EVP_DigestFinal_ex(context, digest, nullptr);
        EVP_MD_CTX_free(context);
      }
    });
  }
}

void run(std::vector<std::string> words) {
  Options options;
  while (words.size() > 2 && words[0].starts_with("--")) {
    const auto value = std::strtoull(words[1].c_str(), nullptr, 10);
    if (value == 0) die(words[0] + " needs a number");
    if (words[0] == "--connections") {
      options.connections = value;
    } else if (words[0] == "--part") {
      options.part = value;
    } else {
      die("no such option: " + words[0]);
    }
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() == 2 && words[0] == "list") {
    std::printf("%zu\n", list(words[1]).size());
    return;
  }
  if (words.size() == 2 && words[0] == "sha256") return hashParts(options, words[1]);
  if (words.size() != 3) die("usage: put|get|put-dir|get-dir FROM TO, or list BUCKET/PREFIX");
  if (words[0] == "put") return put(options, words[1], words[2]);
  if (words[0] == "get") return get(options, words[1], words[2]);
  if (words[0] == "put-dir") return putDirectory(options, words[1], words[2]);
  if (words[0] == "get-dir") return getDirectory(options, words[1], words[2]);
  die("no such operation: " + words[0]);
}

}  // namespace
}  // namespace buoy::bench

int main(int argc, char** argv) {
  buoy::bench::run({argv + 1, argv + argc});
}
