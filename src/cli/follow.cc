#include "cli/follow.h"

#include <thread>
#include <variant>
#include <vector>

#include "base/pause.h"
#include "base/strings.h"
#include "cli/job_feed.h"
#include "cli/line_queue.h"
#include "cli/render/history.h"
#include "cli/render/plot.h"
#include "cli/render/progress.h"
#include "cli/render/times.h"

namespace buoy::cli {
namespace {

constexpr std::size_t kMostHeldLines = 4096;
constexpr Duration kRefresh = std::chrono::milliseconds{500};
constexpr Duration kTick = std::chrono::milliseconds{100};
constexpr Duration kPoll = std::chrono::seconds{1};
constexpr Duration kQuietPatience = std::chrono::seconds{2};  // before a server that is away is mentioned
constexpr std::size_t kSparkline = 24;
constexpr int kQuietTicks = 5;

struct Ended {
  Status status;
};
struct Reachable {
  bool now = true;
};
using Item = std::variant<api::LogLineView, api::RecordView, api::JobView, Reachable, Ended>;

// The line below the log on a terminal. Everything is drawn by the printing thread.
class Footer {
 public:
  Footer(const Context& context, bool shown) : context_(context), shown_(shown) {}

  void update(api::JobView job) {
    if (!job.metrics.empty()) {
      if (history_.size() == kSparkline) history_.erase(history_.begin());
      if (history_.empty() || history_.back() != job.metrics.front().last)
        history_.push_back(job.metrics.front().last);
    }
    job_ = std::move(job);
  }
  void clear() {
    if (!drawn_) return;
    context_.note("\r\033[2K");
    drawn_ = false;
  }
  void draw() {
    if (!shown_ || !job_) return;
    clear();
    Look look = context_.err;
    look.color = false;
    context_.note(paint(context_.err, Color::dim, fit(look, text(look), std::max(look.width - 1, 20))));
    drawn_ = true;
  }

 private:
  std::string text(const Look& look) const {
    const std::string_view dot = look.unicode ? " · " : " | ";
    std::string line = strCat({job_->id.toString(), " ", engine::toString(job_->phase)});
    if (job_->attempts > 1) line += strCat({dot, "attempt ", std::to_string(job_->attempts)});
    if (!job_->machines.empty()) line += strCat({dot, job_->machines.front().toString()});
    if (job_->machines.size() > 1) line += " +" + std::to_string(job_->machines.size() - 1);
    line += strCat({dot, age(job_->submitted, wallClock())});
    if (job_->ledger && job_->ledger->totalCost() > Money{})
      line += strCat({dot, formatMoney(job_->ledger->totalCost())});
    if (!job_->metrics.empty()) {
      const api::MetricSummaryView& metric = job_->metrics.front();
      line += strCat({dot, cleaned(metric.name), " ", formatNumber(metric.last), " ",
                      sparkline(look, history_, kSparkline)});
    }
    return line;
  }

  const Context& context_;
  const bool shown_;
  bool drawn_ = false;
  std::optional<api::JobView> job_;
  std::vector<double> history_;
};

class Follower {
 public:
  Follower(const Context& context, const ServerAddress& address, const api::JobView& job,
           const FollowOptions& options, os::InterruptWatch& interrupts)
      : context_(context),
        job_(job),
        options_(options),
        interrupts_(interrupts),
        queue_(kMostHeldLines),
        log_(address, Connection::Start::never),
        events_(address, Connection::Start::never),
        status_(address, Connection::Start::never),
        last_(address, Connection::Start::never),
        live_(context.out_terminal && context.err_terminal),
        footer_(context, live_),
        printer_(context, options.timestamps, job.request.machines > 1) {}

  Result<FollowEnd> run() {
    start();
    Result<FollowEnd> end = print();
    footer_.clear();
    printer_.finish();
    // Waiting reads are broken off, then the threads join.
    for (std::jthread& thread : threads_) thread.request_stop();
    log_.cancel();
    events_.cancel();
    status_.cancel();
    threads_.clear();
    return end;
  }

 private:
  void start() {
    feeds_ = options_.history ? 2 : 1;
    threads_.emplace_back([this](std::stop_token stop) {
      const FeedSource source = logSource(job_.id, options_.tail, [this, stop](api::LogLineView line) {
        queue_.push(std::move(line), stop);
      });
      const OnReachable told = [this, stop](bool now) { queue_.push(Reachable{now}, stop); };
      queue_.push(Ended{readFeed(log_, job_.id, source, told, stop)}, stop);
    });
    if (options_.history) {
      threads_.emplace_back([this](std::stop_token stop) {
        const FeedSource source = eventSource(
            job_.id, [this, stop](api::RecordView record) { queue_.push(std::move(record), stop); });
        queue_.push(Ended{readFeed(
                        events_, job_.id, source, [](bool) {}, stop)},
                    stop);
      });
    }
    if (live_) {
      threads_.emplace_back([this](std::stop_token stop) {
        while (!stop.stop_requested()) {
          if (auto job = fetchJob(status_, job_.id.toString())) queue_.push(std::move(*job), stop);
          (void)pauseFor(kPoll, stop);
        }
      });
    }
  }

