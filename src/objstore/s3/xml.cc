#include "objstore/s3/xml.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>

#include "base/strings.h"
#include "base/units.h"
#include "net/url.h"

namespace buoy::objstore::s3 {
namespace {

std::string text(const pugi::xml_node& parent, const char* name) {
  return parent.child(name).child_value();
}

template <class Number>
Number number(const pugi::xml_node& parent, const char* name) {
  const std::string_view digits = parent.child(name).child_value();
  Number value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// The document's root if it has this name.
Result<pugi::xml_node> parse(pugi::xml_document& document, std::string_view body, const char* root) {
  const auto parsed =
      document.load_buffer(body.data(), body.size(), pugi::parse_default | pugi::parse_ws_pcdata_single);
  const pugi::xml_node node = document.child(root);
  if (parsed && node) return node;
  // Some servers find out that they cannot after they have said 200.
  if (const ErrorAnswer error = parseError(body); !error.code.empty())
    return fail(ErrorCode::unavailable, error.code + ": " + error.message, true);
  return fail(ErrorCode::internal, strCat({"the server's answer is no ", root}));
}

// Keys come %-encoded where that was asked for, as XML cannot hold every character.
std::string decoded(const std::string& value, bool encoded) {
  if (!encoded) return value;
  return net::percentDecode(value, true).value_or(value);
}

Time timeOf(const pugi::xml_node& parent, const char* name) {
  return parseTime(parent.child(name).child_value()).value_or(Time{});
}

void appendEscaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '\r':
        out += "&#13;";
        break;
      default:
        out += c;
    }
  }
}

}  // namespace

ErrorAnswer parseError(std::string_view body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  const pugi::xml_node error = document.child("Error");
  return {text(error, "Code"), text(error, "Message"), text(error, "Region")};
}

bool bringsError(std::string_view body) {
  // White space may come first: it keeps a connection alive while the server works.
  body.remove_prefix(std::min(body.find_first_not_of(" \t\r\n"), body.size()));
  constexpr std::size_t kDeclaration = 256;
  return body.substr(0, kDeclaration).find("<Error") != std::string_view::npos &&
         !parseError(body).code.empty();
}

Result<ListPage> parseListPage(std::string_view body) {
  pugi::xml_document document;
  BUOY_TRY(const pugi::xml_node root, parse(document, body, "ListBucketResult"));
  const bool encoded = text(root, "EncodingType") == "url";
  ListPage page;
  for (const pugi::xml_node& entry : root.children("Contents")) {
    page.objects.push_back({decoded(text(entry, "Key"), encoded), number<std::uint64_t>(entry, "Size"),
                            timeOf(entry, "LastModified"), text(entry, "ETag")});
  }
  for (const pugi::xml_node& entry : root.children("CommonPrefixes")) {
    page.prefixes.push_back(decoded(text(entry, "Prefix"), encoded));
  }
  if (text(root, "IsTruncated") == "true") {
    page.next = text(root, "NextContinuationToken");
    if (page.next.empty())
      return fail(ErrorCode::internal, "the listing is cut, and no token to go on was sent");
  }
  return page;
}

Result<std::vector<std::string>> parseBuckets(std::string_view body) {
  pugi::xml_document document;
  BUOY_TRY(const pugi::xml_node root, parse(document, body, "ListAllMyBucketsResult"));
  std::vector<std::string> names;
  for (const pugi::xml_node& bucket : root.child("Buckets").children("Bucket"))
    names.push_back(text(bucket, "Name"));
  return names;
}

Result<std::string> parseUploadId(std::string_view body) {
  pugi::xml_document document;
  BUOY_TRY(const pugi::xml_node root, parse(document, body, "InitiateMultipartUploadResult"));
  std::string id = text(root, "UploadId");
  if (id.empty()) return fail(ErrorCode::internal, "the server's answer has no UploadId");
  return id;
}

Result<PartPage> parsePartPage(std::string_view body) {
  pugi::xml_document document;
  BUOY_TRY(const pugi::xml_node root, parse(document, body, "ListPartsResult"));
  PartPage page;
  for (const pugi::xml_node& part : root.children("Part")) {
    page.parts.push_back({number<int>(part, "PartNumber"), number<std::uint64_t>(part, "Size"),
                          text(part, "ETag"), text(part, "ChecksumCRC32C")});
  }
  if (text(root, "IsTruncated") == "true") page.next_marker = text(root, "NextPartNumberMarker");
  return page;
}

Result<CopyResult> parseCopyResult(std::string_view body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  pugi::xml_node root = document.child("CopyPartResult");
  if (!root) {
    BUOY_TRY(root, parse(document, body, "CopyObjectResult"));
  }
  return CopyResult{text(root, "ETag"), text(root, "ChecksumCRC32C")};
}

Result<std::vector<NotRemoved>> parseDeleteResult(std::string_view body) {
  pugi::xml_document document;
  BUOY_TRY(const pugi::xml_node root, parse(document, body, "DeleteResult"));
  std::vector<NotRemoved> left;
  for (const pugi::xml_node& error : root.children("Error")) {
    ErrorAnswer why{text(error, "Code"), text(error, "Message"), ""};
    if (why.code != "NoSuchKey") left.push_back({text(error, "Key"), std::move(why)});
  }
  return left;
}

std::string completeUploadXml(const std::vector<Part>& parts) {
  std::string xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const Part& part : parts) {
    xml += strCat({"<Part><PartNumber>", std::to_string(part.number), "</PartNumber><ETag>"});
    appendEscaped(xml, part.etag);
    xml += "</ETag>";
    if (!part.crc32c.empty()) {
      xml += "<ChecksumCRC32C>";
      appendEscaped(xml, part.crc32c);
      xml += "</ChecksumCRC32C>";
    }
    xml += "</Part>";
  }
  return xml + "</CompleteMultipartUpload>";
}

std::string deleteXml(const std::vector<std::string>& keys) {
  std::string xml = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) {
    xml += "<Object><Key>";
    appendEscaped(xml, key);
    xml += "</Key></Object>";
  }
  return xml + "</Delete>";
}

}  // namespace buoy::objstore::s3
