#include "control/aws_doors.h"

#include "base/parse_number.h"
#include "base/strings.h"
#include "control/answers.h"

namespace buoy::control {
namespace {

using gateways::front::Answer;
using gateways::front::Service;

std::string_view rawPath(const net::Request& request) {
  return std::string_view(request.target).substr(0, request.target.find('?'));
}

std::optional<gateways::front::Call> recognised(const net::Request& request) {
  auto call = gateways::front::recognise({.method = request.method,
                                          .path = rawPath(request),
                                          .target = request.header("X-Amz-Target"),
                                          .authorization = request.header("Authorization"),
                                          .query = &request.query});
  if (call) call->invocation = request.header("amz-sdk-invocation-id");
  return call;
}

gateways::front::SignatureGate::Knock knockOf(const net::Request& request, Time now) {
  return {request.header("Authorization"), request.header("X-Amz-Date"), now};
}

net::Response responseOf(Service service, Answer answer) {
  net::Response response;
  response.status = answer.status;
  response.content_type = gateways::front::contentType(service);
  response.body = std::move(answer.body);
  if (!answer.error_type.empty()) response.headers.emplace_back("x-amzn-ErrorType", answer.error_type);
  return response;
}

}  // namespace

AwsDoors::AwsDoors(Services& services, AccessKeys& keys, bool unsigned_too)
    : services_(services),
      gate_([&keys](const std::string& id) { return keys.secretOf(id); }),
      unsigned_too_(unsigned_too),
      logs_(*this) {}

Result<std::unique_ptr<AwsDoors>> AwsDoors::open(Services& services, AccessKeys& keys, bool unsigned_too) {
  std::unique_ptr<AwsDoors> doors(new AwsDoors(services, keys, unsigned_too));
  BUOY_TRY(doors->batch_, gateways::batch::Door::open(*doors));
  return doors;
}

bool AwsDoors::concerns(const net::Request& request) {
  return recognised(request).has_value();
}

bool AwsDoors::signatureNeeded(const net::Request& request) const {
  return !request.over_unix_socket && !unsigned_too_;
}

std::optional<net::Response> AwsDoors::admit(const net::Request& request) const {
  const auto call = recognised(request);
  const Service service = call ? call->service : Service::batch;
  if (signatureNeeded(request)) {
    if (auto refused = gate_.glance(knockOf(request, services_.clock.now())))
      return responseOf(service, std::move(*refused));
  }
  if (!request.header("Transfer-Encoding").empty())
    return responseOf(service,
                      gateways::front::errorAnswer(411, "MissingContentLength",
                                                   "You must provide the Content-Length HTTP header."));
  const auto length = parseNumber<std::uint64_t>(request.header("Content-Length"));
  if (length.value_or(0) <= kMostBody) return std::nullopt;
  return responseOf(service, gateways::front::errorAnswer(413, "RequestEntityTooLargeException",
                                                          "Request size exceeds 1 MiB."));
}

void AwsDoors::handle(net::Request request, std::shared_ptr<net::Responder> responder) {
  auto call = recognised(request);
  if (!call)
    return sendError(*responder, {ErrorCode::not_found, "there is no " + request.path + " here", false});
  const Service service = call->service;
  const std::string id = strCat({services_.cluster, "-", std::to_string(++requests_)});
  const auto reply = [service, responder, id](Answer answer) {
    net::Response response = responseOf(service, std::move(answer));
    response.headers.emplace_back("x-amzn-RequestId", id);
    responder->send(std::move(response));
  };
  if (signatureNeeded(request)) {
    const aws::SignableRequest signable{request.method, std::string(rawPath(request)), request.query,
                                        request.headers, aws::sha256Hex(request.body)};
    const bool changes = service == Service::batch && gateways::batch::Door::changes(*call);
    if (auto refused = gate_.check(knockOf(request, services_.clock.now()), signable, changes))
      return reply(std::move(*refused));
  }
  call->body = std::move(request.body);
  switch (service) {
    case Service::batch:
      return batch_->handle(*call, reply);
    case Service::logs:
      return logs_.handle(*call, reply);
  }
}

Time AwsDoors::now() const {
  return services_.clock.now();
}

store::Store& AwsDoors::store() {
  return services_.store;
}

std::shared_ptr<const gateways::Places> AwsDoors::places() {
  return services_.catalog.view();
}

std::vector<api::Problem> AwsDoors::admit(const engine::JobRequest& request, const cloud::Storage& storage) {
  const auto view = services_.catalog.view();
  auto problems = checkAdmission(*view, request);
  if (problems.empty()) problems = checkStoragePools(*view, request, storage, services_.storage_providers);
  return problems;
}

void AwsDoors::apply(gateways::Change change, gateways::ChangeDone done) {
  Submission submission;
  submission.events = std::move(change.events);
  submission.spec = std::move(change.spec);
  submission.request_id = std::move(change.request_id);
  submission.resources = std::move(change.resources);
  submission.done = [done](const Result<engine::Reply>& reply, const engine::State&) { done(reply); };
  if (const Status taken = services_.writer.offer(std::move(submission)); !taken) done(fail(taken.error()));
}

bool AwsDoors::background(std::function<void()> work) {
  return services_.io.post(requests_.load(), std::move(work));
}

Result<std::vector<gateways::LogPlace>> AwsDoors::logs(JobId job) {
  BUOY_TRY(const std::vector<LogStream> streams, services_.logs.streams(job));
  std::vector<gateways::LogPlace> places;
  for (const LogStream& stream : streams) places.push_back({job, stream.attempt, stream.rank});
  return places;
}

Result<gateways::LogPiece> AwsDoors::readLog(const gateways::LogPlace& place,
                                             std::optional<std::uint64_t> offset, bool backward,
                                             std::size_t lines) {
  auto read = services_.logs.readStream(place.job, {place.attempt, place.rank}, offset, backward, lines);
  if (!read && read.error().code == ErrorCode::not_found) {
    // A job that has not printed anything has a stream all the same.
    BUOY_TRY_VOID(services_.store.job(place.job).map([](const auto&) {}));
    read = LogStore::Piece{};
  }
  if (!read) return fail(read.error());
  gateways::LogPiece piece{{}, read->begin, read->end};
  std::uint64_t begin = read->begin;
  for (LogLine& line : read->lines) {
    piece.lines.push_back({line.at, begin, std::move(line.text)});
    begin = line.end;
  }
  return piece;
}

}  // namespace buoy::control
