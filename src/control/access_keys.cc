#include "control/access_keys.h"

#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"
#include "control/tokens.h"

namespace buoy::control {
namespace {

constexpr const char* kSetting = "access_keys";  // "ID created-microseconds name", one a line
constexpr std::size_t kMostKeys = 1000;
constexpr std::size_t kLongestName = 100;

int digitOf(char hex) {
  return hex <= '9' ? hex - '0' : hex - 'a' + 10;
}

// Of 256 random bits as hexadecimal: sixteen digits of base 32.
std::string idFrom(std::string_view random) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string id = "BUOY";
  for (std::size_t i = 0; i < 16; ++i) {
    const char high = random[2 * i], low = random[2 * i + 1];
    // Five of eight random bits: one of the first digit's and the four of the second's.
    id += kDigits[static_cast<std::size_t>((digitOf(high) & 1) * 16 + digitOf(low))];
  }
  return id;
}

std::optional<AccessKeys::Key> parseKeyLine(std::string_view line) {
  const auto parts = split(line, ' ');
  if (parts.size() < 2) return std::nullopt;
  const auto created = parseNumber<std::int64_t>(parts[1]);
  if (!created) return std::nullopt;
  const std::size_t head = parts[0].size() + parts[1].size() + 2;
  return AccessKeys::Key{std::string(parts[0]), std::string(line.substr(std::min(head, line.size()))),
                         Time{Duration{*created}}};
}

}  // namespace

Result<std::unique_ptr<AccessKeys>> AccessKeys::open(store::Store& store, std::string machine_key) {
  std::unique_ptr<AccessKeys> keys(new AccessKeys(store, std::move(machine_key)));
  BUOY_TRY(const auto kept, store.value(kSetting));
  const std::string text = kept.value_or("");
  for (const std::string_view line : split(text, '\n')) {
    if (auto key = parseKeyLine(line)) keys->keys_.lock()->push_back(std::move(*key));
  }
  return keys;
}

std::string AccessKeys::derive(const std::string& id) const {
  return derivedSecret(machine_key_, "access-key/" + id).substr(0, 40);
}

Status AccessKeys::keep(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys)
    text +=
        strCat({key.id, " ", std::to_string(key.created.time_since_epoch().count()), " ", key.name, "\n"});
  return store_.putValue(kSetting, text);
}

Result<AccessKeys::Created> AccessKeys::create(std::string name, Time now) {
  if (name.size() > kLongestName || name.find_first_of("\n\r") != std::string::npos || !isValidUtf8(name))
    return fail(ErrorCode::invalid_argument, "name: must be one line of at most 100 bytes");
  BUOY_TRY(const std::string random, makeSecret());
  const Key key{idFrom(random), std::move(name), now};
  const auto keys = keys_.lock();
  if (keys->size() >= kMostKeys)
    return fail(ErrorCode::resource_exhausted,
                "there are 1000 access keys: delete one with `buoy keys delete`");
  std::vector<Key> more = *keys;
  more.push_back(key);
  // Under the lock on purpose: two keys made at once must both be kept, and this happens a few times in a
  // life.
  BUOY_TRY_VOID(keep(more));
  *keys = std::move(more);
  return Created{key, derive(key.id)};
}

std::vector<AccessKeys::Key> AccessKeys::list() {
  return *keys_.lock();
}

Status AccessKeys::remove(const std::string& id) {
  const auto keys = keys_.lock();
  std::vector<Key> rest = *keys;
  if (std::erase_if(rest, [&](const Key& key) { return key.id == id; }) == 0)
    return fail(ErrorCode::not_found, "there is no access key " + inQuotes(id));
  BUOY_TRY_VOID(keep(rest));
  *keys = std::move(rest);
  return {};
}

std::optional<std::string> AccessKeys::secretOf(const std::string& id) {
  const auto keys = keys_.lock();
  const bool known = std::any_of(keys->begin(), keys->end(), [&](const Key& key) { return key.id == id; });
  return known ? std::optional(derive(id)) : std::nullopt;
}

}  // namespace buoy::control
