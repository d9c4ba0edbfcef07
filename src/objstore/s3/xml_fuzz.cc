#include <cstdint>
#include <string_view>

#include "base/strings.h"
#include "objstore/s3/verdict.h"
#include "objstore/s3/xml.h"

namespace {

using namespace buoy;
using namespace buoy::objstore::s3;

void checkError(const Error& error) {
  BUOY_CHECK(error.code == ErrorCode::internal || (error.code == ErrorCode::unavailable && error.retryable));
}

// What is written is XML, whatever the names in it are.
void checkWritten(const ListPage& page) {
  std::vector<std::string> keys;
  std::vector<Part> parts;
  for (const Object& object : page.objects) {
    keys.push_back(object.key);
    parts.push_back({1, object.size, object.etag, object.key});
  }
  // Neither is an answer: it is read as far as telling that takes.
  BUOY_CHECK(!parseListPage(deleteXml(keys)) && !parseListPage(completeUploadXml(parts)));
  BUOY_CHECK(deleteXml(keys).find("&&") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (const auto page = parseListPage(body)) {
    checkWritten(*page);
  } else {
    checkError(page.error());
  }
  if (const auto buckets = parseBuckets(body); !buckets) checkError(buckets.error());
  if (const auto id = parseUploadId(body)) {
    BUOY_CHECK(!id->empty());
  } else {
    checkError(id.error());
  }
  if (const auto parts = parsePartPage(body); !parts) checkError(parts.error());
  if (const auto copied = parseCopyResult(body); !copied) checkError(copied.error());
  if (const auto failures = parseDeleteResult(body); !failures) checkError(failures.error());

  net::Response response;
  response.body = body;
  for (const int status : {301, 400, 403, 412, 503}) {
    response.status = status;
    const Verdict verdict = judge(response, "what", "where", false);
    BUOY_CHECK(!verdict.error.message.empty() && verdict.error.message.size() < 500);
    BUOY_CHECK(verdict.next != Verdict::Next::other_region || !verdict.region.empty());
    BUOY_CHECK(status != 503 || verdict.next == Verdict::Next::later ||
               parseError(body).code == "NotImplemented" || parseError(body).code == "PreconditionFailed");
  }
  return 0;
}
