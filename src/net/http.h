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

// Where a server is: "unix:/path", "http://host:port", "https://host:port"; without a port 80 and 443.
struct Endpoint {
  enum class Kind { unix_socket, tcp, tls } kind = Kind::unix_socket;
  std::string path;  // unix_socket; absolute
  std::string host;
  std::uint16_t port = 0;
  std::string toString() const;  // what parseEndpoint takes
};
// invalid_argument with what is wrong and what is expected. Pure.
Result<Endpoint> parseEndpoint(std::string_view text);

// Made by the server for a handler, or by a caller for a client, which looks at method, target, headers and
// body; if target is empty, it is made from path and query (with everything encoded that must be).
struct Request {
  std::string method;
  std::string target;                                      // as sent: path and query
  std::string path;                                        // percent-decoded
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

// The answer to one request; may be used from any thread (one at a time), after the handler returned too. If
// it is destroyed without an answer, the client gets 500; if it is destroyed between begin and end, the
// connection is cut, so that the client sees that the stream is not whole. Once the server is gone all of
// this does nothing.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(Response response) = 0;  // once, instead of begin/write/end
  // Streaming (chunked). write never blocks: it queues, and returns false when the client is gone or more
  // than 4 MiB is waiting unsent, in which case the stream is closed (a client that is too slow reconnects).
  virtual void begin(int status, std::string content_type) = 0;
  virtual bool write(std::string chunk) = 0;
  virtual void end() = 0;
  // Client gone before the end, or the server stops; called at most once, on an I/O thread and never from
  // within this call. If the client is gone already, it is called soon. A client that ends its sending side
  // counts as gone.
  virtual void onClosed(std::function<void()> callback) = 0;
  // For a long stream: called once, on an I/O thread, when at most 1 MiB of what was written waits unsent, or
  // when the stream is closed. A producer that writes at most 2 MiB after each such call never meets the
  // limit of write.
  virtual void onWritable(std::function<void()> callback) { callback(); }
};
using Handler = std::function<void(Request, std::shared_ptr<Responder>)>;

struct ServerOptions {
  int threads = 1;
  std::uint64_t max_body = 64ull << 20;
  std::uint32_t max_header = 64u << 10;
  int max_connections = 4096;  // one more gets 503
  // Between requests; to send a whole header; without progress while a body comes or an answer goes out.
  Duration idle_timeout = std::chrono::seconds{120};
  // If set, is asked on an I/O thread when the header of a request is there and before its body is read, so
  // that strangers cannot make the server hold their bodies: an answer given here refuses the request. Its
  // body may be there in part.
  std::function<std::optional<Response>(const Request&)> admit;
};
struct TlsFiles {
  std::string certificate, key;  // PEM paths; the certificate's file may hold its chain
};

class Server {
 public:
  // Stops accepting, cuts the connections, calls the outstanding onClosed, and waits for the I/O threads: no
  // handler runs after it. Not to be called on an I/O thread.
  virtual ~Server() = default;
  // Mode 0600 from the start; replaces a stale socket file; already_exists if a server answers there or if
  // the file is no socket. The file is removed when the server stops.
  virtual Status listenUnix(const std::string& path) = 0;
  // Returns the bound port (`port` 0: any free one). `host` is an address or a name. With `tls`: TLS 1.2 or
  // later only.
  virtual Result<std::uint16_t> listenTcp(const std::string& host, std::uint16_t port,
                                          std::optional<TlsFiles> tls) = 0;
};
// The handler runs on the server's I/O threads: it must not block; slow work goes elsewhere and answers
// later.
std::unique_ptr<Server> makeServer(ServerOptions options, Handler handler);

struct ClientOptions {
  Duration connect_timeout = std::chrono::seconds{5};
  std::string bearer_token;
  std::string ca_file;             // empty: the system's
  std::string pinned_fingerprint;  // "sha256:HEX" of the server's certificate: accepted instead of a chain
  std::uint64_t max_response = 1ull << 30;  // the longest body that send() takes
};

// A piece of a body that is too large for memory: bytes, or a range of an open file, which the kernel sends
// without copying on plain connections.
struct BodyPiece {
  std::string_view memory = {};  // if fd is -1
  int fd = -1;
  std::uint64_t offset = 0, size = 0;  // of the file
  std::uint64_t length() const { return fd < 0 ? memory.size() : size; }
};

// One request with a large body or answer. Whatever it points to must live until exchange() returns.
struct Exchange {
  std::vector<BodyPiece> body;  // instead of Request::body
  // Takes the body of a 2xx answer piece by piece, as it comes; null: it is collected in the Response.
  std::function<Status(std::string_view)> on_body;
  // If there is an on_body: sees status and headers of a 2xx answer before its body comes.
  std::function<Status(const Response&)> on_header;
  // Is told of bytes that have been sent or received; may block, to slow the transfer down.
  std::function<void(std::uint64_t)> on_moved;
  Duration idle_timeout = std::chrono::seconds{30};  // the longest silence
};

// Blocking client with one kept-alive connection (reopened as needed; a request on a dead idle connection is
// retried once if nothing of the answer came). Not thread-safe: one per thread, but cancel() may come from
// any thread. Errors: unavailable (nobody listens, connection cut; retryable), deadline_exceeded, cancelled,
// unauthenticated (the certificate is not trusted), invalid_argument (the request cannot be sent), internal
// (the answer is not HTTP). Any status that the server sends is a success here.
class Client {
 public:
  virtual ~Client() = default;
  // `timeout` is for everything: connecting, sending, the whole answer.
  virtual Result<Response> send(const Request& request, Duration timeout) = 0;
  // Calls `on_chunk` for each piece of the body as it comes, until the end, an error, or on_chunk returns
  // false. `idle_timeout` is the longest silence. The returned Response has an empty body then. A status
  // other than 2xx is returned with its body, on_chunk not called.
  virtual Result<Response> stream(const Request& request, Duration idle_timeout,
                                  const std::function<bool(std::string_view)>& on_chunk) = 0;
  // As stream(), for large bodies in both directions; never collects more than max_response. An error of
  // on_body or on_header is returned as it is. If a file of the body is shorter than said:
  // failed_precondition.
  virtual Result<Response> exchange(const Request& request, const Exchange& exchange) = 0;
  virtual void cancel() = 0;  // the running and every later call returns cancelled
};
std::unique_ptr<Client> makeClient(Endpoint endpoint, ClientOptions options);

// A self-signed certificate (ECDSA P-256, `days` valid, names as SANs) as PEM files, key 0600; returns
// "sha256:HEX".
Result<std::string> makeSelfSignedCertificate(const TlsFiles& files, const std::vector<std::string>& names,
                                              int days);
Result<std::string> certificateFingerprint(const std::string& certificate_file);

}  // namespace buoy::net
