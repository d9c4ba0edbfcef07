#include <algorithm>
#include <map>

#include "api/views.h"
#include "base/strings.h"
#include "control/answers.h"
#include "control/job_inputs.h"
#include "control/services.h"
#include "objstore/list_pages.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

constexpr int kMetricPoints = 20'000;

// `by_machine`: one series a machine of a metric, "loss@m3".
std::vector<api::MetricSeriesView> seriesOf(const std::vector<store::MetricPoint>& points, bool by_machine) {
  std::map<std::string, api::MetricSeriesView> by_name;
  for (const store::MetricPoint& point : points) {
    const std::string name = by_machine ? strCat({point.name, "@", point.machine.toString()}) : point.name;
    by_name[name].points.push_back({point.attempt, point.at, point.value});
  }
  std::vector<api::MetricSeriesView> series;
  for (auto& [name, one] : by_name) {
    one.name = name;
    series.push_back(std::move(one));
  }
  return series;
}

Result<std::vector<api::MetricSeriesView>> loadSeries(store::Store& store, JobId job,
                                                      bool by_machine = false) {
  BUOY_TRY(const std::vector<store::MetricPoint> points, store.metrics(job, kMetricPoints));
  return seriesOf(points, by_machine);
}

Result<std::string> listJobs(store::Store& store, const net::Request& request) {
  store::JobQuery query;
  BUOY_TRY(query.finished, flagParameter(request, "finished"));
  query.name = request.queryValue("name");
  BUOY_TRY(const std::int64_t limit, numberParameter(request, "limit", 100, 1, 10'000));
  query.limit = static_cast<int>(limit);
  if (const std::string before = request.queryValue("before"); !before.empty()) {
    const auto id = JobId::parse(before);
    if (!id)
      return fail(ErrorCode::invalid_argument,
                  "before: must be a job's id, such as j42, not '" + before + "'");
    query.before = *id;
  }
  api::JobListView list;
  BUOY_TRY(const std::vector<store::JobRow> rows, store.jobs(query));
  for (const store::JobRow& row : rows) {
    BUOY_TRY(const engine::Job job, store::decodeJob(row.record));
    list.jobs.push_back(api::viewOf(job));
  }
  BUOY_TRY(list.unfinished, store.countJobs(false));
  BUOY_TRY(list.finished, store.countJobs(true));
  return api::toJson(list);
}

Result<std::string> showJob(store::Store& store, const std::string& word) {
  BUOY_TRY(const store::JobRow row, findJob(store, word));
  BUOY_TRY(const engine::Job job, store::decodeJob(row.record));
  api::JobView view = api::viewOf(job);
  view.spec = row.spec;
  BUOY_TRY(view.spans, store.spans(row.id));
  BUOY_TRY(const std::vector<api::MetricSeriesView> series, loadSeries(store, row.id));
  for (const api::MetricSeriesView& one : series) view.metrics.push_back(api::summaryOf(one));
  return api::toJson(view);
}

// Names every job that this one depends on by its id: the newest of that name.
std::vector<api::Problem> resolveDependencies(store::Store& store, api::JobSpec& spec) {
  std::vector<api::Problem> problems;
  for (std::size_t i = 0; i < spec.depends_on.size(); ++i) {
    const auto row = findJob(store, spec.depends_on[i].job);
    if (row) {
      spec.depends_on[i].job = row->id.toString();
      continue;
    }
    api::Problem& problem = problems.emplace_back();
    problem.field = "depends_on[" + std::to_string(i) + "]";
    problem.message = row.error().message;
  }
  return problems;
}

void submit(Services& services, Call call) {
  auto parsed = api::parseSubmitRequest(call.request.body);
  if (!parsed) return sendProblems(*call.responder, std::move(parsed).error());
  if (auto unknown = resolveDependencies(services.store, parsed->spec); !unknown.empty())
    return sendProblems(*call.responder, std::move(unknown));
  engine::JobRequest request = api::toRequest(parsed->spec);
  const auto view = services.catalog.view();
  auto problems = checkAdmission(*view, request);
  if (problems.empty())
    problems = checkStoragePools(*view, request, parsed->spec.storage, services.storage_providers);
  if (problems.empty()) problems = checkPromises(*view, request, services.clock.now(), services.settings);
  if (problems.empty()) problems = resolveInputs(services.store, parsed->spec, parsed->request_id);
  if (!problems.empty()) return sendProblems(*call.responder, std::move(problems));
  Submission submission;
  submission.spec = api::toJson(parsed->spec);
  submission.request_id = std::move(parsed->request_id);
  std::string name = request.name;
  submission.events.emplace_back(engine::SubmitJob{std::move(request)});
  const auto responder = call.responder;
  submission.done = [responder, name = std::move(name)](const Result<engine::Reply>& reply,
                                                        const engine::State&) {
    if (!reply) return sendError(*responder, reply.error());
    sendJson(*responder, 201, api::toJson(api::SubmitAnswer{reply->job, name}));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

void cancel(Services& services, Call call) {
  const auto row = findJob(services.store, call.captured[0]);
  if (!row) return sendError(*call.responder, row.error());
  const auto responder = call.responder;
  Submission submission;
  submission.events.emplace_back(engine::CancelJob{row->id});
  submission.done = [responder, id = row->id, &store = services.store](const Result<engine::Reply>& reply,
                                                                       const engine::State&) {
    const auto current = store.job(id);
    const auto job =
        current ? store::decodeJob(current->record) : Result<engine::Job>(tl::unexpect, current.error());
    if (!job) return sendError(*responder, job.error());
    // The engine has forgotten a job that ended long ago, or refuses one that has just ended: nothing is left
    // to do.
    if (!reply && !engine::isTerminal(job->phase)) return sendError(*responder, reply.error());
    sendJson(*responder, 200, api::toJson(api::viewOf(*job)));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

void save(Services& services, Call call) {
  const auto row = findJob(services.store, call.captured[0]);
  if (!row) return sendError(*call.responder, row.error());
  const auto spec = api::parseJobJson(row->spec);
  if (spec && !spec->checkpoint) {
    return sendError(*call.responder, {ErrorCode::failed_precondition,
                                       row->id.toString() + " keeps no checkpoints: its specification names "
                                                            "no checkpoint directory",
                                       false});
  }
  const auto responder = call.responder;
  Submission submission;
  submission.events.emplace_back(engine::SaveJob{row->id});
  submission.done = [responder, id = row->id](const Result<engine::Reply>& reply,
                                              const engine::State& state) {
    if (!reply) {
      const bool ended = reply.error().code == ErrorCode::not_found;
      return sendError(*responder, ended ? Error{ErrorCode::failed_precondition,
                                                 id.toString() + " has ended: only what runs can save", false}
                                         : reply.error());
    }
    const engine::Job* job = state.job(id);
    if (job == nullptr)
      return sendError(*responder, {ErrorCode::failed_precondition, id.toString() + " has ended", false});
    sendJson(*responder, 202, api::toJson(api::viewOf(*job)));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

void resume(Services& services, Call call) {
  const auto row = findJob(services.store, call.captured[0]);
  if (!row) return sendError(*call.responder, row.error());
  const auto parsed = api::parseResumeRequest(call.request.body.empty() ? "{}" : call.request.body);
  if (!parsed) return sendError(*call.responder, parsed.error());
  const auto responder = call.responder;
  Submission submission;
  submission.events.emplace_back(engine::ResumeJob{row->id, parsed->budget});
  submission.done = [responder, id = row->id](const Result<engine::Reply>& reply,
                                              const engine::State& state) {
    const engine::Job* job = state.job(id);
    if (!reply && reply.error().code != ErrorCode::not_found) return sendError(*responder, reply.error());
    if (job == nullptr || !reply)
      return sendError(*responder, {ErrorCode::failed_precondition, id.toString() + " has ended", false});
    sendJson(*responder, 202, api::toJson(api::viewOf(*job)));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

std::string outputPrefix(const Services& services, JobId job) {
  return strCat({services.cluster, "/", job.toString(), "/outputs/"});
}

Result<std::string> listOutputs(Services& services, JobId job) {
  const std::string prefix = outputPrefix(services, job);
  std::vector<api::OutputView> outputs;
  BUOY_TRY_VOID(objstore::listPages(services.objects, prefix, [&](const auto& page) -> Status {
    for (const objstore::ObjectInfo& object : page)
      outputs.push_back({object.key.substr(prefix.size()), object.size});
    return {};
  }));
  return api::toJson(outputs);
}

void outputs(Services& services, Call call) {
  const auto row = findJob(services.store, call.captured[0]);
  if (!row) return sendError(*call.responder, row.error());
  const auto responder = call.responder;
  const bool taken = services.io.post(row->id.value, [&services, call = std::move(call), id = row->id] {
    if (call.captured.size() == 1) {
      const auto list = listOutputs(services, id);
      if (!list) return sendError(*call.responder, list.error());
      return sendJson(*call.responder, 200, *list);
    }
    auto content = services.objects.get(outputPrefix(services, id) + call.captured[1]);
    if (!content) {
      const bool missing = content.error().code == ErrorCode::not_found;
      return sendError(*call.responder,
                       missing ? Error{ErrorCode::not_found,
                                       id.toString() + " has no output '" + call.captured[1] + "'", false}
                               : content.error());
    }
    call.responder->send(
        {.status = 200, .content_type = "application/octet-stream", .body = std::move(*content)});
  });
  if (!taken)
    sendError(*responder, {ErrorCode::unavailable, "too many downloads are waiting; try again", true});
}

}  // namespace

Result<store::JobRow> findJob(store::Store& store, const std::string& word, JobId before) {
  if (const auto id = JobId::parse(word)) return store.job(*id);
  store::JobQuery query;
  query.name = word;
  query.before = before;
  query.limit = 1;
  BUOY_TRY(const std::vector<store::JobRow> rows,
           word.empty() ? std::vector<store::JobRow>() : store.jobs(query));
  if (!rows.empty()) return store.job(rows.front().id);
  // "42", where no job has that name.
  if (const auto id = JobId::parse("j" + word)) return store.job(*id);
  return fail(ErrorCode::not_found, "there is no job '" + word + "'");
}

void addJobRoutes(Router& router, Services& services) {
  router.add("POST", "/v1/jobs", [&](Call call) { submit(services, std::move(call)); });
  router.add("GET", "/v1/jobs", [&](Call call) {
    const auto list = listJobs(services.store, call.request);
    if (!list) return sendError(*call.responder, list.error());
    sendJson(*call.responder, 200, *list);
  });
  router.add("GET", "/v1/jobs/{}", [&](Call call) {
    const auto job = showJob(services.store, call.captured[0]);
    if (!job) return sendError(*call.responder, job.error());
    sendJson(*call.responder, 200, *job);
  });
  router.add("GET", "/v1/jobs/{}/metrics", [&](Call call) {
    const auto row = findJob(services.store, call.captured[0]);
    if (!row) return sendError(*call.responder, row.error());
    const std::string by = call.request.queryValue("by");
    if (!by.empty() && by != "machine")
      return sendError(*call.responder,
                       {ErrorCode::invalid_argument, "by: must be machine, or left out", false});
    const auto series = loadSeries(services.store, row->id, !by.empty());
    if (!series) return sendError(*call.responder, series.error());
    sendJson(*call.responder, 200, api::toJson(*series));
  });
  router.add("POST", "/v1/jobs/{}/cancel", [&](Call call) { cancel(services, std::move(call)); });
  router.add("POST", "/v1/jobs/{}/save", [&](Call call) { save(services, std::move(call)); });
  router.add("POST", "/v1/jobs/{}/resume", [&](Call call) { resume(services, std::move(call)); });
  router.add("GET", "/v1/jobs/{}/outputs", [&](Call call) { outputs(services, std::move(call)); });
  router.add("GET", "/v1/jobs/{}/outputs/{*}", [&](Call call) { outputs(services, std::move(call)); });
}

}  // namespace buoy::control
