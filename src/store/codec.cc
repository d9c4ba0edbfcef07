#include "store/codec.h"

#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/strings.h"
#include "store/describe.h"
#include "store/ordered_decoder.h"

namespace buoy::store {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::string_view kBeginning = R"({"v":1)";

// ---- writing

// Length of the UTF-8 sequence at `text[at]`, or 0 if it is not one.
std::size_t sequenceLength(std::string_view text, std::size_t at) {
  for (std::size_t length = 1; length <= 4 && at + length <= text.size(); ++length) {
    if (isValidUtf8(text.substr(at, length))) return length;
  }
  return 0;
}

std::string repaired(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequenceLength(text, at);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(at, length);
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

void appendEscaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    if (c >= 0x20) {
      out += '\\';
      out += text[i];
    } else {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 0xF];
    }
  }
  out.append(text, plain);
  out += '"';
}

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  template <class T>
  void field(std::string_view name, const T& value) {
    out_ += out_.back() == '{' ? "\"" : ",\"";
    out_ += name;
    out_ += "\":";
    put(value);
  }
  template <class T>
  void sparse(std::string_view name, const T& value) {
    if (!isZero(value)) field(name, value);
  }
  template <class T>
  void object(const T& value) {
    out_ += '{';
    describe(*this, value);
    out_ += '}';
  }
  template <class T>
  void array(const T& values) {
    out_ += '[';
    bool first = true;
    for (const auto& value : values) {
      if (!first) out_ += ',';
      first = false;
      put(value);
    }
    out_ += ']';
  }

 private:
  template <std::integral T>
  static bool isZero(T value) {
    return value == T{};
  }
  static bool isZero(const std::string& value) { return value.empty(); }
  static bool isZero(ByteCount value) { return value.value == 0; }
  static bool isZero(Duration value) { return value.count() == 0; }
  static bool isZero(Time value) { return value == Time{}; }
  static bool isZero(Money value) { return value.nano_usd == 0; }
  template <class T>
  requires std::is_enum_v<T>
  static bool isZero(T value) { return value == T{}; }
  static bool isZero(const engine::SpotSource& value) { return value.pool.empty(); }
  static bool isZero(const engine::SaveMeasure& value) { return value == engine::SaveMeasure{}; }
  template <class Tag>
  static bool isZero(Id<Tag> value) {
    return !value;
  }
  template <class T>
  static bool isZero(const std::vector<T>& value) {
    return value.empty();
  }
  template <class T>
  static bool isZero(const std::optional<T>& value) {
    return !value;
  }
  template <class T>
  static bool isZero(const std::unique_ptr<T>& value) {
    return !value;
  }
  template <class T>
  static bool isZero(const std::shared_ptr<T>& value) {
    return !value;
  }

  template <class T>
  void number(T value) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    out_.append(buffer, end);
  }
  void put(bool value) { out_ += value ? "true" : "false"; }
  template <std::integral T>
  void put(T value) {
    number(value);
  }
  void put(double value) {
    if (std::isfinite(value)) {
      number(value);
    } else {
      out_ += std::isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"";
    }
  }
  void put(const std::string& value) {
    if (isValidUtf8(value)) {
      appendEscaped(out_, value);
    } else {
      appendEscaped(out_, repaired(value));
    }
  }
  void put(ByteCount value) { number(value.value); }
  void put(Duration value) { number(value.count()); }
  void put(Time value) { number(value.time_since_epoch().count()); }
  void put(Money value) { number(value.nano_usd); }
  void put(PricePerHour value) { number(value.nano_usd); }
  template <class Tag>
  void put(Id<Tag> value) {
    number(value.value);
  }
  template <class T>
  requires std::is_enum_v<T>
  void put(T value) { appendEscaped(out_, engine::toString(value)); }
  template <class T>
  void put(const std::optional<T>& value) {
    put(*value);
  }
  template <class T>
  void put(const std::unique_ptr<T>& value) {
    object(*value);
  }
  template <class T>
  void put(const std::shared_ptr<const T>& value) {
    object(*value);
  }
  template <class T>
  void put(const std::vector<T>& value) {
    array(value);
  }
  template <class T, std::size_t N>
  void put(const std::array<T, N>& value) {
    array(value);
  }
  template <Described T>
  void put(const T& value) {
    object(value);
  }

  std::string& out_;
};

template <class T>
std::string encode(const T& value) {
  std::string out;
  out.reserve(512);
  out = kBeginning;
  Encoder encoder(out);
  describe(encoder, value);
  out += '}';
  return out;
}

// ---- reading

// Thrown inside this file only, and caught by decode().
struct Malformed {
  std::string what;
};

class Decoder {
 public:
  explicit Decoder(const json& object) : object_(object) {
    if (!object.is_object()) throw Malformed{"an object was expected"};
  }

