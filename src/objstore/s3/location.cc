#include "base/strings.h"
#include "objstore/s3/client.h"

namespace buoy::objstore::s3 {

Result<Location> parseLocation(std::string_view uri) {
  constexpr std::string_view kScheme = "s3://";
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, strCat({inQuotes(uri), " ", why, ": write s3://bucket/key"}));
  };
  if (!uri.starts_with(kScheme)) return wrong("is no place in S3");
  const std::string_view rest = uri.substr(kScheme.size());
  const auto slash = rest.find('/');
  const std::string_view bucket = rest.substr(0, slash);
  // Access point names and ARNs aside, S3's own rule; older buckets may have upper case and underscores.
  const bool plain =
      bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
      std::string_view::npos;
  if (bucket.size() < 3 || bucket.size() > 255 || !plain)
    return wrong(
        bucket.empty()
            ? "names no bucket"
            : "has a bucket's name that S3 does not allow (3 or more letters, digits, dots and hyphens)");
  const std::string_view key = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (key.size() > 1024) return wrong("has a key of more than 1,024 bytes");
  if (!isValidUtf8(key)) return wrong("has a key that is not UTF-8");
  return Location{std::string(bucket), std::string(key)};
}

}  // namespace buoy::objstore::s3
