#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/synchronized.h"
#include "base/units.h"
#include "store/store.h"

namespace buoy::control {

// The access keys of those who come through AWS-shaped doors. A secret is derived from the machine key and
// the key's id, so none is kept anywhere; without the id's line it is worth nothing. Threads: any.
class AccessKeys {
 public:
  struct Key {
    std::string id;    // "BUOY" and 16 of A-Z and 2-7
    std::string name;  // what it is for
    Time created{};
  };
  struct Created {
    Key key;
    std::string secret;  // 40 letters and digits
  };

  static Result<std::unique_ptr<AccessKeys>> open(store::Store& store, std::string machine_key);

  Result<Created> create(std::string name, Time now);  // durable; the only time that the secret is told
  std::vector<Key> list();                             // by age
  Status remove(const std::string& id);                // not_found
  std::optional<std::string> secretOf(const std::string& id);

 private:
  AccessKeys(store::Store& store, std::string machine_key)
      : store_(store), machine_key_(std::move(machine_key)) {}
  Status keep(const std::vector<Key>& keys);
  std::string derive(const std::string& id) const;

  store::Store& store_;
  const std::string machine_key_;
  Synchronized<std::vector<Key>> keys_;
};

}  // namespace buoy::control
