#include "container/progress.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace buoy::container {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestLine = 1 << 20;

std::string textIn(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Status Progress::take(std::string_view bytes) {
  for (;;) {
    const auto end = bytes.find('\n');
    rest_ += bytes.substr(0, end);
    if (rest_.size() > kLongestLine)
      return fail(ErrorCode::internal, "the container engine's answer has a line of more than 1 MiB");
    if (end == std::string_view::npos) return {};
    BUOY_TRY_VOID(line(rest_));
    rest_.clear();
    bytes.remove_prefix(end + 1);
  }
}

Status Progress::finish() {
  Status last = line(rest_);
  rest_.clear();
  return last;
}

Status Progress::line(std::string_view text) {
  text = trim(text);
  if (text.empty()) return {};
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(ErrorCode::internal,
                "the container engine's answer is not JSON: " + inQuotes(text.substr(0, 200)));
  if (const std::string error = textIn(json, "error"); !error.empty()) error_ = trim(error);
  if (const auto aux = json.find("aux"); aux != json.end() && aux->is_object()) {
    if (std::string id = textIn(*aux, "ID"); !id.empty()) id_ = std::move(id);
  }
  if (const std::string stream = textIn(json, "stream"); !stream.empty()) on_text_(stream);
  // Of a pull: the layers' beginnings and ends, not each step of their bars.
  const std::string status = textIn(json, "status");
  const auto detail = json.find("progressDetail");
  const bool bar = detail != json.end() && detail->is_object() && !detail->empty();
  if (status.empty() || bar) return {};
  const std::string layer = textIn(json, "id");
  const std::string said = layer.empty() ? status : strCat({layer, ": ", status});
  if (said != last_status_) on_text_(said + "\n");
  last_status_ = said;
  return {};
}

}  // namespace buoy::container
