#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

using X509 = struct x509_st;

namespace buoy::net {

// "sha256:" and the lower-case hexadecimal hash of the certificate's DER form.
std::string fingerprintOf(const X509& certificate);
// Accepts upper case and colons, as other tools print fingerprints ("sha256:AB:CD:…" and "AB:CD:…").
Result<std::string> normalizeFingerprint(std::string_view text);

}  // namespace buoy::net
