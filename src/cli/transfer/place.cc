#include "cli/transfer/place.h"

#include <filesystem>

#include "base/strings.h"

namespace buoy::cli {
namespace {

using objstore::Direction;
using objstore::s3::Location;

constexpr std::string_view kScheme = "s3://";

// Up to and with the last '/'.
std::string parentOf(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/') + 1));
}

std::string nameOf(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string absolutePath(const std::string& path) {
  std::error_code error;
  std::string text = std::filesystem::absolute(path.empty() ? "." : path, error).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

bool isDirectory(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

Place localTree(const std::string& word) {
  return {.kind = Place::Kind::local,
          .bucket = "",
          .base = word.ends_with('/') ? word : word + "/",
          .only = "",
          .root = absolutePath(word)};
}

Place localFile(const std::string& word) {
  return {.kind = Place::Kind::local,
          .bucket = "",
          .base = "",
          .only = word,
          .root = absolutePath(parentOf(word))};
}

Place remoteTree(Location at) {
  if (!at.key.empty() && !at.key.ends_with('/')) at.key += '/';
  return {.kind = Place::Kind::s3,
          .bucket = at.bucket,
          .base = at.key,
          .only = "",
          .root = at.bucket + "/" + at.key};
}

Place remoteObject(const Location& at) {
  return {.kind = Place::Kind::s3,
          .bucket = at.bucket,
          .base = "",
          .only = at.key,
          .root = at.bucket + "/" + parentOf(at.key)};
}

Result<Place> sourceTree(const std::string& word) {
  if (word.starts_with(kScheme)) return objstore::s3::parseLocation(word).map(remoteTree);
  std::error_code error;
  if (!std::filesystem::exists(word, error)) return fail(ErrorCode::not_found, word + " does not exist");
  if (!isDirectory(word))
    return failInvalid(word + " is not a directory: copy it with buoy cp, without --recursive");
  return localTree(word);
}

Result<Place> destinationTree(const std::string& word) {
  if (word.starts_with(kScheme)) return objstore::s3::parseLocation(word).map(remoteTree);
  std::error_code error;
  if (std::filesystem::exists(word, error) && !isDirectory(word))
    return failInvalid(word + " is not a directory");
  return localTree(word);
}

Result<Place> sourceFile(const std::string& word) {
  if (word.starts_with(kScheme)) {
    BUOY_TRY(const Location at, objstore::s3::parseLocation(word));
    if (at.key.empty() || at.key.ends_with('/'))
      return failInvalid(word + " names no object; --recursive takes everything below it");
    return remoteObject(at);
  }
  std::error_code error;
  if (!std::filesystem::exists(word, error)) return fail(ErrorCode::not_found, word + " does not exist");
  if (isDirectory(word)) return failInvalid(word + " is a directory; --recursive copies what is in it");
  return localFile(word);
}

// Takes the name of the source if only a directory is given.
Result<Place> destinationFile(const std::string& word, const std::string& name) {
  if (word.starts_with(kScheme)) {
    BUOY_TRY(Location at, objstore::s3::parseLocation(word));
    if (at.key.empty() || at.key.ends_with('/')) {
      if (name.empty())
        return failInvalid(word + " names no object: what is read from standard input has no name");
      at.key += name;
    }
    return remoteObject(at);
  }
  if (!word.ends_with('/') && !isDirectory(word)) return localFile(word);
  if (name.empty() || name == "." || name == "..")
    return failInvalid("a file cannot be called " + inQuotes(name));
  return localFile((word.ends_with('/') ? word : word + "/") + name);
}

}  // namespace

std::string Place::path(std::string_view relative) const {
  return only.empty() ? base + std::string(relative) : only;
}

Location Place::location(std::string_view relative) const {
  return {bucket, path(relative)};
}

std::string Place::name(std::string_view relative) const {
  switch (kind) {
    case Kind::standard:
      return "-";
    case Kind::s3:
      return location(relative).toString();
    case Kind::local:
      break;
  }
  const std::string file = path(relative);
  return file.find('/') == std::string::npos ? "./" + file : file;
}

std::string Place::whole(std::string_view relative) const {
  return strCat({root, root.ends_with('/') ? "" : "/", relative});
}

Result<Route> parseRoute(const std::string& source, const std::string& destination, bool tree) {
  const bool from_s3 = source.starts_with(kScheme), to_s3 = destination.starts_with(kScheme);
  if (source.empty() || destination.empty()) return failInvalid("a path is empty");
  if (!from_s3 && !to_s3)
    return failInvalid("one of " + inQuotes(source) + " and " + inQuotes(destination) +
                       " must begin with s3://");
  Route route;
  route.tree = tree;
  route.direction = !from_s3 ? Direction::upload : to_s3 ? Direction::copy : Direction::download;
  if (source == "-" || destination == "-") {
    if (tree) return failInvalid("standard input and output are one file: leave out --recursive");
  }
  if (tree) {
    BUOY_TRY(route.source, sourceTree(source));
    BUOY_TRY(route.destination, destinationTree(destination));
    if (from_s3 && to_s3 && route.source.root == route.destination.root)
      return failInvalid("source and destination are the same");
    return route;
  }
  if (source == "-") {
    route.source.kind = Place::Kind::standard;
    route.source.only = "-";
  } else {
    BUOY_TRY(route.source, sourceFile(source));
    route.file = nameOf(route.source.only);
  }
  if (destination == "-") {
    route.destination.kind = Place::Kind::standard;
    route.destination.only = "-";
    return route;
  }
  BUOY_TRY(route.destination, destinationFile(destination, route.file));
  return route;
}

Result<Place> parseRemote(const std::string& word, bool tree) {
  return objstore::s3::parseLocation(word).map(
      [tree](const Location& at) { return tree ? remoteTree(at) : remoteObject(at); });
}

}  // namespace buoy::cli
