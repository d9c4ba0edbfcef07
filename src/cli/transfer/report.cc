#include "cli/transfer/report.h"

#include <unistd.h>

#include "api/json_writer.h"
#include "base/strings.h"
#include "cli/exit_codes.h"

namespace buoy::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostWaiting = 1024;
constexpr Duration kTick = std::chrono::milliseconds{100};
constexpr std::size_t kWriteAtOnce = 64 << 10;
constexpr double kSmoothing = 0.3;  // weight of the newest second in the rate

std::string_view verb(Outcome::Action action) {
  switch (action) {
    case Outcome::Action::upload:
      return "upload";
    case Outcome::Action::download:
      return "download";
    case Outcome::Action::copy:
      return "copy";
    case Outcome::Action::remove:
      return "delete";
  }
  return "";
}

std::string places(const Outcome& outcome) {
  if (outcome.destination.empty()) return cleaned(outcome.source);
  return strCat({cleaned(outcome.source), " to ", cleaned(outcome.destination)});
}

}  // namespace

Report::Report(const Context& context, const ReportOptions& options, os::InterruptWatch& interrupts,
               std::stop_source stop)
    : context_(context),
      options_(options),
      interrupts_(interrupts),
      stop_(std::move(stop)),
      queue_(kMostWaiting),
      start_(steady_clock::now()),
      rate_at_(start_) {
  totals_.dry_run = options.dry_run;
  thread_ = std::jthread([this] { work(); });
}

Report::~Report() {
  if (thread_.joinable()) queue_.push(End{}, {});
}

void Report::done(Outcome outcome) {
  queue_.push(std::move(outcome), {});
}

void Report::leftOut(std::string message, bool failure) {
  queue_.push(LeftOut{std::move(message), failure}, {});
}

void Report::watch(std::function<std::uint64_t()> moved) {
  queue_.push(std::move(moved), {});
}

void Report::work() {
  while (!ended_) {
    auto item = queue_.pop(kTick);
    while (item) {
      take(std::move(*item));
      item = ended_ || out_.size() > kWriteAtOnce ? std::nullopt : queue_.pop(Duration{});
    }
    checkInterrupts();
    flush();
    draw();
  }
  clear();
}

void Report::take(Item item) {
  if (auto* outcome = std::get_if<Outcome>(&item)) return take(std::move(*outcome));
  if (auto* moved = std::get_if<std::function<std::uint64_t()>>(&item)) {
    moved_ = std::move(*moved);
  } else if (auto* left_out = std::get_if<LeftOut>(&item)) {
    ++(left_out->failure ? totals_.failed : totals_.skipped);
    err_ += strCat({paint(context_.err, left_out->failure ? Color::red : Color::yellow,
                          left_out->failure ? "error:" : "warning:"),
                    " ", cleaned(left_out->message), "\n"});
  } else {
    ended_ = true;
  }
}

void Report::take(Outcome outcome) {
  if (!outcome.status) return takeFailure(outcome);
  if (outcome.action == Outcome::Action::remove) {
    ++totals_.deleted;
  } else {
    ++totals_.files;
    totals_.bytes += outcome.bytes;
  }
  if (options_.json) {
    out_ += jsonLine(outcome);
  } else if (!options_.quiet) {
    out_ += line(outcome) + "\n";
  }
}

void Report::takeFailure(const Outcome& outcome) {
  const Error& error = outcome.status.error();
  // What a stop has cut off did not fail: the reason for the stop is said once.
  if (stop_.stop_requested() && error.code == ErrorCode::cancelled) return;
  const bool first = totals_.files + totals_.deleted + totals_.failed == 0;
  ++totals_.failed;
  if (options_.json) out_ += jsonLine(outcome);
  if (!fatal_ && (options_.alone || (outcome.fatal && first))) {
    fatal_ = error;
    stop_.request_stop();
    return;
  }
  if (fatal_) return;
  err_ += strCat({paint(context_.err, Color::red, strCat({verb(outcome.action), " failed:"})), " ",
                  places(outcome), ": ", cleaned(error.message), "\n"});
}

