#include "objstore/part_collector.h"

#include <algorithm>
#include <string>

#include "base/pause.h"
#include "base/strings.h"

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

void PartCollector::beginFrom(std::uint64_t version, const std::vector<CheckpointFile>& base) {
  begun_from_ = version;
  for (const CheckpointFile& file : base) {
    if (file.rank < members_.size() && file.kind == CheckpointFile::Kind::file)
      members_[file.rank].expected = true;
  }
}

void PartCollector::hurry(const GangEnd& end) {
  *end_.lock() = end;
}

Status PartCollector::fetch(const std::vector<GangParts::Heard>& heard) {
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) {
    const auto known = parts_.find(rank);
    if (heard[rank].saved == (known == parts_.end() ? 0 : known->second.version)) continue;
    auto part = source_.read(rank, heard[rank].saved);
    // Replaced by a newer one since it was listed, or damaged: the rank has nothing newer until the next
    // look.
    if (!part && !part.error().retryable && part.error().code != ErrorCode::unavailable) continue;
    if (!part) return fail(part.error());
    if (part->begun_from != begun_from_) {
      return fail(ErrorCode::data_loss,
                  strCat({"rank ", std::to_string(rank), " has begun from version ",
                          std::to_string(part->begun_from), " and rank 0 from version ",
                          std::to_string(begun_from_), ": what they save does not belong together"}));
    }
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
  const auto end = *end_.lock();
  if (end && end->deadline && now >= *end->deadline) return false;
  const bool vital = std::any_of(missing.saving.begin(), missing.saving.end(),
                                 [&](std::uint32_t rank) { return !hasNews(rank); });
  if (vital) return now < began + (end ? end->patience : kStuck);
  return now < began + (end ? std::min(kEndPatience, end->patience) : patience_);
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
      missed.insert(missed.end(), missing.saving.begin(), missing.saving.end());
      std::sort(missed.begin(), missed.end());
      const auto end = *end_.lock();
      if (!end || !end->whole_only) return missed;
      return fail(ErrorCode::deadline_exceeded,
                  strCat({ranksText(missed), missed.size() == 1 ? " has" : " have",
                          " saved nothing that belongs to what the others have saved"}));
    }
    if (!pauseFor(pause, stop)) return fail(ErrorCode::cancelled, "stopped");
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
  for (std::uint32_t rank = 1; rank < members_.size(); ++rank) members_[rank].expected = hasNews(rank);
  passOver();
}

void PartCollector::adopt(const std::vector<PartNumber>& numbers) {
  for (const PartNumber& part : numbers) {
    if (part.rank >= members_.size()) continue;
    Member& member = members_[part.rank];
    member.expected = part.number > member.included;
    member.included = std::max(member.included, part.number);
  }
}

void PartCollector::passOver() {
  for (const auto& [rank, part] : parts_) members_[rank].included = part.version;
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
