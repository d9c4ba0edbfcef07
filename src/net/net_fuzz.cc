#include <algorithm>
#include <cstdint>
#include <string_view>

#include "net/certificate.h"
#include "net/http.h"
#include "net/message_parser.h"
#include "net/url.h"

// Everything of net that reads what others wrote: endpoints, targets, percent-encoding, requests, answers.
// The first byte says how many bytes come at a time.
namespace {

using namespace buoy;
using namespace buoy::net;

// As a connection does it: pieces arrive, what is not taken stays in front.
template <class Parser>
void feed(Parser& parser, std::string_view text, std::size_t step) {
  std::size_t begin = 0;
  std::size_t end = 0;
  while (end < text.size() && !parser.done() && !parser.failed()) {
    end = std::min(end + step, text.size());
    std::size_t used = 1;
    while (used > 0 && begin < end && !parser.done() && !parser.failed()) {
      used = parser.put(text.substr(begin, end - begin));
      BUOY_CHECK(used <= end - begin);
      begin += used;
    }
  }
}

void checkText(std::string_view text) {
  if (const auto endpoint = parseEndpoint(text)) {
    const auto again = parseEndpoint(endpoint->toString());
    BUOY_CHECK(again && again->toString() == endpoint->toString());
  }
  if (const auto decoded = percentDecode(text)) BUOY_CHECK(percentDecode(percentEncode(*decoded)) == decoded);
  if (const auto target = parseTarget(text); target && target->path != "*") {
    const auto again = parseTarget(formatTarget(target->path, target->query));
    BUOY_CHECK(again && again->path == target->path);
  }
  (void)normalizeFingerprint(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  checkText(text);
  if (text.empty()) return 0;
  const std::size_t step = 1 + (static_cast<unsigned char>(text[0]) % 64);
  const std::string_view message = text.substr(1);
  RequestParser whole({1024, 4096});
  feed(whole, message, message.size());
  RequestParser pieces({1024, 4096});
  feed(pieces, message, step);
  // How the bytes were cut must not change what was said.
  if (whole.done() && pieces.done()) BUOY_CHECK(whole.request().body == pieces.request().body);
  ResponseParser response(4096);
  feed(response, message, step);
  if (!response.done() && !response.failed()) response.putEof();
  return 0;
}
