#include "net/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "base/strings.h"
#include "net/http.h"
#include "os/files.h"

namespace buoy::net {

namespace {

constexpr std::size_t kHashBytes = 32;
constexpr std::string_view kPrefix = "sha256:";

struct OpenSslDeleter {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <class T>
using Owned = std::unique_ptr<T, OpenSslDeleter>;

tl::unexpected<Error> failOpenssl(std::string_view what) {
  std::array<char, 256> text = {};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(ErrorCode::internal, strCat({what, ": ", text.data()}));
}

std::string takeText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// An address becomes an IP entry, anything else a DNS entry.
bool addName(GENERAL_NAMES* names, const std::string& name) {
  std::array<unsigned char, 16> address = {};
  const bool is_v4 = ::inet_pton(AF_INET, name.c_str(), address.data()) == 1;
  const bool is_address = is_v4 || ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
  GENERAL_NAME* entry = GENERAL_NAME_new();
  ASN1_STRING* value = is_address ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  if (entry == nullptr || value == nullptr) return false;
  const bool set = is_address ? ASN1_STRING_set(value, address.data(), is_v4 ? 4 : 16) == 1
                              : ASN1_STRING_set(value, name.data(), static_cast<int>(name.size())) == 1;
  GENERAL_NAME_set0_value(entry, is_address ? GEN_IPADD : GEN_DNS, value);
  return set && sk_GENERAL_NAME_push(names, entry) > 0;
}

bool addExtension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool setSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes = {};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, always of the same length
  BIGNUM* number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  const bool set =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

Result<Owned<X509>> makeCertificate(EVP_PKEY* key, const std::vector<std::string>& names, int days) {
  Owned<X509> certificate(X509_new());
  const Owned<GENERAL_NAMES> alternatives(GENERAL_NAMES_new());
  if (certificate == nullptr || alternatives == nullptr) return failOpenssl("cannot make a certificate");
  for (const std::string& name : names) {
    if (!addName(alternatives.get(), name)) return failOpenssl("cannot make a certificate");
  }
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto* common_name = reinterpret_cast<const unsigned char*>("buoy");
  constexpr long kDay = 24 * 3600;
  // Valid from yesterday on: the clocks of the machines that check it may be behind.
  const bool made =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 && setSerial(certificate.get()) &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDay) != nullptr &&
      X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr) != nullptr &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(), subject) == 1 && X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, alternatives.get(), 0, X509V3_ADD_DEFAULT) ==
          1 &&
      addExtension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      addExtension(certificate.get(), NID_key_usage, "critical,digitalSignature") &&
      addExtension(certificate.get(), NID_ext_key_usage, "serverAuth") &&
      addExtension(certificate.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(certificate.get(), key, EVP_sha256()) > 0;
  if (!made) return failOpenssl("cannot make a certificate");
  return certificate;
}

}  // namespace

std::string fingerprintOf(const X509& certificate) {
  std::array<unsigned char, kHashBytes> hash = {};
  unsigned size = 0;
  BUOY_CHECK(X509_digest(&certificate, EVP_sha256(), hash.data(), &size) == 1 && size == kHashBytes);
  return strCat({kPrefix, toHex(hash)});
}

Result<std::string> normalizeFingerprint(std::string_view text) {
  std::string result(kPrefix);
  std::string_view digits = text;
  if (digits.size() > kPrefix.size() && (digits.starts_with("sha256:") || digits.starts_with("SHA256:"))) {
    digits.remove_prefix(kPrefix.size());
  }
  for (const char c : digits) {
    if (c == ':') continue;
    const char small = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (!((small >= '0' && small <= '9') || (small >= 'a' && small <= 'f'))) {
      return fail(ErrorCode::invalid_argument,
                  "a certificate's fingerprint is \"sha256:\" and 64 hexadecimal digits");
    }
    result.push_back(small);
  }
  if (result.size() != kPrefix.size() + 2 * kHashBytes) {
    return fail(ErrorCode::invalid_argument,
                "a certificate's fingerprint is \"sha256:\" and 64 hexadecimal digits");
  }
  return result;
}

Result<std::string> makeSelfSignedCertificate(const TlsFiles& files, const std::vector<std::string>& names,
                                              int days) {
  if (names.empty() || days <= 0) {
    return fail(ErrorCode::invalid_argument, "a certificate needs a name and a positive number of days");
  }
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  if (key == nullptr) return failOpenssl("cannot make a key");
  BUOY_TRY(const auto certificate, makeCertificate(key.get(), names, days));
  const Owned<BIO> key_text(BIO_new(BIO_s_mem()));
  const Owned<BIO> certificate_text(BIO_new(BIO_s_mem()));
  if (key_text == nullptr || certificate_text == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1) {
    return failOpenssl("cannot write a certificate");
  }
  // The key first: a certificate that is there has its key.
  BUOY_TRY_VOID(os::writeFileAtomic(files.key, takeText(key_text.get()), 0600));
  BUOY_TRY_VOID(os::writeFileAtomic(files.certificate, takeText(certificate_text.get()), 0644));
  return fingerprintOf(*certificate);
}

Result<std::string> certificateFingerprint(const std::string& certificate_file) {
  BUOY_TRY(const auto text, os::readFile(certificate_file, 1u << 20));
  const Owned<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const Owned<X509> certificate(bio == nullptr ? nullptr
                                               : PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    ERR_clear_error();
    return fail(ErrorCode::invalid_argument, strCat({certificate_file, " holds no PEM certificate"}));
  }
  return fingerprintOf(*certificate);
}

}  // namespace buoy::net
