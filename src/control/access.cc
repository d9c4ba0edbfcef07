#include "control/access.h"

#include "base/strings.h"
#include "control/tokens.h"
#include "os/files.h"

namespace buoy::control {
namespace {

constexpr const char* kHashesKey = "token_hashes";  // one a line

std::string linesOf(const std::set<std::string>& hashes) {
  std::string text;
  for (const std::string& hash : hashes) text += hash + "\n";
  return text;
}

}  // namespace

Result<std::unique_ptr<Access>> Access::open(store::Store& store, const std::string& key_path) {
  auto key = os::readFile(key_path, 1024);
  if (!key && key.error().code == ErrorCode::not_found) {
    BUOY_TRY(std::string fresh, makeSecret());
    BUOY_TRY_VOID(os::writeFileAtomic(key_path, fresh, 0600));
    key = std::move(fresh);
  }
  if (!key) return fail(key.error().wrap("machine key"));
  if (key->size() < 32) return fail(ErrorCode::data_loss, key_path + " is damaged");
  std::unique_ptr<Access> access(new Access(store, std::move(*key)));
  BUOY_TRY(const auto kept, store.value(kHashesKey));
  const std::string hashes = kept.value_or("");
  for (const std::string_view hash : split(hashes, '\n')) {
    if (!hash.empty()) access->hashes_.lock()->emplace(hash);
  }
  return access;
}

Status Access::admit(const net::Request& request) {
  if (request.over_unix_socket) return {};
  if (!request.path.starts_with("/v1/agent/")) return checkPerson(request);
  BUOY_TRY_VOID(checkMachine(request));
  return {};
}

Status Access::checkPerson(const net::Request& request) {
  const std::string_view token = bearerToken(request.header("Authorization"));
  if (token.empty()) {
    return fail(ErrorCode::unauthenticated,
                "this server needs a token: set BUOY_TOKEN to one made by `buoy server token`");
  }
  const bool known = hashes_.withLock([&](const auto& hashes) {
    bool found = false;  // looks at all of them, so that the time says nothing
    for (const std::string& hash : hashes) found |= secretMatches(token, hash);
    return found;
  });
  if (known) return {};
  return fail(ErrorCode::unauthenticated, "the server does not know this token");
}

Result<MachineId> Access::checkMachine(const net::Request& request) {
  const auto token = parseMachineToken(bearerToken(request.header("Authorization")));
  if (!token || !isMachineSecret(token->secret, machine_key_, token->machine)) {
    return fail(ErrorCode::unauthenticated, "this is not the token of a machine of this control plane");
  }
  return token->machine;
}

Result<std::string> Access::createToken() {
  BUOY_TRY(const std::string token, makeSecret());
  const auto hashes = hashes_.lock();
  std::set<std::string> more = *hashes;
  more.insert(hashSecret(token));
  // Under the lock on purpose: two tokens made at once must both be kept, and this happens a few times in a
  // life.
  BUOY_TRY_VOID(store_.putValue(kHashesKey, linesOf(more)));
  *hashes = std::move(more);
  return token;
}

std::string Access::machineToken(MachineId machine) const {
  return machine.toString() + "." + machineSecret(machine_key_, machine);
}

}  // namespace buoy::control
