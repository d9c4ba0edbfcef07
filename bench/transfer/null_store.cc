#include "null_store.h"

#include <fmt/format.h>

#include <cstdlib>
#include <functional>

namespace buoy::bench {
namespace {

// No MD5, and shaped so that no client takes it for one: a multipart ETag.
std::string etagOf(const std::string& name, std::uint64_t size) {
  return fmt::format("\"{:016x}{:016x}-1\"", std::hash<std::string>{}(name), size);
}

std::string isoTime(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &parts)};
}

bool isPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '/' || c == '~';
}

std::string escapeKey(std::string_view key, bool url) {
  std::string out;
  for (char c : key) {
    if (isPlain(c)) {
      out += c;
    } else if (url) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else if (c == '&' || c == '<' || c == '>' || c == '"') {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string get(const Query& query, const char* name, const char* fallback = "") {
  const auto found = query.find(name);
  return found == query.end() ? fallback : found->second;
}

void appendObject(std::string& out, std::string_view key, bool url, const NullObject& object) {
  out += fmt::format(
      "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size>"
      "<StorageClass>STANDARD</StorageClass></Contents>",
      escapeKey(key, url), isoTime(object.modified), object.etag.substr(1, object.etag.size() - 2),
      object.size);
}

}  // namespace

std::string percentDecode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Query parseQuery(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const auto equals = pair.find('=');
    query[percentDecode(pair.substr(0, equals))] =
        equals == std::string_view::npos ? "" : percentDecode(pair.substr(equals + 1));
  }
  return query;
}

const NullObject& NullStore::put(const std::string& name, std::uint64_t size, std::string metadata) {
  return objects_[name] = {size, std::time(nullptr), etagOf(name, size), std::move(metadata)};
}

const NullObject* NullStore::find(const std::string& name) const {
  const auto found = objects_.find(name);
  return found == objects_.end() ? nullptr : &found->second;
}

std::string NullStore::createUpload(const std::string& metadata) {
  const auto id = fmt::format("upload-{}", ++last_upload_);
  uploads_[id].metadata = metadata;
  return id;
}

std::string NullStore::addPart(const std::string& upload, std::uint64_t number, std::uint64_t size) {
  uploads_[upload].parts[number] = size;
  return etagOf(fmt::format("{}/{}", upload, number), size);
}

const NullObject* NullStore::completeUpload(const std::string& upload, const std::string& name) {
  const auto found = uploads_.find(upload);
  if (found == uploads_.end()) return nullptr;
  std::uint64_t size = 0;
  for (const auto& part : found->second.parts) size += part.second;
  const auto& object = put(name, size, found->second.metadata);
  uploads_.erase(found);
  return &object;
}

std::string NullStore::list(const std::string& bucket, const Query& query) const {
  const bool v2 = query.contains("list-type");
  const bool url = get(query, "encoding-type") == "url";
  const std::string prefix = get(query, "prefix");
  const std::string delimiter = get(query, "delimiter");
  const auto limit = std::strtoul(get(query, "max-keys", "1000").c_str(), nullptr, 10);
  std::string after =
      v2 ? get(query, "continuation-token", get(query, "start-after").c_str()) : get(query, "marker");

  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  const std::string root = bucket + "/";
  auto at = after.empty() ? objects_.lower_bound(root + prefix) : objects_.upper_bound(root + after);
  std::size_t count = 0;
  std::string last;
  bool more = false;
  while (at != objects_.end() && at->first.starts_with(root + prefix)) {
    if (count == limit) {
      more = true;
      break;
    }
    const auto key = std::string_view(at->first).substr(root.size());
    const auto cut = delimiter.empty() ? std::string_view::npos : key.find(delimiter, prefix.size());
    if (cut != std::string_view::npos) {
      last = std::string(key.substr(0, cut)) + '\xff';  // behind everything that has this prefix
      out += fmt::format("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                         escapeKey(key.substr(0, cut + delimiter.size()), url));
      at = objects_.lower_bound(root + last);
    } else {
      last = key;
      appendObject(out, key, url, at->second);
      ++at;
    }
    ++count;
  }
  out += fmt::format("<Name>{}</Name><Prefix>{}</Prefix><MaxKeys>{}</MaxKeys><KeyCount>{}</KeyCount>", bucket,
                     escapeKey(prefix, url), limit, count);
  if (url) out += "<EncodingType>url</EncodingType>";
  out += fmt::format("<IsTruncated>{}</IsTruncated>", more);
  if (more) {
    const char* name = v2 ? "NextContinuationToken" : "NextMarker";
    out += fmt::format("<{0}>{1}</{0}>", name, escapeKey(last, url && !v2));
  }
  return out + "</ListBucketResult>";
}

}  // namespace buoy::bench
