#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/metadata_service.h"
#include "aws/service_call.h"
#include "net/http.h"

namespace buoy::aws {

// The metadata service of the EC2 instance that this runs on, by IMDSv2 (a token first, which is kept for its
// six hours; https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html). One
// thread, but cancel() from any. Errors: unavailable (nobody answers, or with a status that makes no sense;
// retryable), invalid_argument (its address is no URL, or it takes no request for a token).
class MetadataClient {
 public:
  static Result<MetadataClient> create(MetadataOptions options);

  // What stands at "/latest/…"; nullopt: there is nothing (404).
  Result<std::optional<std::string>> get(std::string_view path);
  void cancel() { client_->cancel(); }

  std::string name() const { return "instance metadata service at " + url_.endpoint.toString(); }
  bool answered() const { return answered_; }  // anything, ever

 private:
  MetadataClient(MetadataOptions options, ServiceUrl url);
  Result<net::Response> request(std::string method, std::string_view path, const char* header,
                                const std::string& value);
  // Empty: ask without one.
  Result<std::string> fetchToken();

  MetadataOptions options_;
  ServiceUrl url_;
  std::unique_ptr<net::Client> client_;
  std::optional<std::string> token_;
  bool answered_ = false;
};

}  // namespace buoy::aws
