#include "objstore/s3/client.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "objstore/s3/caller.h"
#include "objstore/s3/checksum.h"
#include "objstore/s3/multipart_result.h"
#include "objstore/s3/xml.h"

namespace buoy::objstore::s3 {
namespace {

constexpr const char* kContentType = "Content-Type";
constexpr const char* kBinary = "binary/octet-stream";  // what S3 itself assumes
constexpr std::string_view kMetadata = "x-amz-meta-";

std::string range(std::uint64_t offset, std::optional<std::uint64_t> size) {
  return strCat({"bytes=", std::to_string(offset), "-", size ? std::to_string(offset + *size - 1) : ""});
}

aws::NameValues copyHeaders(const CopySource& from) {
  aws::NameValues headers = {
      {"x-amz-copy-source", strCat({"/", from.at.bucket, "/", aws::uriEncode(from.at.key, true)})}};
  if (!from.etag.empty()) headers.emplace_back("x-amz-copy-source-if-match", from.etag);
  return headers;
}

// Whether this is the answer to a request for these bytes of this object. Retryable: it may be one to another
// request, or a server's slip; the next may be right.
struct AskedFor {
  std::string where;
  bool ranged = false;
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;
  std::string etag;  // empty: any
};
Status checkAnswer(const AskedFor& asked, const net::Response& response) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::internal, strCat({"get ", asked.where, ": ", why}), true);
  };
  if (asked.ranged && response.status != 206) return wrong("the server does not send ranges");
  if (asked.ranged) {
    const auto range = parseContentRange(headerOf(response, "content-range"));
    if (!range || range->first != asked.first || (asked.last && range->last > *asked.last))
      return wrong("the server sends another range than it was asked for");
  } else if (response.status == 206) {
    return wrong("the server sends a part where it was asked for all");
  }
  const std::string etag = headerOf(response, "etag");
  if (asked.etag.empty() || etag.empty() || bareEtag(etag) == bareEtag(asked.etag)) return {};
  return fail(ErrorCode::failed_precondition,
              strCat({"get ", asked.where, ": the server sends another object than it was asked for"}), true);
}

