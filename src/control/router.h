#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http.h"

namespace buoy::control {

// One request on its way through a route: what it asks and how it is answered. Cheap to move into a later
// callback.
struct Call {
  net::Request request;
  std::shared_ptr<net::Responder> responder;
  std::vector<std::string> captured;  // what stood for {} in the pattern, in order
};

// From method and path to the function that answers. Filled before the server starts; then from any thread.
class Router {
 public:
  using Handler = std::function<void(Call)>;
  // "/v1/jobs/{}/logs"; a last {*} takes the rest of the path, slashes and all.
  void add(std::string method, std::string_view pattern, Handler handler);
  // 404 for an unknown path, 405 for a known one with another method.
  void dispatch(net::Request request, std::shared_ptr<net::Responder> responder) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> parts;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace buoy::control
