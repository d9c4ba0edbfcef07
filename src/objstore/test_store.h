#pragma once

#include <string>

// For tests only: stores that are empty.
namespace buoy::objstore::testing {

// `kind` "file": `directory`. "s3": a fresh prefix below BUOY_TEST_S3; empty if that is not set.
std::string testStoreUri(const std::string& kind, const std::string& directory);

}  // namespace buoy::objstore::testing
