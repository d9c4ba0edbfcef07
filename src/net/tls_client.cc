#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "base/strings.h"
#include "net/certificate.h"
#include "net/transport.h"

namespace buoy::net {

namespace {

struct SessionDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

// A BIO over a socket whose writes raise no SIGPIPE, which OpenSSL's own does. Its data is the file
// descriptor.
int socketOf(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int bioWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(socketOf(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int bioRead(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(socketOf(bio), data, static_cast<std::size_t>(size), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(count);
}

long bioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socketBioMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    BUOY_CHECK(made != nullptr);
    BIO_meth_set_write(made, bioWrite);
    BIO_meth_set_read(made, bioRead);
    BIO_meth_set_ctrl(made, bioControl);
    return made;
  }();
  return method;
}

std::string takeOpensslError() {
  std::array<char, 256> text = {};
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection ended";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

class TlsTransport final : public Transport {
 public:
  TlsTransport(os::Fd fd, std::unique_ptr<SSL, SessionDeleter> ssl, std::string pin, std::string host)
      : fd_(std::move(fd)), ssl_(std::move(ssl)), pin_(std::move(pin)), host_(std::move(host)) {}

  int fd() const override { return fd_.get(); }

  IoStep handshake() override {
    ERR_clear_error();
    const int status = SSL_do_handshake(ssl_.get());
    if (status == 1) return pin_.empty() ? IoStep{} : checkPin();
    const long verdict = SSL_get_verify_result(ssl_.get());
    IoStep step = stepFor(status);
    if (step.kind == IoStep::Kind::eof) {
      step = {IoStep::Kind::failed, 0,
              Error{ErrorCode::unavailable, "the connection ended in the TLS handshake", true}};
    } else if (step.kind == IoStep::Kind::failed && verdict != X509_V_OK) {
      ERR_clear_error();
      step.error = Error{ErrorCode::unauthenticated,
                         strCat({"the certificate of ", host_,
                                 " is not trusted: ", X509_verify_cert_error_string(verdict)})};
    }
    return step;
  }

  IoStep read(char* data, std::size_t size) override {
    ERR_clear_error();
    std::size_t count = 0;
    const int status = SSL_read_ex(ssl_.get(), data, size, &count);
    return status == 1 ? IoStep{IoStep::Kind::done, count} : stepFor(status);
  }

  IoStep write(std::string_view data) override {
    ERR_clear_error();
    std::size_t count = 0;
    const int status = SSL_write_ex(ssl_.get(), data.data(), data.size(), &count);
    return status == 1 ? IoStep{IoStep::Kind::done, count} : stepFor(status);
  }

  IoStep sendFile(int, std::uint64_t, std::size_t) override {
    return {IoStep::Kind::failed, 0,
            Error{ErrorCode::invalid_argument, "what TLS sends must pass through memory"}};
  }

 private:
  IoStep checkPin() {
    const std::unique_ptr<X509, SessionDeleter> certificate(SSL_get1_peer_certificate(ssl_.get()));
    if (certificate != nullptr && fingerprintOf(*certificate) == pin_) return {};
    return {
        IoStep::Kind::failed, 0,
        Error{ErrorCode::unauthenticated, strCat({"the certificate of ", host_,
                                                  " is not the one with the expected fingerprint ", pin_})}};
  }

  IoStep stepFor(int status) {
    switch (SSL_get_error(ssl_.get(), status)) {
      case SSL_ERROR_WANT_READ:
        return {IoStep::Kind::want_read};
      case SSL_ERROR_WANT_WRITE:
        return {IoStep::Kind::want_write};
      case SSL_ERROR_ZERO_RETURN:
        return {IoStep::Kind::eof};
      default:
        break;
    }
    // An end without TLS's own goodbye is safe to take as one: HTTP's framing tells a cut answer from a whole
    // one.
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      ERR_clear_error();
      return {IoStep::Kind::eof};
    }
    return {IoStep::Kind::failed, 0,
            Error{ErrorCode::unavailable, strCat({"TLS: ", takeOpensslError()}), true}};
  }

  os::Fd fd_;
  std::unique_ptr<SSL, SessionDeleter> ssl_;
  std::string pin_;
  std::string host_;
};

// Where distributions keep the certificates they trust. OpenSSL's built-in place is that of the machine it
// was built on, which a static program may have left.
constexpr std::array<const char*, 4> kSystemBundles = {"/etc/ssl/certs/ca-certificates.crt",
                                                       "/etc/pki/tls/certs/ca-bundle.crt",
                                                       "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

Status loadTrusted(SSL_CTX* context, const std::string& ca_file) {
  if (!ca_file.empty()) {
    if (SSL_CTX_load_verify_file(context, ca_file.c_str()) == 1) return {};
    return fail(ErrorCode::invalid_argument,
                strCat({"cannot read certificates from ", ca_file, ": ", takeOpensslError()}));
  }
  bool loaded = SSL_CTX_set_default_verify_paths(context) == 1;
  for (const char* bundle : kSystemBundles) {
    if (SSL_CTX_load_verify_file(context, bundle) == 1) {
      loaded = true;
      break;
    }
  }
  ERR_clear_error();
  if (!loaded) return fail(ErrorCode::failed_precondition, "the system has no list of trusted certificates");
  return {};
}

class TlsClientContextImpl final : public TlsClientContext {
 public:
  TlsClientContextImpl(std::unique_ptr<SSL_CTX, SessionDeleter> context, std::string pin)
      : context_(std::move(context)), pin_(std::move(pin)) {}

  Result<std::unique_ptr<Transport>> connect(os::Fd fd, const std::string& host) override {
    std::unique_ptr<SSL, SessionDeleter> ssl(SSL_new(context_.get()));
    BIO* bio = ssl == nullptr ? nullptr : BIO_new(socketBioMethod());
    if (bio == nullptr) return fail(ErrorCode::internal, strCat({"TLS: ", takeOpensslError()}));
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd.get())));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl.get(), bio, bio);
    SSL_set_connect_state(ssl.get());
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
    bool named = X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1;
    if (!named) {
      ERR_clear_error();
      X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      named = X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size()) == 1 &&
              SSL_set_tlsext_host_name(ssl.get(), const_cast<char*>(host.c_str())) == 1;
    }
    if (!named)
      return fail(ErrorCode::invalid_argument, strCat({"\"", host, "\" cannot be a TLS server's name"}));
    return std::make_unique<TlsTransport>(std::move(fd), std::move(ssl), pin_, host);
  }

 private:
  std::unique_ptr<SSL_CTX, SessionDeleter> context_;
  std::string pin_;
};

}  // namespace

Result<std::unique_ptr<TlsClientContext>> makeTlsClientContext(const ClientOptions& options) {
  std::unique_ptr<SSL_CTX, SessionDeleter> context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return fail(ErrorCode::internal, strCat({"TLS: ", takeOpensslError()}));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  if (options.pinned_fingerprint.empty()) {
    BUOY_TRY_VOID(loadTrusted(context.get(), options.ca_file));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // checkPin decides
  }
  BUOY_TRY(auto pin, options.pinned_fingerprint.empty() ? Result<std::string>{}
                                                        : normalizeFingerprint(options.pinned_fingerprint));
  return std::make_unique<TlsClientContextImpl>(std::move(context), std::move(pin));
}

}  // namespace buoy::net