std::uint64_t numberIn(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Object describe(const std::string& key, const net::Response& response) {
  Object object;
  object.key = key;
  object.etag = headerOf(response, "etag");
  object.size = numberIn(headerOf(response, "content-length"));
  // "bytes 0-9/443": of a part, the whole size stands behind the slash.
  const std::string part = headerOf(response, "content-range");
  if (const auto slash = part.rfind('/'); slash != std::string::npos)
    object.size = numberIn(part.substr(slash + 1));
  object.modified = parseHttpDate(headerOf(response, "last-modified")).value_or(Time{});
  return object;
}

// All keys are gone, or why the first one is not that will not go by itself.
Status checkRemoved(const net::Response& response, const std::string& bucket, std::size_t asked) {
  BUOY_TRY(const std::vector<NotRemoved> left, parseDeleteResult(response.body));
  if (left.empty()) return {};
  std::optional<Error> worst;
  for (const NotRemoved& one : left) {
    Error error = meaningOf(one.why, one.key);
    if (!worst || (worst->retryable && !error.retryable)) worst = std::move(error);
  }
  return fail(worst->wrap(strCat({"cannot remove ", std::to_string(left.size()), " of ",
                                  std::to_string(asked), " objects from s3://", bucket})));
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(std::unique_ptr<Caller> with) : caller(std::move(with)) {}

  // For what makes an object.
  void addCreation(aws::NameValues& headers, const PutOptions& options) const {
    const aws::NameValues& given = options.properties;
    headers.insert(headers.end(), given.begin(), given.end());
    if (std::none_of(given.begin(), given.end(),
                     [](const auto& header) { return header.first == kContentType; }))
      headers.emplace_back(kContentType, kBinary);
    addCondition(headers, options);
    const Encryption& encryption = caller->options().encryption;
    if (!encryption.algorithm.empty())
      headers.emplace_back("x-amz-server-side-encryption", encryption.algorithm);
    if (!encryption.kms_key.empty())
      headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", encryption.kms_key);
    addCustomerKey(headers);
  }

  static void addCondition(aws::NameValues& headers, const PutOptions& options) {
    if (options.if_none_match) headers.emplace_back("If-None-Match", "*");
    if (!options.if_match.empty()) headers.emplace_back("If-Match", options.if_match);
  }

  // For everything that touches the content of an object that was encrypted with the customer's key.
  void addCustomerKey(aws::NameValues& headers, const std::string& prefix = "x-amz-") const {
    const std::string& key = caller->options().encryption.customer_key.reveal();
    if (key.empty()) return;
    headers.emplace_back(prefix + "server-side-encryption-customer-algorithm", "AES256");
    headers.emplace_back(prefix + "server-side-encryption-customer-key", base64(key));
    headers.emplace_back(prefix + "server-side-encryption-customer-key-md5", md5Base64(key));
  }

  // Whether the object is there that these parts make.
  bool isComplete(const Location& at, const std::vector<Part>& parts, const Control& control) const {
    Call call{.what = "look at", .method = "HEAD", .at = at};
    addCustomerKey(call.headers);
    if (caller->sendsChecksums()) call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
    const auto response = caller->perform(call, control);
    return response &&
           isMadeOf(describe(at.key, *response), headerOf(*response, "x-amz-checksum-crc32c"), parts);
  }

  std::unique_ptr<Caller> caller;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::shared_ptr<Client>> Client::create(ClientOptions options) {
  BUOY_CHECK(options.credentials != nullptr);
  BUOY_TRY(auto caller, Caller::create(std::move(options)));
  return std::shared_ptr<Client>(new Client(std::make_unique<Impl>(std::move(caller))));
}

std::string Client::endpointName() const {
  return impl_->caller->endpointName();
}

Duration Client::clockAhead() const {
  return impl_->caller->clockAhead();
}

Result<std::string> Client::put(const Location& at, const std::vector<net::BodyPiece>& body,
                                const PutOptions& options, const Control& control) {
  Call call{.what = "put", .method = "PUT", .at = at, .body = body, .checksum = true};
  impl_->addCreation(call.headers, options);
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  return headerOf(response, "etag");
}

Result<Object> Client::get(const Location& at, const GetOptions& options,
                           const std::function<Status(std::string_view)>& on_body, const Control& control) {
  // A range of nothing cannot be written.
  if (options.size && *options.size == 0) return head(at, control);
  std::uint64_t received = 0;
  bool refused = false;  // by the caller
  Call call{.what = "get", .method = "GET", .at = at};
  impl_->addCustomerKey(call.headers);
  call.on_body = [&](std::string_view piece) {
    received += piece.size();
    const Status taken = on_body(piece);
    refused = !taken;
    return taken;
  };
  // After a cut the rest is asked for, of the same object.
  AskedFor asked{.where = at.toString(), .last = {}, .etag = options.if_match};
  if (options.size) asked.last = options.offset + *options.size - 1;
  call.adjust = [&](aws::NameValues& headers) {
    std::optional<std::uint64_t> left = options.size;
    if (left) *left -= received;
    asked.first = options.offset + received;
    asked.ranged = asked.first > 0 || left;
    if (asked.ranged) headers.emplace_back("Range", range(asked.first, left));
    if (!asked.etag.empty()) headers.emplace_back("If-Match", asked.etag);
  };
  call.on_header = [&](const net::Response& response) -> Status {
    BUOY_TRY_VOID(checkAnswer(asked, response));
    if (asked.etag.empty()) asked.etag = headerOf(response, "etag");
    return {};
  };
  const auto result = impl_->caller->perform(call, control);
  if (!result && !refused && result.error().code == ErrorCode::failed_precondition &&
      options.if_match.empty()) {
    return fail(ErrorCode::unavailable, strCat({"get ", at.toString(), ": it changed while it was read"}),
                true);
  }
  BUOY_TRY(const net::Response response, result);
  Object object = describe(at.key, response);
  if (options.size && object.size < options.offset + *options.size) {
    return fail(ErrorCode::invalid_argument,
                strCat({"get ", at.toString(), ": it is shorter than the range asked for"}));
  }
  const std::uint64_t expected =
      options.size ? *options.size : object.size - std::min(object.size, options.offset);
  if (received != expected) {
    return fail(ErrorCode::unavailable,
                strCat({"get ", at.toString(), ": ", std::to_string(received), " bytes came instead of ",
                        std::to_string(expected)}),
                true);
  }
  return object;
}

Result<std::string> Client::read(const Location& at, std::uint64_t limit, const Control& control) {
  std::string content;
  const auto take = [&](std::string_view piece) -> Status {
    if (content.size() + piece.size() > limit)
      return fail(ErrorCode::resource_exhausted, at.toString() + " is larger than expected");
    content += piece;
    return {};
  };
  BUOY_TRY_VOID(get(at, {}, take, control));
  return content;
}

Result<Object> Client::head(const Location& at, const Control& control) {
  Call call{.what = "look at", .method = "HEAD", .at = at};
  impl_->addCustomerKey(call.headers);
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  return describe(at.key, response);
}

Result<aws::NameValues> Client::properties(const Location& at, const Control& control) {
  Call call{.what = "look at", .method = "HEAD", .at = at};
  impl_->addCustomerKey(call.headers);
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  aws::NameValues found;
  for (const char* const name : {kContentType, "Content-Encoding", "Content-Disposition", "Content-Language",
                                 "Cache-Control", "Expires"}) {
    if (std::string value = headerOf(response, name); !value.empty())
      found.emplace_back(name, std::move(value));
  }
  for (const auto& [name, value] : response.headers) {
    if (::strncasecmp(name.c_str(), kMetadata.data(), kMetadata.size()) == 0) found.emplace_back(name, value);
  }
  return found;
}

Status Client::remove(const Location& at, const Control& control) {
  Call call{.what = "remove", .method = "DELETE", .at = at};
  const auto response = impl_->caller->perform(call, control);
  if (response) return {};
  if (response.error().code == ErrorCode::not_found && call.refusal != "NoSuchBucket") return {};
  return fail(response.error());
}

Status Client::removeMany(const std::string& bucket, const std::vector<std::string>& keys,
                          const Control& control) {
  const std::string body = deleteXml(keys);
  Call call{.what = "remove from", .method = "POST", .at = {bucket, ""}, .query = {{"delete", ""}}};
  call.body = {net::BodyPiece{body}};
  call.headers = {{"Content-MD5", md5Base64(body)}, {"Content-Type", "application/xml"}};
  call.check = [&](const net::Response& response) { return checkRemoved(response, bucket, keys.size()); };
  return impl_->caller->perform(call, control).map([](const auto&) {});
}

Status Client::copy(const CopySource& from, const Location& to, const Control& control) {
  Call call{.what = "copy " + from.at.toString() + " to", .method = "PUT", .at = to};
  call.headers = copyHeaders(from);
  impl_->addCreation(call.headers, {});
  impl_->addCustomerKey(call.headers, "x-amz-copy-source-");
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  BUOY_TRY_VOID(parseCopyResult(response.body));
  return {};
}

Result<ListPage> Client::list(const std::string& bucket, const ListOptions& options, const Control& control) {
  Call call{.what = "list", .method = "GET", .at = {bucket, ""}};
  call.query = {{"list-type", "2"},
                {"encoding-type", "url"},
                {"max-keys", std::to_string(options.limit)},
                {"prefix", options.prefix}};
  if (!options.delimiter.empty()) call.query.emplace_back("delimiter", options.delimiter);
  if (!options.start_after.empty()) call.query.emplace_back("start-after", options.start_after);
  if (!options.token.empty()) call.query.emplace_back("continuation-token", options.token);
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  auto page = parseListPage(response.body);
  if (!page) return fail(page.error().wrap("list s3://" + bucket));
  return page;
}

Status Client::createBucket(const std::string& bucket, const Control& control) {
  const std::string& region = impl_->caller->options().settings.region;
  Call call{.what = "create", .method = "PUT", .at = {bucket, ""}};
  std::string body;
  // AWS wants the constraint everywhere but in its first region, and there it refuses it; others need none.
  if (region != "us-east-1" && impl_->caller->options().settings.s3_endpoint.empty()) {
    body = strCat(
        {"<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>",
         region, "</LocationConstraint></CreateBucketConfiguration>"});
    call.body = {net::BodyPiece{body}};
    call.headers = {{"Content-Type", "application/xml"}};
  }
  return impl_->caller->perform(call, control).map([](const auto&) {});
}

Result<std::vector<std::string>> Client::listBuckets(const Control& control) {
  Call call{.what = "list the buckets", .method = "GET", .at = {}};
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  return parseBuckets(response.body);
}

Result<std::string> Client::createUpload(const Location& at, const PutOptions& options,
                                         const Control& control) {
  Call call{.what = "begin the upload of", .method = "POST", .at = at, .query = {{"uploads", ""}}};
  impl_->addCreation(call.headers, options);
  if (impl_->caller->sendsChecksums()) call.headers.emplace_back("x-amz-checksum-algorithm", "CRC32C");
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  return parseUploadId(response.body);
}

Result<Part> Client::putPart(const Location& at, const std::string& upload, int number,
                             const std::vector<net::BodyPiece>& body, const Control& control) {
  Call call{.what = "put a part of", .method = "PUT", .at = at, .body = body, .checksum = true};
  call.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}};
  impl_->addCustomerKey(call.headers);
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  Part part{number, 0, headerOf(response, "etag"), call.crc32c};
  for (const net::BodyPiece& piece : body) part.size += piece.length();
  return part;
}

