#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "gateways/batch/container.h"
#include "gateways/batch/jobs.h"
#include "gateways/front/call.h"
#include "gateways/logs/filter_pattern.h"
#include "gateways/logs/streams.h"

// Everything that AWS's clients say in words of their own: paths, ARNs, ids, patterns, bodies.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::gateways;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto call =
          front::recognise({.method = "POST", .path = text, .target = "", .authorization = ""})) {
    if (call->operation.find('/') != std::string::npos) std::abort();
  }
  (void)front::recognise({.method = "GET", .path = "/", .target = text, .authorization = text});
  if (const auto named = batch::parseArn(text)) {
    if (batch::parseArn(batch::arnOf("r", named->thing, named->name))->name != named->name) std::abort();
  }
  (void)batch::parseJobReference(text);
  (void)logs::parseStreamName(text);
  if (const auto pattern = logs::FilterPattern::parse(text)) (void)pattern->matches(text);
  auto body = front::Body::parse(text);
  if (!body) return 0;
  batch::Container container;
  if (!batch::layOver(*body, &body->root(), "container", container)) return 0;
  (void)batch::withParameters(container.command, {{"a", "Ref::a"}});
  std::string json;
  buoy::api::JsonWriter writer(json);
  batch::beginContainer(writer, &body->root(), container);
  writer.endObject();
  if (!front::Body::parse(json) && json.size() < (1u << 20)) std::abort();
  return 0;
}
