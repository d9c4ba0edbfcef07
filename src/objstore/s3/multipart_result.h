#pragma once

#include <string>
#include <vector>

#include "objstore/s3/client.h"

// What a completed multipart upload looks like from outside
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). Pure.
namespace buoy::objstore::s3 {

// "<MD5 of the parts' MD5s>-<how many>", without quotes; empty if an ETag of a part is no MD5 (encrypted with
// a key of one's own).
std::string etagOfParts(const std::vector<Part>& parts);
// "<CRC-32C of the parts' CRC-32Cs>-<how many>"; empty if one of them is not known.
std::string crc32cOfParts(const std::vector<Part>& parts);

// Whether the object is what these parts make, by at least one of the two; empty ones say nothing.
// `crc32c`: the object's x-amz-checksum-crc32c.
bool isMadeOf(const Object& object, const std::string& crc32c, const std::vector<Part>& parts);

}  // namespace buoy::objstore::s3
