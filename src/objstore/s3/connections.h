#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "aws/sigv4.h"
#include "net/http.h"

namespace buoy::objstore::s3 {

// A kept-alive connection and the derived signing key that goes with it.
struct Connection {
  std::unique_ptr<net::Client> http;
  std::unique_ptr<aws::Signer> signer;
  std::string last_answer;  // status and headers, if they have a name that no other answer has
};

// Idle connections by server. Threads: any; a connection is one thread's as long as it is out.
class Connections {
 public:
  Connections(net::ClientOptions options, std::size_t most_idle)
      : options_(std::move(options)), most_idle_(most_idle) {}

  Connection take(const net::Endpoint& server);
  void giveBack(const net::Endpoint& server, Connection connection);

 private:
  const net::ClientOptions options_;
  const std::size_t most_idle_;
  std::mutex mutex_;
  std::map<std::string, std::vector<Connection>> idle_;
};

}  // namespace buoy::objstore::s3
