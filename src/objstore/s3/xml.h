#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "objstore/s3/client.h"

// The XML of S3's requests and answers. Pure. The parsers take what any server may send: `internal` with what
// is missing if it is not what was asked for.
namespace buoy::objstore::s3 {

struct ErrorAnswer {
  std::string code, message;
  std::string region;  // of AuthorizationHeaderMalformed and redirects
};
// Empty fields if the body is not an error's XML (proxies answer in HTML).
ErrorAnswer parseError(std::string_view body);

// Whether this is an error's XML, at the cost of a look at its beginning.
bool bringsError(std::string_view body);

Result<ListPage> parseListPage(std::string_view body);
Result<std::vector<std::string>> parseBuckets(std::string_view body);
Result<std::string> parseUploadId(std::string_view body);
struct PartPage {
  std::vector<Part> parts;
  std::string next_marker;  // empty: this was the last page
};
Result<PartPage> parsePartPage(std::string_view body);
// The ETag of a copy.
struct CopyResult {
  std::string etag;
  std::string crc32c;  // base64; empty: the server says none
};
Result<CopyResult> parseCopyResult(std::string_view body);
struct NotRemoved {
  std::string key;
  ErrorAnswer why;
};
// The keys that are still there.
Result<std::vector<NotRemoved>> parseDeleteResult(std::string_view body);

std::string completeUploadXml(const std::vector<Part>& parts);
std::string deleteXml(const std::vector<std::string>& keys);

}  // namespace buoy::objstore::s3
