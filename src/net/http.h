#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

// HTTP/1.1 over Unix sockets, TCP and TLS. Boost.Beast is only in the .cc files.
namespace buoy::net {

// Where a server is: "unix:/path", "http://host:port", "https://host:port".
struct Endpoint {
  enum class Kind { unix_socket, tcp, tls } kind = Kind::unix_socket;
  std::string path;  // unix_socket
  std::string host;
  std::uint16_t port = 0;
  std::string toString() const;
};
Result<Endpoint> parseEndpoint(std::string_view text);

struct Request {
  std::string method;
  std::string target;                    // as sent: path and query
  std::string path;                      // percent-decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool over_unix_socket = false;
  std::string_view header(std::string_view name) const;  // case-insensitive; empty if absent
  std::string queryValue(std::string_view name, std::string_view fallback = {}) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The answer to one request; may be used from any thread, after the handler returned too. If it is destroyed without
// an answer, the client gets 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(Response response) = 0;                 // once, instead of begin/write/end
  // Streaming (chunked). write never blocks: it queues, and returns false when the client is gone or more than
  // 4 MiB is waiting unsent, in which case the stream is closed (a client that is too slow reconnects).
  virtual void begin(int status, std::string content_type) = 0;
  virtual bool write(std::string chunk) = 0;
  virtual void end() = 0;
  virtual void onClosed(std::function<void()> callback) = 0;  // client gone before the end; called at most once
};
using Handler = std::function<void(Request, std::shared_ptr<Responder>)>;

struct ServerOptions {
  int threads = 1;
  std::uint64_t max_body = 64ull << 20;
  std::uint32_t max_header = 64u << 10;
  int max_connections = 4096;
  Duration idle_timeout = std::chrono::seconds{120};  // between requests, and to send a whole header
};
struct TlsFiles { std::string certificate, key; };  // PEM paths

class Server {
 public:
  virtual ~Server() = default;  // stops: no handler runs after it
  virtual Status listenUnix(const std::string& path) = 0;   // mode 0600; replaces a stale socket file
  virtual Result<std::uint16_t> listenTcp(const std::string& host, std::uint16_t port, std::optional<TlsFiles> tls) = 0;
};
// The handler runs on the server's I/O threads: it must not block; slow work goes elsewhere and answers later.
std::unique_ptr<Server> makeServer(ServerOptions options, Handler handler);

struct ClientOptions {
  Duration connect_timeout = std::chrono::seconds{5};
  std::string bearer_token;
  std::string ca_file;             // empty: the system's
  std::string pinned_fingerprint;  // "sha256:HEX" of the server's certificate: accepted instead of a chain
};

// Blocking client with one kept-alive connection (reopened as needed; a request on a dead idle connection is retried
// once if nothing of the answer came). Not thread-safe: one per thread, but cancel() may come from any thread.
class Client {
 public:
  virtual ~Client() = default;
  virtual Result<Response> send(const Request& request, Duration timeout) = 0;
  // Calls `on_chunk` for each piece of the body as it comes, until the end, an error, or on_chunk returns false.
  // `idle_timeout` is the longest silence. A status other than 2xx is returned with its body, on_chunk not called.
  virtual Result<Response> stream(const Request& request, Duration idle_timeout,
                                  const std::function<bool(std::string_view)>& on_chunk) = 0;
  virtual void cancel() = 0;  // the running and every later call returns cancelled
};
std::unique_ptr<Client> makeClient(Endpoint endpoint, ClientOptions options);

// A self-signed certificate (ECDSA P-256, `days` valid, names as SANs) as PEM files, key 0600; returns "sha256:HEX".
Result<std::string> makeSelfSignedCertificate(const TlsFiles& files, const std::vector<std::string>& names, int days);
Result<std::string> certificateFingerprint(const std::string& certificate_file);

}  // namespace buoy::net
