#include "objstore/list_pages.h"

namespace buoy::objstore {

Status listPages(ObjectStore& store, const std::string& prefix,
                 const std::function<Status(const std::vector<ObjectInfo>&)>& take) {
  constexpr std::size_t kPage = 10'000;
  std::string after;
  for (;;) {
    BUOY_TRY(const auto page, store.list(prefix, after, static_cast<int>(kPage)));
    BUOY_TRY_VOID(take(page));
    if (page.size() < kPage) return {};
    after = page.back().key;
  }
}

}  // namespace buoy::objstore