std::string Report::line(const Outcome& outcome) const {
  return strCat({options_.dry_run ? "(dryrun) " : "", verb(outcome.action), ": ", places(outcome)});
}

std::string Report::jsonLine(const Outcome& outcome) const {
  std::string text;
  api::JsonWriter json(text);
  json.beginObject().field("action", verb(outcome.action)).field("source", outcome.source);
  if (!outcome.destination.empty()) json.field("destination", outcome.destination);
  if (outcome.action != Outcome::Action::remove) json.field("bytes", outcome.bytes);
  json.field("status", !outcome.status ? "failed" : options_.dry_run ? "planned" : "done");
  if (!outcome.status) json.field("error", outcome.status.error().message);
  json.endObject();
  return text + "\n";
}

std::string Report::jsonSummary() const {
  std::string text;
  api::JsonWriter json(text);
  json.beginObject()
      .field("files", totals_.files)
      .field("bytes", totals_.bytes)
      .field("skipped", totals_.skipped)
      .field("deleted", totals_.deleted)
      .field("failed", totals_.failed)
      .field("seconds", totals_.took)
      .endObject();
  return text + "\n";
}

void Report::flush() {
  if (out_.empty() && err_.empty()) return;
  clear();
  if (!out_.empty()) context_.print(out_);
  if (!err_.empty()) context_.note(err_);
  out_.clear();
  err_.clear();
}

void Report::clear() {
  if (!drawn_) return;
  context_.note("\r\033[2K");
  drawn_ = false;
}

void Report::draw() {
  if (!options_.progress || options_.quiet || !context_.err_terminal || !moved_ || ended_) return;
  const auto now = steady_clock::now();
  if (drawn_ && now - drawn_at_ < kTick) return;
  const std::uint64_t bytes = moved_();
  if (now - rate_at_ >= std::chrono::seconds{1}) {
    const double newest =
        static_cast<double>(bytes - rate_bytes_) / std::chrono::duration<double>(now - rate_at_).count();
    rate_ = rate_ == 0 ? newest : rate_ * (1 - kSmoothing) + newest * kSmoothing;
    rate_at_ = now;
    rate_bytes_ = bytes;
  }
  clear();
  context_.note(transferLine(context_.err, {.files_done = totals_.files,
                                            .files_planned = files_planned_,
                                            .bytes_done = bytes,
                                            .bytes_planned = bytes_planned_,
                                            .compared = skipped_,
                                            .planned_all = planned_all_,
                                            .bytes_per_second = rate_}));
  drawn_ = true;
  drawn_at_ = now;
}

void Report::checkInterrupts() {
  if (interrupts_.take() == 0) return;
  if (++interrupts_taken_ > 1) ::_exit(static_cast<int>(ExitCode::cancelled));
  stop_.request_stop();
}

int Report::finish(const Status& status) {
  queue_.push(End{}, {});
  thread_.join();
  checkInterrupts();
  totals_.skipped += skipped_;
  totals_.took = std::chrono::duration_cast<Duration>(steady_clock::now() - start_);
  const bool cancelled = interrupts_taken_ > 0;
  if (options_.json) {
    context_.print(jsonSummary());
  } else if (options_.summary && !options_.quiet && (status || totals_.files + totals_.deleted > 0)) {
    context_.print(transferSummary(totals_) + "\n");
  }
  if (cancelled) {
    context_.note("cancelled\n");
    return static_cast<int>(ExitCode::cancelled);
  }
  if (fatal_) return context_.fail(*fatal_);
  if (!status) return context_.fail(status.error());
  return static_cast<int>(totals_.failed > 0 ? ExitCode::failure : ExitCode::ok);
}

}  // namespace buoy::cli
