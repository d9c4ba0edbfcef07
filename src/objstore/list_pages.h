#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// Gives `take` everything below `prefix`, in byte order, in pages of constant memory. Ends with the first
// error, the store's or that of `take`.
Status listPages(ObjectStore& store, const std::string& prefix,
                 const std::function<Status(const std::vector<ObjectInfo>&)>& take);

}  // namespace buoy::objstore
