#include "objstore/s3/connections.h"

namespace buoy::objstore::s3 {

Connection Connections::take(const net::Endpoint& server) {
  {
    const std::lock_guard lock(mutex_);
    auto& idle = idle_[server.toString()];
    if (!idle.empty()) {
      Connection connection = std::move(idle.back());
      idle.pop_back();
      return connection;
    }
  }
  return {net::makeClient(server, options_), nullptr, ""};
}

void Connections::giveBack(const net::Endpoint& server, Connection connection) {
  const std::lock_guard lock(mutex_);
  auto& idle = idle_[server.toString()];
  if (idle.size() < most_idle_) idle.push_back(std::move(connection));
}

}  // namespace buoy::objstore::s3