  Result<FollowEnd> print() {
    Time drawn{};
    while (feeds_ > 0) {
      if (auto item = queue_.pop(kTick)) {
        footer_.clear();
        // Everything that is there, before the footer is drawn again.
        for (; item; item = queue_.pop(Duration{})) {
          handle(*item);
          if (error_) return fail(*error_);
        }
        drawn = Time{};
      } else if (paused_ && --quiet_ticks_ <= 0) {
        if (auto end = pausedEnd()) return std::move(*end);
      }
      if (interrupts_.take() != 0) return FollowEnd{.detached = true, .job = job_};
      mentionAbsence();
      if (const Time now = wallClock(); now - drawn >= kRefresh) {
        // Not after half a line: clearing it would take that half away.
        if (!printer_.open()) footer_.draw();
        drawn = now;
      }
    }
    return lastView();
  }

  // Its last lines may come after the word that it is paused, and it may have gone on since.
  std::optional<FollowEnd> pausedEnd() {
    quiet_ticks_ = kQuietTicks;
    auto job = fetchJob(last_, job_.id.toString());
    if (!job) return std::nullopt;
    paused_ = job->phase == engine::JobPhase::paused || job->phase == engine::JobPhase::stopping;
    if (job->phase != engine::JobPhase::paused) return std::nullopt;
    return FollowEnd{.detached = false, .paused = true, .job = std::move(*job)};
  }

  // The feeds have just heard that the job has ended, but the server may go away at any moment.
  Result<FollowEnd> lastView() {
    for (;;) {
      auto job = fetchJob(last_, job_.id.toString());
      if (job) return FollowEnd{.job = std::move(*job)};
      if (job.error().code != ErrorCode::unavailable) return fail(std::move(job).error());
      setReachable(false);
      mentionAbsence();
      if (os::waitReadable(interrupts_.fd(), kRefresh) && interrupts_.take() != 0)
        return FollowEnd{.detached = true, .job = job_};
    }
  }

  void handle(Item& item) {
    if (const auto* line = std::get_if<api::LogLineView>(&item)) {
      if (!options_.wants(*line)) return;
      printer_.print(*line);
    } else if (const auto* record = std::get_if<api::RecordView>(&item)) {
      if (options_.until_paused && (record->record.kind == "paused" || record->record.kind == "pausing")) {
        paused_ = true;
        quiet_ticks_ = kQuietTicks;
      }
      const std::string text =
          renderRecord(context_.err, *record, Telling::brief, clockTime(record->record.at));
      if (text.empty()) return;
      printer_.finish();
      context_.note(text);
    } else if (auto* job = std::get_if<api::JobView>(&item)) {
      job_ = *job;
      footer_.update(std::move(*job));
    } else if (const auto* reachable = std::get_if<Reachable>(&item)) {
      setReachable(reachable->now);
    } else if (auto* ended = std::get_if<Ended>(&item)) {
      --feeds_;
      if (!ended->status) error_ = ended->status.error();
    }
  }

  void setReachable(bool now) {
    if (!now) {
      if (!away_since_) away_since_ = wallClock();
      return;
    }
    if (mentioned_) context_.note(paint(context_.err, Color::dim, "the server answers again") + "\n");
    away_since_.reset();
    mentioned_ = false;
  }

  void mentionAbsence() {
    if (!away_since_ || mentioned_ || wallClock() - *away_since_ < kQuietPatience) return;
    mentioned_ = true;
    footer_.clear();
    context_.note(paint(context_.err, Color::yellow,
                        "the server does not answer; the job goes on without it, and so does this command") +
                  "\n");
  }

  const Context& context_;
  api::JobView job_;
  const FollowOptions& options_;
  os::InterruptWatch& interrupts_;
  LineQueue<Item> queue_;
  Connection log_, events_, status_, last_;  // one a thread
  const bool live_;
  Footer footer_;
  LogPrinter printer_;
  int feeds_ = 0;
  std::optional<Time> away_since_;
  bool mentioned_ = false;
  bool paused_ = false;
  int quiet_ticks_ = 0;
  std::optional<Error> error_;
  std::vector<std::jthread> threads_;
};

}  // namespace

Result<FollowEnd> follow(const Context& context, const ServerAddress& address, const api::JobView& job,
                         const FollowOptions& options, os::InterruptWatch& interrupts) {
  return Follower(context, address, job, options, interrupts).run();
}

void LogPrinter::print(const api::LogLineView& line) {
  const bool continues = open_ && open_->attempt == line.attempt && open_->rank == line.rank &&
                         open_->is_stderr == line.is_stderr;
  if (!continues) finish();
  std::string prefix;
  if (!continues && timestamps_) prefix += formatTime(line.at) + " ";
  if (!continues && ranks_) prefix += "[" + std::to_string(line.rank) + "] ";
  std::string text = paint(context_.out, Color::dim, prefix) + line.text;
  if (!line.partial) text += '\n';
  context_.print(text);
  open_.reset();
  if (line.partial) open_ = Origin{line.attempt, line.rank, line.is_stderr};
}

void LogPrinter::finish() {
  if (open_) context_.print("\n");
  open_.reset();
}

}  // namespace buoy::cli