  template <class T>
  void field(std::string_view name, T& value) {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) return;
    try {
      get(*found, value);
    } catch (const json::exception&) {
      throw Malformed{std::string(name) + " has the wrong type"};
    } catch (Malformed& inner) {
      throw Malformed{std::string(name) + ": " + inner.what};
    }
  }
  template <class T>
  void sparse(std::string_view name, T& value) {
    field(name, value);
  }

  template <class T>
  static void list(const json& from, std::vector<T>& values) {
    if (!from.is_array()) throw Malformed{"a list was expected"};
    values.resize(from.size());
    for (std::size_t i = 0; i < values.size(); ++i) get(from[i], values[i]);
  }

 private:
  static void get(const json& from, bool& value) { value = from.get<bool>(); }
  template <std::integral T>
  static void get(const json& from, T& value) {
    if (!from.is_number_integer()) throw Malformed{"an integer was expected"};
    if (from.is_number_unsigned()) {
      const auto wide = from.get<std::uint64_t>();
      if (!std::in_range<T>(wide)) throw Malformed{"the number is out of range"};
      value = static_cast<T>(wide);
    } else {
      const auto wide = from.get<std::int64_t>();
      if (!std::in_range<T>(wide)) throw Malformed{"the number is out of range"};
      value = static_cast<T>(wide);
    }
  }
  static void get(const json& from, double& value) {
    if (from.is_number()) {
      value = from.get<double>();
      return;
    }
    const auto& word = from.get_ref<const std::string&>();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    value = word == "inf"    ? kInfinity
            : word == "-inf" ? -kInfinity
                             : std::numeric_limits<double>::quiet_NaN();
  }
  static void get(const json& from, std::string& value) { value = from.get_ref<const std::string&>(); }
  static void get(const json& from, ByteCount& value) { get(from, value.value); }
  static void get(const json& from, Duration& value) {
    std::int64_t count = 0;
    get(from, count);
    value = Duration{count};
  }
  static void get(const json& from, Time& value) {
    Duration since{};
    get(from, since);
    value = Time{since};
  }
  static void get(const json& from, Money& value) { get(from, value.nano_usd); }
  static void get(const json& from, PricePerHour& value) { get(from, value.nano_usd); }
  template <class Tag>
  static void get(const json& from, Id<Tag>& value) {
    get(from, value.value);
  }
  template <class T>
  requires std::is_enum_v<T>
  static void get(const json& from, T& value) {
    const auto& word = from.get_ref<const std::string&>();
    const auto parsed = engine::fromString<T>(word);
    if (!parsed) throw Malformed{"unknown value '" + word + "'"};
    value = *parsed;
  }
  template <class T>
  static void get(const json& from, std::optional<T>& value) {
    get(from, value.emplace());
  }
  template <class T>
  static void get(const json& from, std::unique_ptr<T>& value) {
    value = std::make_unique<T>();
    get(from, *value);
  }
  template <class T>
  static void get(const json& from, std::shared_ptr<const T>& value) {
    auto made = std::make_shared<T>();
    get(from, *made);
    value = std::move(made);
  }
  template <class T>
  static void get(const json& from, std::vector<T>& value) {
    list(from, value);
  }
  template <class T, std::size_t N>
  static void get(const json& from, std::array<T, N>& value) {
    if (!from.is_array() || from.size() != N) throw Malformed{"a list of another length was expected"};
    for (std::size_t i = 0; i < N; ++i) get(from[i], value[i]);
  }
  template <Described T>
  static void get(const json& from, T& value) {
    Decoder inner(from);
    describe(inner, value);
  }

  const json& object_;
};

template <class T>
Result<T> decode(std::string_view text, std::string_view what) {
  if (T value; OrderedDecoder(text).whole(kBeginning, value)) return value;
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return fail(ErrorCode::data_loss, strCat({"stored ", what, " is not JSON"}));
  try {
    int version = 0;
    Decoder decoder(document);
    decoder.field("v", version);
    if (version > kVersion) {
      return fail(ErrorCode::failed_precondition,
                  strCat({"stored ", what, " was written by a newer version of buoy; use that one"}));
    }
    T value;
    describe(decoder, value);
    return value;
  } catch (const Malformed& malformed) {
    return fail(ErrorCode::data_loss, strCat({"stored ", what, " is damaged: ", malformed.what}));
  }
}

}  // namespace

std::string encodeJob(const engine::Job& job) {
  return encode(job);
}
Result<engine::Job> decodeJob(std::string_view text) {
  return decode<engine::Job>(text, "job");
}
std::string encodeMachine(const engine::Machine& machine) {
  return encode(machine);
}
Result<engine::Machine> decodeMachine(std::string_view text) {
  return decode<engine::Machine>(text, "machine");
}
std::string encodePool(const engine::Pool& pool) {
  return encode(pool);
}
Result<engine::Pool> decodePool(std::string_view text) {
  return decode<engine::Pool>(text, "pool");
}
std::string encodeQueue(const engine::Queue& queue) {
  return encode(queue);
}
Result<engine::Queue> decodeQueue(std::string_view text) {
  return decode<engine::Queue>(text, "queue");
}

std::string encodeDecision(const engine::Record::Decision& decision) {
  return encode(decision);
}
Result<engine::Record::Decision> decodeDecision(std::string_view text) {
  BUOY_TRY(engine::Record::Decision decision, decode<engine::Record::Decision>(text, "decision"));
  for (const auto& seen : decision.pools) {
    if (!seen.pool) return fail(ErrorCode::data_loss, "stored decision is damaged: a pool is missing");
  }
  return decision;
}

std::string encodeCandidates(const std::vector<engine::Record::Candidate>& candidates) {
  std::string out;
  Encoder(out).array(candidates);
  return out;
}

Result<std::vector<engine::Record::Candidate>> decodeCandidates(std::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return fail(ErrorCode::data_loss, "stored candidates are not JSON");
  try {
    std::vector<engine::Record::Candidate> candidates;
    Decoder::list(document, candidates);
    return candidates;
  } catch (const Malformed& malformed) {
    return fail(ErrorCode::data_loss, "stored candidates are damaged: " + malformed.what);
  } catch (const json::exception&) {
    return fail(ErrorCode::data_loss, "stored candidates are damaged");
  }
}

}  // namespace buoy::store
