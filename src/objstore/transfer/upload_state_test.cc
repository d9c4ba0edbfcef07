#include "objstore/transfer/upload_state.h"

#include <gtest/gtest.h>

#include "os/files.h"

namespace buoy::objstore {
namespace {

TEST(UploadState, IsForOneRunAtATime) {
  const auto directory = os::TempDir::create("buoy-upload-state").value();
  const auto state = [&] {
    return UploadState(directory.path() + "/transfers", "http://store", {"buck", "key"}, "/data/file");
  };
  const UploadState::Entry entry{.upload = "u1", .part_size = 8 << 20, .source = {1, 2, 3, 4, 5}};
  {
    UploadState first = state();
    EXPECT_FALSE(first.load());
    first.save(entry);
    UploadState second = state();
    EXPECT_FALSE(second.load()) << "the first one is still at it";
    EXPECT_FALSE(second.kept());
    second.save({.upload = "u2", .part_size = 1, .source = {}});
    second.remove();
  }
  UploadState next = state();
  const auto found = next.load();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->upload, "u1");
  EXPECT_EQ(found->part_size, entry.part_size);
  EXPECT_EQ(found->source, entry.source);
  next.save({.upload = "a", .part_size = 1, .source = {}});
  next.remove();
  EXPECT_FALSE(state().load());
}

}  // namespace
}  // namespace buoy::objstore
