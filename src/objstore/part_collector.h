#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/synchronized.h"
#include "objstore/checkpoint.h"
#include "objstore/gang_parts.h"

namespace buoy::objstore {

// Rank 0's side of a gang's checkpoint: collects what the other ranks have saved, and waits until it belongs
// together. Every rank that had a share in the version before is expected in the next: it is waited for as
// long as it says that it is saving (at most kStuck), and for `patience` if it has not begun. Not
// thread-safe, except hurry().
class PartCollector {
 public:
  PartCollector(GangParts parts, std::uint32_t ranks, Duration patience, const Clock& clock);

  // A rank that is saving for so long will not end.
  static constexpr Duration kStuck = std::chrono::minutes{10};

  // The gang has begun from this version (0: none) with these files.
  void beginFrom(std::uint64_t version, const std::vector<CheckpointFile>& base);

  // Any thread; also while collect() runs.
  void hurry(const GangEnd& end);

  // Brings parts() up to date. `own_news`: rank 0 has saved something newer, too. The ranks that were
  // expected and have nothing newer, or are still saving. deadline_exceeded: the job is ending, and what
  // there is does not belong together. data_loss: ranks have begun from different versions.
  Result<std::vector<std::uint32_t>> collect(bool own_news, const std::stop_token& stop);
  const std::map<std::uint32_t, Manifest>& parts() const { return parts_; }
  std::vector<PartNumber> numbers() const;

  // A version was made of parts().
  void committed(bool own_news);
  // A version with these was made of them before the answer was lost.
  void adopt(const std::vector<PartNumber>& numbers);
  // No version is to be made of parts() and what comes later: they say nothing new, or belong to a state of
  // rank 0 that is over.
  void passOver();

  // Should a version be made although rank 0 has nothing newer? Other ranks have, and rank 0 was not in the
  // version before, or has been waited for long enough.
  Result<bool> due();

 private:
  struct Member {
    std::uint64_t included = 0;  // the part that is in the last version
    bool expected = false;
  };
  struct Absent {
    std::vector<std::uint32_t> saving, silent;  // silent: expected, and not begun
    bool none() const { return saving.empty() && silent.empty(); }
  };

  Status fetch(const std::vector<GangParts::Heard>& heard);
  bool hasNews(std::uint32_t rank) const;
  Absent absent(const std::vector<GangParts::Heard>& heard) const;
  bool waitLonger(const Absent& missing, Time began);

  const GangParts source_;
  const Duration patience_;
  const Clock& clock_;
  std::uint64_t begun_from_ = 0;
  std::vector<Member> members_;              // by rank
  std::map<std::uint32_t, Manifest> parts_;  // the newest of each rank that has one
  std::optional<Time> news_since_;           // of other ranks, seen by due()
  Synchronized<std::optional<GangEnd>> end_;
};

}  // namespace buoy::objstore
