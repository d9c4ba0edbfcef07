#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/synchronized.h"
#include "net/http.h"
#include "store/store.h"

namespace buoy::control {

// Who may call. People: everybody on the Unix socket (its file mode decides), elsewhere the holders of a
// token, of which only SHA-256 is kept. Machines: those whose secret is derived from the machine key, and
// only for the agent's routes. Threads: any.
class Access {
 public:
  // Reads the kept hashes; makes the machine key at `key_path` (0600) if it is not there.
  static Result<std::unique_ptr<Access>> open(store::Store& store, const std::string& key_path);

  // Looks at the path and the headers only: nothing of a request from elsewhere than the Unix socket may be
  // read on before it is admitted. The agent's routes want a machine's token, the others a person's;
  // unauthenticated.
  Status admit(const net::Request& request);
  // The machine that the request's token proves, on the Unix socket too; unauthenticated.
  Result<MachineId> checkMachine(const net::Request& request);

  Result<std::string> createToken();  // durable; the only time that the token is seen
  std::string machineToken(MachineId machine) const;
  const std::string& machineKey() const { return machine_key_; }  // what other secrets are derived from

 private:
  Status checkPerson(const net::Request& request);
  Access(store::Store& store, std::string machine_key)
      : store_(store), machine_key_(std::move(machine_key)) {}

  store::Store& store_;
  const std::string machine_key_;
  Synchronized<std::set<std::string>> hashes_;
};

}  // namespace buoy::control