Result<Part> Client::copyPart(const CopySource& from, std::uint64_t offset, std::uint64_t size,
                              const Location& to, const std::string& upload, int number,
                              const Control& control) {
  Call call{.what = "copy a part of " + from.at.toString() + " to", .method = "PUT", .at = to};
  call.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}};
  call.headers = copyHeaders(from);
  call.headers.emplace_back("x-amz-copy-source-range", range(offset, size));
  impl_->addCustomerKey(call.headers);
  impl_->addCustomerKey(call.headers, "x-amz-copy-source-");
  BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
  BUOY_TRY(CopyResult copied, parseCopyResult(response.body));
  // An upload that was begun with a checksum is completed with that of each part, copied ones too.
  return Part{number, size, std::move(copied.etag), std::move(copied.crc32c)};
}

Result<std::vector<Part>> Client::listParts(const Location& at, const std::string& upload,
                                            const Control& control) {
  std::vector<Part> parts;
  std::string marker;
  do {
    Call call{.what = "list the parts of", .method = "GET", .at = at, .query = {{"uploadId", upload}}};
    if (!marker.empty()) call.query.emplace_back("part-number-marker", marker);
    BUOY_TRY(const net::Response response, impl_->caller->perform(call, control));
    BUOY_TRY(PartPage page, parsePartPage(response.body));
    parts.insert(parts.end(), page.parts.begin(), page.parts.end());
    marker = std::move(page.next_marker);
  } while (!marker.empty());
  return parts;
}

Status Client::completeUpload(const Location& at, const std::string& upload, const std::vector<Part>& parts,
                              const PutOptions& options, const Control& control) {
  const std::string body = completeUploadXml(parts);
  Call call{.what = "complete the upload of", .method = "POST", .at = at, .query = {{"uploadId", upload}}};
  call.body = {net::BodyPiece{body}};
  call.headers = {{"Content-Type", "application/xml"}};
  Impl::addCondition(call.headers, options);
  const auto response = impl_->caller->perform(call, control);
  if (response) return {};
  // So it is also when the answer to an earlier try was lost.
  if (call.refusal == "NoSuchUpload" && impl_->isComplete(at, parts, control)) return {};
  return fail(response.error());
}

Status Client::abortUpload(const Location& at, const std::string& upload, const Control& control) {
  Call call{.what = "abandon the upload of", .method = "DELETE", .at = at, .query = {{"uploadId", upload}}};
  const auto response = impl_->caller->perform(call, control);
  if (response || response.error().code == ErrorCode::not_found) return {};
  return fail(response.error());
}

Result<std::string> Client::presign(const std::string& method, const Location& at, Duration valid) {
  return impl_->caller->presign(method, at, valid);
}

}  // namespace buoy::objstore::s3
