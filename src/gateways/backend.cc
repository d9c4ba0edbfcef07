#include "gateways/backend.h"

#include <algorithm>

namespace buoy::gateways {
namespace {

template <class T>
const T* named(const std::vector<T>& values, std::string_view name) {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const T& value) { return value.name == name; });
  return found == values.end() ? nullptr : &*found;
}

}  // namespace

const engine::Pool* Places::pool(std::string_view name) const {
  return named(pools, name);
}

const engine::Queue* Places::queue(std::string_view name) const {
  return named(queues, name);
}

}  // namespace buoy::gateways
