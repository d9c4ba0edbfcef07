#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "base/strings.h"
#include "cli/render/history.h"
#include "cli/render/ledger.h"
#include "cli/render/plot.h"
#include "cli/render/progress.h"
#include "cli/render/summary.h"
#include "cli/render/table.h"
#include "cli/render/timeline.h"
#include "cli/render/times.h"

namespace buoy::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Look kPlain{false, true, 80};
constexpr Look kAscii{false, false, 80};
constexpr Look kPiped{false, true, 0};
constexpr Look kColor{true, true, 80};
constexpr Time kSubmitted{seconds{1'800'000'000}};

// ---- text

TEST(Text, WidthCountsColumnsAndNotBytes) {
  EXPECT_EQ(displayWidth("abc"), 3);
  EXPECT_EQ(displayWidth("äö…"), 3);
  EXPECT_EQ(displayWidth("深度"), 4);
  EXPECT_EQ(displayWidth("e\xCC\x81"), 1) << "a combining mark";
  EXPECT_EQ(displayWidth("\033[31mred\033[0m"), 3);
  EXPECT_EQ(displayWidth("\xF0\x9F"), 2) << "torn: no read past the end";
}

TEST(Text, FitsByWholeCharacters) {
  EXPECT_EQ(fit(kPlain, "epochs", 6), "epochs");
  EXPECT_EQ(fit(kPlain, "epochs", 5), "epoc…");
  EXPECT_EQ(fit(kAscii, "epochs", 5), "epoc~");
  EXPECT_EQ(fit(kPlain, "深度学習", 5), "深度…");
  EXPECT_EQ(fit(kPlain, "x", 0), "");
}

TEST(Text, ControlsDoNotReachTheTerminal) {
  EXPECT_EQ(cleaned("a\033[2Jb\n\tc"), "a [2Jb  c");
  EXPECT_EQ(cleaned("a\xC2\x9B"
                    "2J"),
            "a 2J");
  EXPECT_EQ(cleaned("bad\xFF"), "bad?");
  EXPECT_EQ(cleaned("Größe"), "Größe");
}

RC_GTEST_PROP(TextProperty, FitNeverExceedsItsWidth, (const std::string& given)) {
  const std::string text = cleaned(given);
  for (int width = 1; width < 12; ++width) RC_ASSERT(displayWidth(fit(kPlain, text, width)) <= width);
}

TEST(Text, ColorsOnlyWhereTheyAreWanted) {
  EXPECT_EQ(paint(kPlain, Color::red, "x"), "x");
  EXPECT_EQ(paint(kColor, Color::red, "x"), "\033[31mx\033[0m");
  EXPECT_EQ(paint(kColor, Color::plain, "x"), "x");
}

TEST(Text, Wraps) {
  EXPECT_EQ(wrap("one two three", 7, "  "), "one two\n  three");
  EXPECT_EQ(wrap("one two three", 0, "  "), "one two three");
}

// ---- tables

Table sample() {
  return {{{"JOB"}, {"NAME", Align::left, true}, {"QUEUE"}, {"COST", Align::right}},
          {{"j1", "digits", "", "$0.01"}, {"j12", "a-very-long-name-for-a-job", "", ""}}};
}

TEST(TableTest, AlignsAndLeavesOutWhatIsEmpty) {
  EXPECT_EQ(renderTable(kPiped, sample()),
            "JOB  NAME                         COST\n"
            "j1   digits                      $0.01\n"
            "j12  a-very-long-name-for-a-job\n");
}

TEST(TableTest, CutsTheElasticColumn) {
  EXPECT_EQ(renderTable({false, true, 24}, sample()),
            "JOB  NAME           COST\n"
            "j1   digits        $0.01\n"
            "j12  a-very-long…\n");
}

// ---- progress

TEST(Progress, Bars) {
  EXPECT_EQ(bar(kPlain, 0.5, 4), "██░░");
  EXPECT_EQ(bar(kPlain, 0.53125, 4), "██▏░");
  EXPECT_EQ(bar(kAscii, 0.5, 4), "##--");
  EXPECT_EQ(bar(kPlain, 7, 2), "██");
  EXPECT_EQ(bar(kPlain, std::nan(""), 2), "░░");
}

TEST(Progress, Line) {
  EXPECT_EQ(progressLine({false, false, 60}, "uploading", 1 << 20, 4 << 20),
            "uploading  #####----------------   25%  1.0 MiB of 4.0 MiB");
  EXPECT_THAT(progressLine(kAscii, "x", 0, 0), HasSubstr("100%"));
}

TEST(Progress, Sparkline) {
  const std::vector<double> falling{8, 7, 6, 5, 4, 3, 2, 1}, odd{std::nan(""), 1, 1};
  EXPECT_EQ(sparkline(kPlain, falling, 8), "█▇▆▅▄▃▂▁");
  EXPECT_EQ(sparkline(kPlain, falling, 2), "▇▃");
  EXPECT_EQ(sparkline(kPlain, odd, 8), "▁▁");
  EXPECT_EQ(sparkline(kAscii, falling, 8), "");
}

// ---- plots

Plot falling() {
  Plot plot;
  plot.title = "loss";
  plot.height = 4;
  for (int i = 0; i <= 20; ++i)
    plot.points.push_back({static_cast<double>(i), 2.0 / (1 + i), i < 10 ? 1 : 2});
  plot.marks = {10};
  plot.mark_name = "reclaim";
  return plot;
}

TEST(PlotTest, Braille) {
  EXPECT_EQ(renderPlot({false, true, 40}, falling()),
            "  loss\n"
            "  2 ┤⢣\n"
            "  1 ┤ ⢣\n"
            "    ┤  ⠑⠢⢄⣀\n"
            "  0 ┤      ⠉⠉⠉⠑⠒⠒⠒⠒⠒⠂ ⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤\n"
            "    └──────────────────────────────────\n"
            "                      ▲ reclaim\n"
            "     0s                           20.0s\n");
}

TEST(PlotTest, Ascii) {
  EXPECT_EQ(renderPlot({false, false, 40}, falling()),
            "  loss\n"
            "  2 |*\n"
            "  1 | **\n"
            "    |   ******\n"
            "  0 |         ******* *****************\n"
            "    +----------------------------------\n"
            "                      ^ reclaim\n"
            "     0s                           20.0s\n");
}

TEST(PlotTest, DegenerateDataIsDrawnOrLeftOut) {
  Plot plot;
  EXPECT_EQ(renderPlot(kPlain, plot), "");
  plot.points = {{0, std::nan(""), 1}, {1, std::numeric_limits<double>::infinity(), 1}};
  EXPECT_EQ(renderPlot(kPlain, plot), "");
  plot.points = {{5, 3, 1}};
  EXPECT_THAT(renderPlot(kPlain, plot), HasSubstr("3 ┤"));
  plot.points = {{0, 1e300, 1}, {1, -1e300, 1}};
  EXPECT_THAT(renderPlot(kPlain, plot), HasSubstr("1e+300"));
}

TEST(PlotTest, AFlatCurveIsLabelledWhereItIs) {
  Plot plot = falling();
  for (PlotPoint& point : plot.points) point.y = 3;
  const std::string text = renderPlot(kAscii, plot);
  EXPECT_THAT(text, HasSubstr("3 |*"));
  EXPECT_THAT(text, Not(HasSubstr("3 |\n")));
}

TEST(PlotTest, TheNameOfMarksStaysWithinTheWidth) {
  Plot plot = falling();
  plot.marks = {20};
  EXPECT_THAT(renderPlot({false, false, 40}, plot), HasSubstr(" reclaim ^\n"));
  plot.marks = {0, 20};
  EXPECT_THAT(renderPlot({false, false, 40}, plot), Not(HasSubstr("reclaim")));
}

TEST(PlotTest, Numbers) {
  EXPECT_EQ(formatNumber(0), "0");
  EXPECT_EQ(formatNumber(0.03125), "0.03125");
  EXPECT_EQ(formatNumber(2.30258), "2.303");
  EXPECT_EQ(formatNumber(12345), "12345");
  EXPECT_EQ(formatNumber(123456), "123456");
  EXPECT_EQ(formatNumber(1.5e-7), "1.5e-07");
}

RC_GTEST_PROP(PlotProperty, AnyPointsAreDrawnWithinTheWidth,
              (const std::vector<std::pair<double, double>>& points)) {
  Plot plot;
  plot.title = "x";
  for (const auto& [x, y] : points) plot.points.push_back({std::fmod(std::fabs(x), 1e6), y, 1});
  std::sort(plot.points.begin(), plot.points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  const std::string text = renderPlot({false, true, 60}, plot);
  for (const std::string_view line : split(text, '\n')) RC_ASSERT(displayWidth(line) <= 60);
}

// ---- timeline

std::vector<TimelineRow> rows() {
  using engine::Use;
  const auto piece = [](int begin, int end, Use use) {
    return TimelineRow::Piece{kSubmitted + seconds{begin}, kSubmitted + seconds{end}, use};
  };
  return {{"m1",
           {piece(0, 2, Use::starting), piece(2, 16, Use::useful), piece(16, 18, Use::saving)},
           "reclaimed, with notice"},
          {"m12",
           {piece(18, 20, Use::starting), piece(20, 22, Use::restoring), piece(22, 24, Use::redone),
            piece(24, 40, Use::useful)},
           ""}};
}

TEST(Timeline, Drawn) {
  EXPECT_EQ(renderTimeline({false, true, 72}, rows()),
            "  m1   ╌╌██████████████▄▄ ✗ reclaimed, with notice\n"
            "  m12                    ╌╌▀▀▒▒████████████████\n"
            "       0s                                 40.0s\n"
            "       █ useful  ▒ redone  ▄ saving  ▀ restoring  ╌ starting\n");
}

TEST(Timeline, Ascii) {
  EXPECT_EQ(renderTimeline({false, false, 72}, rows()),
            "  m1   --##############ss ! reclaimed, with notice\n"
            "  m12                    --rrxx################\n"
            "       0s                                 40.0s\n"
            "       # useful  x redone  s saving  r restoring  - starting\n");
}

TEST(Timeline, NothingToDraw) {
  EXPECT_EQ(renderTimeline(kPlain, {}), "");
  EXPECT_EQ(renderTimeline(kPlain, {{"m1", {}, ""}}), "");
}

TEST(Timeline, ManyMachinesAreCounted) {
  const std::vector<TimelineRow> many(30, rows()[0]);
  EXPECT_THAT(renderTimeline(kPlain, many), HasSubstr("and 6 more machines"));
}

// ---- ledger

api::LedgerView ledger() {
  api::LedgerView view;
  view.time = {seconds{40}, seconds{2}, milliseconds{500}, milliseconds{300}, seconds{4}, Duration{}};
  for (std::size_t u = 0; u < engine::kUseCount; ++u)
    view.cost[u] = cost(PricePerHour{300'000'000}, view.time[u]);
  view.on_demand_cost = cost(PricePerHour{1'000'000'000}, view.totalTime());
  view.queued = seconds{1};
  view.reclaims_noticed = 2;
  view.reclaims_unnoticed = 1;
  return view;
}

TEST(Ledger, Drawn) {
  EXPECT_EQ(renderLedger(kPlain, ledger()),
            "  useful     40.0s    85%   $0.0033  ████████████████████▌\n"
            "  redone      2.0s   4.3%   $0.0002  █\n"
            "  saving     500ms   1.1%  <$0.0001  ▎\n"
            "  restoring  300ms   0.6%  <$0.0001  ▏\n"
            "  starting    4.0s   8.5%   $0.0003  ██\n"
            "  waiting        -                -\n"
            "  billable   46.8s          $0.0039\n"
            "\n"
            "  billable 46.8 s, training 40.0 s (85%), queued 1.0 s at no cost\n"
            "  on demand $0.0130, paid $0.0039: saved 70%\n"
            "  reclaims: 2 with notice, 1 without\n");
}

TEST(Ledger, EmptyIsNotANumberDividedByZero) {
  const std::string text = renderLedger(kPlain, {});
  EXPECT_THAT(text, HasSubstr("billable 0.0 s, training 0.0 s (0%)"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, Not(HasSubstr("on demand")));
  EXPECT_THAT(text, Not(HasSubstr("paid")));
}

TEST(Ledger, SavingsAreToldOnlyWhereSomethingWasSaved) {
  const auto isOnlyPaid = [](const api::LedgerView& view) {
    const std::string text = renderLedger(kPlain, view);
    EXPECT_THAT(text, HasSubstr("\n  paid $"));
    EXPECT_THAT(text, Not(HasSubstr("on demand")));
    EXPECT_THAT(text, Not(HasSubstr("saved")));
  };
  api::LedgerView useless = ledger();
  useless.time[0] = Duration{};
  isOnlyPaid(useless);
  api::LedgerView dearer = ledger();
  dearer.on_demand_cost = Money{1'000'000};
  isOnlyPaid(dearer);
}

// ---- history

api::RecordView record(std::string kind, std::string detail) {
  api::RecordView view;
  view.record.kind = std::move(kind);
  view.record.detail = std::move(detail);
  return view;
}

TEST(History, BriefTellsWhatAWatcherWantsToKnow) {
  EXPECT_EQ(
      renderRecord(kPlain, record("notice", "m1 will be reclaimed in 5.0s"), Telling::brief, "12:00:00"),
      "▲ 12:00:00  m1 will be reclaimed in 5.0s\n");
  EXPECT_EQ(renderRecord(kAscii, record("lost", "m1 was reclaimed"), Telling::brief, "12:00:00"),
            "x 12:00:00  m1 was reclaimed\n");
  EXPECT_EQ(renderRecord(kPlain, record("committed", "version 3"), Telling::brief, "12:00:00"), "");
  EXPECT_EQ(renderRecord(kPlain, record("committed", "version 3"), Telling::full, "12:00:00"),
            "· 12:00:00  version 3\n");
  EXPECT_THAT(renderRecord(kPlain, record("of tomorrow", "new"), Telling::brief, "12:00:00"),
              HasSubstr("new"));
}

TEST(Story, TellsWhatRunsAndIsInNoLedgerYet) {
  JobStory story;
  story.job.phase = engine::JobPhase::running;
  story.job.ledger.emplace();
  const Time begin = parseTime("2026-11-21T12:00:00Z").value();
  story.job.spans = {{.machine = MachineId{1},
                      .use = engine::Use::starting,
                      .begin = begin,
                      .end = begin + std::chrono::seconds{2}}};
  story.job.members = {{.machine = MachineId{1},
                        .rank = 0,
                        .phase = engine::MemberPhase::running,
                        .since = begin + std::chrono::seconds{2}}};
  EXPECT_THAT(renderStory(kPlain, story), Not(HasSubstr("not saved yet")));
  story.looked = begin + std::chrono::seconds{9};
  EXPECT_THAT(renderStory(kPlain, story), HasSubstr("since then 7.0s not saved yet"));
  EXPECT_THAT(renderStory(kPlain, story), HasSubstr("█"));
  story.job.phase = engine::JobPhase::succeeded;
  EXPECT_THAT(renderStory(kPlain, story), Not(HasSubstr("not saved yet")));
}

TEST(Times, InASentenceAreToldAsTheTimesBesideIt) {
  const Time told = parseTime("2026-11-21T12:00:00Z").value();
  const auto clock = [](const char* at) { return clockTime(parseTime(at).value()); };
  EXPECT_EQ(withLocalTimes("tried again at 2026-11-21T12:00:02.468Z, or not", told),
            "tried again at " + clock("2026-11-21T12:00:02Z") + ", or not");
  EXPECT_EQ(withLocalTimes("until 2027-01-02T12:00:02Z", told),
            "until " + localTime(parseTime("2027-01-02T12:00:02Z").value()));
  for (const char* plain :
       {"", "no time", "2026-11-21", "2026-11-21T12:00:02", "2026-13-41T12:00:02Z", "2026-11-21T12:00:02.5"})
    EXPECT_EQ(withLocalTimes(plain, told), plain);
}

TEST(History, CandidatesSayWhatWasChosenAndWhy) {
  api::RecordView placed = record("placed", "on m1");
  placed.record.candidates = {
      {"local", "big", engine::Market::spot, {}, 0, "full (4 of 4 machines)"},
      {"local", "small", engine::Market::spot, PricePerHour{300'000'000}, 0.3, ""},
      {"local", "small", engine::Market::on_demand, PricePerHour{1'000'000'000}, 1, ""}};
  EXPECT_EQ(renderCandidates(kPlain, placed),
            "           POOL   TYPE   MARKET         PRICE  SCORE\n"
            "           local  big    spot         $0.00/h         full (4 of 4 machines)\n"
            "           local  small  spot       $0.3000/h    0.3  chosen\n"
            "           local  small  on_demand    $1.00/h      1  possible\n");
  EXPECT_EQ(renderCandidates(kPlain, record("lost", "")), "");
}

// ---- the whole story

TEST(Story, HeadlineSaysHowItEnded) {
  api::JobView job;
  job.id = JobId{7};
  job.request.name = "digits";
  job.submitted = kSubmitted;
  job.phase_since = kSubmitted + seconds{72};
  job.phase = engine::JobPhase::succeeded;
  job.exit_code = 0;
  job.ledger = ledger();
  EXPECT_EQ(renderHeadline(kPlain, job, kSubmitted),
            "✓ j7 digits succeeded after 1m 12s, 3 reclaims survived\n");
  job.phase = engine::JobPhase::failed;
  job.exit_code = 3;
  job.ledger.reset();
  job.reason = "the job ended with exit code 3";
  EXPECT_EQ(renderHeadline(kAscii, job, kSubmitted),
            "j7 digits failed with exit code 3 after 1m 12s\n  the job ended with exit code 3\n");
  job.phase = engine::JobPhase::running;
  job.exit_code.reset();
  job.reason = "running";
  EXPECT_EQ(renderHeadline(kPlain, job, kSubmitted + seconds{100}), "j7 digits running for 28.0s\n");
}

TEST(Story, WarningsOfTheLastAttemptStandFirst) {
  JobStory story;
  story.job.attempts = 2;
  for (const std::uint32_t attempt : {1u, 2u}) {
    story.records.push_back(record("warning", "of attempt " + std::to_string(attempt)));
    story.records.back().record.attempt = attempt;
  }
  EXPECT_THAT(renderStory(kPlain, story), ::testing::StartsWith("▲ of attempt 2\n"));
}

TEST(Story, MachinesThatWereTakenAreMarked) {
  JobStory story;
  story.job.submitted = kSubmitted;
  for (const auto& row : rows()) {
    for (const auto& piece : row.pieces) {
      api::SpanView span;
      span.machine = row.label == "m1" ? MachineId{1} : MachineId{12};
      span.use = piece.use;
      span.begin = piece.begin;
      span.end = piece.end;
      story.job.spans.push_back(span);
    }
  }
  story.records = {record("lost", "m1 was reclaimed")};
  story.records[0].record.machine = MachineId{1};
  story.metrics = {{"loss", {{1, kSubmitted, 2}, {1, kSubmitted + seconds{1}, 1}}}};
  const std::string text = renderStory(kPlain, story);
  EXPECT_THAT(text, HasSubstr("reclaimed, no notice"));
  EXPECT_THAT(text, HasSubstr("loss"));
}

}  // namespace
}  // namespace buoy::cli
