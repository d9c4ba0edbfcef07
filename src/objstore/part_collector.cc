#include "objstore/part_collector.h"

#include <algorithm>
#include <string>

#include "base/strings.h"
#include "os/pause.h"

namespace buoy::objstore {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds{20};
constexpr Duration kPauseMax = std::chrono::seconds{1};
// When the job ends: the other machines are told at about the same time.
constexpr Duration kEndPatience = std::chrono::seconds{5};

std::string ranksText(const std::vector<std::uint32_t>& ranks) {
  std::vector<std::string> numbers;
  for (const std::uint32_t rank : ranks) numbers.push_back(std::to_string(rank));
  return strCat({numbers.size() == 1 ? "rank " : "ranks ", join(numbers, ", ")});
}

}  // namespace

PartCollector::PartCollector(GangParts parts, std::uint32_t ranks, Duration patience, const Clock& clock)
    : source_(std::move(parts)), patience_(patience), clock_(clock), members_(ranks) {}

void PartCollector::beginFrom(const std::vector<CheckpointFile>& base) {
  for (const CheckpointFile& file : base) {
    if (file.rank < members_.size() && file.kind == CheckpointFile::Kind::file)
      members_[file.rank].expected = true;
  }
}

void PartCollector::hurry(Time give_up, bool whole_only) {
  *hurry_.lock() = Hurry{clock_.now(), give_up, whole_only};
}

Status PartCollector::fetch(const std::vector<GangParts::Heard>& heard) {
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) {
    const auto known = parts_.find(rank);
    if (heard[rank].saved == (known == parts_.end() ? 0 : known->second.version)) continue;
    auto part = source_.read(rank, heard[rank].saved);
    // Replaced by a newer one since it was listed; the next look finds that.
    if (!part && part.error().code == ErrorCode::not_found) continue;
    if (!part) return fail(part.error());
    parts_.insert_or_assign(rank, std::move(*part));
  }
  return {};
}

bool PartCollector::hasNews(std::uint32_t rank) const {
  const auto part = parts_.find(rank);
  return part != parts_.end() && part->second.version > members_[rank].included;
}

PartCollector::Absent PartCollector::absent(const std::vector<GangParts::Heard>& heard) const {
  Absent missing;
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) {
    if (heard[rank].saving()) {
      missing.saving.push_back(rank);
    } else if (members_[rank].expected && !hasNews(rank)) {
      missing.silent.push_back(rank);
    }
  }
  return missing;
}

bool PartCollector::waitLonger(const Absent& missing, Time began) {
  const Time now = clock_.now();
  const auto hurry = *hurry_.lock();
  const bool vital = std::any_of(missing.saving.begin(), missing.saving.end(),
                                 [&](std::uint32_t rank) { return !hasNews(rank); });
  if (vital) return !hurry || now < hurry->give_up;
  if (!hurry) return now < began + patience_;
  return now < std::min(hurry->since + kEndPatience, hurry->give_up);
}

Result<std::vector<std::uint32_t>> PartCollector::collect(bool own_news, const std::stop_token& stop) {
  const Time began = clock_.now();
  Duration pause = kPauseMin;
  for (;;) {
    BUOY_TRY(const auto heard, source_.listen(static_cast<std::uint32_t>(members_.size())));
    BUOY_TRY_VOID(fetch(heard));
    bool news = own_news;
    for (std::uint32_t rank = 1; rank < members_.size(); ++rank) news = news || hasNews(rank);
    Absent missing = absent(heard);
    if (!news || missing.none()) return std::vector<std::uint32_t>{};
    const bool all_ended =
        missing.saving.empty() && std::all_of(missing.silent.begin(), missing.silent.end(),
                                              [&](std::uint32_t rank) { return heard[rank].ended; });
    if (all_ended || !waitLonger(missing, began)) {
      std::vector<std::uint32_t> missed = std::move(missing.silent);
      std::copy_if(missing.saving.begin(), missing.saving.end(), std::back_inserter(missed),
                   [&](std::uint32_t rank) { return !hasNews(rank); });
      std::sort(missed.begin(), missed.end());
      const auto hurry = *hurry_.lock();
      if (missed.empty() || !hurry || !hurry->whole_only) return missed;
      return fail(ErrorCode::deadline_exceeded,
                  strCat({ranksText(missed), missed.size() == 1 ? " has" : " have",
                          " saved nothing that belongs to what the others have saved"}));
    }
    if (!os::pauseFor(pause, stop)) return fail(ErrorCode::cancelled, "stopped");
    pause = std::min(pause * 2, kPauseMax);
  }
}

std::vector<PartNumber> PartCollector::numbers() const {
  std::vector<PartNumber> numbers;
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) {
    const auto part = parts_.find(rank);
    numbers.push_back({rank, part == parts_.end() ? 0 : part->second.version});
  }
  return numbers;
}

void PartCollector::committed(bool own_news) {
  members_[0].expected = own_news;
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) {
    members_[rank].expected = hasNews(rank);
    if (members_[rank].expected) members_[rank].included = parts_.at(rank).version;
  }
  news_since_.reset();
}

Result<bool> PartCollector::due() {
  BUOY_TRY(const auto heard, source_.listen(static_cast<std::uint32_t>(members_.size())));
  const auto newer = [&](const Member& member) {
    return heard[static_cast<std::size_t>(&member - members_.data())].saved > member.included;
  };
  if (!std::any_of(members_.begin() + 1, members_.end(), newer)) return false;
  const Time now = clock_.now();
  if (!news_since_) news_since_ = now;
  return !members_[0].expected || now >= *news_since_ + patience_;
}

}  // namespace buoy::objstore
